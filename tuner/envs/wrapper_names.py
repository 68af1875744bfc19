"""How a wrapper is written (``--wrapper NAME``): as text, and as RL Zoo's ``env_wrapper`` has it. Nothing is imported.

One wrapper has one text, so that equal studies have equal names: the class by its dotted path, then its arguments as
JSON, ``gymnasium.wrappers.TimeLimit:{"max_episode_steps": 100}``.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.envs.spec import frozen
from tuner.errors import InputError
from tuner.plain_yaml import parse, read_number

#: Where a bare name is looked up.
GYMNASIUM = "gymnasium.wrappers"

#: Packages whose wrappers a file may name without the user's saying so: ``tune`` knows them, and imports no others for
#: a file's sake.
KNOWN_PACKAGES = frozenset({
    "gymnasium", "minigrid", "highway_env", "minatar", "ale_py", "flappy_bird_gymnasium", "stable_baselines3",
    "sb3_contrib", "rl_zoo3",
})  # fmt: skip

#: Wrappers of Gymnasium that refuse lists where they ask for tuples.
_OF_TUPLES = frozenset({"AtariPreprocessing", "ReshapeObservation", "ResizeObservation", "StickyAction"})

#: What a user may write before the arguments: a bare name, ``module:Class`` or ``module.Class``.
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_]\w*)?", re.ASCII)

_FORMS = "FlattenObservation, module:Class, or either with arguments, NAME:{key: value}"


def canonical(wrapper: str | Mapping[str, Any]) -> str:
    """Return a wrapper's one text.

    Args:
        wrapper: A class of ``gymnasium.wrappers`` by its name, ``module:Class`` or ``module.Class``, and perhaps
            ``:{key: value}`` after it; or a mapping of that name to its arguments, as RL Zoo writes it.

    Raises:
        InputError: It is written otherwise, or its arguments are no plain data.
    """
    if isinstance(wrapper, Mapping):
        if len(wrapper) != 1:
            raise InputError(f"--wrapper must be {_FORMS}, got {dict(wrapper)!r}.")
        name, arguments = next(iter(wrapper.items()))
    else:
        name, arguments = _split(wrapper)
    arguments = {} if arguments is None else arguments
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"--wrapper must be {_FORMS}, got '{name}'.")
    path = name.replace(":", ".")
    if "." not in path:
        path = f"{GYMNASIUM}.{path}"
    if not isinstance(arguments, Mapping):
        raise InputError(
            f"--wrapper {name}: its arguments must be a mapping, such as {{key: value}}, got {arguments!r}."
        )
    try:
        frozen({"arguments": arguments})
        text = json.dumps(arguments, sort_keys=True, allow_nan=False)
        json.dumps(arguments, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, TypeError) as error:
        raise InputError(f"--wrapper {name}: {error}.") from None
    return f"{path}:{text}" if arguments else path


def canonicals(wrappers: Any) -> tuple[str, ...]:
    """Return the texts of several wrappers, innermost first.

    Raises:
        InputError: One is written otherwise, or it is no list.
    """
    if not isinstance(wrappers, Sequence) or isinstance(wrappers, str):
        raise InputError(f"--wrapper must be a list of wrappers, innermost first, got {wrappers!r}.")
    for each in wrappers:
        if not isinstance(each, str | Mapping):
            raise InputError(f"--wrapper must be {_FORMS}, got {each!r}.")
    return tuple(map(canonical, wrappers))


def parts(text: str) -> tuple[str, str, dict[str, Any]]:
    """Return (module, class, arguments) of a wrapper's text."""
    path, arguments = _split(text)
    module, _, name = path.rpartition(".")
    return module, name, dict(arguments or {})


def to_zoo_form(text: str) -> str | dict[str, Any]:
    """Return what stands for a wrapper in the list of RL Zoo's ``env_wrapper``."""
    path, arguments = _split(text)
    return {path: dict(arguments)} if arguments else path


def beyond_zoo(wrappers: Sequence[str]) -> str:
    """Return why RL Zoo cannot make one of the wrappers, or an empty string: YAML has lists, and some want tuples."""
    for module, name, arguments in map(parts, wrappers):
        listed = next((key for key, value in arguments.items() if isinstance(value, list)), None)
        if listed is not None and name in _OF_TUPLES and module.startswith(GYMNASIUM):
            return f"RL Zoo gives {name} a list as {listed}, and that takes a tuple."
    return ""


def unknown_wrapper(wrappers: Sequence[str], env_module: str | None, named: Collection[str] = ()) -> str:
    """Return the first wrapper that a file names and nobody has vouched for, or an empty string.

    Args:
        wrappers: What the file says, in one text each.
        env_module: File or module that the user has named, or None: its own wrappers are the user's word, too.
        named: Wrappers that the user has named.
    """
    own = "" if env_module is None else Path(env_module).stem if env_module.endswith(".py") else env_module
    trusted = KNOWN_PACKAGES | {own.partition(".")[0]}
    return next((w for w in wrappers if w.partition(".")[0] not in trusted and w not in named), "")


def to_be_named(wrappers: Sequence[str], env_module: str | None) -> list[str]:
    """Return the words that a command needs besides, for a file with such wrappers; none where they may be imported."""
    needed = [wrapper for wrapper in wrappers if unknown_wrapper([wrapper], env_module)]
    return ["--wrapper", *needed] if needed else []


def check_trusted(wrappers: Sequence[str], what: str, env_module: str | None, named: Collection[str] = ()) -> None:
    """Refuse a file's wrapper that nobody has vouched for.

    Args:
        wrappers: As for :func:`unknown_wrapper`.
        what: The file, as the beginning of a sentence: ``best.yaml``.
        env_module: Likewise.
        named: Likewise.

    Raises:
        InputError: There is one.
    """
    if wrapper := unknown_wrapper(wrappers, env_module, named):
        raise InputError(
            f"{what} wraps the environment in '{wrapper}', and importing that runs its code. If you trust it, add "
            f"--wrapper {shlex.quote(wrapper)} (in Python wrapper=[{wrapper!r}])."
        )


def origin_of(env_id: str, module: str | None) -> str | None:
    """Return what is imported for an environment: its module, else what stands before its id's colon, else None."""
    return module or env_id.rpartition(":")[0] or None


def check_origin(origin: str | None, what: str, env_module: str | None) -> None:
    """Refuse an environment that a file or database has from a module which nobody has vouched for.

    Args:
        origin: As :func:`origin_of` gives it.
        what: The beginning of a sentence that goes on with where it comes from: ``This study's environment comes``.
        env_module: File or module that the user has named, or None.

    Raises:
        InputError: It comes from a module, and the user has named none.
    """
    if origin is not None and env_module is None:
        raise InputError(
            f"{what} from '{origin}', and importing that runs its code. If you trust it, add --env-module "
            f"{shlex.quote(origin)} (in Python env_module={origin!r})."
        )


def _split(text: str) -> tuple[str, Any]:
    """Return what stands before the arguments, and these: JSON, or a YAML mapping, where ``1e-3`` is a number."""
    name, brace, rest = text.partition(":{")
    if not brace:
        return name, None
    with contextlib.suppress(ValueError, RecursionError):  # YAML's reader says what is wrong
        return name, json.loads("{" + rest, parse_constant=float)
    try:
        return name, _numbers(parse("{" + rest))
    except InputError as error:
        raise InputError(f"--wrapper {name}: '{{{rest}' is not a mapping such as {{key: value}}: it {error}") from None


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if isinstance(value, dict):
        return {key: _numbers(v) for key, v in value.items()}
    return read_number(value) if isinstance(value, str) else value
