"""What a trial has that its database lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState


class Param(NamedTuple):
    """A sampled value in Optuna's internal representation."""

    internal: float
    distribution: BaseDistribution


@dataclass
class PendingWrites:
    """What one trial has that its database lacks.

    Attributes:
        params: Sampled values by name.
        user: User attributes, plain JSON.
        system: System attributes, plain JSON.
        reports: Intermediate values by environment step.
        end: (state, value, moment) when the trial ends.
    """

    params: dict[str, Param] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    end: tuple[TrialState, Sequence[float] | None, datetime] | None = None

    def __bool__(self) -> bool:
        return bool(self.params or self.user or self.system or self.reports or self.end)


def running_trial(number: int, trial_id: int, started: datetime | None, **user_attrs: Any) -> FrozenTrial:
    """Return a trial that has just begun, nothing drawn and nothing reported."""
    return FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=started,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs=user_attrs,
        system_attrs={},
        intermediate_values={},
        trial_id=trial_id,
    )
