"""What every algorithm's hyperparameters have in common: validation and plain-data conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tuner.fields import field_infos


@dataclass(frozen=True)
class Hyperparameters:
    """Base of all dataclasses of hyperparameters."""

    algorithm: ClassVar[str] = ""
    #: What a run's budget and its evaluation grid count.
    clock: ClassVar[str] = "environment steps"

    def __post_init__(self) -> None:
        for info in field_infos(type(self)).values():
            object.__setattr__(self, info.name, info.check(getattr(self, info.name)))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data: numbers, text, booleans and lists, in field order."""
        raw = {info.name: getattr(self, info.name) for info in field_infos(type(self)).values()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in raw.items()}

    def shape(self) -> tuple[object, ...]:
        """Return the values that lanes of one stack must share."""
        infos = field_infos(type(self)).values()
        return tuple(getattr(self, info.name) for info in infos if info.scope == "shape")

    def random_steps(self, n_timesteps: int) -> int:
        """Return how many steps of a run of ``n_timesteps`` come before learning starts."""
        return 0

    def steady(self, *, learns: bool) -> Self:
        """Return settings whose runs do at each of their steps what these do on average once, or before, they learn."""
        return self

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with a run's computing: what settings are ordered by, not a time."""
        return 1.0

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        return self.shape()
