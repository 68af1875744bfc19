"""Why an environment cannot be made, in a line: the package or the argument that it lacks."""

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


def _known_arguments(env_id: str) -> list[str]:
    """Return the names that the environment's constructor takes, or an empty list where it takes any."""
    entry = gym_registration.registry[env_id].entry_point
    if entry is None:
        return []
    try:
        creator = gym_registration.load_env_creator(entry) if isinstance(entry, str) else entry
        parameters = signatures.signature(creator).parameters
    except (ImportError, AttributeError, TypeError, ValueError):
        return []
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    return [name for name in parameters if name not in ("self", "render_mode")] + ["max_episode_steps"]
