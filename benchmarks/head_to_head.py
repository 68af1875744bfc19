"""Whole searches that really train, side by side: what ships, the search of version 0.1, TPE alone, random search.

    python benchmarks/head_to_head.py --keep FOLDER [--sides product-30 before-100 ...] [--seeds 10]
                                      [--envs ID ...] [--study-seeds 0 ...] [--full [--zoo]]

All search the same wide space with the same trainer and budgets: those of the lab, or with ``--full`` those that
``tune`` itself has for CartPole, Acrobot and MountainCar; ``--zoo`` judges RL Zoo's values for these, too, trained for
as many steps. What ships begins with portfolio and prior made without the environment's family (see
``real_studies.py``). Exports and DQN's defaults then train on the same fresh seeds and episodes (``tune compare``).
``product-N``, ``rainbow-N`` (the same with the space of that name) and ``before-N`` have N trials and a confirm stage;
``before`` is TPE from scratch with the plain median rule and the finalists of version 0.1. ``tpe`` is TPE alone, whose
export is its highest score, with as many full runs as the first product's search and confirm stage had environment
steps for; ``random`` is random search with our confirm stage, with as many as that search had.

Printed are shares of each environment's range (0 is random play, 1 the ceiling), then each side minus the first, with
95 % intervals of a bootstrap over environments and study seeds. Nothing here depends on the clock, so it may run beside
other work; what is there already is kept.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from against_itself import JUDGES, tune
from real_studies import ENVS, HERE, blind_prior

from tuner.core.statistics import interquartile_mean

sys.path.insert(0, str(HERE / "lab"))
from environments import MEMBERS, Member
from summary import interval, within

SIDES = ("product-100", "product-30", "before-100", "tpe", "random")

#: ``tune`` by the rules of version 0.1's search.
BEFORE = (str(HERE / "as_before.py"),)

#: Gymnasium's own three with the budgets of ``search_spaces/dqn/default.yaml``.
FULL = (
    Member("cartpole", "CartPole-v1", 50_000, 10, 23, 500, "bound"),
    Member("acrobot", "Acrobot-v1", 60_000, 10, -500, -75, "estimate"),
    Member("mountain_car", "MountainCar-v0", 80_000, 10, -200, -95, "estimate"),
)

#: What a side's name begins with, before its number of trials -> flags of its search.
METHODS = {"product": [], "rainbow": ["--space", "rainbow"], "before": ["--prior", "none"]}

#: DQN's own settings, judged beside what the searches export.
DEFAULTS = "defaults"

#: RL Zoo's tuned values, likewise.
ZOO = "zoo"


def sides(options: argparse.Namespace) -> list[str]:
    """Return what is judged, by name."""
    return [*options.sides, DEFAULTS, *([ZOO] if options.zoo else [])]


def without_search(side: str, member: Member) -> dict[str, Any]:
    """Return DQN's own settings, or RL Zoo's tuned ones, for an environment's steps, as RL Zoo writes them."""
    own: dict[str, Any] = {"policy": "MlpPolicy"}
    if side == ZOO:
        table = importlib.resources.files("rl_zoo3").joinpath("hyperparams", "dqn.yml")
        own = yaml.safe_load(table.read_text())[member.id]
    return {member.id: {**own, "n_timesteps": member.steps}}


def steps_of(folder: Path, name: str) -> tuple[int, int]:
    """Return the environment steps of a study's search and of its confirm stage."""
    report = json.loads((folder / "reports" / name / "report.json").read_text())
    found = report["evidence"]  # None where the budget paid for no confirm stage
    return report["summary"]["steps_spent"], found["steps"]["confirmed"] if found else 0


def search(side: str, here: list[str], member: Member, folder: Path, options: argparse.Namespace) -> None:
    """Search as one side does, and leave its export as ``SIDE.yaml``."""
    if (export := folder / f"{side}.yaml").is_file():
        return
    study = [*here, "--study", side]
    confirm = ["--confirm-seeds", "5"]
    if side in ("tpe", "random"):
        first = next(name for name in options.sides if name.startswith("product"))
        searched, confirmed = steps_of(folder, first)
        steps = searched + (confirmed if side == "tpe" else 0)
        trials = str(round(steps / member.steps))
        study += ["--trials", trials, "--sampler", side, "--pruner", "none", *METHODS["before"]]
        tune(folder, *study, *(["--confirm", "0"] if side == "tpe" else confirm), program=BEFORE)
    else:
        method, trials = side.split("-")
        flags = METHODS[method]
        if "--prior" not in flags:
            flags = [*flags, "--prior", str(blind_prior(member.id, folder))]
        program = {"program": BEFORE} if method == "before" else {}
        tune(folder, *study, "--trials", trials, *flags, *confirm, **program)
    shutil.copy(folder / "reports" / side / "best.yaml", export)


def judged(env: str, seed: int, options: argparse.Namespace) -> list[float]:
    """Search as each side does and judge the exports: return each one's share of the range."""
    member = next(m for m in (FULL if options.full else MEMBERS) if m.id == env)
    folder = options.keep.absolute() / env.replace("/", "-") / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    here = ["--env", env, "--steps", str(member.steps), "--workers", str(options.workers)]
    if env.startswith("lab/"):
        here += ["--env-module", str(HERE / "lab" / "environments.py")]
    for side in options.sides:
        search(side, [*here, "--storage", "sqlite:///tuner.db", "--seed", str(seed)], member, folder, options)
    judges = sides(options)
    for side in judges[len(options.sides) :]:
        (folder / f"{side}.yaml").write_text(yaml.safe_dump(without_search(side, member)))
    same: dict[str, str] = {}  # what two sides export trains once: setting to the first of them
    first = {side: same.setdefault((folder / f"{side}.yaml").read_text(), side) for side in judges}
    page = folder / f"compared-{'-'.join(options.sides)}"
    judge = ["--seed", str(JUDGES + seed), "--seeds", str(options.seeds), "-o", str(page)]
    tune(folder, "compare", *(f"{side}.yaml" for side in same.values()), *here, *judge)  # trains what is missing
    document: dict[str, Any] = json.loads((page / "comparison.json").read_text())
    scores = {found["label"]: found["scores"]["late"] for found in document["settings"]}
    return [float(member.normalised(interquartile_mean(scores[first[side]]))) for side in judges]


def report(shares: np.ndarray, options: argparse.Namespace) -> None:
    """Print the tables of shares, [environments, study seeds, sides]."""
    names = sides(options)
    print(f"| environment | study seed | {' | '.join(names)} |\n|---|---:|{'---:|' * len(names)}")
    for env, of in zip(options.envs, shares, strict=True):
        for seed, row in zip(options.study_seeds, of, strict=True):
            print(f"| {env} | {seed} | {' | '.join(f'{share:.3f}' for share in row)} |")
    print(f"| mean | | {' | '.join(f'{share:.3f}' for share in shares.mean(axis=(0, 1)))} |\n")
    for at, side in enumerate(names[1:], 1):
        gain = shares[..., 0] - shares[..., at]
        low, high = interval(gain)
        inside = ""
        if len(options.study_seeds) > 1:
            inside = "; in these very environments ({:+.3f} to {:+.3f})".format(*within(gain))
        print(f"{names[0]} minus {side}: {gain.mean():+.3f} ({low:+.3f} to {high:+.3f}){inside}")


def main() -> None:
    """Run each and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="*", default=list(SIDES), help="the first is what the others are held to")
    parser.add_argument("--seeds", type=int, default=10, help="seeds that judge")
    parser.add_argument("--study-seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--full", action="store_true", help="budgets of tune itself, in place of the lab's short ones")
    parser.add_argument("--zoo", action="store_true", help="judge RL Zoo's tuned values, too")
    parser.add_argument("--envs", nargs="*", help="default: ten families, or with --full the three")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the studies, to go on with and to look at")
    options = parser.parse_args()
    options.envs = options.envs or ([member.id for member in FULL] if options.full else list(ENVS))
    found = [[judged(env, seed, options) for seed in options.study_seeds] for env in options.envs]
    report(np.array(found), options)


if __name__ == "__main__":
    main()
