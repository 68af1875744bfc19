"""Where the library lies, and which setting it has for an environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tuner
from tuner.envs.spec import frozen
from tuner.errors import InputError, nearest, wrong
from tuner.library.entry import Entry
from tuner.library.names import entry_file, entry_name

#: Every verdict run of every entry.
EVIDENCE = "evidence.json"

#: Form of :data:`EVIDENCE`.
SCHEMA = 1


def library_folder() -> Path:
    """Return the library's folder: inside the package, or beside it in a checkout."""
    package = Path(tuner.__file__).parent
    inside = package / "studies" / "library"
    return inside if inside.is_dir() else package.parent / "studies" / "library"


def library_entries(algorithm: str | None = None) -> list[Entry]:
    """Return the library's entries, by algorithm and name.

    Args:
        algorithm: Of this one alone; None: of all.

    Raises:
        InputError: The file is damaged.
    """
    path = library_folder() / EVIDENCE
    if not path.is_file():
        return []
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["schema"] != SCHEMA:
            raise ValueError("its form is of another version")
        found = [Entry.from_stored(entry) for entry in stored["entries"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}). Install this version of tune again.") from error
    return [entry for entry in found if algorithm in (None, entry.algorithm)]


def library_file(entry: Entry) -> Path:
    """Return the YAML that holds an entry."""
    return library_folder() / entry.algorithm / entry_file(entry.name)


def find_entry(
    env: str,
    arguments: Mapping[str, Any],
    algorithm: str,
    changes: Mapping[str, Any] | None = None,
    env_module: str | None = None,
) -> Entry | None:
    """Return the library's entry for the very environment; None where it has none.

    Args:
        env: Environment id.
        arguments: Its keyword arguments.
        algorithm: As ``--algo`` takes it.
        changes: How it is met other than it is (:func:`~tuner.library.names.changes_of`).
        env_module: What registers it; one that a user's module registers is another one, whatever its id.
    """
    try:
        asked = (env, dict(changes or {}), frozen(arguments))
    except ValueError:  # no plain data: whoever makes the environment says so
        return None
    if env_module is not None:
        return None
    every = library_entries(algorithm)
    return next((e for e in every if (e.env, dict(e.changes), frozen(e.env_kwargs)) == asked), None)


def named_entry(name: str, algorithm: str = "dqn") -> Entry:
    """Return the entry of a name such as ``FrozenLake-v1,is_slippery=false``.

    Raises:
        InputError: There is none; the message names the nearest.
    """
    every = library_entries()
    found = next((e for e in every if (e.name, e.algorithm) == (name, algorithm)), None)
    if found is not None:
        return found
    if others := [e.algorithm for e in every if e.name == name]:
        raise InputError(f"The library has no setting of {algorithm} for {name}. Use --algo {'|'.join(others)}.")
    names = [e.name for e in every if e.algorithm == algorithm]
    longer = [other for other in names if other.startswith(f"{name},")]
    hint = f" Did you mean '{longer[0]}'?" if longer else nearest(name, names)
    raise InputError(
        f"The library has no setting of {algorithm} for '{name}'.{hint} tune settings lists all that it has; "
        "tune --env ID --trials N finds one."
    )


def load_setting(env: str, algorithm: str = "dqn", **env_kwargs: Any) -> Entry:
    """Return the library's setting for an environment, with its verdict.

    ``load_setting("CartPole-v1").hyperparameters`` are its values, ``.verdict`` is its score over fresh seeds.

    Args:
        env: Environment id.
        algorithm: As ``--algo`` takes it.
        env_kwargs: Keyword arguments of the environment, such as ``is_slippery=False``.

    Raises:
        InputError: The library has none; the message names the nearest. Or an argument is of another kind.
    """
    for name, value in (("env", env), ("algorithm", algorithm)):
        if not isinstance(value, str):
            raise wrong(name, "text", value)
    try:
        frozen(env_kwargs)
    except ValueError as error:
        raise InputError(f"env_kwargs: {error}.") from None
    found = find_entry(env, env_kwargs, algorithm)
    return found if found is not None else named_entry(entry_name(env, env_kwargs, {}), algorithm)
