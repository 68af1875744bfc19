"""From an environment's name to the environment, and what is known of it before any training.

Everything that can be wrong with an environment is found here, before a study writes its first byte.
"""

from __future__ import annotations

import difflib
import inspect as signatures
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs import registration as gym_registration
from gymnasium.error import DependencyNotInstalled

from tuner.envs.encoders import encoder_for
from tuner.envs.probe import register_probes
from tuner.envs.registration import import_module, importable, one_line, quiet, register_atari
from tuner.envs.spec import EnvSpec
from tuner.envs.successors import explain_unknown
from tuner.errors import UnusableEnvironmentError

#: Cap on an evaluation episode, in steps, where the environment has no limit of its own.
DEFAULT_EVAL_MAX_STEPS = 1_000

#: Cap on an Atari evaluation episode, in frames: 7.5 minutes of play at 60 frames/s, a quarter of the game's own cap.
ATARI_EVAL_MAX_FRAMES = 27_000

#: Package that an environment's import misses -> what brings it.
INSTALL = {"box2d": "tune-dqn[box2d]", "mujoco": "gymnasium[mujoco]", "jax": "gymnasium[jax]", "ale": "ale-py"}

AnyEnv = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class EnvFacts:
    """What is known of an environment before training.

    Attributes:
        observation: The observation space in words, such as ``Box(4,) float32``.
        n_actions: Number of actions, >= 1; the environment's own numbers begin at ``action_space.start``.
        max_episode_steps: The environment's own step limit, or None.
        reward_threshold: The return at which it counts as solved, or None.
        eval_max_steps: Cap on an evaluation episode in steps: the own limit, else 1,000; Atari 27,000 frames.
        observation_space: The space itself.
        action_space: The space itself.
    """

    observation: str
    n_actions: int
    max_episode_steps: int | None
    reward_threshold: float | None
    eval_max_steps: int
    observation_space: spaces.Space[Any]
    action_space: spaces.Discrete


def make(spec: EnvSpec, render_mode: str | None = None) -> AnyEnv:
    """Make the environment, with its own time limit and without Gymnasium's per-step checks.

    Args:
        spec: Its name.
        render_mode: ``rgb_array`` for video; None draws nothing.

    Raises:
        UnusableEnvironmentError: Unknown or outdated id, missing package, bad argument, broken module.
    """
    if spec.pixels:
        raise UnusableEnvironmentError("--pixels is not supported yet: DQN learns from vectors and numbers so far.")
    prefix, _, env_id = spec.id.rpartition(":")
    kwargs = dict(spec.kwargs)
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    with quiet(), importable(spec.module), importable(prefix or None):
        for module in filter(None, (spec.module, prefix)):
            import_module(module)
        if env_id.startswith("ALE/") or env_id.endswith("NoFrameskip-v4"):
            register_atari()
        if env_id.startswith("tune/"):
            register_probes()
        if env_id not in gym_registration.registry:
            raise UnusableEnvironmentError(explain_unknown(env_id))
        try:
            return gymnasium.make(env_id, disable_env_checker=True, **kwargs)
        except DependencyNotInstalled as error:
            raise UnusableEnvironmentError(_missing_package(env_id, error)) from error
        except ModuleNotFoundError as error:
            raise UnusableEnvironmentError(f"{env_id} needs '{error.name}', which is not installed.") from error
        except Exception as error:  # the environment's own code may raise anything
            raise UnusableEnvironmentError(_cannot_make(env_id, kwargs, error)) from error


def inspect(spec: EnvSpec, algorithm: str) -> EnvFacts:
    """Make the environment once, look at it and close it.

    Args:
        spec: Its name.
        algorithm: Name of the algorithm that will be trained on it.

    Raises:
        UnusableEnvironmentError: It cannot be made, or its spaces do not fit the algorithm; one line says why.
    """
    env = make(spec)
    try:
        observation_space, action_space = env.observation_space, env.action_space
        limit = _step_limit(env)
        threshold = env.spec.reward_threshold if env.spec is not None else None
        eval_max_steps = _eval_max_steps(env, limit)
    finally:
        env.close()
    if not isinstance(action_space, spaces.Discrete):
        raise UnusableEnvironmentError(
            f"{algorithm.upper()} needs a Discrete action space; {spec.id} has {_short(action_space)}."
        )
    try:
        encoder_for(observation_space)
    except UnusableEnvironmentError as error:
        raise UnusableEnvironmentError(f"{spec.id}: {error}") from error
    return EnvFacts(
        observation=describe(observation_space),
        n_actions=int(action_space.n),
        max_episode_steps=limit,
        reward_threshold=threshold,
        eval_max_steps=eval_max_steps,
        observation_space=observation_space,
        action_space=action_space,
    )


def describe(space: spaces.Space[Any]) -> str:
    """Return a space in a few characters: ``Box(4,) float32``, ``Discrete(16)``, ``Tuple``."""
    if isinstance(space, spaces.Box):
        return f"Box{space.shape} {space.dtype}"
    if isinstance(space, spaces.Discrete):
        return f"Discrete({space.n})" if space.start == 0 else f"Discrete({space.n}, start={space.start})"
    return type(space).__name__


def _short(space: spaces.Space[Any]) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else describe(space)


def _step_limit(env: AnyEnv) -> int | None:
    """Return the smallest time limit among the wrappers."""
    limits = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            limits.append(int(env._max_episode_steps))
        env = env.env
    return min(limits, default=None)


def _eval_max_steps(env: AnyEnv, limit: int | None) -> int:
    if env.spec is not None and str(env.spec.entry_point).startswith("ale_py"):
        frameskip = getattr(env.unwrapped, "_frameskip", 4)  # a number, or the bounds of a random one
        frames = frameskip if isinstance(frameskip, int) else max(frameskip)
        cap = ATARI_EVAL_MAX_FRAMES // frames
        return cap if limit is None else min(cap, limit)
    return DEFAULT_EVAL_MAX_STEPS if limit is None else limit


def _missing_package(env_id: str, error: DependencyNotInstalled) -> str:
    text = str(error).lower()
    for package, install in INSTALL.items():
        if package in text:
            return f"{env_id} needs a package that is not installed. Install it with: pip install '{install}'"
    return f"{env_id} needs a package that is not installed: {one_line(error)}"


def _cannot_make(env_id: str, kwargs: Mapping[str, Any], error: Exception) -> str:
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
