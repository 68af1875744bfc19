"""Whole studies replayed on the table: what a method exports after 10, 30 and 100 trials, and what that is truly worth.

    python benchmarks/lab/replay.py [--table benchmarks/lab/table] [--studies 20] [--first 0] [--processes 1]
                                    [--methods random tpe tpe+median ...] [--resample] [-o replays.json]

Supervisor, sampler, pruner, score and confirmed choice are the product's own, in virtual time, over a storage in
memory; only training is looked up. Proposals are snapped to the table's settings (`snapping.py` says how, and with
what bias). For every run of a setting the study draws one of its measured seeds; the finalists are chosen on seeds that
did not earn them their place, and the truth of the export is the mean over the seeds that had no part in either.
Everything that a method knows beforehand (portfolio, prior) is made without the family that it is replayed on.

A result is a share of the environment's range: 0 is random play, 1 the ceiling. Printed are means over families, each
family the mean over its members and studies, with 95 % intervals from a bootstrap over families and studies.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from curves import Curves, load_curves, load_design
from design import Setting
from optuna.study import StudyDirection
from portfolio import Prior, choose_portfolio
from snapping import SnappingSampler
from summary import MILESTONES, Replayed, print_results

from tuner import seeding
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import RunId, RunSpec
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan, plan_study
from tuner.space.model import SearchSpace
from tuner.study.search.ledger import Ledger, Settled
from tuner.study.search.pruners import PruningRule, make_pruner
from tuner.study.search.samplers import make_sampler
from tuner.study.search.supervisor import StudySupervisor
from tuner.study.store.buffer import BufferedStorage

HERE = Path(__file__).parent

#: Finalists, as `--confirm 5`.
FINALISTS = 5

#: Workers that the default concurrency is that of.
WORKERS = 2


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        sampler: As ``--sampler`` takes it.
        pruner: As ``--pruner`` takes it.
        portfolio: Trials that train first, chosen on the other families.
        prior: Finished trials at which half of the proposals still come from the other families' good settings; 0
            for none.
    """

    sampler: str = "tpe"
    pruner: str = "none"
    portfolio: int = 0
    prior: float = 0.0


#: What can be asked for; `tpe+median` is the product of version 0.1.
METHODS = {
    "random": Method("random"),
    "tpe": Method(),
    "tpe+median": Method(pruner="median"),
    "portfolio": Method(portfolio=8),
    "portfolio+random": Method("random", portfolio=8),
    "prior": Method(prior=20.0),
    "portfolio+prior": Method(portfolio=8, prior=20.0),
    "portfolio+prior+median": Method(pruner="median", portfolio=8, prior=20.0),
}


@dataclass
class Playing:
    """A run on a lane: what stands for it, and how many checkpoints it has passed."""

    spec: RunSpec
    setting: int
    seed: int
    done: int = 0


@dataclass(frozen=True)
class Scored:
    """A completed trial: what it scored, by which setting and seed, and how many trials had ended with it."""

    score: float
    curve_mean: float
    setting: int
    seed: int
    after: int


@dataclass
class Playback:
    """An executor whose lanes repeat measured curves, all a checkpoint further in each round.

    Attributes:
        curves: The curves.
        setting_of: From a trial's number to its setting.
        completed: The runs that were not stopped, in order of their ends.
        spent: Checkpoints that had been trained when the n-th trial ended.
    """

    curves: Curves
    setting_of: Callable[[int], int]
    completed: list[Scored] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    _held: dict[RunId, Playing] = field(default_factory=dict)
    _checkpoints: int = 0

    def run(self, supervisor: StudySupervisor) -> None:
        """Train until the supervisor says DONE; it limits how many run side by side."""
        while True:
            while isinstance(spec := supervisor.take({}, block=not self._held), RunSpec):
                seed = int(seeding.stream(spec.seed, "landscape").integers(self.curves.late.shape[1]))
                self._held[spec.run_id] = Playing(spec, self.setting_of(spec.run_id.trial), seed)
            if not self._held:
                return
            for outcome in self._advance(supervisor):
                self.spent.append(self._checkpoints)
                run = self._held.pop(outcome.run_id)
                if outcome.kind == "completed":
                    score = float(self.curves.late[run.setting, run.seed])
                    mean = float(self.curves.returns[run.setting, run.seed].mean())
                    self.completed.append(Scored(score, mean, run.setting, run.seed, len(self.spent)))
                supervisor.finish(outcome)
            supervisor.tick()

    def _advance(self, supervisor: StudySupervisor) -> list[Outcome]:
        """Move every run to its next checkpoint; return how those ended that did."""
        points, ended, steps = [], [], self.curves.steps
        for run_id, run in self._held.items():
            self._checkpoints += 1
            mean = float(self.curves.returns[run.setting, run.seed, run.done])
            if np.isnan(mean):
                ended.append(Outcome(run_id, "diverged", steps[run.done], reason="diverged when it was measured"))
                continue
            points.append(EvalPoint(run_id, steps[run.done], (mean,), (1,)))
            run.done += 1
        stop = supervisor.report(points)
        for point in points:
            if point.step == steps[-1]:
                ended.append(Outcome(point.run_id, "completed", point.step))
            elif point.run_id in stop:
                ended.append(Outcome(point.run_id, "stopped", point.step))
        return ended


def make_plan(space: SearchSpace, curves: Curves, method: Method, seed: int, trials: int) -> StudyPlan:
    """Return the plan of a study on a table: the product's, but for where it trains and what it searches."""
    recipe = StudyRecipe(
        env="CartPole-v1", trials=trials, sampler=method.sampler, pruner=method.pruner, seed=seed, workers=WORKERS
    )
    return dataclasses.replace(plan_study(recipe), space=space, grid=curves.steps)


def study_in_memory(plan: StudyPlan, sampler: optuna.samplers.BaseSampler) -> Ledger:
    """Return a fresh study in no database."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recipe, backend = plan.recipe, optuna.storages.InMemoryStorage()
    study_id = backend.create_new_study([StudyDirection.MAXIMIZE], plan.name)
    storage = BufferedStorage(backend, study_id, exclusive=True)
    pruner = make_pruner(recipe.pruner, grid=plan.grid, startup_trials=recipe.startup_trials)
    study = optuna.load_study(study_name=plan.name, storage=storage, sampler=sampler, pruner=pruner)
    judge = PruningRule(recipe.pruner, plan.grid)
    return Ledger(study, storage, plan.space, judge, seed=recipe.seed, replicates=1, url=plan.storage, exclusive=True)


def replay(
    space: SearchSpace, settings: Sequence[Setting], curves: Curves, others: Sequence[Curves], name: str, seed: int
) -> Replayed:
    """Replay one study.

    Args:
        space: The design's space.
        settings: The design.
        curves: The environment's curves.
        others: Curves of other families, all that the method may know beforehand.
        name: A key of :data:`METHODS`.
        seed: The study's seed.
    """
    assert all(other.member.family != curves.member.family for other in others)
    method, trials = METHODS[name], min(MILESTONES[-1], len(curves.settings))
    plan = make_plan(space, curves, method, seed, trials)
    inner = make_sampler(method.sampler, seed=seed, startup_trials=plan.recipe.startup_trials)
    rows = {int(row): i for i, row in enumerate(curves.settings)}
    starts = [rows[row] for row in choose_portfolio(others, method.portfolio) if row in rows]
    prior = Prior(others, settings, space, method.prior, seed) if method.prior else None
    params = [settings[row].params for row in curves.settings]
    sampler = SnappingSampler(inner, space, params, starts, prior)
    supervisor = StudySupervisor(plan, study_in_memory(plan, sampler), Settled())
    playback = Playback(curves, sampler.chosen.__getitem__)
    playback.run(supervisor)
    assert supervisor.close() == "done"
    assert supervisor.finished == trials, supervisor.snapshot().counts
    exported, steps = {}, {}
    for milestone in MILESTONES:
        ended = min(milestone, trials)
        done = [scored for scored in playback.completed if scored.after <= ended]
        exported[milestone] = float(curves.member.normalised(confirmed(curves, done))) if done else 0.0
        steps[milestone] = playback.spent[ended - 1] / len(curves.steps)
    return Replayed(curves.member.id, name, seed, exported, steps)


def confirmed(curves: Curves, scored: Sequence[Scored]) -> float:
    """Return the true mean `late` of the finalist that fresh seeds choose, in the environment's units.

    Of the seeds that earned no finalist its place all but one select and the last tells the truth, however they are
    divided; of four and more, two select.

    Args:
        curves: The truth.
        scored: The completed trials, at least one. Of equal scores the higher mean of the whole curve comes first, as
            in the study.
    """
    finalists: dict[int, int] = {}  # setting -> the seed that earned its highest score, best first
    for trial in sorted(scored, key=lambda trial: (-trial.score, -trial.curve_mean)):
        finalists.setdefault(trial.setting, trial.seed)
    top = list(finalists.items())[:FINALISTS]
    others = np.array([np.delete(curves.late[setting], seed) for setting, seed in top])
    select = min(2, others.shape[1] - 1)
    truths = []
    for chosen in itertools.combinations(range(others.shape[1]), select):
        selected = others[:, list(chosen)].mean(axis=1).argmax()
        truths.append(np.delete(others[selected], chosen).mean())
    return float(np.mean(truths))


def replay_all(
    space: SearchSpace,
    settings: Sequence[Setting],
    everything: Sequence[Curves],
    methods: Iterable[str],
    seeds: Iterable[int],
    processes: int = 1,
    resample: bool = False,
) -> list[Replayed]:
    """Replay every method with every study seed in every environment, its family left out of what is known.

    Args:
        space: The design's space.
        settings: The design.
        everything: Curves of all environments.
        methods: Keys of :data:`METHODS`.
        seeds: Study seeds.
        processes: To share the work among.
        resample: Whether each study seed has a table of its own, whose settings are drawn from the design with
            replacement: intervals over study seeds are then intervals over settings too.
    """
    tasks = []
    for seed in seeds:
        tables = everything
        if resample:
            rows = seeding.stream(seed, "resample").integers(len(settings), size=len(settings))
            tables = [found for curves in everything if len((found := curves.of_rows(rows)).settings) >= FINALISTS]
        for curves in tables:
            others = [other for other in tables if other.member.family != curves.member.family]
            tasks += [(space, settings, curves, others, name, seed) for name in methods]
    if processes == 1:
        return [replay(*task) for task in tasks]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.starmap(replay, tasks, chunksize=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=HERE / "table")
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="study seed of the first; the others follow")
    parser.add_argument("--methods", nargs="*", default=["random", "tpe", "tpe+median"], choices=METHODS)
    parser.add_argument("--reference", default="tpe+median")
    parser.add_argument("--least", type=int, default=20, help="leave out environments with fewer settings")
    parser.add_argument("--resample", action="store_true", help="draw the table's settings anew for each study seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    space, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    for c in everything:
        best, middle = c.truth.max(), np.median(c.truth)
        print(f"{c.member.id}: {len(c.settings)} settings, best {best:.2f} of the range, median {middle:.2f}")
    seeds = range(options.first, options.first + options.studies)
    found = replay_all(space, settings, everything, options.methods, seeds, options.processes, options.resample)
    print_results(found, {c.member.id: c.member.family for c in everything}, options.reference)
    if options.output:
        rows: list[dict[str, Any]] = [dataclasses.asdict(r) for r in found]
        options.output.write_text(json.dumps(rows))
    print(f"({len(found)} studies, {time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
