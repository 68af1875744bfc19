"""Named rules that compute one field from others and a sampled helper: the whole of ``derived:``.

A closed list, because data never executes: a search space can name a rule, not write one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tuner.fields import FieldInfo


@dataclass(frozen=True)
class Rule:
    """One named rule.

    Attributes:
        target: The field it computes.
        source: The field it computes from.
        helper_kind: Type of the helper that ``by`` names.
        helper_low: Smallest helper value.
        helper_low_open: Whether ``helper_low`` itself is excluded.
        compute: (source value, helper value) -> target value.
        helper_of: (source value, target value) -> the helper that gives about this target.
        help: The formula in words.
    """

    target: str
    source: str
    helper_kind: Any
    helper_low: float
    helper_low_open: bool
    compute: Callable[[Any, Any], Any]
    helper_of: Callable[[Any, Any], Any]
    help: str

    def helper_info(self, name: str) -> FieldInfo:
        """Return the helper's declaration, so that it is checked like any field."""
        return FieldInfo(
            name=name,
            kind=self.helper_kind,
            default=self.helper_low,
            low=self.helper_low,
            high=100_000,
            low_open=self.helper_low_open,
            help=f"Helper: {self.help}.",
        )


def _over(train_freq: int, by: int) -> int:
    return max(train_freq // by, 1)


def _times(train_freq: int, by: float) -> int:
    return max(math.floor(train_freq * by + 0.5), 1)


def _shared(n_envs: int, by: int) -> int:
    return max(by // n_envs, 2)


RULES: dict[str, Rule] = {
    "rollout_over_envs": Rule(
        "n_steps",
        "n_envs",
        "int",
        1,
        False,
        _shared,
        lambda n_envs, n_steps: n_steps * n_envs,
        "n_steps = max(by // n_envs, 2): by is the steps of all environments between two training calls",
    ),
    "train_freq_over": Rule(
        "gradient_steps", "train_freq", "int", 1, False, _over, _over, "gradient_steps = max(train_freq // by, 1)"
    ),
    "train_freq_times": Rule(
        "gradient_steps",
        "train_freq",
        "float",
        0,
        True,
        _times,
        lambda train_freq, updates: updates / train_freq,
        "gradient_steps = max(round(train_freq * by), 1)",
    ),
}


@dataclass(frozen=True)
class Derived:
    """A rule in use.

    Attributes:
        rule: Name in :data:`RULES`.
        by: Name of the helper, which is searched or fixed.
    """

    rule: str
    by: str

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return the target's value for decided fields and helper."""
        rule = RULES[self.rule]
        return rule.compute(values[rule.source], values[self.by])

    def helper(self, values: Mapping[str, Any]) -> Any:
        """Return the helper's value that gives about the target among ``values``."""
        rule = RULES[self.rule]
        return rule.helper_of(values[rule.source], values[rule.target])

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        return {"rule": self.rule, "by": self.by}
