"""Whole studies as a user runs them: what the exported setting is worth on fresh seeds, beside the baselines.

    python benchmarks/real_studies.py --confirm-seeds 20 --confirm-budget 2 --blind --envs CartPole-v1 --seeds 0 1 2
    python benchmarks/real_studies.py --within 60s [--blind]
    python benchmarks/real_studies.py --envs CartPole-v1 --trials 20 --flags "--backend sb3 --algo ppo"

Each study is one ``tune`` command on two cores. With ``--blind`` its portfolio and prior are made from
``benchmarks/lab/table`` without the environment's family, RL Zoo's values for that family among what is left out.
Printed are the wall time, what was trained, and for each baseline the exported setting minus it on the verdict's seeds,
with the 95 % interval. Folders are kept with ``--keep FOLDER``; a study that is there already goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: Environments of ten families.
ENVS = (
    "CartPole-v1", "lab/Acrobot-v0", "lab/HillStrong-v0", "lab/SwingUp-v0", "FrozenLake-v1", "lab/Catch-v0",
    "lab/Corridor-v0", "lab/Boiler-v0", "lab/Hover-v0", "lab/Inventory-v0",
)  # fmt: skip

#: What is compared with, in the order of the columns.
ROLES = ("defaults", "zoo", "known", "startup")

CORES = 2


def blind_prior(env: str, folder: Path) -> Path:
    """Write a prior that the environment's family has no part in."""
    sys.path.insert(0, str(HERE / "lab"))
    from environments import family_of

    path = folder / "prior.yaml"
    command = [sys.executable, "-W", "ignore", str(HERE / "lab" / "portfolio.py"), "--least", "120"]
    subprocess.run([*command, "--without", family_of(env), "-o", str(path)], check=True, capture_output=True)
    return path


def study(env: str, seed: int, options: argparse.Namespace, folder: Path) -> str:
    """Run one study, and return a row of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tuner", "--env", env, "--seed", str(seed), "--workers", str(CORES), "--quiet"]
    command += ["--storage", "sqlite:///tuner.db", "--confirm-seeds", str(options.confirm_seeds)]
    command += ["--within", options.within] if options.within else ["--trials", str(options.trials)]
    if options.confirm_budget:
        command += ["--confirm-budget", options.confirm_budget]
    command += shlex.split(options.flags)
    if env.startswith("lab/"):
        command += ["--env-module", str(HERE / "lab" / "environments.py")]
    if options.blind:
        command += ["--prior", str(blind_prior(env, folder))]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    head = f"| {env} | {seed} | {time.perf_counter() - started:.0f} s |"
    if done.returncode != 0:
        return f"{head} exit {done.returncode}: {done.stderr.strip()[-160:]} |" + " |" * (1 + len(ROLES))
    (file,) = folder.rglob("report.json")
    report = json.loads(file.read_text())
    trials = sum(t["outcome"] in ("completed", "pruned", "diverged") for t in report["trials"])
    found = report["evidence"]
    cells = [f"{trials} of {report['study']['grid'][-1]:,} steps", *verdict_cells(found)]
    return f"{head} {' | '.join(cells)} |"


def verdict_cells(found: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the exported setting's score and what it is beside each baseline, as cells."""
    if found is None or found["winner"] is None:
        return ["no verdict", *[""] * len(ROLES)]
    score = found["objective"]
    winner = next(c for c in found["contestants"] if c["key"] == found["winner"])
    cells = [_shown(winner["verdict"]["estimates"].get(score))]
    rows = {c["role"]: c["scores"][score] for c in found["comparisons"]}
    for role in ROLES:
        cells.append(f"{_shown(rows[role]['difference'])}, {rows[role]['result']}" if role in rows else "")
    return cells


def _shown(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return ""
    if estimate["low"] is None:
        return f"{estimate['value']:.4g}"
    return f"{estimate['value']:.4g} ({estimate['low']:.4g} to {estimate['high']:.4g})"


def main() -> None:
    """Run each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--within", help="how long a command may take; else --trials")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--confirm-seeds", type=int, default=10)
    parser.add_argument("--confirm-budget", help="as tune takes it: what so many seeds of every contestant need")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], help="study seeds")
    parser.add_argument("--envs", nargs="*", default=list(ENVS))
    parser.add_argument("--flags", default="", help="more flags for every study")
    parser.add_argument("--blind", action="store_true", help="leave the family out of portfolio and prior")
    parser.add_argument("--keep", type=Path, help="folder for the studies, to go on with and to look at")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    heads = ["environment", "study seed", "took", "trials", "export", *(f"minus {role}" for role in ROLES)]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.keep or Path(temporary)).absolute()
        for env in options.envs:
            for seed in options.seeds:
                print(study(env, seed, options, root / env.replace("/", "-") / str(seed)), flush=True)


if __name__ == "__main__":
    main()
