"""One run on its own: what ``tune train`` and ``tune evaluate`` call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tuner.envs.encoders import encoder_for
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.training.checkpoint import load_model
from tuner.training.evaluation import Evaluator
from tuner.training.image_policy import ImagePolicy
from tuner.training.registry import make_trainer
from tuner.training.types import DONE, EvalPoint, EvaluationSpec, Outcome, RunId, RunObserver, RunSpec, Signal


class _One:
    """A dispatcher that hands out exactly one run."""

    def __init__(self, spec: RunSpec, on_point: Callable[[EvalPoint], None] | None, last_step: int | None) -> None:
        self._spec: RunSpec | None = spec
        self._on_point = on_point
        self._end = spec.grid[-1]
        self._last_step = self._end if last_step is None else last_step
        self.outcome: Outcome | None = None

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        spec, self._spec = self._spec, None
        return DONE if spec is None else spec

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        if self._on_point is not None:
            for point in points:
                self._on_point(point)
        return frozenset(point.run_id for point in points if self._last_step <= point.step < self._end)

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome


def train_once(
    spec: RunSpec,
    observer: RunObserver | None = None,
    on_point: Callable[[EvalPoint], None] | None = None,
    last_step: int | None = None,
) -> Outcome:
    """Train one run in this process.

    Args:
        spec: The run.
        observer: Watches training episodes, updates and the final weights.
        on_point: Called with each evaluation.
        last_step: Stop at this grid step, as a pruned run is; None trains to the end.

    Returns:
        How it ended; an exception inside the run is an outcome ``failed``.

    Raises:
        InputError: The backend cannot train this setting.
    """
    if spec.backend == "sb3":
        from tuner.training.sb3 import constructor_arguments

        constructor_arguments(spec.hyperparameters, spec.n_timesteps)
    dispatcher = _One(spec, on_point, last_step)
    make_trainer(spec.backend, spec.algorithm, 1, observer).train(dispatcher)
    assert dispatcher.outcome is not None
    return dispatcher.outcome


def evaluate_saved(
    folder: Path, episodes: int, seed: int, env_module: str | None = None
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Play a saved policy greedily.

    Args:
        folder: Where :func:`~tuner.training.checkpoint.save_model` wrote it.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from. A model file alone never makes us import code.

    Returns:
        (return of each episode, steps of each episode).

    Raises:
        InputError: The folder holds no model, its environment cannot be made or does not fit the network, or it comes
            from a module that ``env_module`` does not name.
    """
    if episodes < 1:
        raise InputError(f"episodes must be at least 1, got {episodes}.")
    model = load_model(folder)
    saved, policy = model.spec.evaluation, model.policy
    env = _trusted(model.spec.env, folder, env_module)
    facts = inspect(env, model.spec.algorithm)
    encoder = encoder_for(facts.observation_space)
    if isinstance(policy, ImagePolicy) and encoder.image is not None:
        policy = policy.seeing(encoder.image) or policy
    fits = (encoder.input_size, facts.n_actions)
    if fits != (policy.input_size, policy.n_actions):
        raise InputError(
            f"The model in {folder} reads {policy.input_size} numbers and chooses among {policy.n_actions} actions; "
            f"{env.id} has {fits[0]} and {fits[1]}. It was trained on another version of the environment."
        )
    evaluator = Evaluator(env, EvaluationSpec(episodes, seed, saved.max_steps, saved.epsilon))
    try:
        ((returns, lengths),) = evaluator.evaluate(1, policy.act)
    finally:
        evaluator.close()
    return returns, lengths


def _trusted(env: EnvSpec, folder: Path, env_module: str | None) -> EnvSpec:
    """Return the environment with the module that the user has named, never the one that the file names."""
    prefix, _, env_id = env.id.rpartition(":")
    if (env.module or prefix) and env_module is None:
        raise InputError(
            f"The model in {folder} plays an environment from '{env.module or prefix}', and importing that runs its "
            f"code. If you trust it, add --env-module {env.module or prefix}."
        )
    return dataclasses.replace(env, id=env_id, module=env_module)
