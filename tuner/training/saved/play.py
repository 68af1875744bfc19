"""A saved policy played again: what ``tune evaluate`` and ``tune record`` call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuner.contract.spec import EvaluationSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.training.evaluation import Evaluator
from tuner.training.saved.film import Story, record
from tuner.training.saved.image_policy import ImagePolicy
from tuner.training.saved.model_files import load_model

Array = NDArray[Any]


def evaluate_saved(
    folder: Path, episodes: int, seed: int, env_module: str | None = None
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Play a saved policy greedily.

    Args:
        folder: Where :func:`~tuner.training.saved.model_files.save_model` wrote it.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from. A model file alone never makes us import code.

    Returns:
        (return of each episode, steps of each episode).

    Raises:
        InputError: The folder holds no model, its environment cannot be made or does not fit the network, or it comes
            from a module that ``env_module`` does not name.
    """
    env, evaluation, act = _open(folder, episodes, seed, env_module)
    evaluator = Evaluator(env, evaluation)
    try:
        ((returns, lengths),) = evaluator.evaluate([evaluation.seed], act)
    finally:
        evaluator.close()
    return returns, lengths


def record_saved(
    folder: Path, episodes: int, seed: int, env_module: str | None = None, output: Path | None = None
) -> Story:
    """Film a saved policy at play.

    Args:
        folder: Where :func:`~tuner.training.saved.model_files.save_model` wrote it.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from.
        output: Folder of the film, made if it is not there; None takes the model's own.

    Raises:
        InputError: As for :func:`evaluate_saved`; or the environment does not draw itself.
        MissingExtraError: The extra ``video`` is not installed.
    """
    env, evaluation, act = _open(folder, episodes, seed, env_module)
    output = output or folder
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be made: {error.strerror or error}.") from error
    return record(output, env, evaluation, act)


def _open(
    folder: Path, episodes: int, seed: int, env_module: str | None
) -> tuple[EnvSpec, EvaluationSpec, Callable[[Array], Array]]:
    """Return a saved policy, where it plays and how."""
    if episodes < 1:
        raise InputError(f"episodes must be at least 1, got {episodes}.")
    model = load_model(folder)
    saved, policy = model.spec.evaluation, model.policy
    env = _trusted(model.spec.env, folder, env_module)
    facts = inspect(env, model.spec.algorithm)
    encoder = facts.encoder
    if isinstance(policy, ImagePolicy) and encoder.image is not None:
        policy = policy.seeing(encoder.image) or policy
    fits = (encoder.input_size, facts.n_actions)
    if fits != (policy.input_size, policy.n_actions):
        raise InputError(
            f"The model in {folder} reads {policy.input_size} numbers and chooses among {policy.n_actions} actions; "
            f"{env.id} has {fits[0]} and {fits[1]}. It was trained on another version of the environment."
        )
    return env, EvaluationSpec(episodes, seed, saved.max_steps, saved.epsilon), policy.act


def _trusted(env: EnvSpec, folder: Path, env_module: str | None) -> EnvSpec:
    """Return the environment with the module that the user has named, never the one that the file names."""
    prefix, _, env_id = env.id.rpartition(":")
    if (env.module or prefix) and env_module is None:
        raise InputError(
            f"The model in {folder} plays an environment from '{env.module or prefix}', and importing that runs its "
            f"code. If you trust it, add --env-module {env.module or prefix}."
        )
    return dataclasses.replace(env, id=env_id, module=env_module)
