"""From an environment's name to the environment, and what is known of it before any training.

Everything that can be wrong with an environment is found here, before a study writes its first byte.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs import registration as gym_registration
from gymnasium.error import DependencyNotInstalled

from tuner.envs.actions import Actions, unscalable, unusable
from tuner.envs.atari import AtariGame, AtariSettings
from tuner.envs.cannot_make import cannot_make, missing_package
from tuner.envs.discrete_actions import CONTINUOUS, USUAL_STEPS, DiscreteActions, most_steps
from tuner.envs.encoders import Encoder, check_size, encoder_for
from tuner.envs.families import bring
from tuner.envs.family_names import ATARI, family
from tuner.envs.needs_wrapper import for_zoo
from tuner.envs.pixels import PIXEL_SETTINGS, Pixels
from tuner.envs.registration import draw_without_a_display, import_module, importable, one_line, quiet
from tuner.envs.spec import EnvSpec
from tuner.envs.successors import explain_unknown
from tuner.envs.vector_stack import VectorStack
from tuner.envs.wrapper_names import parts
from tuner.envs.wrappers import helpful, wrapped, wrapper_class
from tuner.errors import UnknownEnvironmentError, UnusableEnvironmentError
from tuner.hyperparameters import ALGORITHMS, algorithm_class
from tuner.hyperparameters.sb3 import OffPolicy, OnPolicy
from tuner.surroundings import Surroundings
from tuner.text import counted, env_changes

#: Cap on an evaluation episode, in steps, where the environment has no limit of its own.
DEFAULT_EVAL_MAX_STEPS = 1_000

#: Cap on an Atari evaluation episode, in frames: 7.5 minutes of play at 60 frames/s, a quarter of the game's own cap.
ATARI_EVAL_MAX_FRAMES = 27_000

#: What to do about an action space that no algorithm acts in.
_NOBODY_TAKES = (
    " None of the algorithms here acts in it: put a wrapper around it that offers a Discrete or a Box one, "
    "--wrapper module:Class."
)

AnyEnv = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class RandomPlay:
    """Episodes of uniformly random actions.

    Attributes:
        returns: Undiscounted return of each whole episode; empty where none ended in time.
        step_s: Mean seconds of a step, resets included, without those in which other processes had the processor.
        computing_s: ... of which the processor was at work in this process; the rest is waiting.
        length: Mean steps of these episodes; 0 where none ended in time.
    """

    returns: tuple[float, ...]
    step_s: float
    computing_s: float
    length: float = 0.0

    @property
    def mean(self) -> float | None:
        """Mean return, or None."""
        return sum(self.returns) / len(self.returns) if self.returns else None


@dataclass(frozen=True)
class EnvFacts:
    """What is known of an environment before training.

    Attributes:
        observation: The observation space in words, such as ``Box(4,) float32``.
        n_actions: Number of actions, >= 1, or of numbers in a continuous one; the environment's own numbers of discrete
            ones begin at ``action_space.start``.
        max_episode_steps: The environment's own step limit, or None.
        reward_threshold: The return at which it counts as solved, or None.
        eval_max_steps: Cap on an evaluation episode in steps: the own limit, else 1,000; Atari 27,000 frames.
        observation_space: The space itself.
        action_space: The space itself.
        preprocessing: What is done to the environment before the agent sees it, plain data; empty where nothing is.
        random_play: What acting at random earns, and what a step takes; None where nobody has played.
    """

    observation: str
    n_actions: int
    max_episode_steps: int | None
    reward_threshold: float | None
    eval_max_steps: int
    observation_space: spaces.Space[Any]
    action_space: spaces.Discrete | spaces.Box
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    random_play: RandomPlay | None = None

    @cached_property
    def encoder(self) -> Encoder:
        """What makes its observations network input."""
        return encoder_for(self.observation_space)

    @property
    def actions(self) -> str:
        """What an agent does, in words: ``2 actions``, ``actions of 3 numbers``."""
        if isinstance(self.action_space, spaces.Discrete):
            return counted(self.n_actions, "action")
        return f"actions of {counted(self.n_actions, 'number')}"

    @property
    def changes(self) -> str:
        """How it is met other than it is, in words (:func:`tuner.text.env_changes`); empty where it is not."""
        return env_changes(self.preprocessing)


def make(spec: EnvSpec, render_mode: str | None = None, *, training: bool = False) -> AnyEnv:
    """Make the environment, with its own time limit and without Gymnasium's per-step checks.

    Atari games and what the spec says (``wrapper``, ``pixels``, ``frame_stack``, ``discretize``) come with their
    preprocessing, in this order from the inside.

    Args:
        spec: Its name.
        render_mode: ``rgb_array`` for video; None draws nothing.
        training: Whether an agent learns from it. Atari then ends episodes at lost lives and clips rewards; rewards are
            then those that wrappers make, else the environment's own.

    Raises:
        UnusableEnvironmentError: Unknown or outdated id, missing package, bad argument, broken module.
        MissingExtraError: The environment's package, or that of a wrapper, is not installed.
    """
    if spec.frame_stack is not None and spec.pixels:
        raise UnusableEnvironmentError(f"{spec.id}: --pixels shows the last frames already. Leave --frame-stack out.")
    if ("render_mode", "human") in spec.kwargs:
        raise UnusableEnvironmentError(
            f"{spec.id}: render_mode=human opens a window and waits for every frame. Leave it out; tune enjoy shows an "
            "agent."
        )
    env = _made(spec, render_mode, training=training)
    with _said_of(spec.id):
        if spec.frame_stack is not None:
            env = VectorStack(env, spec.frame_stack)
        return env if spec.discretize is None else DiscreteActions(env, spec.discretize)


@contextlib.contextmanager
def _said_of(env_id: str) -> Iterator[None]:
    """Put an environment's name before what is wrong with what is done to it."""
    try:
        yield
    except UnusableEnvironmentError as error:
        raise UnusableEnvironmentError(f"{env_id}: {error}") from error


def _made(spec: EnvSpec, render_mode: str | None, *, training: bool) -> AnyEnv:
    prefix, _, env_id = spec.id.rpartition(":")
    kwargs = spec.arguments()
    if render_mode is not None or spec.pixels:
        kwargs["render_mode"] = render_mode or "rgb_array"
        draw_without_a_display()
    with quiet(), importable(spec.module), importable(prefix or None):
        for module in filter(None, (spec.module, prefix)):
            import_module(module)
        bring(env_id)
        if env_id not in gym_registration.registry:
            raise UnknownEnvironmentError(explain_unknown(env_id))
        if spec.pixels and family(env_id) == ATARI:
            raise UnusableEnvironmentError(f"{env_id} is observed through its frames already. Leave --pixels out.")
        game = family(env_id) == ATARI and kwargs.get("obs_type") != "ram"
        if game and spec.wrapper:
            raise UnusableEnvironmentError(
                f"{env_id} is preprocessed as Atari usually is, and takes no --wrapper. Leave it out, or see the "
                "memory of the console: --env-arg obs_type=ram."
            )
        with _said_of(env_id):
            for text in spec.wrapper:  # imported while the working directory is the user's: environments change it
                wrapper_class(*parts(text)[:2])
        try:
            if game:
                return _make_atari(env_id, kwargs, training=training)
            env: AnyEnv = gymnasium.make(env_id, disable_env_checker=True, **kwargs)
        except DependencyNotInstalled as error:
            raise UnusableEnvironmentError(missing_package(env_id, error)) from error
        except ModuleNotFoundError as error:
            raise UnusableEnvironmentError(f"{env_id} needs '{error.name}', which is not installed.") from error
        except Exception as error:  # the environment's own code may raise anything
            raise UnusableEnvironmentError(cannot_make(env_id, kwargs, error)) from error
        with _said_of(env_id):
            if spec.wrapper:
                env = wrapped(env, spec.wrapper, training=training)
            return Pixels(env) if spec.pixels else env


def _make_atari(env_id: str, kwargs: dict[str, Any], *, training: bool) -> AnyEnv:
    """Make a game whose frames are skipped exactly once: the emulator's own skip is off, ours takes its place."""
    registered = dict(gym_registration.registry[env_id].kwargs)
    limit = kwargs.pop("max_episode_steps", None)
    # A `NoFrameskip` id means 'skip them yourself'.
    skip = kwargs.pop("frameskip", registered["frameskip"] if registered["frameskip"] != 1 else 4)
    if isinstance(skip, bool) or not isinstance(skip, int) or skip < 1:
        raise UnusableEnvironmentError(f"frameskip must be a whole number of at least 1, got {skip!r}.")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UnusableEnvironmentError(f"max_episode_steps must be a whole number of at least 1, got {limit!r}.")
    if kwargs.get("obs_type", "rgb") != "rgb" or kwargs.get("sound_obs") or kwargs.get("continuous"):
        raise UnusableEnvironmentError(
            f"{env_id} is observed as grey frames and played with buttons: leave obs_type, sound_obs and continuous "
            "out, or give obs_type=ram for the memory of the console."
        )
    env = gymnasium.make(env_id, disable_env_checker=True, frameskip=1, **kwargs).unwrapped
    merged = {**registered, **kwargs}
    settings = AtariSettings(
        frame_skip=skip,
        repeat_action_probability=float(merged["repeat_action_probability"]),
        max_frames=merged.get("max_num_frames_per_episode"),
    )
    return AtariGame(env, settings, training=training, max_steps=limit)


def inspect(
    spec: EnvSpec,
    algorithm: str,
    play: Callable[[AnyEnv, Encoder], None] = lambda env, encoder: None,
    close: Callable[[AnyEnv], None] = lambda env: env.close(),
) -> EnvFacts:
    """Make the environment once, look at it and close it.

    Args:
        spec: Its name.
        algorithm: Name of the algorithm that will be trained on it.
        play: What to do with it besides.
        close: How to close it.

    Raises:
        UnusableEnvironmentError: It cannot be made, or its spaces do not fit the algorithm; one line says why.
    """
    with Surroundings.kept():
        env = make(spec, training=bool(spec.wrapper))  # with the rewards that wrappers make, which training reads
        try:
            facts = _facts(env, spec, algorithm)
            play(env, facts.encoder)
        except BaseException:
            with contextlib.suppress(Exception, SystemExit):
                env.close()
            raise
        close(env)
        return facts


def _facts(env: AnyEnv, spec: EnvSpec, algorithm: str) -> EnvFacts:
    try:
        observation_space, action_space = plain(env.observation_space), plain(env.action_space)
    except AttributeError as error:
        raise UnusableEnvironmentError(
            f"{spec.id} must have observation_space and action_space once it is made: {one_line(error)}."
        ) from error
    limit = _step_limit(env)
    preprocessing = dict(_preprocessing(env))
    if spec.wrapper:
        preprocessing["wrapper"] = list(spec.wrapper)
    takes = algorithm_class(algorithm).actions
    if spec.discretize is not None and "Discrete" not in takes:
        raise UnusableEnvironmentError(
            f"--discretize makes continuous actions discrete, and {algorithm.upper()} needs continuous ones. "
            "Leave it out."
        )
    if why := unusable(action_space):
        raise UnusableEnvironmentError(f"{spec.id}: {why}.")
    if type(action_space).__name__ not in takes or not isinstance(action_space, spaces.Discrete | spaces.Box):
        raise UnusableEnvironmentError(
            f"{algorithm.upper()} needs a {' or '.join(takes)} action space; {spec.id} has {_short(action_space)}."
            f"{_who_takes(action_space, takes) or _NOBODY_TAKES}"
        )
    if issubclass(algorithm_class(algorithm), OffPolicy) and (why := unscalable(action_space)):
        raise UnusableEnvironmentError(
            f"{spec.id}: {algorithm.upper()} cannot act in {_short(action_space)}: {why}. Use --algo sampled_dqn, "
            "--backend sb3 --algo ppo, or give it other bounds where it is written."
        )
    try:
        encoder = encoder_for(observation_space)
        _check_seen(encoder, observation_space, action_space, algorithm)
    except UnusableEnvironmentError as error:
        raise UnusableEnvironmentError(f"{spec.id}: {error}{helpful(observation_space)}") from error
    if encoder.image is not None:
        preprocessing["image"] = list(encoder.image)
    elif isinstance(observation_space, spaces.Dict | spaces.Tuple):
        preprocessing["flattened"] = type(observation_space).__name__
    elif not isinstance(observation_space, spaces.Box) and not algorithm_class(algorithm).tabular:
        preprocessing["encoded"] = type(observation_space).__name__
    rollouts = issubclass(algorithm_class(algorithm), OnPolicy)
    preprocessing |= for_zoo(observation_space, action_space, rollouts=rollouts)
    return EnvFacts(
        observation=describe(observation_space),
        n_actions=Actions(action_space).n,
        max_episode_steps=limit,
        reward_threshold=env.spec.reward_threshold if env.spec is not None else None,
        eval_max_steps=_eval_max_steps(env, limit),
        observation_space=observation_space,
        action_space=action_space,
        preprocessing=preprocessing,
    )


def _check_seen(encoder: Encoder, space: spaces.Space[Any], actions: spaces.Space[Any], algorithm: str) -> None:
    """Refuse observations that an algorithm does not learn from."""
    known = algorithm_class(algorithm)
    if isinstance(space, spaces.Discrete) and not known.tabular:
        check_size(space, int(space.n), " A table takes more: --algo q_learning.")
    if encoder.image is not None and not known.images:
        who = _who_takes(actions, (), images=True)
        raise UnusableEnvironmentError(f"{algorithm} does not learn from images.{who}")


def _who_takes(space: spaces.Space[Any], takes: Collection[str], *, images: bool = False) -> str:
    """Return which algorithms act in a space, as an instruction; empty where none does."""
    if isinstance(space, spaces.Box) and "Discrete" in takes and (steps := min(most_steps(space), USUAL_STEPS)) > 1:
        return f" Use --discretize {steps} to cut each number into {steps} steps, {CONTINUOUS}."
    able = [cls for cls in ALGORITHMS.values() if type(space).__name__ in cls.actions]
    able = [cls for cls in able if cls.images and not cls.tabular] if images else able
    for backend, named in (("", [c for c in able if c.native]), ("--backend sb3 ", [c for c in able if not c.native])):
        if named:
            return f" Use {backend}--algo {'|'.join(cls.algorithm for cls in named)}."
    return ""


def plain(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """Return the space as one of Gymnasium's own classes where it is a subclass that the environment's code defines."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict(OrderedDict((key, plain(part)) for key, part in space.spaces.items()))  # in its own order
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([plain(part) for part in space.spaces])
    if type(space).__module__.split(".")[0] in ("gymnasium", "tuner"):
        return space
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n), start=int(space.start))
    if isinstance(space, spaces.Box):
        return spaces.Box(space.low, space.high, space.shape, space.dtype.type)
    return space


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
        if isinstance(env, AtariGame) and env.max_steps is not None:
            limits.append(env.max_steps)
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            limits.append(int(env._max_episode_steps))
        env = env.env
    return min(limits, default=None)


def _preprocessing(env: AnyEnv) -> Mapping[str, Any]:
    """Return the settings of the preprocessing among the wrappers."""
    found: dict[str, Any] = {}
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, AtariGame):
            return {**found, **env.settings.to_mapping()}
        if isinstance(env, Pixels):
            return {**found, **PIXEL_SETTINGS}
        if isinstance(env, DiscreteActions):
            found["discretize"] = env.steps
        if isinstance(env, VectorStack):
            found["frame_stack"] = env.n
        env = env.env
    return found


def _eval_max_steps(env: AnyEnv, limit: int | None) -> int:
    if env.spec is not None and str(env.spec.entry_point).startswith("ale_py"):
        frameskip = getattr(env.unwrapped, "_frameskip", 4)  # a number, or the bounds of a random one
        frames = frameskip if isinstance(frameskip, int) else max(frameskip)
        frames *= int(_preprocessing(env).get("frame_skip", 1))
        cap = int(ATARI_EVAL_MAX_FRAMES // frames)
        return cap if limit is None else min(cap, limit)
    return DEFAULT_EVAL_MAX_STEPS if limit is None else limit
