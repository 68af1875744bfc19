#!/usr/bin/env bash
# One study on one Slurm allocation: Ray holds the nodes together, one supervisor on the first of them owns the study.
#
#   sbatch docs/scaling/slurm-ray.sh --env CartPole-v1 --trials 1000
#
# Before: a virtual environment that all nodes see, with tune and Ray:  pip install -e '.[ray]'
#SBATCH --job-name=tune
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

VENV=${VENV:-$PWD/.venv}
PORT=${RAY_PORT:-6379}
export RAY_USAGE_STATS_ENABLED=0
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# The token that lets nodes into the cluster; without it anyone who reaches the port could run code there.
export RAY_AUTH_MODE=token
"$VENV/bin/ray" get-auth-token --generate > /dev/null # into ~/.ray, which all nodes see

srun --nodes=1 --ntasks=1 --nodelist="$head" --exact \
  "$VENV/bin/ray" start --head --port="$PORT" --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false --block &
sleep 20
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" --exact \
    "$VENV/bin/ray" start --address="$head:$PORT" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
fi
sleep 20

# The supervisor shares the first node with trainers. SIGTERM two minutes before the end of the allocation ends it gently;
# submitting the same command again carries on.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap --cpus-per-task=1 \
  "$VENV/bin/tune-dqn" "$@" --executor ray --ray-address auto &
supervisor=$!
trap 'kill -TERM $supervisor' TERM
wait $supervisor
