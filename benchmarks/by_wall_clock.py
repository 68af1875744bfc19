"""What a user has found after so much time: `tune --within 5m` beside half an hour of RL Zoo's own optimisation.

    python benchmarks/by_wall_clock.py --envs CartPole-v1 [--within 5m] [--minutes 30] [--seeds 20] [--keep FOLDER]

Both have the same two cores, one after the other. RL Zoo searches as its documentation shows (`-optimize`, TPE,
median pruner, two jobs of one thread, its own budget and evaluations) and is killed when its time is over; its answer
is the trial with the highest value. What both answer is then trained natively on the same fresh seeds, for as many
steps as RL Zoo trains for: `tune compare`, whose page and lines are printed as they are. Each environment is known to
both: `tune`'s portfolio holds its family, and RL Zoo's search keeps the buffer size and learning starts of its tuned
values. With --keep what was found stays, and a search that ended is not made again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import yaml

CORES = 2
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def tune(env: str, within: str, folder: Path) -> Path:
    """Search with `tune`, and return the export."""
    command = [sys.executable, "-m", "tuner", "--env", env, "--within", within, "--workers", str(CORES)]
    started = time.perf_counter()
    done = subprocess.run([*command, "--quiet"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"tune --within {within}: {time.perf_counter() - started:.0f} s\n{done.stdout}", flush=True)
    (export,) = folder.glob("reports/*/best.yaml")
    return export


def rl_zoo(env: str, steps: int, minutes: float, folder: Path) -> Path:
    """Search with RL Zoo until the time is over, and write the best trial's values in its own form."""
    storage = f"sqlite:///{folder / 'zoo.db'}"
    command = [
        sys.executable,
        "-m",
        "rl_zoo3.train",
        "--algo",
        "dqn",
        "--env",
        env,
        "-optimize",
        "--n-trials",
        "100000",
    ]
    command += ["--n-jobs", str(CORES), "--num-threads", "1", "--sampler", "tpe", "--pruner", "median", "--seed", "0"]
    command += ["--storage", storage, "--study-name", "zoo", "--no-optim-plots", "--device", "cpu", "-f", "logs"]
    command += ["--n-timesteps", str(steps)]
    with (folder / "zoo.log").open("w") as log:
        try:
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, **ONE_THREAD}, stdout=log, stderr=log, timeout=60 * minutes
            )
        except subprocess.TimeoutExpired:
            pass
        else:
            sys.exit(f"RL Zoo ended with exit code {done.returncode}: {folder / 'zoo.log'}")
    study = optuna.load_study(study_name="zoo", storage=storage)
    ended = [trial.state.name.lower() for trial in study.trials]
    print(f"RL Zoo, {minutes:g} min: {', '.join(f'{ended.count(state)} {state}' for state in sorted(set(ended)))}")
    print(f"its best: {study.best_value:.4g}, {study.best_params}\n", flush=True)
    file = folder / "zoo.yml"
    file.write_text(yaml.safe_dump({env: in_zoo_form(env, study.best_params)}))
    return file


def in_zoo_form(env: str, sampled: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of ``dqn.yml``: RL Zoo's tuned values, and over them what its search sampled."""
    from rl_zoo3.hyperparams_opt import convert_offpolicy_params

    found = convert_offpolicy_params(sampled)
    return {**zoo_entry(env), **found, "policy_kwargs": f"dict(net_arch={found['policy_kwargs']['net_arch']})"}


def zoo_entry(env: str) -> dict[str, Any]:
    """Return RL Zoo's tuned values of an environment."""
    import rl_zoo3

    table = yaml.safe_load((Path(rl_zoo3.__file__).parent / "hyperparams" / "dqn.yml").read_text())
    return dict(table[env])


def main() -> None:
    """Search with both, environment by environment, and train both answers on the same seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", default=["CartPole-v1", "Acrobot-v1", "MountainCar-v0"])
    parser.add_argument("--within", default="5m")
    parser.add_argument("--minutes", type=float, default=30, help="RL Zoo's time")
    parser.add_argument("--steps", type=int, help="of RL Zoo's runs and the comparison's (default: RL Zoo's own)")
    parser.add_argument("--seeds", type=int, default=20, help="fresh seeds of each answer")
    parser.add_argument("--keep", type=Path, help="folder of what was found")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as temporary:
        for env in options.envs:
            folder = (options.keep or Path(temporary)).absolute() / env
            folder.mkdir(parents=True, exist_ok=True)
            print(f"## {env}\n", flush=True)
            steps = options.steps or int(float(zoo_entry(env)["n_timesteps"]))
            ours = next(folder.glob("reports/*/best.yaml"), None) or tune(env, options.within, folder)
            theirs = folder / "zoo.yml"
            if not theirs.exists():
                rl_zoo(env, steps, options.minutes, folder)
            command = [sys.executable, "-m", "tuner", "compare", str(ours), str(theirs), "--env", env, "--quiet"]
            command += ["--seeds", str(options.seeds), "--steps", str(steps), "--workers", str(CORES)]
            print(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout, flush=True)


if __name__ == "__main__":
    main()
