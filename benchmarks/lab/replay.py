"""Whole studies replayed on the table: what a method exports after 10, 30 and 100 trials, and what that is truly worth.

    python benchmarks/lab/replay.py [--table benchmarks/lab/table] [--studies 20] [--first 0] [--processes 1]
                                    [--methods random today product ...] [--resample] [-o replays.jsonl]

Supervisor, sampler, pruner, score and confirmed choice are the product's own, in virtual time, over a storage in
memory; only training is looked up. Proposals are snapped to the table's settings (`snapping.py` says how, and with
what bias). For every run of a setting the study draws one of its measured seeds; the finalists are chosen on seeds that
did not earn them their place, and the truth of the export is the mean over the seeds that had no part in either.
Everything that a method knows beforehand (portfolio, prior) is made without the family that it is replayed on.

With ``-o FILE`` each study is a line of a file as soon as it has ended, and the same command goes on from there.

A result is a share of the environment's range: 0 is random play, 1 the ceiling. Printed are means over families, each
family the mean over its members and studies, with 95 % intervals from a bootstrap over families and studies.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from curves import Curves, load_curves, load_design
from design import Setting
from playback import FINALISTS, Playback, choose, study_in_memory
from portfolio import DRAWS, SIZE, THRIFT, known_beforehand
from snapping import SnappingSampler
from summary import MILESTONES, Replayed, print_results

from tuner import seeding
from tuner.contract.rules import CURRENT, VERSION_0_1_0
from tuner.core.smoothing import smoothed
from tuner.plan.cost import WEIGHT
from tuner.plan.known import Known, with_random
from tuner.plan.proposal_cost import proposal_cost
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan, plan_study
from tuner.space.cube import Cube
from tuner.space.model import SearchSpace
from tuner.study.sampling.samplers import make_sampler
from tuner.study.search.ledger import Settled
from tuner.study.search.supervisor import StudySupervisor

HERE = Path(__file__).parent

#: Workers that the default concurrency is that of.
WORKERS = 2


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        sampler: As ``--sampler`` takes it.
        pruner: As ``--pruner`` takes it.
        portfolio: Trials that train first, chosen on the other families.
        prior: Whether the sampler begins with the other families' good settings.
        model: Whether a Gaussian process over all completed trials names the finalists.
        pruning: Of the median rule, as a study stores it: from 2 on a rung stops runs only once it is shown to tell.
        cost: How much a proposal's cost weighs.
        thrift: How much the cost of the portfolio's settings weighed in their choice.
        draws: Of the settings' worths, when the portfolio was chosen; 0: as measured.
        rule: Of the finalists, as a study stores it.
        repeats: Whether settings that are level at the top train again.
    """

    sampler: str = "tpe"
    pruner: str = "none"
    portfolio: int = 0
    prior: bool = False
    model: bool = False
    pruning: int = VERSION_0_1_0.pruning
    cost: float = 0.0
    thrift: float = 0.0
    draws: int = DRAWS
    rule: int = VERSION_0_1_0.finalists
    repeats: bool = False


#: What ships.
PRODUCT = Method(
    pruner="median",
    portfolio=SIZE,
    prior=True,
    pruning=CURRENT.pruning,
    repeats=True,
    model=True,
    rule=CURRENT.finalists,
    cost=WEIGHT,
    thrift=THRIFT,
)

#: What can be asked for. `today` is the search of version 0.1, `product` what ships; each of the others is one of them
#: with a part put in or left out.
METHODS = {
    "random": Method("random"),
    "tpe": Method(),
    "gp": Method("gp"),
    "today": Method(pruner="median"),
    "gate": Method(pruner="median", pruning=CURRENT.pruning),
    "portfolio": Method(portfolio=8),
    "portfolio+random": Method("random", portfolio=8),
    "portfolio+gp": Method("gp", portfolio=8, prior=True),
    "prior": Method(prior=True),
    "model": Method(model=True),
    "cost": Method(cost=WEIGHT),
    "product": PRODUCT,
    "product-gate": replace(PRODUCT, pruner="none"),
    "product+blind": replace(PRODUCT, pruning=VERSION_0_1_0.pruning),
    "product-pruning2": replace(PRODUCT, pruning=2),
    "product-pruning3": replace(PRODUCT, pruning=3),
    "product-prior": replace(PRODUCT, prior=False),
    "product-portfolio": replace(PRODUCT, portfolio=0),
    "product-tpe": replace(PRODUCT, sampler="random"),  # nor prior nor repeats, which fillers of the space do without
    "product-model": replace(PRODUCT, model=False),
    "product-repeats": replace(PRODUCT, repeats=False),
    "product-draws": replace(PRODUCT, draws=0),
    "product-eight": replace(PRODUCT, portfolio=8, draws=0),
    "product-pooled": replace(PRODUCT, rule=3),
    "product-rule2": replace(PRODUCT, rule=2),
    "product-cost": replace(PRODUCT, cost=0.0),
    "product-thrift": replace(PRODUCT, thrift=0.0),
    "product-cost-thrift": replace(PRODUCT, cost=0.0, thrift=0.0),
    "product+cost": replace(PRODUCT, cost=1.0),
    "product+thrift": replace(PRODUCT, thrift=1.0),
    "product+cost+thrift": replace(PRODUCT, cost=1.0, thrift=1.0),
}


@cache
def product_plan(sampler: str, pruner: str, trials: int) -> StudyPlan:
    """Return the plan of a study as it ships; an environment is looked at for it, which takes longer than a replay."""
    return plan_study(
        StudyRecipe(env="CartPole-v1", trials=trials, sampler=sampler, pruner=pruner, prior="none", workers=WORKERS)
    )


def make_plan(space: SearchSpace, curves: Curves, method: Method, seed: int, trials: int) -> StudyPlan:
    """Return the plan of a study on a table: the product's, but for where it trains and what it searches."""
    plan = product_plan(method.sampler, method.pruner, trials)
    rules = replace(plan.rules, pruning=method.pruning)
    return replace(plan, recipe=replace(plan.recipe, seed=seed), space=space, grid=curves.steps, rules=rules)


class Searched(NamedTuple):
    """A study's search: its runs in order, what a study stores for each setting of the table, and its portfolio's."""

    playback: Playback
    params: list[dict[str, Any]]
    portfolio: frozenset[int]


def replay(
    space: SearchSpace,
    settings: Sequence[Setting],
    curves: Curves,
    others: Sequence[Curves],
    names: Sequence[str],
    seed: int,
    most: int = MILESTONES[-1],
) -> list[Replayed]:
    """Replay one study by several methods; those that differ only in their finalists share a search.

    Args:
        space: The design's space.
        settings: The design.
        curves: The environment's curves.
        others: Curves of other families, all that the method may know beforehand.
        names: Keys of :data:`METHODS`.
        seed: The study's seed.
        most: Trials.
    """
    assert all(other.member.family != curves.member.family for other in others)
    trials, searches, cube = min(most, len(curves.settings)), dict[Method, Searched](), Cube(space)
    found = []
    for name in names:
        method = METHODS[name]
        alike = replace(method, model=False, rule=CURRENT.finalists)
        if alike not in searches:
            searches[alike] = search(space, settings, curves, others, alike, seed, trials)
        playback, params, portfolio = searches[alike]
        points = np.array([cube.place(each) for each in params])
        known = portfolio if method.rule > 2 else ()
        model = (lambda rows, scores, points=points: smoothed(points[rows], scores)) if method.model else None
        share = np.cumsum([curves.seconds[run.setting, run.seed] * run.done for run in playback.ended])
        share /= len(curves.steps) * curves.seconds.mean()
        exported, steps, seconds = {}, {}, {}
        for milestone in MILESTONES:
            ended = min(milestone, trials)
            done = [scored for scored in playback.completed if scored.after <= ended]
            confirmed = choose(curves, done, model, known, pooled=method.rule > 3).confirmed if done else None
            exported[milestone] = 0.0 if confirmed is None else float(curves.member.normalised(confirmed))
            steps[milestone] = playback.spent[ended - 1] / len(curves.steps)
            seconds[milestone] = float(share[ended - 1])
        found.append(Replayed(curves.member.id, name, seed, exported, steps, seconds))
    return found


def knowledge(others: Sequence[Curves], settings: Sequence[Setting], method: Method) -> Known:
    """Return what a method knows from other families; kept, as all study seeds of a family know the same."""
    tables = tuple((other.member.id, other.settings.tobytes()) for other in others)
    key = tables, method.portfolio, method.prior, method.thrift, method.draws
    if key not in _known:
        _known[key] = known_beforehand(others, settings, *key[1:])
    return _known[key]


_known: dict[tuple[Any, ...], Known] = {}


def search(
    space: SearchSpace,
    settings: Sequence[Setting],
    curves: Curves,
    others: Sequence[Curves],
    method: Method,
    seed: int,
    trials: int,
) -> Searched:
    """Search a table."""
    plan = make_plan(space, curves, method, seed, trials)
    known = knowledge(others, settings, method)
    known = replace(known, starts=with_random(known.starts, plan.recipe, space))
    inner = make_sampler(
        method.sampler,
        seed=seed,
        startup_trials=plan.recipe.startup_trials,
        known=known,
        dimensions=space.dimensions,
        log_cost=proposal_cost(plan, method.cost) if method.cost else None,
        repeats=method.repeats,
    )
    params = [settings[row].params for row in curves.settings]
    sampler = SnappingSampler(inner, space, params)
    supervisor = StudySupervisor(plan, study_in_memory(plan, sampler), Settled())
    playback = Playback(curves, lambda spec: sampler.chosen[spec.run_id.trial])
    playback.run(supervisor)
    assert supervisor.close() == "done"
    assert supervisor.finished == trials, supervisor.snapshot().counts
    portfolio = (row for row, start in zip(playback.proposed, known.starts, strict=False) if start.name)
    return Searched(playback, params, frozenset(portfolio))


def replay_all(
    space: SearchSpace,
    settings: Sequence[Setting],
    everything: Sequence[Curves],
    methods: Iterable[str],
    seeds: Iterable[int],
    processes: int = 1,
    resample: bool = False,
    most: int = MILESTONES[-1],
    there: Container[tuple[str, int, str]] = (),
) -> Iterator[list[Replayed]]:
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
        most: Trials of each study.
        there: (environment, study seed, method) of studies that are left out.

    Yields:
        The studies of one environment and study seed, as they end.
    """
    tasks = []
    for seed in seeds:
        tables = everything
        if resample:
            rows = seeding.stream(seed, "resample").integers(len(settings), size=len(settings))
            tables = [found for curves in everything if len((found := curves.of_rows(rows)).settings) >= FINALISTS]
        for curves in tables:
            others = [other for other in tables if other.member.family != curves.member.family]
            if names := [name for name in methods if (curves.member.id, seed, name) not in there]:
                tasks.append((space, settings, curves, others, names, seed, most))
    if processes == 1:
        yield from itertools.starmap(replay, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_replay, tasks)


def _replay(task: tuple[Any, ...]) -> list[Replayed]:
    return replay(*task)


def stored(path: Path | None) -> list[Replayed]:
    """Return the studies of a file; a line that was broken off counts for nothing."""
    found = []
    for line in path.read_text().splitlines() if path is not None and path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            numbers = {k: {int(n): v for n, v in row[k].items()} for k in ("exported", "steps", "seconds")}
            found.append(Replayed(row["env"], row["method"], row["seed"], **numbers))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=HERE / "table")
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="study seed of the first; the others follow")
    parser.add_argument("--methods", nargs="*", default=["random", "today", "product"], choices=METHODS)
    parser.add_argument("--trials", type=int, default=MILESTONES[-1], help="of each study, at most")
    parser.add_argument("--reference", default="today")
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
    found = [r for r in stored(options.output) if r.seed in seeds and r.method in options.methods]
    there = {(r.env, r.seed, r.method) for r in found}
    with options.output.open("a") if options.output else contextlib.nullcontext() as file:
        for studies in replay_all(
            space,
            settings,
            everything,
            options.methods,
            seeds,
            options.processes,
            options.resample,
            options.trials,
            there,
        ):
            found += studies
            if file is not None:
                file.writelines(json.dumps(dataclasses.asdict(r)) + "\n" for r in studies)
                file.flush()
    print_results(found, {c.member.id: c.member.family for c in everything}, options.reference)
    print(f"({len(found)} studies, {time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
