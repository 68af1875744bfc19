"""A saved agent as Stable-Baselines3's own ``model.zip``: what its ``load`` plays and goes on training from."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from tuner.agents.dqn.exploration import epsilon
from tuner.agents.dqn.layout import network_layout
from tuner.agents.dqn.optimizers import BETA1, BETA2, steps_taken
from tuner.contract.rules import native_path
from tuner.contract.spec import RunSpec
from tuner.core.named_arrays import part_of
from tuner.core.normalization import FIRST_COUNT
from tuner.durable import replace_file
from tuner.envs.encoders import encoder_for
from tuner.envs.make import describe, inspect
from tuner.envs.spec import bare_module
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.conv import ConvLayout
from tuner.surroundings import Surroundings
from tuner.training.saved.agent import trusted_env
from tuner.training.saved.checkpoint import CHECKPOINT, load_checkpoint
from tuner.training.saved.model_files import load_model, load_weights, spec_to_plain
from tuner.training.saved.model_zip import VECNORMALIZE, lacking
from tuner.training.saved.network_policy import STATISTICS
from tuner.training.sb3.global_streams import global_streams_kept
from tuner.training.sb3.inputs import SmallCNN, as_exported
from tuner.training.sb3.models import model_class
from tuner.training.sb3.read_zip import ABOUT
from tuner.training.sb3.saved import NOT_WEIGHTS
from tuner.training.sb3.trainer import build_model

Array = NDArray[Any]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: The zip.
        sb3_class: Whose ``load`` reads it.
        statistics: VecNormalize's file; None where nothing is normalised.
        notes: What a reader of the zip has to know, a line each.
    """

    path: Path
    sb3_class: str
    statistics: Path | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Training:
    """What a training has become, by Stable-Baselines3's names.

    Attributes:
        step: Environment steps taken.
        target: The target network's arrays.
        updates: Gradient steps taken.
        moments: Adam's ``exp_avg`` and ``exp_avg_sq``, each by parameter.
        normalizer: Running statistics, as :class:`~tuner.replay.normalizer.LaneNormalizer` keeps them; may be empty.
    """

    step: int
    target: Mapping[str, Array]
    updates: float
    moments: Mapping[str, Mapping[str, Array]]
    normalizer: Mapping[str, Array]


def write_zip(
    folder: Path, path: Path, env_module: str | None = None, *, best: bool = False, wrapper: Sequence[str] = ()
) -> Written:
    """Write the agent that ``tune train`` saved so that Stable-Baselines3's class of its algorithm loads it.

    Target network, optimizer and the statistics' counts come from the folder's ``checkpoint.npz``, where that stands at
    the same step as the model; where a training call is due at that step, the optimizer has made it already.
    Without, the target network is the network and the optimizer begins afresh; likewise where the network is an average
    of the training's own (``weight_averaging``): Stable-Baselines3 goes on from the average, of which neither that
    target nor those moments of gradients are. What trains in this process does not feel it: nothing shared is seeded,
    no stream that others draw from moves.

    Args:
        folder: Holds ``model.json`` and ``weights.npz``.
        path: The zip; ``vecnormalize.pkl`` comes beside it where the setting normalises.
        env_module: File or module to import the environment from.
        best: Whether to take the agent of the best evaluation, not that of the last step.
        wrapper: Wrappers that the user has named.

    Raises:
        InputError: The folder holds no model; Stable-Baselines3 lacks the algorithm or an option that is on; the
            environment cannot be made; or the file cannot be written.
    """
    model = load_model(folder, best=best)
    hyperparameters = model.spec.hyperparameters
    if lack := lacking(hyperparameters):
        raise InputError(
            f"{folder} cannot become a model.zip: {lack}. tune evaluate, record and load_agent read the folder itself."
        )
    weights = load_weights(folder, best=best)
    spec = dataclasses.replace(model.spec, env=trusted_env(model.spec.env, folder, env_module, wrapper), device="cpu")
    step = model.evaluations[-1].step if model.evaluations else spec.n_timesteps
    with contextlib.ExitStack() as resources, warnings.catch_warnings(), global_streams_kept():
        warnings.simplefilter("ignore")  # such as of a memory that nobody fills here
        with Surroundings.kept():
            made = _empty(spec, resources)
        training = _training(folder, spec, weights, step)
        _fill(made, weights, training)
        _place(made, spec, step, training)
        normalizer = made.get_vec_normalize_env()
        if normalizer is not None:
            _set_statistics(normalizer, weights, training, step)
        averaged = getattr(hyperparameters, "weight_averaging", 0.0) > 0
        notes = _notes(made, whole=training is not None, averaged=averaged)
        content = _zipped(made, model.spec, weights)
        statistics = _write(path, content, normalizer)
        return Written(path, hyperparameters.sb3_class, statistics, tuple(notes))


def _empty(spec: RunSpec, resources: contextlib.ExitStack) -> BaseAlgorithm:
    """Return a fresh model on its environment, its replay memory as small as can be."""
    kind = DQN if spec.algorithm == "dqn" else model_class(spec.hyperparameters)
    small: Any = {"buffer_size": 1} if hasattr(spec.hyperparameters, "buffer_size") else {}
    made = build_model(
        dataclasses.replace(spec, hyperparameters=dataclasses.replace(spec.hyperparameters, **small)),
        resources,
        kind,
        seeded=False,
        shown=functools.partial(as_exported, vectors=spec.hyperparameters.remembers),
    )
    made.seed = spec.seed  # what it loads is seeded with
    if small:
        # As Stable-Baselines3 was told, not as it found out: what it loads finds out again.
        made.replay_buffer_class, made.replay_buffer_kwargs = None, {}  # type: ignore[attr-defined]
        made.buffer_size = spec.hyperparameters.buffer_size  # type: ignore[attr-defined]
    return made


def _training(folder: Path, spec: RunSpec, weights: Mapping[str, Array], step: int) -> _Training | None:
    """Return what the folder's checkpoint knows of the model with these weights; None where it knows another."""
    if not (folder / CHECKPOINT).exists() or not isinstance(spec.hyperparameters, DQNHyperparameters):
        return None
    begun = load_checkpoint(folder)
    agent = part_of("agent", begun.state)
    learner = part_of("learner", agent)
    facts = inspect(spec.env, spec.algorithm)
    encoder = encoder_for(facts.observation_space, spec.rules.picture_scale)
    layout = network_layout(encoder, spec.hyperparameters, facts.n_actions)
    online = layout.to_state_dict(learner["online"])
    same = begun.step == step and _told(begun.spec) == _told(spec)
    # A training call that is due at the last evaluation comes after it: the model is without, the checkpoint with it.
    call_due = step % spec.hyperparameters.train_freq == 0 and step > spec.hyperparameters.learning_starts
    one_call_apart = call_due and not spec.hyperparameters.weight_averaging  # an average is further apart than that
    if not same or not (one_call_apart or all(np.array_equal(array, weights[name]) for name, array in online.items())):
        return None
    # Updates by row keep sums without the factors 1 - beta (see :mod:`tuner.agents.dqn.optimizers`); torch's, by part,
    # the means that the paper and Stable-Baselines3 have. Wherever that knows the setting, perceptrons' are by row.
    path = native_path(begun.spec.rules.update_path, begun.spec.device, encoder.image)
    means = path == "torch" and isinstance(layout, ConvLayout)
    factors = (1.0, 1.0) if means else (1 - BETA1, 1 - BETA2)
    moments = {
        name: layout.to_state_dict((learner[kept] * factor).astype(np.float32))
        for name, kept, factor in zip(
            ("exp_avg", "exp_avg_sq"), ("first_moment", "second_moment"), factors, strict=True
        )
    }
    updates = steps_taken(float(learner["beta_powers"][1]))
    return _Training(step, layout.to_state_dict(learner["target"]), updates, moments, part_of("normalizer", agent))


def _told(spec: RunSpec) -> Mapping[str, Any]:
    return {name: value for name, value in spec_to_plain(spec).items() if name != "env"}


def _fill(made: BaseAlgorithm, weights: Mapping[str, Array], training: _Training | None) -> None:
    """Give a fresh model its networks and its optimizer."""
    own = {
        n: torch.as_tensor(a.copy())
        for n, a in weights.items()
        if n not in NOT_WEIGHTS and not n.startswith(STATISTICS)
    }
    if not isinstance(made, DQN):
        made.policy.load_state_dict(own)
        return
    made.q_net.load_state_dict(own)
    target = own if training is None else {n: torch.as_tensor(a.copy()) for n, a in training.target.items()}
    made.q_net_target.load_state_dict(target)
    if training is not None and training.updates:
        optimizer = made.policy.optimizer.state_dict()
        optimizer["state"] = {
            i: {
                "step": torch.tensor(training.updates),
                **{kind: torch.as_tensor(arrays[name].copy()) for kind, arrays in training.moments.items()},
            }
            for i, (name, _) in enumerate(made.q_net.named_parameters())
        }
        made.policy.optimizer.load_state_dict(optimizer)


def _place(made: Any, spec: RunSpec, step: int, training: _Training | None) -> None:
    """Say how far the training has come: what the exploration and the target network's updates go by."""
    over = spec.schedules_over
    made.num_timesteps, made._total_timesteps = step, over
    made._current_progress_remaining = max(0.0, 1.0 - step / over)
    if isinstance(made, DQN):
        assert isinstance(spec.hyperparameters, DQNHyperparameters)
        made._n_calls = step
        made.exploration_rate = float(epsilon(spec.hyperparameters, step, over))
    if training is not None:
        made._n_updates = int(training.updates)


def _set_statistics(
    normalizer: VecNormalize, weights: Mapping[str, Array], training: _Training | None, step: int
) -> None:
    """Give a fresh VecNormalize what was seen; without a checkpoint, how often is taken to be once a step."""
    kept = {} if training is None else training.normalizer
    observed: Any = normalizer.obs_rms if normalizer.norm_obs else None
    if observed is not None:
        # Of vectors here, there of the shape that an observation has.
        mean, variance = (weights[f"obs_rms.{name}"].reshape(observed.mean.shape) for name in ("mean", "var"))
        observed.mean, observed.var = mean.copy(), variance.copy()
        observed.count = float(kept["seen"][0]) if kept else FIRST_COUNT + step + 1  # and the first
    if normalizer.norm_reward:
        returns: Any = normalizer.ret_rms
        returns.var = np.float64(weights["ret_rms.var"].reshape(-1)[0])
        returns.count = float(kept["rewarded"][0]) if kept else FIRST_COUNT + step
        if kept:
            returns.mean = np.float64(kept["return_mean"][0])


def _notes(made: BaseAlgorithm, *, whole: bool, averaged: bool) -> list[str]:
    found = ["The replay memory is not in it: Stable-Baselines3 keeps that in a file of its own."]
    if not hasattr(made, "replay_buffer"):
        found = []
    if not isinstance(made, DQN):
        found.append("The optimizer, and what else is learned beside the networks, begins afresh.")
    elif not whole:
        why = "Its network is an average (weight_averaging)" if averaged else f"No {CHECKPOINT} of this model"
        found.append(f"{why}: the target network is the network, and the optimizer begins afresh.")
    if getattr(made, "policy_kwargs", {}).get("features_extractor_class") is SmallCNN:
        found.append("Its network for small images is tune's: reading the zip needs tune installed.")
    env = made.get_env()
    assert env is not None
    raw: Any = env.get_attr("unwrapped")[0]
    if raw.observation_space != made.observation_space or raw.action_space != made.action_space:
        found.append(
            f"It sees {describe(made.observation_space)} and does {describe(made.action_space)}: give it an "
            "environment wrapped so (config.yaml names RL Zoo's wrapper where there is one)."
        )
    return found


def _zipped(made: BaseAlgorithm, spec: RunSpec, weights: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    told = dataclasses.replace(spec, env=dataclasses.replace(spec.env, module=bare_module(spec.env.module)))
    seen = {name: array.tolist() for name, array in weights.items() if name.startswith(STATISTICS)}
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(ABOUT, json.dumps({**spec_to_plain(told), "statistics": seen}, indent=1))
    return buffer.getvalue()


def _write(path: Path, content: bytes, normalizer: VecNormalize | None) -> Path | None:
    """Write the files, and return VecNormalize's."""
    statistics = None if normalizer is None else path.parent / VECNORMALIZE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if normalizer is not None and statistics is not None:
            with tempfile.TemporaryDirectory() as folder:
                normalizer.save(f"{folder}/{VECNORMALIZE}")
                replace_file(statistics, Path(folder, VECNORMALIZE).read_bytes())
        replace_file(path, content)
    except OSError as error:
        raise InputError(f"-o {path} cannot be written: {error.strerror or error}.") from error
    return statistics
