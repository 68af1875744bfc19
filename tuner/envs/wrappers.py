"""Wrappers of Gymnasium and of packages around an environment (``--wrapper NAME``), and which one would help.

Training sees what they make of rewards; evaluation counts the environment's own, as RL Zoo's monitor inside of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled

from tuner.envs.registration import import_module, importable, one_line, quiet
from tuner.envs.wrapper_names import GYMNASIUM, parts
from tuner.errors import MissingExtraError, UnusableEnvironmentError, nearest

AnyEnv = gymnasium.Env[Any, Any]

#: Package -> the extra that brings it.
EXTRAS = {
    "minigrid": "minigrid", "highway_env": "highway", "minatar": "minatar", "flappy_bird_gymnasium": "flappy",
    "sb3_contrib": "contrib",
}  # fmt: skip

#: Wrappers of Gymnasium that are not taken -> why, and what to do instead.
_REFUSED = {
    "NormalizeObservation": "keeps statistics that evaluation would not share. Use --set normalize_observations=true",
    "NormalizeReward": "keeps statistics that no other process shares. Use --set normalize_rewards=true",
    "RecordVideo": "writes files. Use --record, or tune record",
    "HumanRendering": "opens a window. Use tune enjoy",
}


#: Where Stable-Baselines3's Monitor is, which writes every episode into a file if it is given one.
_MONITOR = "stable_baselines3.common.monitor"


class OwnRewards(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Around wrappers: the rewards of the environment inside of them, those of all its steps since the last one here.

    Args:
        env: The wrapped environment.
        own: What :class:`Counting` has put inside of the wrappers.
    """

    def __init__(self, env: AnyEnv, own: Counting) -> None:
        super().__init__(env)
        self._own = own

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        returned = self.env.reset(**kwargs)
        self._own.collected = 0.0
        return returned

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, _, terminated, truncated, info = self.env.step(action)
        reward, self._own.collected = self._own.collected, 0.0
        return observation, reward, terminated, truncated, info


class Counting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Inside of wrappers: collects the rewards of the environment.

    Attributes:
        collected: Their sum since somebody set it to 0.
    """

    def __init__(self, env: AnyEnv) -> None:
        super().__init__(env)
        self.collected: Any = 0.0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        returned = self.env.step(action)
        self.collected = self.collected + returned[1]
        return returned


def wrapped(env: AnyEnv, wrappers: Sequence[str], *, training: bool) -> AnyEnv:
    """Return an environment in its wrappers.

    Args:
        env: The environment.
        wrappers: Texts as :func:`tuner.envs.wrapper_names.canonical` gives them, innermost first.
        training: Whether an agent learns from it, and so from the rewards that wrappers make.

    Raises:
        UnusableEnvironmentError: A wrapper is unknown, none of Gymnasium's, or does not take the environment.
        MissingExtraError: Its package is not installed.
    """
    own = Counting(env)
    around: AnyEnv = env if training else own
    for text in wrappers:
        module, name, arguments = parts(text)
        wrapper = wrapper_class(module, name)
        if arguments.get("filename") is not None and wrapper.__module__ == _MONITOR:
            raise UnusableEnvironmentError(f"--wrapper {name} with a filename writes files. Leave filename out.")
        if module.startswith(GYMNASIUM):  # some of these take tuples and no lists, which YAML and JSON alone have
            arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
        try:
            around = wrapper(around, **arguments)
        except DependencyNotInstalled as error:
            raise UnusableEnvironmentError(
                f"--wrapper {name} needs a package that is not installed: {one_line(error)}"
            ) from error
        except Exception as error:  # a wrapper's own code may raise anything
            raise UnusableEnvironmentError(
                f"--wrapper {text} cannot be put around it: {one_line(error).rstrip('.')}. Give other arguments, or "
                "leave it out."
            ) from error
        if not isinstance(around, gymnasium.Env):
            raise UnusableEnvironmentError(f"--wrapper {text} made a {type(around).__name__}, no environment.")
    return around if training else OwnRewards(around, own)


def wrapper_class(module: str, name: str) -> type[gymnasium.Wrapper[Any, Any, Any, Any]]:
    """Return a wrapper's class.

    Raises:
        UnusableEnvironmentError: There is none of that name, or it is not taken; the message names the nearest.
        MissingExtraError: Its package is not installed.
    """
    package = module.partition(".")[0]
    if package == "tuner":
        raise UnusableEnvironmentError(f"--wrapper {module}.{name} is tune's own. Use --discretize or --frame-stack.")
    try:
        with quiet(), importable(module):
            import_module(module)
    except UnusableEnvironmentError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name == package and package in EXTRAS:
            raise MissingExtraError(
                f"--wrapper {module}.{name} needs the package '{package}', which is not installed. "
                f"Install it with: pip install 'tune-dqn[{EXTRAS[package]}]'"
            ) from error
        raise UnusableEnvironmentError(f"--wrapper {module}.{name}: {error}") from error
    holder = importlib.import_module(module)
    try:
        found = getattr(holder, name)
    except Exception as error:  # Gymnasium's says that a wrapper has another name now
        own = {n for n, value in vars(holder).items() if _is_wrapper(value) and value.__module__ != "gymnasium.core"}
        renamed = f" {error}." if "renamed" in str(error) else ""
        hint = renamed or nearest(name, own) or f" It has: {', '.join(sorted(own)) or 'none'}."
        raise UnusableEnvironmentError(f"There is no wrapper '{name}' in {module}.{hint}") from error
    if not _is_wrapper(found):
        what = f"the class {name}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise UnusableEnvironmentError(
            f"--wrapper {module}.{name} must be a subclass of gymnasium.Wrapper, got {what}. Name another."
        )
    if found.__module__.startswith(f"{GYMNASIUM}.") and (why := _REFUSED.get(found.__name__)):
        raise UnusableEnvironmentError(f"--wrapper {name} {why}.")
    wrapper: type[gymnasium.Wrapper[Any, Any, Any, Any]] = found
    return wrapper


def _is_wrapper(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, gymnasium.Wrapper)


def helpful(space: spaces.Space[Any]) -> str:
    """Return which wrapper would make observations readable that are not, as an instruction; empty where none would."""
    if not isinstance(space, spaces.Dict):
        return ""
    readable = [key for key, part in space.spaces.items() if _is_readable(part)]
    if not readable or len(readable) == len(space.spaces):
        return ""
    keys = ", ".join(map(str, readable))
    return f" Use --wrapper 'FilterObservation:{{filter_keys: [{keys}]}}' to see these alone."


def _is_readable(space: spaces.Space[Any]) -> bool:
    numbers = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    if isinstance(space, spaces.Dict):
        return all(map(_is_readable, space.spaces.values()))
    return all(map(_is_readable, space.spaces)) if isinstance(space, spaces.Tuple) else isinstance(space, numbers)
