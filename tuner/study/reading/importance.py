"""The importance of a study's parameters: from stored trials to places on a grid."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tuner.core.importance import Importance, Regime
    from tuner.study.reading.domain import Domain
    from tuner.study.reading.stored_study import StoredTrial


#: Completed trials below which importance says nothing: the best tenth is compared with the rest.
MIN_TRIALS = 10

#: Cells of a grid, at most.
CELLS = 50


def importance_of(trials: Sequence[StoredTrial]) -> dict[str, Importance]:
    """Return the importance of each sampled parameter for the score of completed trials, highest first.

    Empty where it means nothing: few trials, nothing sampled, or a best tenth that cannot be told from the rest.
    """
    complete = [t for t in trials if t.state == "COMPLETE" and t.value is not None and math.isfinite(t.value)]
    if len(complete) < MIN_TRIALS:
        return {}
    names = sorted({name for trial in complete for name in trial.domains})
    if not names:  # as in a confirm stage, whose settings nobody samples
        return {}
    from tuner.core.importance import importances

    parameters = {name: _regimes(name, complete) for name in names}
    found = importances(parameters, np.array([t.value for t in complete], dtype=float))
    return dict(sorted(found.items(), key=lambda item: -item[1].share))


def _regimes(name: str, trials: Sequence[StoredTrial]) -> list[Regime]:
    """Return where a parameter's values lie, by the range that they were drawn from; a range of one value has none."""
    from tuner.core.importance import Regime

    members: dict[Domain, list[int]] = defaultdict(list)
    for place, trial in enumerate(trials):
        if name in trial.domains:
            members[trial.domains[name]].append(place)
    regimes = []
    for domain, places in members.items():
        if domain.single:
            continue
        values = [trials[place].params[name] for place in places]
        if domain.choices is not None:
            cells, size = np.array([domain.place(value) for value in values]), len(domain.choices)
        else:
            cells, size = _cells(domain, values)
        regimes.append(Regime(np.array(places), cells, size, domain.choices is None))
    return regimes


def _cells(domain: Domain, values: Sequence[float]) -> tuple[np.ndarray, int]:
    """Return the nearest cell of each value on an even grid over the range, and the cells of that."""
    low, high, size = domain.low, domain.high, CELLS
    if domain.whole and domain.log:
        size = min(math.ceil(math.log2(high - low + 1)) + 1, size)
    elif domain.step is not None:
        size = min(round((high - low) / domain.step) + 1, size)
    places = np.asarray(values, dtype=float)
    if domain.log:
        low, high, places = math.log(low), math.log(high), np.log(places)
    cells = np.ceil((places - low) / ((high - low) / (size - 1)) - 0.5)
    return np.clip(cells, 0, size - 1).astype(np.intp), size
