"""What `--objective worst` exports beside `late`: the worst quarter of 50 fresh trainings of each.

    python benchmarks/worst_quarter.py FOLDER [--studies 6] [--seeds 50] [--workers 1]

Studies on CartPole and MountainCar at cheap budgets, in turn: short runs of small networks, few updates, and for the
confirm stage, where alone the two differ, three times the search's steps. `worst` searches by `late`, so that both
objectives have one search, and the confirm stage of the second goes on with the runs of the first: what differs is who
is dropped, how many select seeds that takes and who wins. Both exports train again on the same seeds, which no study
has used; where both objectives choose one setting, the difference is 0. Printed for each study and as a mean over
studies with its 95 % interval (t). A study that has ended is kept in FOLDER, and the same command carries on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from retest import retest, shares

import tuner
from tuner.core.reliability import worst_quarter
from tuner.core.statistics import mean_interval
from tuner.envs.spec import EnvSpec
from tuner.report.words.evidence import range_text
from tuner.study.store import keys as attr

#: What keeps a run short; everything else of the default space is searched.
CHEAP = {"net_arch": [64], "batch_size": 32, "updates_per_step": 0.25}

STUDIES: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 8_000, "trials": 12, "confirm_budget": 3.0, "set": CHEAP},
    "MountainCar-v0": {"steps": 20_000, "trials": 12, "confirm_budget": 3.0, "set": CHEAP},
}

#: Episodes of each evaluation of a fresh training.
EPISODES = 10


def winner(folder: Path, env: str, seed: int, objective: str, workers: int) -> Mapping[str, Any]:
    """Return the setting that a study exports; what is in the folder's database is not trained again."""
    result = tuner.run(
        tuner.StudyRecipe(
            env=env, study="s", seed=seed, objective=objective, workers=workers, storage=f"sqlite:///{folder}/s.db",
            report_dir=f"{folder}/reports", **STUDIES[env],
        )
    )  # fmt: skip
    found = result.data.confirmation
    assert found is not None and found.winner is not None and found.complete, result.ending
    return found.winner.hyperparameters


def same_search(source: Path, target: Path, objective: str) -> None:
    """Copy a study's database into another folder, as one of another objective."""
    target.mkdir(parents=True)
    with (
        closing(sqlite3.connect(source / "s.db")) as old,
        closing(sqlite3.connect(target / "s.db")) as database,
        database,
    ):
        old.backup(database)
        where = f"WHERE key = '{attr.RECIPE}'"
        rows = database.execute(f"SELECT study_user_attribute_id, value_json FROM study_user_attributes {where}")
        for row, text in rows.fetchall():
            changed = json.dumps({**json.loads(text), "objective": objective})
            database.execute(
                "UPDATE study_user_attributes SET value_json = ? WHERE study_user_attribute_id = ?", (changed, row)
            )


def fresh(pool: Any, env: str, values: Mapping[str, Any], seeds: int, workers: int) -> list[float]:
    """Return the `late` score of each fresh training."""
    steps = STUDIES[env]["steps"]
    jobs = [("dqn", dict(values), EnvSpec(env), steps, part, EPISODES) for part in shares(seeds, workers)]
    return [late for part in pool.starmap(retest, jobs) for late, _ in part]


def study(folder: Path, env: str, seed: int, seeds: int, workers: int) -> dict[str, Any]:
    """Search once, choose by both objectives, and train both exports again."""
    here = folder / f"{env}-{seed}"
    shutil.rmtree(here, ignore_errors=True)
    (here / "late").mkdir(parents=True)
    chosen = {"late": winner(here / "late", env, seed, "late", workers)}
    same_search(here / "late", here / "worst", "worst")
    chosen["worst"] = winner(here / "worst", env, seed, "worst", workers)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        scores = {"late": fresh(pool, env, chosen["late"], seeds, workers)}
        same = chosen["worst"] == chosen["late"]
        scores["worst"] = scores["late"] if same else fresh(pool, env, chosen["worst"], seeds, workers)
    return {"env": env, "seed": seed, "same": same, "settings": chosen, "scores": scores}


def print_study(row: Mapping[str, Any]) -> None:
    """Print one line."""
    late, worst = (row["scores"][objective] for objective in ("late", "worst"))
    quarters, means = ([f(x) for x in (late, worst)] for f in (worst_quarter, lambda x: sum(x) / len(x)))
    print(
        f"{row['env']:<15} {row['seed']:>4}  {quarters[0]:>8.1f} {quarters[1]:>8.1f} {quarters[1] - quarters[0]:>+8.1f}"
        f"  {means[0]:>8.1f} {means[1]:>8.1f}  {'one setting' if row['same'] else ''}",
        flush=True,
    )


def print_mean(env: str, rows: list[dict[str, Any]]) -> None:
    """Print the mean difference over studies."""
    gaps = [worst_quarter(row["scores"]["worst"]) - worst_quarter(row["scores"]["late"]) for row in rows]
    found = mean_interval(gaps)
    sure = f" ({range_text(vars(found))})" if found.low is not None else ""
    one = sum(row["same"] for row in rows)
    print(
        f"{env}: worst minus late, worst quarter: {found.value:+.1f}{sure}; {len(rows)} studies, {one} with one setting"
    )


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{'environment':<15} seed  worst quarter: late, worst, gap    mean: late, worst")
    found: dict[str, list[dict[str, Any]]] = {env: [] for env in STUDIES}
    for seed in range(options.studies):
        for env in STUDIES:
            path = options.folder / f"{env}-{seed}.json"
            if not path.exists():
                row = study(options.folder, env, seed, options.seeds, options.workers)
                path.write_text(json.dumps(row))
            found[env].append(json.loads(path.read_text()))
            print_study(found[env][-1])
    for env, rows in found.items():
        print_mean(env, rows)


if __name__ == "__main__":
    main()
