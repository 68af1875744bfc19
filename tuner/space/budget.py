"""The length of each run, and what single environments change about a space."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.space.ranges import Range


@dataclass(frozen=True)
class Budget:
    """How long each run is, and how often it is evaluated.

    Attributes:
        n_timesteps: Environment steps of a run, >= 1.
        evaluations: Evaluations of a run, evenly spaced, the last at its end; between 1 and ``n_timesteps``.
        eval_episodes: Episodes of each evaluation, >= 1.
        clip: Whether ranges are cut to what the budget makes meaningful.
    """

    n_timesteps: int
    evaluations: int = 10
    eval_episodes: int = 10
    clip: bool = True

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        mapping = dataclasses.asdict(self)
        if self.clip:
            del mapping["clip"]
        return mapping


def with_plain_clock(space: Mapping[str, Any], clock: str) -> Mapping[str, Any]:
    """Return a space's plain data with budgets in ``n_timesteps``, which files of offline learners call by their unit.

    Args:
        space: As in YAML.
        clock: What the algorithm's budgets count: ``iterations`` makes ``n_iterations`` a name for it.
    """
    name = f"n_{clock}"

    def renamed(part: Any) -> Any:
        if not isinstance(part, Mapping) or not isinstance(part.get("budget"), Mapping) or name not in part["budget"]:
            return part
        budget = {"n_timesteps" if key == name else key: value for key, value in part["budget"].items()}
        return {**part, "budget": budget}

    environments = space.get("environments")
    if isinstance(environments, Mapping):
        space = {**space, "environments": {env: renamed(part) for env, part in environments.items()}}
    result: Mapping[str, Any] = renamed(space)
    return result


@dataclass(frozen=True)
class Override:
    """What one environment changes. Fields fixed here leave the search, fields searched here are no longer fixed."""

    budget: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Range] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        parts = {
            "budget": dict(self.budget),
            "fixed": plain(self.fixed),
            "search": {name: item.to_mapping() for name, item in self.search.items()},
        }
        return {name: part for name, part in parts.items() if part}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data: tuples as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
