"""What a parameter was drawn from, as a database holds it: Optuna's distributions, read without Optuna."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Domain:
    """Numbers of a range, or choices.

    Attributes:
        low: Least number, of a range.
        high: Greatest.
        whole: Whether they are whole.
        log: Whether they were drawn by their logarithm.
        step: Distance of two neighbours; None where there is none between them.
        choices: Of a categorical parameter; None for a range.
    """

    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] | None = None

    @staticmethod
    def of(drawn_from: BaseDistribution) -> Domain:
        """Return what a distribution of Optuna's draws from."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        if isinstance(drawn_from, CategoricalDistribution):
            return Domain(choices=tuple(drawn_from.choices))
        return _range(vars(drawn_from), whole=isinstance(drawn_from, IntDistribution))

    @property
    def single(self) -> bool:
        """Whether there is one value only."""
        if self.choices is not None:
            return len(self.choices) == 1
        return self.low == self.high or (self.step is not None and not self.log and self.high - self.low < self.step)

    def value(self, stored: float) -> Any:
        """Return the value that a database holds as a number: a choice's place, else the number.

        Raises:
            ValueError: There is no such choice.
        """
        if self.choices is None:
            return int(stored) if self.whole else stored
        if not 0 <= stored < len(self.choices):
            raise ValueError(f"A parameter of {len(self.choices)} choices is stored as choice {stored:g}")
        return self.choices[int(stored)]

    def place(self, value: Any) -> int:
        """Return which of the choices a value is."""
        for place, choice in enumerate(self.choices or ()):
            if type(choice) is type(value) and (choice == value or (choice != choice and value != value)):
                return place
        raise ValueError(f"{value!r} is none of the choices")


def domain_of_json(text: str) -> Domain:
    """Return what a stored distribution draws from.

    Raises:
        ValueError: It is no distribution that Optuna writes.
    """
    stored = json.loads(text)
    kind, attributes = stored.get("name"), stored.get("attributes")
    if kind == "CategoricalDistribution":
        return Domain(choices=tuple(attributes["choices"]))
    if kind in ("FloatDistribution", "IntDistribution"):
        return _range(attributes, whole=kind == "IntDistribution")
    from optuna.distributions import json_to_distribution  # those that Optuna no longer writes

    return Domain.of(json_to_distribution(text))


def _range(stored: dict[str, Any], *, whole: bool) -> Domain:
    low, high, step = float(stored["low"]), float(stored["high"]), stored.get("step")
    if not (math.isfinite(low) and low <= high):
        raise ValueError(f"A range from {low:g} to {high:g}")
    return Domain(low, high, whole, bool(stored.get("log")), None if step is None else float(step))
