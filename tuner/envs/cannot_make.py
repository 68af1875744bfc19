"""Why an environment cannot be made, or not as it was meant, in a line: the package or argument that it lacks."""

from __future__ import annotations

import difflib
import inspect as signatures
from collections.abc import Mapping
from typing import Any

from gymnasium.envs import registration as gym_registration
from gymnasium.error import DependencyNotInstalled

from tuner.envs.registration import one_line

#: Package that an environment's import misses -> what brings it.
INSTALL = {
    "box2d": "tune-dqn[box2d]", "mujoco": "gymnasium[mujoco]", "jax": "gymnasium[jax]", "ale": "ale-py",
    "pygame": "pygame-ce",
}  # fmt: skip

#: Text for a truth value, as YAML 1.1 and people write it.
_TRUTH = {
    "true": True, "yes": True, "y": True, "on": True, "false": False, "no": False, "n": False, "off": False,
}  # fmt: skip


def missing_package(env_id: str, error: DependencyNotInstalled) -> str:
    """Return which package an environment needs, and what installs it."""
    text = str(error).lower()
    for package, install in INSTALL.items():
        if package in text:
            return f"{env_id} needs a package that is not installed. Install it with: pip install '{install}'"
    return f"{env_id} needs a package that is not installed: {one_line(error)}"


def cannot_make(env_id: str, kwargs: Mapping[str, Any], error: Exception) -> str:
    """Return what its own code raised of which arguments; of one that it does not take, the nearest that it does."""
    known = _known_arguments(env_id)
    unknown = [name for name in kwargs if name not in known] if known else []
    if isinstance(error, TypeError) and unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        return f"{env_id} takes no argument '{unknown[0]}'.{hint} It takes: {', '.join(known)}."
    given = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return f"{env_id} cannot be made{f' with {given}' if given else ''}: {one_line(cause)}"


def misread_argument(env_id: str, kwargs: Mapping[str, Any]) -> str:
    """Return what is wrong with text given for a truth value, which is true to Python whatever it says; empty if none.

    So is a truth value given for a number of steps.

    Known only of arguments that are true or false by default. Where such a one is not declared a ``bool``, it may take
    other text; words for true and false alone are refused then.
    """
    limit = kwargs.get("max_episode_steps")
    if isinstance(limit, bool):  # Gymnasium takes true for one step
        return f"max_episode_steps must be a whole number, got {str(limit).lower()}. Say max_episode_steps=500."
    parameters = _parameters(env_id)
    for name, value in kwargs.items():
        if name not in parameters or not isinstance(parameters[name].default, bool):
            continue
        declared = parameters[name].annotation in (bool, "bool")
        meant = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
        if meant is not None and (declared or parameters[name].annotation is signatures.Parameter.empty):
            return f"{name} must be true or false, got '{value}'. Say {name}={str(meant).lower()}."
        if declared and not (value is None or isinstance(value, int | float)):
            shown = f"'{value}'" if isinstance(value, str) else repr(value)
            return f"{name} must be true or false, got {shown}. Say {name}=true or {name}=false."
    return ""


def _known_arguments(env_id: str) -> list[str]:
    """Return the names that the environment's constructor takes, or an empty list where it takes any."""
    parameters = _parameters(env_id)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    return [name for name in parameters if name not in ("self", "render_mode")] + ["max_episode_steps"]


def _parameters(env_id: str) -> Mapping[str, signatures.Parameter]:
    """Return the parameters of the environment's constructor; empty where they cannot be known."""
    entry = gym_registration.registry[env_id].entry_point
    if entry is None:
        return {}
    try:
        creator = gym_registration.load_env_creator(entry) if isinstance(entry, str) else entry
        return signatures.signature(creator).parameters
    except (ImportError, AttributeError, TypeError, ValueError):
        return {}
