#!/usr/bin/env bash
# One study by many independent jobs: each is a supervisor with its own workers, and they meet in PostgreSQL. Jobs may
# start late, be preempted or die; the others go on, and a job that comes back carries on.
#
#   export TUNE_STORAGE=postgresql://tune@database.example/tune    (the password goes into ~/.pgpass)
#   sbatch --array=0-7 docs/scaling/slurm-array.sh --env CartPole-v1 --trials 1000
#
# Before: a virtual environment that all nodes see:  pip install -e '.[postgres]'
#SBATCH --job-name=tune
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

VENV=${VENV:-$PWD/.venv}
: "${TUNE_STORAGE:?name the PostgreSQL database that all jobs share}"

# All jobs say the same, so that it is one study. Whoever sees the last trial end trains the finalists again, and its
# report is whole; tune report STUDY writes it again anywhere.
"$VENV/bin/tune" "$@" --workers "$SLURM_CPUS_PER_TASK" --quiet --report-dir "reports/job-${SLURM_ARRAY_TASK_ID:-0}" &
supervisor=$!
trap 'kill -TERM $supervisor' TERM
wait $supervisor
