"""The name of an environment: plain data that any process can make it from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Levels that an argument's lists and mappings may be nested.
MAX_DEPTH = 20


#: Fields that version 0.1.0 did not have.
_LATER = ("discretize", "frame_stack", "wrapper")


class FrozenDict(dict[str, Any]):
    """A mapping that is never changed, and so can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        """Equal mappings have equal hashes, in whatever order."""
        return hash(frozenset(self.items()))


@dataclass(frozen=True)
class EnvSpec:
    """Everything needed to make the environment again, in any process.

    Attributes:
        id: Gymnasium id, optionally ``module:Id``.
        kwargs: Keyword arguments as :func:`frozen` gives them, so that the spec can be hashed.
        module: File or module to import first (``--env-module``), or None.
        pixels: Observe rendered frames instead of the state.
        discretize: Steps that each dimension of a continuous action space is cut into, >= 2; None: as it is.
        frame_stack: Last observations that are seen as one, >= 2; None: each alone.
        wrapper: Wrappers around it, innermost first, as :func:`tuner.envs.wrapper_names.canonical` writes them.
    """

    id: str
    kwargs: tuple[tuple[str, Any], ...] = ()
    module: str | None = None
    pixels: bool = False
    discretize: int | None = None
    frame_stack: int | None = None
    wrapper: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data, without what has come since version 0.1.0 and is off: older names stay as they were."""
        plain = asdict(self) | {"wrapper": list(self.wrapper)}
        return {name: value for name, value in plain.items() if value not in (None, []) or name not in _LATER}

    def changes(self) -> dict[str, Any]:
        """Return its arguments and how an agent meets it other than it is, without what is off.

        Keys are those of a recipe: whoever names the environment to a reader says these, too.
        """
        found: dict[str, Any] = {"env_arg": self.arguments()} if self.kwargs else {}
        found |= {"pixels": True} if self.pixels else {}
        return found | {name: value for name, value in self.to_mapping().items() if name in _LATER}

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments: lists as tuples, mappings (and lists in them) the receiver's own to change."""
        return {name: _thawed(value) if isinstance(value, FrozenDict) else value for name, value in self.kwargs}


def frozen(arguments: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return arguments as sorted (name, value) pairs that can be hashed.

    Raises:
        ValueError: A value is not made of numbers, text, booleans, null, lists and mappings with text keys.
    """
    return tuple((name, _frozen(value, MAX_DEPTH)) for name, value in sorted(arguments.items()))


def _frozen(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"lists and mappings may be nested {MAX_DEPTH} deep")
    if isinstance(value, list | tuple):
        return tuple(_frozen(v, depth - 1) for v in value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the keys of a mapping must be text, got {key!r}")
        return FrozenDict({key: _frozen(value[key], depth - 1) for key in sorted(value)})
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"values may be numbers, text, booleans, lists and mappings, got {type(value).__name__} {str(value)!r}"
    )


def _thawed(value: Any) -> Any:
    if isinstance(value, FrozenDict):
        return {key: _thawed(v) for key, v in value.items()}
    return [_thawed(v) for v in value] if isinstance(value, tuple) else value


def bare_module(module: str | None) -> str | None:
    """Return what others may know of a module: a file by its name, not by where it lies on this machine."""
    if module is None or not (module.endswith(".py") or "/" in module or "\\" in module):
        return module
    *_, folder, name = ("", *module.replace("\\", "/").rstrip("/").split("/"))
    return f"{folder}/{name}" if name == "__init__.py" and folder else name
