"""Search quality on the measured landscape: trials side by side against one at a time and against random search.

    python benchmarks/search_quality.py [--landscape tests/data/landscape-cartpole.npz] [--studies 20] [--first 0]
                                        [--trials 100]

Replays whole studies in virtual time (`lab/playback.py`). Supervisor, sampler, pruner and score are the real ones, over
a storage in memory; a trial's training is looked up: its parameters stand for the nearest measured setting (ranges
scaled to [0, 1], in the logarithm where the space says so), and its run repeats that setting's curve of one seed, drawn
by the run's own seed. Every run takes the same virtual time per environment step, as lanes of a stack do, and a lane
that ends is refilled at once.

For each way to search it prints the TRUE mean `late` of the setting that the study chooses: ``best`` takes the trial
with the highest score; ``confirmed`` takes the five best settings and picks the highest mean over two other seeds than
earned them that score. The truth of what was chosen is the mean over the seeds that had no say in it, over all ways to
draw those two. ``proposed`` is the mean over all settings that were proposed after the random startup trials. Means
over study seeds, with 95 % percentile-bootstrap intervals. A seed that diverged counts as the lowest return of the
landscape.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tuner import seeding
from tuner.contract.objective import late
from tuner.core.smoothing import smoothed
from tuner.hyperparameters import Hyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan, plan_study
from tuner.space.model import SearchSpace
from tuner.study.sampling.samplers import make_sampler
from tuner.study.search.ledger import Settled
from tuner.study.search.supervisor import StudySupervisor

sys.path.append(str(Path(__file__).parent / "lab"))
from playback import FINALISTS, Playback, choose, study_in_memory

LANDSCAPE = Path("tests/data/landscape-cartpole.npz")

#: What it was measured in: version 0.1's default space.
SPACE = Path(__file__).parent / "spaces" / "narrow.yaml"

#: Workers that the default concurrency is that of.
WORKERS = 2

#: Way to search -> (sampler, trials in flight; None for the default).
ARMS = {"one at a time": ("tpe", 1), "default": ("tpe", None), "random search": ("random", None)}


class Landscape:
    """Measured learning curves of S settings, R seeds, C checkpoints, in the unit cube of their space.

    Args:
        path: What ``landscape.py`` has written.
        space: The space the settings were drawn from.
    """

    def __init__(self, path: Path, space: SearchSpace) -> None:
        with np.load(path, allow_pickle=False) as file:
            names, values = [str(name) for name in file["names"]], file["values"]
            self.steps = tuple(int(step) for step in file["steps"])
            self.returns = file["returns"].astype(float)
        dimensions = {dimension.name: dimension for dimension in space.dimensions}
        assert set(names) == set(dimensions), f"the landscape is of {names}, the space searches {list(dimensions)}"
        self._dimensions = [dimensions[name] for name in names]
        self._points = np.array([self._place(row) for row in values])
        floor = np.nanmin(self.returns)
        finite = np.where(np.isnan(self.returns), floor, self.returns)
        #: ``late`` of each setting and seed, [S, R].
        self.late = np.array([[late(self.steps, curve) for curve in seeds] for seeds in finite])
        #: The same of seeds that no search draws: none.
        self.fresh = np.empty((len(self.late), 0))

    @property
    def seeds(self) -> int:
        """R."""
        return int(self.returns.shape[1])

    def nearest(self, hyperparameters: Hyperparameters) -> int:
        """Return the index of the setting nearest to some hyperparameters."""
        place = self._place([getattr(hyperparameters, dimension.name) for dimension in self._dimensions])
        return int(((self._points - place) ** 2).sum(axis=1).argmin())

    def worth(self, settings: Sequence[int], scores: np.ndarray) -> np.ndarray:
        """Return what settings are worth by the product's model, given a score each."""
        return smoothed(self._points[list(settings)], scores)

    def _place(self, values: Sequence[float]) -> list[float]:
        place = []
        for d, value in zip(self._dimensions, values, strict=True):
            at, low, high = np.log([value, d.low, d.high]) if d.log else (value, d.low, d.high)
            place.append((at - low) / (high - low))
        return place


class Choice(NamedTuple):
    """True mean `late` of what a study chose, and what it took.

    Attributes:
        best: Of the most promising trial by the model of all trials, over the seeds that did not earn it.
        confirmed: Of the finalist with the highest mean over fresh seeds, over the seeds left.
        by_score: As ``confirmed``, where the finalists are those of the highest scores.
        proposed: Mean over the settings proposed after the startup trials.
        pruned: Trials stopped early.
        checkpoints: Virtual time, in checkpoints of one run.
    """

    best: float
    confirmed: float
    by_score: float
    proposed: float
    pruned: int
    checkpoints: int


def make_plan(arm: str, seed: int = 0, trials: int = 100) -> StudyPlan:
    """Return the plan of a study of CartPole-v1 on two workers, with an arm's sampler and concurrency."""
    sampler, in_flight = ARMS[arm]
    recipe = StudyRecipe(
        env="CartPole-v1", trials=trials, sampler=sampler, seed=seed, workers=WORKERS, space=str(SPACE), prior="none"
    )
    plan = plan_study(recipe)
    if in_flight is None:
        return plan
    return dataclasses.replace(plan, lanes=in_flight, trials_in_flight=in_flight, runs_in_flight=in_flight)


def replay(landscape: Landscape, plan: StudyPlan) -> Choice:
    """Run one study on the landscape, evaluated where it was measured."""
    plan = dataclasses.replace(plan, grid=landscape.steps)
    recipe = plan.recipe
    sampler = make_sampler(recipe.sampler, seed=recipe.seed, startup_trials=recipe.startup_trials)
    supervisor = StudySupervisor(plan, study_in_memory(plan, sampler), Settled())
    executor = Playback(landscape, lambda spec: landscape.nearest(spec.hyperparameters))
    executor.run(supervisor)
    assert supervisor.close() == "done"
    found = supervisor.snapshot()
    assert supervisor.finished == plan.recipe.trials, found.counts
    # The study's own score of its best trial is what the landscape says of that curve.
    assert found.best is not None
    assert math.isclose(found.best.score, max(executor.completed).score), (found.best, max(executor.completed))
    chosen = choose(landscape, executor.completed, landscape.worth)
    by_score = choose(landscape, executor.completed).confirmed
    later = executor.proposed[plan.recipe.startup_trials :]
    proposed = float(landscape.late[later].mean())
    return Choice(*chosen, by_score, proposed, found.counts.get("pruned", 0), executor.rounds)


def interval(values: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of the mean."""
    rng = seeding.stream(0, "bootstrap")
    draws = rng.choice(np.asarray(values), (resamples, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def replay_arms(landscape: Landscape, seeds: Sequence[int], trials: int) -> dict[str, list[Choice]]:
    """Run every arm with the same study seeds; return the choices by arm, in order of seeds."""
    return {arm: [replay(landscape, make_plan(arm, seed, trials)) for seed in seeds] for arm in ARMS}


def main() -> None:
    """Replay and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landscape", type=Path, default=LANDSCAPE)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="study seed of the first; the others follow")
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    started = time.perf_counter()
    default = make_plan("default", trials=options.trials)
    landscape = Landscape(options.landscape, default.space)
    means = np.sort(landscape.late.mean(axis=1))
    print(
        f"{len(means)} settings: true mean late {means[-1]:.1f} at best, {np.mean(means[-FINALISTS:]):.1f} the top "
        f"{FINALISTS}, {np.median(means):.1f} the median; {options.studies} studies of {options.trials} trials each"
    )
    choices = replay_arms(landscape, range(options.first, options.first + options.studies), options.trials)
    print("\n| search | in flight | best | confirmed | proposed | pruned | virtual time |")
    print("|---|---:|---|---|---|---:|---:|")
    for arm, found in choices.items():
        cells = []
        for name in ("best", "confirmed", "proposed"):
            values = [getattr(choice, name) for choice in found]
            low, high = interval(values)
            cells.append(f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})")
        in_flight = ARMS[arm][1] or default.trials_in_flight
        pruned, rounds = np.mean([c.pruned for c in found]), np.mean([c.checkpoints for c in found])
        runs = rounds / len(landscape.steps)
        print(f"| {arm} | {in_flight} | {' | '.join(cells)} | {pruned:.1f} | {runs:.0f} runs |")
    print("\nDifferences, paired by study seed:")
    for arm, name in itertools.product(("one at a time", "random search"), ("confirmed", "proposed")):
        pairs = zip(choices["default"], choices[arm], strict=True)
        gains = [getattr(mine, name) - getattr(theirs, name) for mine, theirs in pairs]
        low, high = interval(gains)
        print(f"{name}, default minus {arm}: {np.mean(gains):+.1f} ({low:+.1f} to {high:+.1f})")
    gains = [choice.confirmed - choice.by_score for choice in choices["default"]]
    low, high = interval(gains)
    print(f"confirmed, finalists by the model minus those by score: {np.mean(gains):+.1f} ({low:+.1f} to {high:+.1f})")
    print(f"({time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
