"""One look at an environment in a child process, before anything is written: made, reset, stepped and closed.

What the environment does to its process (exits, threads, another working directory) ends with the child.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tuner.envs.actions import Actions
from tuner.envs.cannot_make import misread_argument
from tuner.envs.child import Kept, call_in_child
from tuner.envs.encoders import Encoder
from tuner.envs.make import AnyEnv, EnvFacts, inspect
from tuner.envs.random_play import play_at_random
from tuner.envs.registration import one_line, quiet
from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec
from tuner.errors import UnknownEnvironmentError, UnusableEnvironmentError
from tuner.surroundings import Surroundings

#: Random steps taken.
STEPS = 20

_LEADS_OUT = "Gymnasium's check_env() says more."


class RegisteredHereError(UnusableEnvironmentError):
    """An id that this process alone has registered.

    Attributes:
        where: Which of its code has, in words; and what to do so that workers know it, as the end of a sentence.
    """

    def __init__(self, env: str, where: str, way_out: str) -> None:
        super().__init__(
            f"{env} is registered in {where}, which workers do not import. {way_out}, or train here with "
            "executor='inline'."
        )
        self.where, self.way_out = where, way_out


def preflight(
    spec: EnvSpec, algorithm: str, *, inline: bool = False, play_from: int | None = None, stored: bool = False
) -> EnvFacts:
    """Make the environment, reset it, take some random steps and close it; return what is known of it.

    One that has passed is not looked at again in this process while its files are the same.

    Args:
        spec: Its name.
        algorithm: Name of the algorithm that will be trained on it.
        inline: Look in this very process, for those who train in it too: environments may be registered only there.
        play_from: Seed of the first episode of random play, which comes after the look; None plays none.
        stored: Whether runs in it are there: its arguments are then as they were, even those that mean something else.

    Raises:
        RegisteredHereError: This process knows it, and a process of its own does not.
        UnusableEnvironmentError: A call raised, ended its process, did not come back, or returned what neither its
            spaces nor Gymnasium's API allow; one line names the call.
    """
    if inline or os.name != "posix":
        with Surroundings.kept():
            return _look(spec, algorithm, play_from, stored, lambda call: None)
    try:
        return _look_in_child(spec, algorithm, play_from, stored, source_digest(spec))
    except UnknownEnvironmentError as error:
        raise (_registered_only_here(spec) or error) from None


@functools.lru_cache(maxsize=64)
def _look_in_child(spec: EnvSpec, algorithm: str, play_from: int | None, stored: bool, files: str | None) -> EnvFacts:
    return call_in_child(_look, spec, algorithm, play_from, stored, subject=spec.id, first="gymnasium.make()")


def _registered_only_here(spec: EnvSpec) -> RegisteredHereError | None:
    """Return what to say of an unknown id that this process has registered all the same, else None."""
    entry = gymnasium.registry.get(spec.id.rpartition(":")[2])
    if entry is None or entry.entry_point is None:
        return None
    made_by = entry.entry_point
    module = made_by.partition(":")[0] if isinstance(made_by, str) else made_by.__module__
    where, file = ("your script", "my_env.py") if module == "__main__" else (f"this process ('{module}')", module)
    return RegisteredHereError(
        spec.id, where, f"Put it into a module and give env_module='{file}' (--env-module {file})"
    )


def _look(spec: EnvSpec, algorithm: str, play_from: int | None, stored: bool, tell: Callable[[Any], None]) -> EnvFacts:
    def call(name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        tell(name)
        try:
            return function(*arguments, **named)
        except (Exception, SystemExit) as error:
            raise UnusableEnvironmentError(
                f"{spec.id}: {name} raised {one_line(error)}.{_hint(name, error)}"
            ) from error

    def play(env: AnyEnv, encoder: Encoder) -> None:
        if not stored and (misread := misread_argument(spec.id.rpartition(":")[2], spec.arguments())):
            raise UnusableEnvironmentError(f"{spec.id}: --env-arg {misread}")
        problem = _play(env, encoder, call)
        if problem:
            raise UnusableEnvironmentError(f"{spec.id}: {problem}. {_LEADS_OUT}")

    try:
        with quiet():
            facts = inspect(spec, algorithm, play, lambda env: call("close()", env.close))
            if play_from is None:
                return facts
            tell(Kept(facts))
            played = play_at_random(spec, play_from, facts.eval_max_steps)
            return dataclasses.replace(facts, random_play=played)
    except SystemExit as error:
        raise UnusableEnvironmentError(f"{spec.id}: gymnasium.make() raised {one_line(error)}.") from error


def _hint(name: str, error: BaseException) -> str:
    text = str(error)
    if name.startswith("step(") and "values to unpack" in text:
        return " It must return (observation, reward, terminated, truncated, info)."
    if name.startswith("reset(") and "values to unpack" in text:
        return " It must return (observation, info)."
    if name.startswith("reset(") and "unexpected keyword" in text:
        return " Its signature is reset(self, *, seed=None, options=None)."
    if name.startswith("reset(") and isinstance(error, KeyError | TypeError | AttributeError):
        return " Nobody gives it options here: where it needs some, it takes its own, or a wrapper's."
    return ""


def _play(env: AnyEnv, encoder: Encoder, call: Callable[..., Any]) -> str:
    """Take some steps; return what is wrong with what they returned, or an empty string."""
    space, actions = env.observation_space, env.action_space
    assert isinstance(actions, spaces.Discrete | spaces.Box)
    draws = np.random.default_rng(0)
    for step in range(STEPS):
        if step == 0:
            returned = call("reset(seed=0)", env.reset, seed=0)
            if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[1], Mapping):
                return f"reset() must return (observation, info), got {_shown(returned)}"
            observation, terminated, truncated = returned[0], False, False
            name = "reset()"
        else:
            name = "step()"
            action = Actions(actions).draw(draws) + getattr(actions, "start", 0)
            returned = call(f"step({action})", env.step, action)
            if not isinstance(returned, tuple) or len(returned) != 5:
                return f"step() must return (observation, reward, terminated, truncated, info), got {_shown(returned)}"
            observation, reward, terminated, truncated, info = returned
            if not _is_number(reward):
                return f"step() must return a reward that is one number, got {_shown(reward)}"
            for word, value in (("terminated", terminated), ("truncated", truncated)):
                if not _is_truth(value):
                    return f"step() must return {word} that is true or false, got {_shown(value)}"
            if not isinstance(info, Mapping):
                return f"step() must return a mapping as info, got {_shown(info)}"
        problem = misfit(space, observation)
        if problem:
            return f"{name} returned an observation outside of its space: {problem}"
        try:
            encoder.store(observation)
        except Exception as error:  # whatever a value that cannot be read brings about
            return f"{name} returned an observation that cannot be read: {one_line(error)}"
        if terminated or truncated:
            call("reset()", env.reset)
    return ""


def misfit(space: spaces.Space[Any], value: Any, where: str = "") -> str:
    """Return what keeps a value from being used as a member of the space, or an empty string.

    Laxer than ``space.contains``: numbers of another type, and vectors beyond their bounds, train all the same.
    """
    at = f"at {where}, " if where else ""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping):
            return f"{at}it must be a dict, got {_shown(value)}"
        missing = [key for key in space.spaces if key not in value]
        if missing:
            return f"{at}the key '{missing[0]}' is missing"
        parts = [(part, value[key], f"{where}[{key!r}]") for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            return f"{at}it must be a tuple of {len(space.spaces)}, got {_shown(value)}"
        parts = [(part, value[i], f"{where}[{i}]") for i, part in enumerate(space.spaces)]
    else:
        return at + problem if (problem := _misfit_of_numbers(space, value)) else ""
    return next((found for part in parts if (found := misfit(*part))), "")


def _misfit_of_numbers(space: spaces.Space[Any], value: Any) -> str:
    try:
        numbers = np.asarray(value)
        shape = () if isinstance(space, spaces.Discrete) else space.shape
        if numbers.dtype.kind not in "biuf":
            return f"it must be made of numbers, got {_shown(value)}"
        if shape is not None and numbers.shape != shape and not (shape == () and numbers.size == 1):
            return f"its shape must be {shape}, got {numbers.shape}"
        if not np.isfinite(numbers).all():
            return f"it must be finite, got {_shown(value)}"
        discrete = isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
        if discrete and not space.contains(numbers.astype(space.dtype).reshape(shape or ())):
            return f"it must lie in {space}, got {_shown(value)}"
    except (TypeError, ValueError) as error:
        return f"{one_line(error)}; got {_shown(value)}"
    return ""


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"


def _is_truth(value: Any) -> bool:
    """Whether a value tells if an episode has ended; text, or a mapping of agents, is true whatever it says."""
    try:
        numbers = np.asarray(value)
        return value is None or (numbers.dtype.kind in "biuf" and numbers.size == 1 and numbers.item() in (0, 1))
    except (TypeError, ValueError):
        return False


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"
