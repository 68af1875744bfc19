"""SMAC3 and DEHB on the table, at equal environment steps, beside what ships, TPE alone and random search.

    pip install smac loguru && pip install --no-deps dehb   # which asks for a NumPy below 2, and runs with this one
    python benchmarks/lab/rivals.py [--studies 8] [--first 1000] [--rivals product tpe today random smac dehb]

Everyone searches the design's space, has proposals snapped to the nearest measured setting, draws one of its seeds
for a run, and is looked at when the same number of full runs' environment steps is spent. In their favour SMAC3
(random forest, expected improvement, its own initial design) and DEHB learn from every run before they ask for the
next, where the others have as many runs in flight as the product has; and DEHB's shorter runs cost their own steps
only. SMAC3 sees categories and logarithms as such, and the setting that was trained; DEHB sees its unit cube.

Two answers of each: **its best**, the trial with the highest score, as these tools return it, and **confirmed**, the
choice between finalists on fresh seeds as the product has it (`playback.choose`). For what ships, the finalists come
from its model of all trials. What it knows beforehand is made without the family that it is replayed on.
"""

from __future__ import annotations

import argparse
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from curves import Curves, load_curves, load_design
from design import Setting
from playback import Scored, choose
from replay import METHODS, search
from summary import Replayed, by_family, interval

from tuner import seeding
from tuner.contract.objective import late
from tuner.core.smoothing import smoothed
from tuner.space.cube import Cube
from tuner.space.model import SearchSpace
from tuner.space.ranges import Dimension

HERE = Path(__file__).parent

#: Full runs' worth of environment steps after which an answer is asked for.
BUDGETS = (10, 30)

#: DEHB's shortest run, as a share of a full one, and the factor between its rungs: its own defaults for three rungs.
SHORTEST, ETA = 1 / 9, 3


@dataclass
class History:
    """Runs of one search, in order of their ends.

    Attributes:
        completed: Full runs.
        spent: Full runs' worth of steps spent when each of them had ended.
    """

    completed: list[Scored] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def until(self, runs: float) -> list[Scored]:
        """Return the full runs that had ended when so many full runs' worth of steps was spent."""
        return [trial for trial, at in zip(self.completed, self.spent, strict=True) if at <= runs]


class Table:
    """The settings of one environment, as a rival's objective.

    Args:
        space: The design's space.
        settings: The design.
        curves: The environment's curves.
        seed: Of the study: which measured seed stands for a run.
    """

    def __init__(self, space: SearchSpace, settings: Sequence[Setting], curves: Curves, seed: int) -> None:
        self.dimensions: tuple[Dimension, ...] = tuple(space.dimensions)
        self.curves = curves
        self.params = [settings[row].params for row in curves.settings]
        self._cube = Cube(space)
        self._points = np.array([self._cube.place(each) for each in self.params])
        self._stream = seeding.stream(seed, "rivals")
        self._free = np.ones(len(self.params), bool)

    def nearest(self, params: dict[str, Any], *, again: bool) -> int:
        """Return the nearest setting; ``again``: whether one that has been trained counts, too."""
        distance = ((self._points - self._cube.place(params)) ** 2).sum(axis=1)
        row = int((distance if again else np.where(self._free, distance, np.inf)).argmin())
        self._free[row] = False
        return row

    def run(self, row: int, share: float = 1.0) -> tuple[float, float, int]:
        """Train a setting for a share of a full run; return its ``late``, the share spent, and the seed."""
        seed = int(self._stream.integers(self.curves.late.shape[1]))
        checkpoints = max(1, round(share * len(self.curves.steps)))
        returns = self.curves.returns[row, seed, :checkpoints]
        if np.isnan(returns).any():  # diverged: it spends what it did, and is as bad as anything
            return self.curves.member.floor, float(np.isnan(returns).argmax() + 1) / len(self.curves.steps), seed
        if checkpoints == len(self.curves.steps):
            return float(self.curves.late[row, seed]), 1.0, seed
        score = max(float(late(self.curves.steps[:checkpoints], returns)), self.curves.member.floor)
        return score, checkpoints / len(self.curves.steps), seed

    def scored(self, row: int, seed: int, score: float) -> Scored:
        """Return a full run as the choice between finalists takes it."""
        return Scored(score, float(np.nan_to_num(self.curves.returns[row, seed]).mean()), row, seed)


def smac(table: Table, seed: int, runs: int, folder: Path) -> History:
    """Search with SMAC3's facade for hyperparameters, one run of each proposal."""
    from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialInfo, TrialValue

    space = ConfigurationSpace(seed=seed)
    for d in table.dimensions:
        if d.kind == "categorical":
            space.add(Categorical(d.name, [str(choice) for choice in d.choices]))
        elif d.high > d.low:
            space.add(Float(d.name, (float(d.low), float(d.high)), log=d.log))
    scenario = Scenario(space, deterministic=True, n_trials=runs, seed=seed, output_directory=folder)
    facade = HyperparameterOptimizationFacade(
        scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=logging.ERROR
    )
    history, words = History(), {d.name: {str(choice): choice for choice in d.choices} for d in table.dimensions}
    for n in range(1, runs + 1):
        asked = facade.ask()
        proposed = {
            d.name: _value(d, asked.config[d.name], words[d.name]) if d.name in asked.config else d.low
            for d in table.dimensions
        }
        row = table.nearest(proposed, again=False)
        score, _, which = table.run(row)
        # What was trained takes the place of what was asked for; where a branch does without a value, that asked for.
        there = {**dict(asked.config), **{k: v for k, v in table.params[row].items() if k in asked.config}}
        trained = {
            d.name: str(there[d.name]) if d.kind == "categorical" else float(np.clip(there[d.name], d.low, d.high))
            for d in table.dimensions
            if d.name in there
        }
        facade.tell(asked, TrialValue(cost=-score), save=False)
        config = Configuration(space, values=trained)
        if config != asked.config:
            facade.tell(TrialInfo(config, seed=asked.seed), TrialValue(cost=-score), save=False)
        history.completed.append(table.scored(row, which, score))
        history.spent.append(float(n))
    return history


def dehb(table: Table, seed: int, runs: int, folder: Path) -> History:
    """Search with DEHB over its unit cube; full runs are finalists."""
    from dehb import DEHB

    optimizer = DEHB(
        f=None, dimensions=len(table.dimensions), min_fidelity=SHORTEST, max_fidelity=1.0, eta=ETA, n_workers=1,
        seed=seed, output_path=str(folder), log_level="ERROR",
    )  # fmt: skip
    history, spent = History(), 0.0
    while spent < runs:
        job = optimizer.ask()
        # A configuration that goes up a rung must meet its own setting again.
        row = table.nearest(from_cube(table.dimensions, job["config"]), again=True)
        score, cost, which = table.run(row, job["fidelity"])
        spent += cost
        optimizer.tell(job, {"fitness": -score, "cost": cost})
        if job["fidelity"] >= 1.0:
            history.completed.append(table.scored(row, which, score))
            history.spent.append(spent)
    return history


def from_cube(dimensions: Sequence[Dimension], point: Sequence[float]) -> dict[str, Any]:
    """Return the values at a point of the unit cube, a coordinate each; categories share theirs evenly."""
    found: dict[str, Any] = {}
    for d, at in zip(dimensions, point, strict=True):
        if d.kind == "categorical":
            found[d.name] = d.choices[min(int(at * len(d.choices)), len(d.choices) - 1)]
        elif d.log:
            found[d.name] = math.exp(math.log(d.low) + at * (math.log(d.high) - math.log(d.low)))
        else:
            found[d.name] = d.low + at * (d.high - d.low)
    return found


def _value(d: Dimension, value: Any, words: dict[str, Any]) -> Any:
    return words[str(value)] if d.kind == "categorical" else float(value)


OTHERS: dict[str, Callable[[Table, int, int, Path], History]] = {"smac": smac, "dehb": dehb}


def replayed(
    name: str, space: SearchSpace, settings: Sequence[Setting], curves: Curves, others: Sequence[Curves], seed: int
) -> tuple[History, Any, set[int]]:
    """Return a search's runs, the model that names its finalists or None, and what it knew beforehand."""
    most = min(max(BUDGETS), len(curves.settings))
    if name in OTHERS:
        table = Table(space, settings, curves, seed)
        with tempfile.TemporaryDirectory() as folder:
            return OTHERS[name](table, seed, most, Path(folder)), None, set()
    method = METHODS[name]  # what a pruner stops costs less than a run, so that there are more of these
    trials = min(2 * most if method.pruner != "none" else most, len(curves.settings))
    playback, params, portfolio = search(space, settings, curves, others, method, seed, trials)
    spent = [playback.spent[trial.after - 1] / len(curves.steps) for trial in playback.completed]
    model = None
    if method.model:
        points = np.array([Cube(space).place(each) for each in params])
        model = lambda rows, scores: smoothed(points[rows], scores)  # noqa: E731
    return History(playback.completed, spent), model, set(portfolio)


def results(
    name: str, space: SearchSpace, settings: Sequence[Setting], curves: Curves, others: Sequence[Curves], seed: int
) -> list[Replayed]:
    """Return what one search exports at each budget: its best, and what is confirmed."""
    history, model, known = replayed(name, space, settings, curves, others, seed)
    best, confirmed = {}, {}
    pooled = name in METHODS and METHODS[name].rule > 3
    for budget in BUDGETS:
        done = history.until(budget)
        chosen = choose(curves, done, model, known, pooled) if done else None
        for into, which in ((best, "best"), (confirmed, "confirmed")):
            into[budget] = 0.0 if chosen is None else float(curves.member.normalised(getattr(chosen, which)))
    return [
        Replayed(curves.member.id, f"{name}, {which}", seed, found, {}, {})
        for which, found in (("its best", best), ("confirmed", confirmed))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=HERE / "table")
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--first", type=int, default=1000, help="study seed of the first; the others follow")
    parser.add_argument("--rivals", nargs="*", default=["product", "tpe", "today", "random", "smac", "dehb"])
    parser.add_argument("--least", type=int, default=90, help="leave out environments with fewer settings")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    space, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    families = {c.member.id: c.member.family for c in everything}
    found: list[Replayed] = []
    for name in options.rivals:
        started = time.perf_counter()
        for curves in everything:
            others = [other for other in everything if other.member.family != curves.member.family]
            for seed in range(options.first, options.first + options.studies):
                found += results(name, space, settings, curves, others, seed)
        print(f"({name}: {time.perf_counter() - started:.0f} s)", flush=True)
    ours = {n: by_family([r for r in found if r.method == "product, confirmed"], families, lambda r, n=n: r.exported[n])
            for n in BUDGETS}  # fmt: skip
    print("| optimiser, answer | " + " | ".join(f"{n} full runs | product minus it" for n in BUDGETS) + " |")
    print("|---|" + "---|---|" * len(BUDGETS))
    for method in dict.fromkeys(r.method for r in found):
        cells = []
        for n in BUDGETS:
            values = by_family([r for r in found if r.method == method], families, lambda r, n=n: r.exported[n])
            gap = ours[n] - values
            low, high = interval(gap)
            cells.append(f"{values.mean():.3f} | {gap.mean():+.3f} ({low:+.3f} to {high:+.3f})")
        print(f"| {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
