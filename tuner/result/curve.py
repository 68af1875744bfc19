"""One evaluation, as results keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation.

    Attributes:
        step: Environment step.
        returns: Return of each evaluation episode.
        metrics: Training metrics since the point before (``loss``, ``q_value``, ``epsilon``, ``train_return`` ...).
        steps: Environment steps of all its episodes; 0 where nobody has counted.
    """

    step: int
    returns: tuple[float, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0

    @cached_property
    def mean(self) -> float:
        """Mean return."""
        return sum(self.returns) / len(self.returns)
