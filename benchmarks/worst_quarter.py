"""What `--objective worst` exports beside `late`: the worst quarter of 50 fresh trainings of each.

    python benchmarks/worst_quarter.py FOLDER [--studies 6] [--seeds 50]

Studies on CartPole and MountainCar at cheap budgets, in turn: short runs of small networks, few updates. `worst`
searches by `late`, so that both objectives have one search; they differ in the confirm stage, in who is dropped and who
wins. That stage is shared out as after 100 trials, and both objectives take its runs from one pool: what one has
trained, the other does not train again. Of its verdict, which judges and chooses nothing, no run is trained. Then both
exports train again on the same fresh seeds, the verdict's; where both objectives choose one setting, the difference is
0 and nothing is trained. Printed for each study, and as a mean over studies with its 95 % interval (t).

One process; runs are kept in FOLDER as they end, and the same command carries on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tuner
from tuner.contract.objective import run_score
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import RunId, RunSpec
from tuner.core.reliability import worst_quarter
from tuner.core.statistics import mean_interval
from tuner.plan.resolve import StudyPlan
from tuner.plan.stored import plan_again
from tuner.report.words.evidence import range_text
from tuner.result.confirmation import Contestant
from tuner.study.confirm.budget import allocate
from tuner.study.confirm.choice import WORST, choice_of
from tuner.study.confirm.contestants import finalists
from tuner.study.confirm.ledger import spec_of
from tuner.study.confirm.schedule import Job, select
from tuner.study.reading.study import load
from tuner.training.batch import RunBatch
from tuner.training.stack.trainer import NativeTrainer

#: What keeps a run short; everything else of the default space is searched.
CHEAP = {"net_arch": [64], "batch_size": 32, "updates_per_step": 0.25}

STUDIES: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 8_000, "trials": 12, "set": CHEAP},
    "MountainCar-v0": {"steps": 20_000, "trials": 12, "set": CHEAP},
}

OBJECTIVES = ("late", "worst")

#: Trials whose confirm stage is shared out: of the studies' own few, three seeds would choose, and have no quarter.
SHARED_AS_AFTER = 100

#: Candidates of that stage.
FINALISTS = 5

#: Baselines that such a verdict has: defaults, RL Zoo's values, the best setting known beforehand.
BASELINES = 3

#: Episodes of each late evaluation of a fresh training.
EPISODES = 20

#: Runs trained side by side.
LANES = 16


class Study(NamedTuple):
    """One study.

    Attributes:
        name: Of the chosen trial, by objective.
        scores: Of the export's fresh trainings, by objective; one list twice where both export one setting.
        same: Whether they do.
    """

    name: Mapping[str, str]
    scores: Mapping[str, Sequence[float]]
    same: bool


class Runs:
    """Trains runs of a study's settings, each once, and keeps their scores in a file.

    Args:
        path: The file, a line for each run.
        plan: The study's.
    """

    def __init__(self, path: Path, plan: StudyPlan) -> None:
        self._path, self._plan = path, plan
        self.results: dict[Job, float | None] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                job, score = json.loads(line)
                self.results[Job(*job)] = WORST if score == "diverged" else score

    def train(self, settings: Mapping[str, Contestant], jobs: Sequence[Job], late_episodes: int | None = None) -> None:
        """Train the jobs that are missing."""
        missing = [job for job in jobs if job not in self.results]
        specs = [self._spec(settings[job.key], job, i, late_episodes) for i, job in enumerate(missing)]

        def on_end(spec: RunSpec, points: Sequence[EvalPoint], outcome: Outcome) -> None:
            job = missing[spec.run_id.trial]
            kept = run_score("late", points) if outcome.kind == "completed" else None
            kept = "diverged" if outcome.kind == "diverged" else kept
            with self._path.open("a") as file:
                file.write(json.dumps([job, kept]) + "\n")
            self.results[job] = WORST if kept == "diverged" else kept

        if specs:
            NativeTrainer(min(LANES, len(specs))).train(RunBatch(specs, on_end))

    def _spec(self, setting: Contestant, job: Job, number: int, late_episodes: int | None) -> RunSpec:
        spec = dataclasses.replace(spec_of(self._plan, setting, job), run_id=RunId(number))
        late = late_episodes or spec.evaluation.late_episodes
        # No score looks at the evaluations before the last third, and no training feels them.
        evaluation = dataclasses.replace(spec.evaluation, episodes=1, late_episodes=late)
        return dataclasses.replace(spec, evaluation=evaluation)


def study(folder: Path, env: str, seed: int, seeds: int) -> Study:
    """Search once, choose by both objectives, and train both exports again."""
    here = folder / f"{env}-{seed}"
    here.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{here}/s.db"
    tuner.run(
        tuner.StudyRecipe(
            env=env, study="s", seed=seed, confirm=0, workers=1, executor="inline", storage=storage,
            report_dir=f"{here}/reports", **STUDIES[env],
        )
    )  # fmt: skip
    data = load("s", storage)
    plan = plan_again(data, storage, {})
    found = {c.key: c for c in finalists(data, FINALISTS, "native")}
    shared = allocate(SHARED_AS_AFTER, finalists=len(found), baselines=BASELINES, seeds=plan.recipe.confirm_seeds)
    assert shared is not None
    runs, chosen = Runs(here / "runs.jsonl", plan), {}
    for objective in OBJECTIVES:
        choice = choice_of(objective)
        while (state := select(list(found), shared, runs.results, choice.beaten, choice.worth)).winner is None:
            runs.train(found, state.wanted)
        chosen[objective] = state.winner
    fresh = {key: [Job(key, "verdict", r) for r in range(seeds)] for key in dict.fromkeys(chosen.values())}
    if len(fresh) > 1:
        runs.train(found, [job for jobs in zip(*fresh.values(), strict=True) for job in jobs], EPISODES)
    floor = min((s for s in runs.results.values() if s not in (None, WORST)), default=0.0)
    scores = {
        key: [max(s, floor) for job in jobs if (s := runs.results.get(job)) is not None] for key, jobs in fresh.items()
    }
    return Study(
        {objective: found[key].name for objective, key in chosen.items()},
        {objective: scores[key] for objective, key in chosen.items()},
        len(fresh) == 1,
    )


def print_study(env: str, seed: int, found: Study) -> None:
    """Print one line."""
    if found.same:
        print(f"{env:<15} {seed:>4}  both export {found.name['late']}", flush=True)
        return
    quarters, means = (
        [f(found.scores[objective]) for objective in OBJECTIVES] for f in (worst_quarter, lambda x: sum(x) / len(x))
    )
    print(
        f"{env:<15} {seed:>4}  {quarters[0]:>8.1f} {quarters[1]:>8.1f} {quarters[1] - quarters[0]:>+8.1f}"
        f"  {means[0]:>8.1f} {means[1]:>8.1f}  {found.name['late']}, {found.name['worst']}",
        flush=True,
    )


def gap(found: Study) -> float:
    """Return by how much the worst quarter of `worst` lies above that of `late`."""
    if found.same:
        return 0.0
    late, worst = (worst_quarter(found.scores[objective]) for objective in OBJECTIVES)
    return worst - late


def print_mean(env: str, rows: Sequence[Study]) -> None:
    """Print the mean difference over studies."""
    found = mean_interval([gap(row) for row in rows])
    sure = f" ({range_text(dataclasses.asdict(found))})" if found.low is not None else ""
    one = sum(row.same for row in rows)
    print(
        f"{env}: worst minus late, worst quarter: {found.value:+.1f}{sure}; {len(rows)} studies, {one} with one setting"
    )


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=50)
    options = parser.parse_args()
    print(f"{'environment':<15} seed  worst quarter: late, worst, gap    mean: late, worst")
    found: dict[str, list[Study]] = {env: [] for env in STUDIES}
    for seed in range(options.studies):
        for env in STUDIES:
            found[env].append(study(options.folder, env, seed, options.seeds))
            print_study(env, seed, found[env][-1])
    for env, rows in found.items():
        print_mean(env, rows)


if __name__ == "__main__":
    main()
