"""What a published folder holds besides its card: the zip and its company, or the agent as ``load_agent`` reads it."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tuner.contract.outcome import EvalPoint
from tuner.envs.make import inspect
from tuner.envs.spec import bare_module
from tuner.envs.wrapper_names import to_be_named
from tuner.hyperparameters import algorithm_class
from tuner.training.saved.agent import Agent
from tuner.training.saved.model_files import MODEL, WEIGHTS, copy_model
from tuner.training.saved.model_zip import HUB_VECNORMALIZE
from tuner.zoo.write import setting_yaml

#: Names of the files, but of the zip and the folder of its content, which are called as the agent is.
WITH_ZIP = (HUB_VECNORMALIZE, "config.yml", "env_kwargs.yml", "args.yml", "train_eval_metrics.zip")
WITHOUT_ZIP = (MODEL, WEIGHTS, "config.yaml")


@dataclass(frozen=True)
class Contents:
    """What was written, for the card.

    Attributes:
        title: Stable-Baselines3's class, else what the algorithm is called.
        library: ``stable_baselines3`` or ``sb3_contrib``; empty where there is no zip.
        lack: Why there is no zip; empty where there is one.
        config: The settings as they stand in the folder.
        notes: What a reader of the files has to know.
    """

    title: str
    library: str
    lack: str
    config: Mapping[str, Any]
    notes: tuple[str, ...]


def agent_name(agent: Agent) -> str:
    """Return what RL Zoo calls the agent's zip and its repository: ``dqn-CartPole-v1``."""
    spec = agent.model.spec
    algorithm = algorithm_class(spec.algorithm).zoo_name() or spec.algorithm
    return f"{algorithm}-{_env_id(agent).replace('/', '-')}"


def with_zip(
    folder: Path, source: Path, agent: Agent, env_module: str | None, settings: str, *, best: bool
) -> Contents:
    """Write what ``rl_zoo3.load_from_hub`` and ``huggingface_sb3`` look for."""
    from tuner.training.sb3.write_zip import write_zip

    spec, name, env_id = agent.model.spec, agent_name(agent), _env_id(agent)
    written = write_zip(source, folder / f"{name}.zip", env_module, best=best, wrapper=agent.env.wrapper)
    with zipfile.ZipFile(written.path) as archive:
        archive.extractall(folder / name)
    if written.statistics is not None:
        written.statistics.rename(folder / HUB_VECNORMALIZE)
    config = yaml.safe_load(settings)[env_id]
    _yaml(folder / "config.yml", config)
    _yaml(folder / "env_kwargs.yml", config.get("env_kwargs") or {})
    zoo_algorithm = algorithm_class(spec.algorithm).zoo_name()
    _yaml(folder / "args.yml", _arguments(zoo_algorithm, env_id, spec.seed, spec.n_timesteps, spec.env.module))
    _metrics(folder / "train_eval_metrics.zip", agent.model.evaluations)
    library, _, title = written.sb3_class.partition(".")
    return Contents(title.rpartition(".")[2], library, "", config, written.notes)


def without_zip(folder: Path, source: Path, agent: Agent, settings: str, lack: str, *, best: bool) -> Contents:
    """Write the agent as ``tuner.load_agent`` reads it, and its settings as ``tune train --config`` does."""
    copy_model(source, folder, best=best)
    (folder / "config.yaml").write_text(settings, encoding="utf-8")
    module, notes = agent.model.spec.env.module, []
    if module:
        notes.append(f"Its environment comes from {Path(module).name}: give load_agent its place as env_module.")
    if words := to_be_named(agent.model.spec.env.wrapper, module):
        notes.append(
            f"Its wrappers are code that the folder does not hold: give load_agent wrapper={words[1:]}, and tune "
            f"evaluate {shlex.join(words)}."
        )
    return Contents(agent.hyperparameters.title, "", lack, yaml.safe_load(settings), tuple(notes))


def _env_id(agent: Agent) -> str:
    return agent.model.spec.env.id.rpartition(":")[2]


def settings_of(agent: Agent) -> tuple[str, str]:
    """Return an agent's settings as YAML, and why they are not in RL Zoo's form; empty where they are."""
    spec = agent.model.spec
    preprocessing = inspect(agent.env, spec.algorithm).preprocessing
    text, _, reason = setting_yaml(
        _env_id(agent), spec.n_timesteps, spec.hyperparameters, spec.env.arguments(), preprocessing or {}
    )
    return text, reason


def _arguments(algorithm: str, env: str, seed: int, steps: int, module: str | None) -> dict[str, Any]:
    """Return what RL Zoo's training would have been called with; arguments of the environment stand in the config."""
    return {
        "algo": algorithm,
        "env": env,
        "env_kwargs": None,
        "gym_packages": [bare_module(module)] if module and not module.endswith(".py") else [],
        "n_timesteps": steps,
        "seed": seed,
    }


def _yaml(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, default_flow_style=None), encoding="utf-8")


def _metrics(path: Path, evaluations: Sequence[EvalPoint]) -> None:
    """Write the learning curve as EvalCallback does: as many episodes of each evaluation as all have."""
    buffer = io.BytesIO()
    if evaluations:
        least = min(len(point.returns) for point in evaluations)
        np.savez(
            buffer,
            timesteps=np.array([point.step for point in evaluations]),
            results=np.array([point.returns[:least] for point in evaluations]),
            ep_lengths=np.array([point.lengths[:least] for point in evaluations]),
        )
    with zipfile.ZipFile(path, "w") as archive:
        if evaluations:
            archive.writestr("evaluations.npz", buffer.getvalue())
