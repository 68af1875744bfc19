"""Pruners on a fixed grid, with resources in environment steps.

Optuna's pruners compare trials at equal steps, so every run reports at the same grid. Without a gate a third of the
grid is warm-up (measured on published DQN learning curves, stopping earlier loses good settings). At the last point of
the grid nothing is pruned: the run has been paid for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna import Study
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

from tuner.contract.grid import first_pruned, late_points, warmup_steps
from tuner.contract.rules import CURRENT
from tuner.result.study import REPEAT
from tuner.seeding import run_seed
from tuner.study.search.median_pruner import MedianMemory
from tuner.study.store import keys as attr

REDUCTION_FACTOR = 3

#: Share of the trials that ``--audit-pruning`` finishes although the pruner would stop them.
AUDIT_SHARE = 0.1

#: Stands in the place of a replicate where it is drawn which trials are audited.
_AUDIT = 2**31 - 2


def make_pruner(name: str, *, grid: Sequence[int], startup_trials: int, version: int = CURRENT.pruning) -> BasePruner:
    """Return the pruner that ``--pruner`` names.

    Args:
        name: ``median``, ``halving``, ``hyperband`` or ``none``.
        grid: Environment steps at which runs report.
        startup_trials: Completed trials before the median pruner begins.
        version: The study's ``pruning``: 1 is the median rule alone (version 0.1.0), 2 the gated one, 3 that from a
            tenth of the grid on, 4 the same (:class:`PruningRule` differs).
    """
    first, last = first_pruned(name, grid, version), grid[-1]
    if name == "median":
        if version == 1:
            return MedianMemory(startup_trials, first)
        vouched_from = warmup_steps(grid) if version > 2 else math.inf
        return MedianMemory(startup_trials, first, grid[-late_points(len(grid))], vouched_from)
    if name == "halving":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION_FACTOR)
    if name == "hyperband":
        return HyperbandPruner(min_resource=first, max_resource=last, reduction_factor=REDUCTION_FACTOR)
    return NopPruner()


class PruningRule:
    """Decides at a grid point whether a trial goes on.

    Args:
        name: The pruner's name: what cannot prune is not asked, because each question reads the storage.
        grid: Environment steps at which runs report.
        audit: Share of the trials that are finished although the pruner would stop them.
        seed: The study's seed, which says which trials these are.
        version: The study's ``pruning``, as for :func:`make_pruner`. From 4 on a repeat goes to its end.
    """

    def __init__(
        self,
        name: str,
        grid: Sequence[int],
        *,
        audit: float = 0.0,
        seed: int = 0,
        version: int = CURRENT.pruning,
    ) -> None:
        self._audit = audit
        self._seed = seed
        self._never = name == "none"
        self._repeats_end = version > 3
        self._first = first_pruned(name, grid, version)
        self._last = grid[-1]
        #: Whether the pruner keeps its rungs in the trial's system attributes.
        self.keeps_rungs = name in ("halving", "hyperband")

    def may_stop(self, step: int) -> bool:
        """Return whether the pruner has a say at this grid point."""
        return not self._never and self._first <= step < self._last

    def spares(self, point: int) -> bool:
        """Return whether a trial is finished whatever the pruner says: the same trials however often it resumes."""
        return self._audit > 0 and run_seed(self._seed, "search", point, _AUDIT) < self._audit * 2**31

    def stops(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to stop ``trial``, which holds all values reported so far.

        One that repeats a setting goes to its end: what it is for is to tell how the setting fares in another run.
        """
        if self._repeats_end and trial.user_attrs.get(attr.SOURCE) == REPEAT:
            return False
        step = trial.last_step
        return step is not None and self.may_stop(step) and study.pruner.prune(study, trial)
