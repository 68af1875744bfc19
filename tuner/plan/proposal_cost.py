"""What a proposal costs: the computing of its run, from its values alone.

Not the seconds that earlier runs took: those depend on what else a machine does, and a study's proposals follow from
its seed and its results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tuner.plan.cost import WEIGHT, WEIGHT_OF_SECONDS, work
from tuner.plan.resolve import StudyPlan

#: From what a study stores for a trial to the logarithm of what the run costs, in any unit.
LogCost = Callable[[Mapping[str, Any]], float]


def proposal_cost(plan: StudyPlan, weight: float | None = None) -> LogCost | None:
    """Return what tells the logarithm of a proposal's cost; None where the study's rules look at scores alone.

    Args:
        plan: The study's.
        weight: What the logarithm is multiplied by; None: as fits what the study may spend, trials or seconds.
    """
    if plan.rules.proposals == 1:
        return None
    if weight is None:
        weight = WEIGHT if plan.recipe.within is None else WEIGHT_OF_SECONDS

    def log_cost(params: Mapping[str, Any]) -> float:
        complete = plan.space.sample(_Given(params))
        return weight * math.log(work(plan, plan.space.resolve(complete)))

    return log_cost


class _Given:
    """Suggests what is given, and the first value of a range or choice that is not."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        return float(self._params.get(name, low))

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        return int(self._params.get(name, low))

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        return self._params.get(name, options[0])
