"""Whole commands that have to end in a given time: do they, and does what they export beat DQN's defaults?

    python benchmarks/within.py [--within 60s] [--seeds 0] [--envs CartPole-v1 lab/Catch-v0 ...]

Each environment is tuned by ``tune --env ID --within DURATION`` on two cores, as it ships but for one thing: with
``--without-own`` the portfolio and the prior are made without the environment's family (from ``benchmarks/lab/table``).
Printed are the wall time, what there was time for, and the verdict: the exported setting minus the defaults on fresh
seeds, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tuner.durations import parse_duration, show_duration

HERE = Path(__file__).parent

#: Environments of ten families.
ENVS = (
    "CartPole-v1", "lab/Acrobot-v0", "lab/HillStrong-v0", "lab/SwingUp-v0", "FrozenLake-v1", "lab/Catch-v0",
    "lab/Corridor-v0", "lab/Boiler-v0", "lab/Hover-v0", "lab/Inventory-v0",
)  # fmt: skip

CORES = 2


def prior_without(env: str, folder: Path) -> Path:
    """Write a prior that the environment's family has no part in."""
    sys.path.insert(0, str(HERE / "lab"))
    from environments import family_of

    path = folder / "prior.yaml"
    command = [sys.executable, "-W", "ignore", str(HERE / "lab" / "portfolio.py"), "--least", "5"]
    subprocess.run([*command, "--without", family_of(env), "-o", str(path)], check=True, capture_output=True)
    return path


def row(env: str, options: argparse.Namespace, seed: int) -> str:
    """Tune one environment, and return a row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tuner", "--env", env, "--within", options.within, "--seed", str(seed)]
        command += ["--workers", str(CORES), "--storage", "sqlite:///tuner.db", "--quiet"]
        if env.startswith("lab/"):
            command += ["--env-module", str(HERE / "lab" / "environments.py")]
        if options.without_own:
            command += ["--prior", str(prior_without(env, folder))]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            return f"| {env} | {seed} | {seconds:.1f} s | exit {done.returncode}: {done.stderr.strip()[-120:]} | | |"
        (file,) = folder.rglob("report.json")
        report = json.loads(file.read_text())
        trials = sum(t["outcome"] == "completed" for t in report["trials"])
        what = f"{trials} of {report['study']['grid'][-1]:,} steps"
        found = report["evidence"] or {"comparisons": []}
        against = next((c for c in found["comparisons"] if c["role"] == "defaults"), None)
        head = f"| {env} | {seed} | {seconds:.1f} s | {what} |"
        if against is None:
            return f"{head} no verdict | |"
        compared = against["scores"][found["objective"]]
        value, low, high = (compared["difference"][key] for key in ("value", "low", "high"))
        shown = f"{value:+.3g}" if low is None else f"{value:+.3g} ({low:+.3g} to {high:+.3g}, {found['seeds']} seeds)"
        return f"{head} {shown} | {compared['result']} |"


def main() -> None:
    """Tune each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--within", default="60s")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--envs", nargs="*", default=list(ENVS))
    parser.add_argument("--without-own", action="store_true", help="leave the family out of portfolio and prior")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(f"To end within {show_duration(parse_duration(options.within, '--within'))}, {CORES} cores.\n")
    print("| environment | study seed | took | trials | export minus defaults | it is |\n|---|---:|---:|---|---|---|")
    for env in options.envs:
        for seed in options.seeds:
            print(row(env, options, seed), flush=True)


if __name__ == "__main__":
    main()
