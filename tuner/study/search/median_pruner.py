"""The median rule from memory: what Optuna's ``MedianPruner`` decides, without reading all trials at every report.

The gate: a rung of the median rule stops runs once the study's own completed runs show that it tells.

A run that the rule would have stopped at a rung, and that went on, is evidence: it ended inside or outside the best
quarter of all completed runs. The rung opens when the lower confidence limit (Clopper and Pearson 1934, one-sided) of
the share outside is above what chance gives, three quarters. TPE's good side is the best quarter as well, so to a
sampler a stopped run is what the gate vouches for, no more: outside of it.

From a third of the grid on the gate begins with what other environments have shown (:data:`VOUCHED`): such a rung opens
with the startup trials where these agree, and stays shut where one of them does not. Earlier rungs have to earn it.

Evidence must not hold a run's own luck twice. Once the score's own evaluations have begun, a run that is low at a rung
is low in its score, whatever its hyperparameters are worth: such rungs never open.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import betaincinv

#: Share of the runs outside the best quarter: what a rung that tells nothing would reach.
CHANCE = 0.75

#: One-sided confidence that a rung does better than that.
CONFIDENCE = 0.9

#: Runs, all of them outside, that stand for other environments' evidence: in ten of eleven families of the lab 77 to
#: 96 % of the runs below the median at 0.35 of their length ended outside the best quarter, at 0.45 87 to 99 % (in the
#: eleventh hardly any are below; ``python benchmarks/lab/rungs.py``). With the five that the startup trials bring, all
#: outside, a rung opens; with one of them inside it does not.
VOUCHED = 5

#: Newest completed runs that are looked at, so that a report costs the same at trial 10,000.
NEWEST = 400


class MedianMemory(BasePruner):
    """Stops a trial whose best value so far is below the median of the completed trials at the same step.

    Without a gate equal, decision by decision, to ``MedianPruner(n_startup_trials, n_warmup_steps)`` of a maximised
    study. The
    completed trials' values are kept in one sorted column for each step.

    Args:
        n_startup_trials: Completed trials before it begins.
        n_warmup_steps: Environment steps before which nothing is stopped.
        gated_until: None for the rule alone. Else nothing is stopped at a step before the study's completed trials show
            that the step tells, nor from this step on.
    """

    def __init__(
        self, n_startup_trials: int, n_warmup_steps: int, gated_until: int | None = None, vouched_from: float = math.inf
    ) -> None:
        self._startup = n_startup_trials
        self._warmup = n_warmup_steps
        self._gated_until = gated_until
        self._vouched_from = vouched_from
        #: (best value so far at each step, score) of completed trials, newest last, and what that says of each step.
        self._evidence: deque[tuple[dict[int, float], float]] = deque(maxlen=NEWEST)
        self._open: dict[int, bool] = {}
        self._completed: set[int] = set()
        self._columns: dict[int, list[float]] = {}

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take note of completed trials; those already known are passed over."""
        for trial in trials:
            if trial.number in self._completed or trial.state != TrialState.COMPLETE:
                continue
            self._completed.add(trial.number)
            if self._gated_until is not None and trial.value is not None:
                self._evidence.append((_best_so_far(trial.intermediate_values), trial.value))
                self._open.clear()
            for step, value in trial.intermediate_values.items():
                if not math.isnan(value):
                    bisect.insort(self._columns.setdefault(step, []), value)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to stop ``trial``, by the completed trials that :meth:`learn` has been told of."""
        assert study.direction == StudyDirection.MAXIMIZE
        step = trial.last_step
        if not self._completed or len(self._completed) < self._startup or step is None or step < self._warmup:
            return False
        values = [value for value in trial.intermediate_values.values() if not math.isnan(value)]
        if not values:
            return True
        column = self._columns.get(step)
        if not column:
            return False
        return max(values) < _median(column) and self._is_open(step)

    def _is_open(self, step: int) -> bool:
        if self._gated_until is None:
            return True
        if step >= self._gated_until:
            return False
        if step not in self._open:
            there = [(best[step], score) for best, score in self._evidence if step in best]
            best, scores = np.array(there).reshape(-1, 2).T
            self._open[step] = tells(best, scores, VOUCHED if step >= self._vouched_from else 0)
        return self._open[step]


def _best_so_far(values: Mapping[int, float]) -> dict[int, float]:
    found, best = {}, -math.inf
    for step, value in sorted(values.items()):
        best = max(best, value) if not math.isnan(value) else best
        found[step] = best
    return found


def _median(column: list[float]) -> float:
    """Return a sorted column's median, NumPy's own to the last bit: the middle values decide it alone."""
    middle = len(column) // 2
    around = column[max(middle - 1, 0) : middle + 1 + len(column) % 2]
    return float(np.percentile(around, 50))


def tells(best_so_far: np.ndarray, scores: np.ndarray, vouched: int = 0) -> bool:
    """Return whether stopping below the median of ``best_so_far`` is shown to stop runs outside the best quarter.

    Args:
        best_so_far: Highest value of each completed run up to the rung, [N]; not NaN.
        scores: Their scores, [N]. Runs that are level with the best quarter's last count as inside.
        vouched: Further runs that would have been stopped, all of them outside.
    """
    if len(scores) == 0:
        return False
    stopped = best_so_far < np.median(best_so_far)
    outside = scores < np.quantile(scores, CHANCE)
    return lower_limit(int((stopped & outside).sum()) + vouched, int(stopped.sum()) + vouched) > CHANCE


def lower_limit(hits: int, draws: int) -> float:
    """Return the one-sided lower confidence limit of a share."""
    return float(betaincinv(hits, draws - hits + 1, 1 - CONFIDENCE)) if hits else 0.0
