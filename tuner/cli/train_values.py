"""Where ``tune train`` takes its values from where no file says: the library, else the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class, trains
from tuner.plan.recipe import StudyRecipe

if TYPE_CHECKING:
    from tuner.library.entry import Entry

#: Words of ``--config``.
LIBRARY, DEFAULTS = "library", "defaults"


def values_of(asked: Mapping[str, Any], config: str | None) -> tuple[str | None, str]:
    """Return the file that a training takes its values from, or None for the defaults, and a line that says so.

    Args:
        asked: Settings of the command line, by name.
        config: ``--config``, or None.

    Returns:
        The line is empty where a file was named.

    Raises:
        InputError: ``--config library``, and the library has nothing that trains here.
    """
    if config not in (None, LIBRARY, DEFAULTS):
        return config, ""
    if config == LIBRARY and not asked.get("env"):
        raise InputError("--env is missing: which environment's setting of the library, such as --env CartPole-v1.")
    entry, lack = _usable(asked)
    if config == LIBRARY and entry is None:
        raise InputError(f"--config library: {lack} Use --config FILE or --config defaults.")
    if entry is None or config == DEFAULTS or (config is None and asked.get("set")):
        return None, _defaults_line(asked, entry, "" if config == DEFAULTS or asked.get("set") else lack)
    from tuner.library.catalog import library_file
    from tuner.library.words import verdict_text

    whose = "" if config == LIBRARY else " --config defaults takes the defaults."
    line = (
        f"Values are the library's for {entry.name}, verdict {verdict_text(entry)} (tune settings {entry.name}).{whose}"
    )
    return str(library_file(entry)), line


def _usable(asked: Mapping[str, Any]) -> tuple[Entry | None, str]:
    """Return the library's entry for what is asked for, or None and why there is none."""
    from tuner.library.catalog import find_entry
    from tuner.library.names import changes_of

    recipe = StudyRecipe()
    env, algorithm = str(asked.get("env", "")), str(asked.get("algo", recipe.algo))
    changes = changes_of(asked)
    entry = find_entry(env, asked.get("env_arg", {}), algorithm, changes, asked.get("env_module"))
    if entry is None:
        with_arguments = " with these arguments" if asked.get("env_arg") or changes else ""
        return None, f"The library has no setting of {algorithm} for {env}{with_arguments}."
    backend = str(asked.get("backend", recipe.backend))
    if not trains(backend, entry.hyperparameters):
        return None, f"The library's setting for {entry.name} uses what --backend {backend} lacks."
    return entry, ""


def _defaults_line(asked: Mapping[str, Any], entry: Entry | None, lack: str) -> str:
    algorithm = str(asked.get("algo", StudyRecipe().algo))
    whose = "Stable-Baselines3's defaults" if algorithm_class(algorithm).zoo_name() else "defaults"
    other = "--config library takes the library's" if entry is not None else "--config takes an export"
    words = f"alues without --set are {whose} (tune spaces --fields --algo {algorithm}); {other}."
    return f"{lack[:-1]}: v{words}" if lack else f"V{words}"
