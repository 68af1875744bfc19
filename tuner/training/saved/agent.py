"""A trained agent in the user's own code: observations in, actions out, as the environment itself has them."""

from __future__ import annotations

import dataclasses
import math
import operator
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.contract.outcome import describe
from tuner.contract.spec import EvaluationSpec
from tuner.envs.last_vectors import LastVectors
from tuner.envs.spec import EnvSpec
from tuner.envs.wrapper_names import canonicals, check_origin, check_trusted, origin_of
from tuner.errors import InputError, wrong
from tuner.surroundings import Surroundings
from tuner.training.player import Act, begun
from tuner.training.saved.image_policy import ImagePolicy
from tuner.training.saved.model_files import SavedModel, load_model

if TYPE_CHECKING:
    import gymnasium
    from gymnasium import spaces

    from tuner.envs.encoders import Encoder
    from tuner.hyperparameters import Hyperparameters
    from tuner.training.registry import GreedyPolicy

Array = NDArray[Any]


class _Ends(NamedTuple):
    """What lies between the environment and the network.

    Attributes:
        encoder: From an observation to network input.
        policy: The policy, which fits it.
        start: The environment's action of index 0; None where actions are continuous.
        table: The environment's own action of each index, ``[n_actions, *shape]``, where continuous ones were cut into
            steps and the environment takes them as they are; else None.
        stacks: How many of the environment's observations the policy sees as one; 1 where the environment stacks them
            itself.
    """

    encoder: Encoder
    policy: GreedyPolicy
    start: int | None
    table: Array | None = None
    stacks: int = 1


class Agent:
    """A greedy agent. Loading it runs no code of its files; the environment is looked at when it is first needed.

    Args:
        model: What was saved.
        folder: Where.
        env_module: File or module to import the environment from.
        env: An environment that is there already, to take the spaces from; nothing is made then.
        wrapper: Wrappers that the user has named, in one text each.

    Attributes:
        model: What was saved: the run with its hyperparameters and seed, the learning curve, versions.
    """

    def __init__(
        self,
        model: SavedModel,
        folder: Path,
        env_module: str | None = None,
        env: gymnasium.Env[Any, Any] | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self.model = model
        self._folder = folder
        self._env_module = env_module
        self._given = env
        self._wrapper = wrapper
        self._playing: tuple[int, Act] | None = None
        self._seen = LastVectors(model.spec.env.frame_stack or 1)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What it was trained with."""
        return self.model.spec.hyperparameters

    def act(self, observation: Any) -> Any:
        """Return the best action, as ``env.step`` takes it: an integer, or an array where actions are continuous.

        Args:
            observation: As the environment gives it: a number, an array, a Dict or a Tuple.

        Raises:
            InputError: The environment cannot be made or does not fit the agent, or this is no observation of it.
        """
        action, ends = self.act_many([observation])[0], self._ends
        return action if ends.start is None or ends.table is not None else int(action)

    def begin(self) -> None:
        """Forget the steps so far: an episode begins.

        Only an agent that remembers (``recurrent_ppo``, or with ``--frame-stack``) needs it.
        """
        self._playing = None
        self._seen.begin()

    def act_many(self, observations: Sequence[Any]) -> Array:
        """Return the best action for each of N observations, one pass through the network.

        An agent that remembers (``recurrent_ppo``, or with ``--frame-stack``) takes each for the next step of one of N
        episodes, which begin where N changes.

        Returns:
            Integers [N], or continuous actions [N, *shape of one], those of an agent with ``--discretize`` too.

        Raises:
            InputError: As for :meth:`act`.
        """
        ends = self._ends
        try:
            many = len(observations)
        except TypeError:
            raise wrong("observations", "a list of observations", observations) from None
        if self._playing is None or self._playing[0] != many:
            self._playing = many, begun(ends.policy)
        inputs = self._inputs(observations)
        actions = self._playing[1](inputs if ends.stacks == 1 else self._seen.push(inputs))
        if ends.table is not None:
            return ends.table[actions]
        return actions if ends.start is None else np.asarray(actions + ends.start, np.int64)

    def q_values(self, observation: Any) -> NDArray[np.float64]:
        """Return the expected discounted return of each action by the agent's estimate, [n_actions].

        With ``--discretize`` in the order of :func:`tuner.envs.discrete_actions.joint_actions`; with ``--frame-stack``
        of what comes after the observations that :meth:`act` was given, which this one does not join.

        Raises:
            InputError: It was trained by an algorithm without such values; or as for :meth:`act`.
        """
        values = getattr(self._ends.policy, "q_values", None)
        if values is None:
            raise InputError(f"The model in {self._folder} was trained by {self.model.spec.algorithm}: no Q-values.")
        inputs = self._inputs([observation])
        seen = inputs if self._ends.stacks == 1 else self._seen.with_next(inputs)
        with np.errstate(all="ignore"):  # as in :func:`~tuner.training.player.begun`
            return np.asarray(values(seen)[0], np.float64)

    def evaluate(self, episodes: int = 20, seed: int = 0) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Play whole episodes in environments of its own, as ``tune evaluate`` does.

        Args:
            episodes: How many, >= 1.
            seed: Episode i resets with ``seed + i``.

        Returns:
            (undiscounted return of each episode, steps of each episode).

        Raises:
            InputError: As for :meth:`act`.
        """
        from tuner.training.evaluation import Evaluator

        evaluation = self.evaluation(episodes, seed)
        with Surroundings.kept():
            evaluator = Evaluator(self.env, evaluation, self.picture_scale, tabular=self.tabular)
            try:
                ((returns, lengths),) = evaluator.evaluate([evaluation.seed], begun(self.policy))
            finally:
                evaluator.close()
        return returns, lengths

    def make_env(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """Return the environment that it was trained in, its wrappers and the preprocessing of frames included.

        Its actions are its own, as :meth:`act` returns them, not cut into steps; and so are vectors that it shows, as
        :meth:`act` takes them, not stacked.

        Args:
            render_mode: As ``gymnasium.make`` takes it.
        """
        from tuner.envs.make import make

        return make(dataclasses.replace(self.env, discretize=None, frame_stack=None), render_mode)

    def evaluation(self, episodes: int, seed: int) -> EvaluationSpec:
        """Return how episodes are played: with the caps and the chance of a random action of its training.

        Raises:
            InputError: Fewer than one episode, or a seed below 0, or no integers.
        """
        episodes, seed = _whole("episodes", episodes, 1), _whole("seed", seed, 0)
        saved = self.model.spec.evaluation
        return EvaluationSpec(episodes, seed, saved.max_steps, saved.epsilon)

    @property
    def picture_scale(self) -> int:
        """Version of the rule that scales pictures, the one it was trained by."""
        return self.model.spec.rules.picture_scale

    @property
    def tabular(self) -> bool:
        """Whether it is a table."""
        return self.hyperparameters.tabular

    @property
    def policy(self) -> GreedyPolicy:
        """From network inputs to action indices, once the environment is known to fit."""
        return self._ends.policy

    @cached_property
    def env(self) -> EnvSpec:
        """The environment, imported from the module that the user has named, never from the one that the file names.

        Raises:
            InputError: It comes from a module, and none is named; or it has a wrapper of an unknown package, likewise.
        """
        return trusted_env(self.model.spec.env, self._folder, self._env_module, self._wrapper)

    @cached_property
    def _ends(self) -> _Ends:
        from gymnasium import spaces

        from tuner.envs.discrete_actions import joint_actions
        from tuner.envs.encoders import encoder_for

        trained, table = self.model.spec.env, None
        if self._given is not None:
            name = getattr(self._given.spec, "id", type(self._given.unwrapped).__name__)
            observations, actions = self._given.observation_space, self._given.action_space
        else:
            name, (observations, actions) = self.env.id, self._own_spaces()
        if trained.discretize is not None and isinstance(actions, spaces.Box):
            table = joint_actions(actions, trained.discretize)
            actions = spaces.Discrete(len(table))
        encoder = encoder_for(observations, self.picture_scale, tabular=self.tabular)
        policy: GreedyPolicy = self.model.policy
        if isinstance(policy, ImagePolicy) and encoder.image is not None:
            policy = policy.seeing(encoder.image) or policy
        stacks = 1 if encoder.input_size == policy.input_size else trained.frame_stack or 1
        continuous = isinstance(actions, spaces.Box)
        n_actions = math.prod(actions.shape or ()) if continuous else int(getattr(actions, "n", 0))
        fits = (encoder.input_size * stacks, n_actions)
        if fits != (policy.input_size, policy.n_actions):
            raise InputError(
                f"The model in {self._folder} reads {policy.input_size} numbers and chooses among {policy.n_actions} "
                f"actions; {name} has {fits[0]} and {fits[1]}. It was trained on another version of the environment."
            )
        return _Ends(encoder, policy, None if continuous else int(getattr(actions, "start", 0)), table, stacks)

    def _own_spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        """Return what the environment itself shows and takes: neither stacked nor cut into steps."""
        from tuner.envs.discrete_actions import DiscreteActions
        from tuner.envs.make import inspect, plain
        from tuner.envs.vector_stack import VectorStack

        found: list[spaces.Space[Any]] = []

        def look(env: gymnasium.Env[Any, Any], encoder: Encoder) -> None:
            while isinstance(env, DiscreteActions | VectorStack):
                env = env.env
            found.extend((plain(env.observation_space), plain(env.action_space)))

        inspect(self.env, self.model.spec.algorithm, look)
        return found[0], found[1]

    def _inputs(self, observations: Sequence[Any]) -> Array:
        encoder = self._ends.encoder
        try:
            stored = np.stack([encoder.store(observation) for observation in observations])
            if stored.shape[1:] != encoder.storage_shape:
                raise ValueError(f"{stored.shape[1:]} numbers, not {encoder.storage_shape}")
        except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
            why = describe(error).rstrip(".")
            raise InputError(f"This is no observation of {self.model.spec.env.id}: {why}.") from error
        return encoder.to_input(stored)


def trusted_env(saved: EnvSpec, folder: Path, env_module: str | None, wrapper: Sequence[str] = ()) -> EnvSpec:
    """Return a file's environment, from the module that the user has named, never from the one that the file names.

    Args:
        saved: The environment.
        folder: Where the file lies.
        env_module: The module that the user has named, or None.
        wrapper: Wrappers that the user has named, in one text each; those of known packages need not be.

    Raises:
        InputError: It comes from a module, and none is named; or it has a wrapper of an unknown package, likewise.
    """
    check_origin(origin_of(saved.id, saved.module), f"The model in {folder} plays an environment", env_module)
    check_trusted(saved.wrapper, f"The model in {folder}", env_module, wrapper)
    return dataclasses.replace(saved, id=saved.id.rpartition(":")[2], module=env_module)


def load_agent(
    folder: str | Path,
    *,
    env_module: str | None = None,
    env: gymnasium.Env[Any, Any] | str | None = None,
    best: bool = False,
    discretize: int | None = None,
    frame_stack: int | None = None,
    wrapper: Sequence[str] = (),
) -> Agent:
    """Return the agent that ``tune train`` saved in a folder, or that Stable-Baselines3's DQN saved as a zip.

    Args:
        folder: Holds ``model.json`` and ``weights.npz``; or the zip.
        env_module: File or module that registers the environment; needed where it is not one of an installed package.
            A model file alone never makes us import code.
        env: The environment itself, where it is there already: its spaces say how observations are read. For a zip,
            which does not say what it plays, an id does as well.
        best: Whether to take the agent of the best evaluation, not that of the last step.
        discretize: With a zip and an id: steps of each number of a continuous action, as in training.
        frame_stack: Likewise: how many observations it sees at once.
        wrapper: Likewise: wrappers as ``--wrapper`` takes them, innermost first. With a folder, those of its own that
            may be imported although no known package holds them.

    Raises:
        InputError: The folder holds no model, or a damaged one; or an id, or how it is met, comes with a folder, which
            names its own. Or an argument is of another kind.
    """
    if not isinstance(folder, str | os.PathLike):
        raise wrong("folder", "the path of a folder or a zip", folder)
    if not isinstance(env_module, str | None):
        raise wrong("env_module", "the path of a file or the name of a module, as text", env_module)
    if not isinstance(env, str | None) and not hasattr(env, "observation_space"):
        raise wrong("env", "a Gymnasium environment, or with a zip its id", env)
    for name, value in (("discretize", discretize), ("frame_stack", frame_stack)):
        if value is not None:
            _whole(name, value, 2)
    path, wrappers = Path(folder), canonicals(wrapper)
    if path.suffix == ".zip" and not path.is_dir():
        met = EnvSpec("", discretize=discretize, frame_stack=frame_stack, wrapper=wrappers)
        made = _from_zip(path, env, env_module, met)
        return Agent(made, path, env_module, None if isinstance(env, str) else env, wrappers)
    if discretize is not None or frame_stack is not None:
        raise InputError(
            f"The model in {folder} knows its actions and frames; --discretize and --frame-stack go with a zip."
        )
    if isinstance(env, str):
        raise InputError(f"The model in {folder} names its environment; --env goes with a zip of Stable-Baselines3.")
    model = load_model(path, best=best)
    if other := next((each for each in wrappers if each not in model.spec.env.wrapper), None):
        raise InputError(f"The model in {folder} was not trained with --wrapper {other}. Leave it out.")
    return Agent(model, path, env_module, env, wrappers)


def _whole(name: str, value: Any, least: int) -> int:
    """Return a whole number of any type (NumPy's are some) as Python's own, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise wrong(name, f"an integer of at least {least}", value)
    return number


def _from_zip(
    path: Path,
    env: gymnasium.Env[Any, Any] | str | None,
    module: str | None,
    met: EnvSpec,
) -> SavedModel:
    from tuner.envs.family_names import ATARI, family
    from tuner.envs.make import inspect
    from tuner.training.sb3.read_zip import read_zip

    if env is None:
        return read_zip(path)
    if isinstance(env, str):
        spec = dataclasses.replace(met, id=env, module=module)
        cap = inspect(spec, "dqn").eval_max_steps
    else:
        spec = EnvSpec(getattr(env.spec, "id", type(env.unwrapped).__name__))
        cap = getattr(env.spec, "max_episode_steps", None) or 1_000
    return read_zip(path, spec, EvaluationSpec(1, 0, cap, 0.001 if family(spec.id) == ATARI else 0.0))
