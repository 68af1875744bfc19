"""From YAML to a validated search space. Every error names file, key, rule and value, and says what to write."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tuner.errors import InputError, SpaceError
from tuner.hyperparameters import ALGORITHMS, FieldInfo, algorithm_class, field_infos, spelled_out
from tuner.hyperparameters.schedules import contradiction
from tuner.plain_yaml import file_state, load
from tuner.space.budget import Budget, Override, with_plain_clock
from tuner.space.derived import RULES, Derived
from tuner.space.model import SearchSpace
from tuner.space.parse_range import Fail, check_keys, checked, parse_range
from tuner.space.ranges import Bound, IntRange, Range

TOP = ("algorithm", "budget", "fixed", "search", "derived", "environments")
BUDGET = ("n_timesteps", "evaluations", "eval_episodes", "clip")
MAX_TIMESTEPS = 1_000_000_000


def load_space(path: Path) -> SearchSpace:
    """Read and validate a search space.

    Raises:
        SpaceError: The file cannot be read, is not YAML with plain data, or breaks a rule of the grammar.
    """
    return _read(path, file_state(path))


@functools.lru_cache(maxsize=16)
def _read(path: Path, state: tuple[int, ...]) -> SearchSpace:
    """Read a file once for each of its states: PyYAML takes most of a plan's time."""
    try:
        data = load(path)
    except InputError as error:
        raise SpaceError(str(error)) from error
    return parse_space(data, str(path))


def parse_space(data: Any, source: str = "search space") -> SearchSpace:
    """Validate plain data and return the space it describes.

    Args:
        data: As in YAML.
        source: Where it comes from, for messages.

    Raises:
        SpaceError: It breaks a rule of the grammar.
    """

    def fail(key: str, problem: str) -> NoReturn:
        raise SpaceError(f"{source}: {f'{key}: ' if key else ''}{problem}")

    top = _mapping("", data, fail)
    check_keys("", top, TOP, fail)
    algorithm = top.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        fail("algorithm", f"must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}.")
    top = with_plain_clock(top, ALGORITHMS[algorithm].clock)
    derived = _derived(algorithm, top.get("derived", {}), fail)
    infos = {**field_infos(algorithm_class(algorithm))} | {
        d.by: RULES[d.rule].helper_info(d.by) for d in derived.values()
    }
    if "budget" not in top:
        fail("", "lacks 'budget'. Write for example budget: {n_timesteps: 50000, evaluations: 10, eval_episodes: 10}.")
    budget = _budget("budget", top["budget"], fail)
    if "n_timesteps" not in budget:
        fail("budget", "lacks 'n_timesteps', the environment steps of each run.")
    space = SearchSpace(
        algorithm=algorithm,
        budget=Budget(**budget),
        fixed=_fixed("fixed", top.get("fixed", {}), algorithm, infos, fail),
        search=_search("search", top.get("search", {}), infos, fail),
        derived=derived,
        environments=_environments(top.get("environments", {}), algorithm, infos, fail),
    )
    _check_space("", space, fail)
    for env_id in space.environments:
        _check_space(f"environments.{env_id}.", space.for_environment(env_id)[0], fail)
    return space


def _mapping(key: str, data: Any, fail: Fail) -> Mapping[str, Any]:
    if data is None and key:
        return {}  # a key with nothing after it
    if not isinstance(data, Mapping):
        fail(key, f"must be a mapping of keys to values, got {type(data).__name__}.")
    return data


def _budget(key: str, data: Any, fail: Fail) -> dict[str, Any]:
    data = _mapping(key, data, fail)
    check_keys(key, data, BUDGET, fail)
    for name, value in data.items():
        if name == "clip":
            if not isinstance(value, bool):
                fail(f"{key}.clip", f"must be true or false, got {value!r}.")
        elif isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TIMESTEPS:
            fail(f"{key}.{name}", f"must be a whole number of at least 1 (write 50000, not 5e4), got {value!r}.")
    return dict(data)


def _fixed(key: str, data: Any, algorithm: str, infos: Mapping[str, FieldInfo], fail: Fail) -> dict[str, Any]:
    data = _mapping(key, data, fail)
    check_keys(key, data, tuple(infos), fail)
    if why := contradiction(data):
        fail(key, why)
    data = spelled_out(algorithm_class(algorithm), data)  # lin_3e-4
    return {name: checked(f"{key}.{name}", infos[name], value, fail) for name, value in data.items()}


def _search(key: str, data: Any, infos: Mapping[str, FieldInfo], fail: Fail) -> dict[str, Range]:
    data = _mapping(key, data, fail)
    check_keys(key, data, tuple(infos), fail)
    return {name: parse_range(f"{key}.{name}", item, infos, fail) for name, item in data.items()}


def _derived(algorithm: str, data: Any, fail: Fail) -> dict[str, Derived]:
    data = _mapping("derived", data, fail)
    fields = field_infos(algorithm_class(algorithm))
    check_keys("derived", data, tuple(fields), fail)
    derived = {}
    for name, item in data.items():
        key = f"derived.{name}"
        item = _mapping(key, item, fail)
        check_keys(key, item, ("rule", "by"), fail)
        rule, by = item.get("rule"), item.get("by")
        rules = [known for known, r in RULES.items() if r.target == name]
        if rule not in rules:
            fail(f"{key}.rule", f"must be one of {', '.join(rules) or '(none computes this field)'}, got {rule!r}.")
        if not isinstance(by, str) or not by.isidentifier() or by in fields:
            fail(f"{key}.by", f"must be a new name for the helper that you search or fix, got {by!r}.")
        derived[str(name)] = Derived(str(rule), by)
    return derived


def _environments(data: Any, algorithm: str, infos: Mapping[str, FieldInfo], fail: Fail) -> dict[str, Override]:
    overrides = {}
    for env_id, item in _mapping("environments", data, fail).items():
        key = f"environments.{env_id}"
        if not isinstance(env_id, str):
            fail("environments", f"keys must be environment ids, got {env_id!r}.")
        item = _mapping(key, item, fail)
        check_keys(key, item, ("budget", "fixed", "search"), fail)
        override = Override(
            budget=_budget(f"{key}.budget", item.get("budget", {}), fail),
            fixed=_fixed(f"{key}.fixed", item.get("fixed", {}), algorithm, infos, fail),
            search=_search(f"{key}.search", item.get("search", {}), infos, fail),
        )
        _check_disjoint(f"{key}.", override.fixed, override.search, fail)
        overrides[env_id] = override
    return overrides


def _check_disjoint(prefix: str, fixed: Mapping[str, Any], search: Mapping[str, Any], fail: Fail) -> None:
    for name in search:
        if name in fixed:
            fail(f"{prefix}search.{name}", f"'{name}' is under 'fixed' as well. Keep one of the two.")


def _check_space(prefix: str, space: SearchSpace, fail: Fail) -> None:
    """Check the rules that concern several keys."""
    if space.budget.evaluations > space.budget.n_timesteps:
        fail(
            f"{prefix}budget.evaluations",
            f"must be at most n_timesteps ({space.budget.n_timesteps}), got {space.budget.evaluations}.",
        )
    _check_disjoint(prefix, space.fixed, space.search, fail)
    for name, derived in space.derived.items():
        if name in space.fixed or name in space.search:
            fail(f"{prefix}derived.{name}", f"'{name}' is under 'fixed' or 'search' as well. Keep one of the two.")
        if derived.by not in space.fixed and derived.by not in space.search:
            fail(f"{prefix}derived.{name}.by", f"'{derived.by}' must be under 'search' or 'fixed' too.")
        if derived.by in space.search and space.search[derived.by].when:
            fail(f"{prefix}search.{derived.by}.when", f"{name} is derived from it in every trial; leave 'when' out.")
    later = list(space.search)
    for name, item in space.search.items():
        needed = [field for field, _ in item.when]
        if isinstance(item, IntRange) and isinstance(item.high, Bound):
            needed.append(item.high.field)
        for field in needed:
            if field in later:
                fail(f"{prefix}search.{name}", f"depends on '{field}', which must be searched above it. Move it up.")
            if field in space.derived:
                fail(f"{prefix}search.{name}", f"cannot depend on '{field}', which is derived after the search.")
        later.remove(name)
