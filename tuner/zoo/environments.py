"""How RL Zoo's YAML says what is done to an environment, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tuner.envs.wrapper_names import beyond_zoo, canonicals, to_zoo_form
from tuner.errors import InputError

ATARI_WRAPPER = "stable_baselines3.common.atari_wrappers.AtariWrapper"
FLATTEN_WRAPPER = "gymnasium.wrappers.FlattenObservation"
DISCRETIZE_WRAPPER = "tuner.envs.discrete_actions.DiscreteActions"
REAL_NUMBERS = {"gymnasium.wrappers.DtypeObservation": {"dtype": "float32"}}

#: Why stacked observations cannot be normalised in RL Zoo's form.
STACKED_AND_NORMALIZED = "RL Zoo normalises observations (norm_obs) before it stacks them (frame_stack), not after."

#: Smallest image that Stable-Baselines3's CnnPolicy takes.
MIN_IMAGE = 36


def to_zoo(
    preprocessing: Mapping[str, Any], env_kwargs: Mapping[str, Any], arguments: Mapping[str, Any], *, vectors: bool
) -> tuple[dict[str, Any], str]:
    """Return the Zoo's keys for an environment.

    Args:
        preprocessing: What is done to it, as :class:`~tuner.envs.make.EnvFacts` has it.
        env_kwargs: Its keyword arguments.
        arguments: The Zoo's keys for what trains in it. Stable-Baselines3's VecNormalize (``normalize``) takes nothing
            but vectors as observations; flattened, numbers are the one-hot vectors that a network sees of them anyway.
        vectors: Whether the policy takes nothing but vectors either.

    Returns:
        (settings with ``policy`` and, where needed, ``env_wrapper``, ``frame_stack`` and ``env_kwargs``; why the Zoo
        cannot express it, or an empty string).
    """
    kwargs = dict(env_kwargs)
    settings: dict[str, Any] = {"policy": "MlpPolicy"}
    normalize = arguments.get("normalize") or {}
    if why := _beyond(preprocessing, kwargs, arguments):
        return settings, why
    if "frame_skip" in preprocessing:
        # The wrapper skips frames: the environment must not skip as well.
        kwargs["frameskip"] = 1
        skip = preprocessing["frame_skip"]
        wrapper: Any = ATARI_WRAPPER if skip == 4 else {ATARI_WRAPPER: {"frame_skip": skip}}
        settings = {"policy": "CnnPolicy", "env_wrapper": [wrapper], "frame_stack": preprocessing["stack"]}
    elif "image" in preprocessing:
        settings["policy"] = "CnnPolicy"
    elif "flattened" in preprocessing or ("encoded" in preprocessing and (normalize or vectors)):
        settings["env_wrapper"] = [FLATTEN_WRAPPER]
    if normalize.get("norm_obs") and "whole_numbers" in preprocessing:
        # Rollouts keep normalised observations in the type that the space has, which would cut them.
        settings["env_wrapper"] = [*settings.get("env_wrapper", ()), REAL_NUMBERS]
    if wrappers := preprocessing.get("wrapper"):
        settings["env_wrapper"] = [*map(to_zoo_form, wrappers), *settings.get("env_wrapper", ())]
    if "frame_stack" in preprocessing:
        settings["frame_stack"] = preprocessing["frame_stack"]
    if steps := preprocessing.get("discretize"):
        settings["env_wrapper"] = [*settings.get("env_wrapper", ()), {DISCRETIZE_WRAPPER: {"steps": steps}}]
    return settings | ({"env_kwargs": kwargs} if kwargs else {}), ""


def _beyond(preprocessing: Mapping[str, Any], env_kwargs: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return why the Zoo cannot express an environment; empty where it can."""
    normalize = arguments.get("normalize") or {}
    if preprocessing.get("observation") == "rendered frames":
        return "RL Zoo does not train on rendered frames (--pixels)."
    if preprocessing.get("needs_wrapper"):
        return str(preprocessing["needs_wrapper"])
    if why := beyond_zoo(preprocessing.get("wrapper") or ()):
        return why
    if normalize and "image" in preprocessing:
        return "RL Zoo cannot normalise rewards where observations are images."
    if normalize and "frame_stack" in preprocessing:
        if normalize["norm_obs"]:
            return STACKED_AND_NORMALIZED
        if "buffer_size" in arguments:
            return "RL Zoo cannot replay stacked observations (frame_stack) where rewards are normalised (norm_reward)."
    shape = preprocessing.get("action_shape")
    if shape is not None and (not shape or "noise_type" in arguments):
        what = "noise upon actions" if shape else "continuous actions"
        return f"RL Zoo takes {what} of one dimension, and they have {len(shape)}."
    if "frame_skip" in preprocessing:
        if "max_episode_steps" in env_kwargs:
            return "RL Zoo counts the frames of a game (max_episode_steps), not the agent's steps."
    elif "image" in preprocessing and min(preprocessing["image"][1:]) < MIN_IMAGE:
        return f"Stable-Baselines3's CnnPolicy takes images of at least {MIN_IMAGE} x {MIN_IMAGE}."
    return ""


class FromZoo(NamedTuple):
    """Settings of RL Zoo, what surrounds them told apart.

    Attributes:
        settings: Without what :func:`to_zoo` writes.
        env_kwargs: Keyword arguments of the environment.
        discretize: Steps that each dimension of its actions is cut into, or None.
        frame_stack: Last observations that are seen as one, or None.
        wrapper: Wrappers around it, innermost first, as ``--wrapper`` takes them.
        policy: ``MlpPolicy`` or ``CnnPolicy``, the one for images; None where none is named.
    """

    settings: dict[str, Any]
    env_kwargs: dict[str, Any]
    discretize: int | None
    frame_stack: int | None
    wrapper: tuple[str, ...]
    policy: str | None


def from_zoo(env: str, settings: Mapping[str, Any]) -> FromZoo:
    """Return what :func:`to_zoo` has written, read back.

    Raises:
        InputError: A wrapper or policy stands for something that is done differently here.
    """
    rest = dict(settings)
    kwargs = rest.pop("env_kwargs", None) or {}
    kwargs = named_values("env_kwargs", kwargs)
    listed = rest.pop("env_wrapper", None)
    names = listed if isinstance(listed, list) else [] if listed is None else [listed]
    discretize = None
    if names and (last := _split(names[-1]))[0] == DISCRETIZE_WRAPPER:
        discretize, names = _steps(env, last[1]), names[:-1]
    wrapper, arguments = _split(names[0] if len(names) == 1 else None)
    policy = rest.pop("policy", None)
    if wrapper == ATARI_WRAPPER and rest.get("frame_stack") == 4 and set(arguments) <= {"frame_skip"}:
        del rest["frame_stack"]
        names = []
        kwargs.pop("frameskip", None)
        if arguments.get("frame_skip", 4) != 4:
            kwargs["frameskip"] = arguments["frame_skip"]
    elif unmet := next((each for each in names if _split(each)[0] in (ATARI_WRAPPER, DISCRETIZE_WRAPPER)), None):
        raise InputError(f"{env}: env_wrapper: {unmet!r} is not supported in this place; take it out.")
    if policy not in (None, "MlpPolicy", "CnnPolicy"):
        raise InputError(f"{env}: policy must be MlpPolicy or CnnPolicy, got {policy!r}.")
    frame_stack = None
    if policy != "CnnPolicy" and rest.get("frame_stack") not in (None, 1):
        frame_stack = whole_number_from_2(f"{env}: frame_stack", rest.pop("frame_stack"))
    wrappers = wrappers_of(f"{env}: env_wrapper", names)
    return FromZoo(rest, kwargs, discretize, frame_stack, wrappers, policy)


def wrappers_of(name: str, listed: Any) -> tuple[str, ...]:
    """Return the wrappers that a file lists, as ``--wrapper`` takes them.

    Raises:
        InputError: One is written otherwise.
    """
    try:
        return canonicals(listed)
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix('--wrapper ')}") from None


def named_values(key: str, value: Any) -> dict[str, Any]:
    """Return a mapping of a file, its own.

    Raises:
        InputError: It is none, or a key of it is no text.
    """
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{key}: must be a mapping from names to values, got {value!r}.")
    return dict(value)


def whole_number_from_2(name: str, value: Any) -> int:
    """Return the number.

    Raises:
        InputError: It is none of at least 2.
    """
    if type(value) is not int or value < 2:
        raise InputError(f"{name}: must be a whole number of at least 2, got {value!r}.")
    return value


def _steps(env: str, arguments: Mapping[str, Any]) -> int:
    if set(arguments) != {"steps"}:
        raise InputError(f"{env}: {DISCRETIZE_WRAPPER} takes steps and nothing else, got {arguments!r}.")
    return whole_number_from_2(f"{env}: {DISCRETIZE_WRAPPER}: steps", arguments["steps"])


def _split(wrapper: Any) -> tuple[str, dict[str, Any]]:
    """Return a wrapper's name and arguments."""
    if isinstance(wrapper, dict) and len(wrapper) == 1:
        name, arguments = next(iter(wrapper.items()))
        return str(name), dict(arguments) if isinstance(arguments, dict) else {"?": arguments}
    return str(wrapper), {}
