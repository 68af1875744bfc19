"""What `--until 0.95` saves: the steps of a verdict that ends when it is sure, beside one of a fixed number of seeds.

    python benchmarks/until.py FOLDER [--studies 5] [--steps 10000] [--trials 20] [--seeds 20] [--pairs 1]

One search on CartPole for each study seed. Its verdict trains the best trial and every baseline on a fixed number of
seeds. What `--until` ends with is replayed from these runs: its seeds are the first of the same ones, and the rule
(:func:`tuner.study.confirm.verdict.verdict`) sees nothing but results. For the first ``--pairs`` studies the same
search is confirmed with `--until` in truth, on a copy of its database, and has to come out as replayed. The favourite
alone is confirmed (`--confirm 1`), so that choosing among finalists, which is the same either way, costs nothing here.

Printed for each study are the training steps of both verdicts and their conclusions. Both are a rank test's: by a
fixed number of seeds of one look and each comparison by itself, by `--until` of all looks and comparisons together, so
the two may differ. What has
been trained is kept in FOLDER, and the same command carries on. Nothing here depends on the clock.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import tuner
from tuner.api import confirm
from tuner.plan.stored import plan_again
from tuner.report.numbers.evidence import evidence
from tuner.result.confirmation import Confirmation
from tuner.result.study import StudyData
from tuner.study.confirm.contestants import lengths_of
from tuner.study.confirm.ledger import score_of
from tuner.study.confirm.schedule import Job
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.confirm.verdict import Verdict, verdict

LEVEL = 0.95

NAME = "s"

#: What keeps a run short; everything else of the default space is searched.
CHEAP = {"net_arch": [64], "batch_size": 32, "updates_per_step": 0.25}

#: Enough for every seed that is asked for, whatever was pruned.
BUDGET = 30.0


class Ending(NamedTuple):
    """Where a verdict ended.

    Attributes:
        steps: Training steps of all of its runs.
        results: Conclusion by the baseline's role.
        seeds: Seeds of each contestant, by role.
    """

    steps: int
    results: dict[str, str]
    seeds: dict[str, int]


def fixed(data: StudyData) -> Ending:
    """Return the verdict that was trained."""
    found = confirmed(data)
    results = {row["with"]: row["scores"]["late"]["result"] for row in evidence(data)["comparisons"]}
    return ended(found, results, {c.key: len(c.phase("verdict")) for c in contestants(found)})


def replayed(data: StudyData, storage: str) -> Ending:
    """Return how `--until` would have ended, from a verdict of a fixed number of seeds."""
    found = confirmed(data)
    stage = ConfirmStage(plan_again(data, storage, {"confirm": 1, "until": LEVEL}), data)
    assert stage.allocation is not None and stage.until is not None
    runs = {Job(c.key, "verdict", run.replicate): run for c in contestants(found) for run in c.phase("verdict")}
    results = {job: score_of(run, "late") for job, run in runs.items()}
    keys = [c.key for c in contestants(found)]
    lengths = lengths_of(stage.contestants, data.grid)
    state: Verdict = verdict(keys, stage.allocation, results, stage.until, lengths, found.floor)
    assert not state.wanted, "the verdict of a fixed number of seeds has too few"
    return ended(found, {key: s.result for key, s in state.standings.items()}, dict(state.seeds))


def ended(found: Confirmation, results: Mapping[str, str], seeds: Mapping[str, int]) -> Ending:
    """Return an ending by roles from one by keys; results by key or by role."""
    everyone = contestants(found)
    steps = sum(run.steps for c in everyone for run in c.phase("verdict") if run.replicate < seeds[c.key])
    roles = {c.key: c.role for c in everyone}
    return Ending(
        steps,
        {roles.get(key, key): result for key, result in results.items()},
        {roles[key]: n for key, n in seeds.items()},
    )


def contestants(found: Confirmation) -> list[Any]:
    """Return the winner, then the baselines that are another setting."""
    assert found.winner is not None
    return list({c.key: c for c in (found.winner, *found.baselines)}.values())


def confirmed(data: StudyData) -> Confirmation:
    """Return a study's verdict."""
    assert data.confirmation is not None and data.confirmation.complete
    return data.confirmation


def study(folder: Path, seed: int, options: argparse.Namespace) -> tuple[Ending, Ending, bool | None]:
    """Search and judge; return the verdict, that with `--until`, and whether a real one came out as the replay."""
    folder.mkdir(parents=True, exist_ok=True)
    storage, real = (f"sqlite:///{folder}/{name}.db" for name in ("fixed", "until"))
    recipe = tuner.StudyRecipe(
        env="CartPole-v1", study=NAME, seed=seed, steps=options.steps, trials=options.trials, set=CHEAP, confirm=0,
        confirm_seeds=options.seeds, confirm_budget=BUDGET, workers=options.workers, storage=storage,
        report_dir=f"{folder}/reports",
    )  # fmt: skip
    tuner.run(recipe)
    if not (folder / "until.db").exists():
        with (
            closing(sqlite3.connect(folder / "fixed.db")) as searched,
            closing(sqlite3.connect(folder / "part.db")) as copy,
        ):
            searched.backup(copy)
        (folder / "part.db").rename(folder / "until.db")
    data = confirm(NAME, storage=storage, settings={"confirm": 1}).data
    without, short = fixed(data), replayed(data, storage)
    if seed >= options.first + options.pairs:
        return without, short, None
    again = confirm(NAME, storage=real, settings={"confirm": 1, "until": LEVEL}).data
    found = confirmed(again)
    results = {row["with"]: row["scores"]["late"]["result"] for row in evidence(again)["comparisons"]}
    truth = ended(found, results, {c.key: len(c.phase("verdict")) for c in contestants(found)})
    return without, short, truth == short


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first study seed")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=1, help="studies of which both verdicts are trained")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    spent = [0, 0]
    same = 0
    print("seed   steps without, with    share  conclusions without; with, after how many seeds")
    for seed in range(options.first, options.first + options.studies):
        without, short, real = study(options.folder / str(seed), seed, options)
        spent = [spent[0] + without.steps, spent[1] + short.steps]
        same += without.results == short.results
        before = ", ".join(f"{role} {result}" for role, result in without.results.items())
        after = ", ".join(f"{role} {result} ({short.seeds.get(role, 0)})" for role, result in short.results.items())
        check = "" if real is None else f"  [a real one: {'as replayed' if real else 'NOT AS REPLAYED'}]"
        share = f"{short.steps / without.steps:.0%}"
        print(f"{seed:>4} {without.steps:>10,} {short.steps:>10,} {share:>7}  {before}; {after}{check}", flush=True)
    print(
        f"{options.studies} studies: {spent[1] / spent[0]:.0%} of the steps; all conclusions the same in {same} of them"
    )


if __name__ == "__main__":
    main()
