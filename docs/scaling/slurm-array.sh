#!/usr/bin/env bash
# One study by many independent jobs: each is a supervisor with its own workers, and they meet in PostgreSQL. Jobs may
# start late, be preempted or die; the others go on, and a job that comes back carries on.
#
#   export TUNE_STORAGE=postgresql+psycopg://tune@database.example/tune    (the password goes into ~/.pgpass)
#   job=$(sbatch --parsable --array=0-7 docs/scaling/slurm-array.sh --env CartPole-v1 --trials 1000)
#   sbatch --dependency=afterok:$job --cpus-per-task=16 --wrap "$PWD/.venv/bin/tune confirm dqn-native-CartPole-v1"
#
# Before: a virtual environment that all nodes see:  pip install -e . 'psycopg[binary]'
#SBATCH --job-name=tune
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

VENV=${VENV:-$PWD/.venv}
: "${TUNE_STORAGE:?name the PostgreSQL database that all jobs share}"

# All jobs say the same, so that it is one study; each writes its own report. Finalists are confirmed once, afterwards.
"$VENV/bin/tune" "$@" --workers "$SLURM_CPUS_PER_TASK" --confirm 0 --quiet \
  --report-dir "reports/job-${SLURM_ARRAY_TASK_ID:-0}" &
supervisor=$!
trap 'kill -TERM $supervisor' TERM
wait $supervisor
