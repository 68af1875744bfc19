"""A search space: what is fixed, what is searched, and with which budget.

Everything a study needs is here, and nothing of any optimisation library: :meth:`SearchSpace.sample` asks a
:class:`~tuner.space.ranges.Suggest` for values, :meth:`SearchSpace.resolve` turns them into hyperparameters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tuner.errors import InputError
from tuner.hyperparameters import (
    FieldInfo,
    Hyperparameters,
    algorithm_class,
    field_infos,
    from_mapping,
    spelled_out,
    unknown_field,
)
from tuner.space.budget import Budget, Override, plain
from tuner.space.clip import clipped
from tuner.space.derived import RULES, Derived
from tuner.space.ranges import Choice, Dimension, Range, Suggest, applies
from tuner.space.text import read_text
from tuner.text import counted


@dataclass(frozen=True)
class SearchSpace:
    """Validated by the parser; build one with :func:`tuner.space.parse.parse_space` or ``load_space``.

    Attributes:
        algorithm: Name of the algorithm.
        budget: Length and evaluations of each run.
        fixed: Field (or helper) to value.
        search: Field (or helper) to range, in the order of sampling.
        derived: Field to the rule that computes it.
        environments: Environment id to its changes.
    """

    algorithm: str
    budget: Budget
    fixed: Mapping[str, Any]
    search: Mapping[str, Range]
    derived: Mapping[str, Derived] = field(default_factory=dict)
    environments: Mapping[str, Override] = field(default_factory=dict)

    @cached_property
    def infos(self) -> Mapping[str, FieldInfo]:
        """All names this space may set: the algorithm's fields, and the helpers of its derived rules."""
        infos = field_infos(algorithm_class(self.algorithm))
        helpers = {d.by: RULES[d.rule].helper_info(d.by) for d in self.derived.values()}
        return {**infos, **helpers}

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What a sampler may be asked for, in order; bounds that follow a field at their widest."""
        return tuple(item.dimension(name) for name, item in self.search.items())

    def for_environment(self, env_id: str) -> tuple[SearchSpace, bool]:
        """Return the space for one environment, and whether the file lists that environment.

        Args:
            env_id: Gymnasium id; a ``module:`` in front does not matter.

        Returns:
            A space without ``environments``. Not yet cut to its budget: see :meth:`clip_to_budget`.
        """
        override = self.environments.get(env_id.rpartition(":")[2])
        if override is None:
            return dataclasses.replace(self, environments={}), False
        search = {name: item for name, item in self.search.items() if name not in override.fixed}
        fixed = {name: value for name, value in self.fixed.items() if name not in override.search}
        space = dataclasses.replace(
            self,
            budget=dataclasses.replace(self.budget, **override.budget),
            fixed=fixed | dict(override.fixed),
            search=search | dict(override.search),
            environments={},
        )
        derived = {name: rule for name, rule in space.derived.items() if name not in override.fixed}
        return dataclasses.replace(space, derived=derived)._without_idle_helpers(self), True

    def with_budget(
        self, n_timesteps: int | None = None, evaluations: int | None = None, eval_episodes: int | None = None
    ) -> SearchSpace:
        """Return the space with another budget; None keeps what is there.

        Raises:
            InputError: A number below 1, or more evaluations than steps.
        """
        asked = {"n_timesteps": n_timesteps, "evaluations": evaluations, "eval_episodes": eval_episodes}
        flags = {"n_timesteps": "--steps", "evaluations": "--evaluations", "eval_episodes": "--eval-episodes"}
        changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        for name, value in changes.items():
            if value < 1:
                raise InputError(f"{flags[name]} must be at least 1, got {value}.")
        budget = dataclasses.replace(self.budget, **changes)
        if budget.evaluations > budget.n_timesteps:
            raise InputError(
                f"--evaluations must be at most the number of steps, "
                f"got {counted(budget.evaluations, 'evaluation')} for {counted(budget.n_timesteps, 'step')}."
            )
        return dataclasses.replace(self, budget=budget)

    def fix(self, name: str, value: Any) -> SearchSpace:
        """Return the space with a field (or helper) at a value, out of the search: what ``--set`` does.

        Args:
            name: Field name.
            value: In the field's own type, or text in the way of the command line (``1e-3``, ``true``, ``64x64``).

        Raises:
            InputError: Unknown name, wrong type or out of range.
        """
        infos = self.infos
        if len(both := spelled_out(algorithm_class(self.algorithm), {name: value})) > 1:  # lin_3e-4
            space = self
            for part, of_it in both.items():
                space = space.fix(part, of_it)
            return space
        if name not in infos:
            raise unknown_field(self.algorithm, name, infos)
        value = infos[name].check(read_text(infos[name], value) if isinstance(value, str) else value)
        search = {n: item for n, item in self.search.items() if n != name}
        derived = {n: rule for n, rule in self.derived.items() if n != name}
        space = dataclasses.replace(self, fixed={**self.fixed, name: value}, search=search, derived=derived)
        return space._without_idle_helpers(self)

    def for_sb3(self) -> tuple[SearchSpace, tuple[str, ...]]:
        """Return the space without ranges and choices that Stable-Baselines3 does not know, and their names.

        Fixed values that learning does not depend on go without a word: its networks are evaluated as they are.
        """
        infos = self.infos
        unknown = [name for name in self.search if not infos[name].sb3]
        search = {name: item for name, item in self.search.items() if name not in unknown}
        for name, item in search.items():
            foreign = infos[name].native_choices
            if isinstance(item, Choice) and set(foreign) & set(item.choices):
                kept = tuple(choice for choice in item.choices if choice not in foreign)
                search[name] = dataclasses.replace(item, choices=kept)
                unknown += [f"{name}={choice}" for choice in item.choices if choice in foreign]
        search = {name: item for name, item in search.items() if not isinstance(item, Choice) or item.choices}
        fixed = {name: value for name, value in self.fixed.items() if infos[name].sb3 or infos[name].learned}
        return dataclasses.replace(self, search=search, fixed=fixed), tuple(unknown)

    def clip_to_budget(self) -> SearchSpace:
        """Return the space with ranges cut to what its budget makes meaningful (rules in :mod:`tuner.space.clip`).

        ``budget: {clip: false}`` keeps the ranges as they are written.
        """
        if not self.budget.clip:
            return self
        cap, steps = algorithm_class(self.algorithm).largest_meaningful, self.budget.n_timesteps
        search = {name: clipped(item, cap(name, steps)) for name, item in self.search.items()}
        return dataclasses.replace(self, search=search)

    def sample(self, suggest: Suggest) -> dict[str, Any]:
        """Ask for one value after the other; conditions and following bounds see those decided before.

        Returns:
            Sampled name to sampled value: what a study stores, and what :meth:`resolve` reads.
        """
        values = dict(self._known)
        params: dict[str, Any] = {}
        for name, item in self.search.items():
            if not applies(item, values):
                continue
            dimension = item.dimension(name, values)
            params[dimension.name] = sampled = _ask(suggest, dimension)
            values[name] = item.decode(sampled)
        return params

    def resolve(self, params: Mapping[str, Any]) -> Hyperparameters:
        """Return the complete hyperparameters of sampled values; what no range decides is fixed or at its default.

        Where values do not go together, one that was sampled moves (:class:`~tuner.hyperparameters.base.Clash`).

        Args:
            params: As :meth:`sample` returns them.

        Raises:
            InputError: A value is missing, a name does not belong to this space or to this branch of it, or values that
                it fixes do not go together.
        """
        fields = field_infos(algorithm_class(self.algorithm))
        values = dict(self._known)
        used = set()
        for name, item in self.search.items():
            if not applies(item, values):
                continue
            sampled_name = item.dimension(name).name
            if sampled_name not in params:
                raise InputError(f"The sampled values lack '{sampled_name}'.")
            used.add(sampled_name)
            try:
                values[name] = item.decode(params[sampled_name])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"'{sampled_name}' cannot be {params[sampled_name]!r}.") from error
        if unknown := sorted(set(params) - used):
            raise InputError(f"The search space does not sample '{unknown[0]}' here.")
        for name, derived in self.derived.items():
            values[name] = min(derived.value(values), int(fields[name].high))  # a product can leave the valid range
        if clash := algorithm_class(self.algorithm).clash(values):
            moved = next((name for name in clash.moves if name in self.search or name in self.derived), None)
            values |= {} if moved is None else {moved: clash.moves[moved]}
        return from_mapping(self.algorithm, {name: value for name, value in values.items() if name in fields})

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML: parsing it gives an equal space."""
        mapping: dict[str, Any] = {
            "algorithm": self.algorithm,
            "budget": self.budget.to_mapping(),
            "fixed": plain(self.fixed),
            "search": {name: item.to_mapping() for name, item in self.search.items()},
            "derived": {name: rule.to_mapping() for name, rule in self.derived.items()},
            "environments": {env_id: override.to_mapping() for env_id, override in self.environments.items()},
        }
        return {name: part for name, part in mapping.items() if part or name in ("fixed", "search")}

    def hash(self, *, whole_steps: bool = True) -> str:
        """Return 64 hex digits that change with anything that changes a study, the order of sampling included.

        Args:
            whole_steps: Whether a float's step of 1 counts; for studies of versions that did not store it, it does not.
        """
        mapping = self.to_mapping() if whole_steps else _without_whole_steps(self.to_mapping())
        mapping["search"] = list(mapping["search"].items())  # its order decides which draw goes where
        return hashlib.sha256(json.dumps(mapping, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def _known(self) -> Mapping[str, Any]:
        """The defaults and fixed values; kept, as a proposal weighs two dozen candidates."""
        defaults = {name: info.default for name, info in self.infos.items() if info.default is not None}
        return {**defaults, **self.fixed}

    def _without_idle_helpers(self, before: SearchSpace) -> SearchSpace:
        """Drop helpers whose rule is gone."""
        idle = {d.by for d in before.derived.values()} - {d.by for d in self.derived.values()}
        fixed = {name: value for name, value in self.fixed.items() if name not in idle}
        search = {name: item for name, item in self.search.items() if name not in idle}
        return dataclasses.replace(self, fixed=fixed, search=search)


def _ask(suggest: Suggest, dimension: Dimension) -> Any:
    if dimension.kind == "categorical":
        return suggest.choice(dimension.name, dimension.choices)
    if dimension.kind == "int":
        step = 1 if dimension.step is None else int(dimension.step)
        return suggest.int(dimension.name, int(dimension.low), int(dimension.high), dimension.log, step)
    return suggest.float(dimension.name, dimension.low, dimension.high, dimension.log, dimension.step)


def _without_whole_steps(value: Any) -> Any:
    """Return plain data of a space without the steps of 1 of its floats."""
    if not isinstance(value, Mapping):
        return value
    is_one = value.get("type") == "float" and value.get("step") == 1
    return {key: _without_whole_steps(item) for key, item in value.items() if not (is_one and key == "step")}
