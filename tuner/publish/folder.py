"""The files of a published agent: those that ``rl_zoo3.load_from_hub`` and ``huggingface_sb3`` look for.

Made in a folder beside and then put in place, so that what stands there is one agent's.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import statistics
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tuner.contract.outcome import EvalPoint
from tuner.envs.make import inspect
from tuner.errors import InputError, MissingExtraError
from tuner.hyperparameters import algorithm_class
from tuner.publish.card import Card, readme
from tuner.training.saved.agent import load_agent, trusted_env
from tuner.training.saved.film import MP4
from tuner.training.saved.play import record_agent
from tuner.training.sb3.write_zip import write_zip
from tuner.zoo.write import config_yaml

#: What huggingface_sb3 calls VecNormalize's file.
STATISTICS = "vec_normalize.pkl"

RESULTS, CARD, REPLAY = "results.json", "README.md", "replay.mp4"


@dataclass(frozen=True)
class StudyFacts:
    """What a card says of the study that an agent comes from.

    Attributes:
        verdict: Sentences.
        evidence: Numbers, as ``report.json`` has them under that key; None before the confirm stage.
        command: The command that repeats it.
    """

    verdict: Sequence[str] = ()
    evidence: Mapping[str, Any] | None = None
    command: str = ""


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        folder: Where.
        result: ``mean +/- standard deviation`` of the agent's own episodes.
        notes: What the user should know, a line each.
    """

    folder: Path
    result: str
    notes: tuple[str, ...]


def write_folder(
    source: Path,
    target: Path,
    *,
    repository: str | None = None,
    episodes: int = 100,
    seed: int = 0,
    study: StudyFacts | None = None,
    env_module: str | None = None,
    best: bool = False,
) -> Published:
    """Play a saved agent, and write the folder.

    Args:
        source: Holds ``model.json`` and ``weights.npz``.
        target: Made, or its files of an earlier call replaced; others in it stay.
        repository: ``USER/NAME`` that it will be sent to, for the card; None: not known.
        episodes: Greedy episodes that the score is over.
        seed: Episode i resets with ``seed + i``.
        study: Where the agent comes from, if from a study.
        env_module: File or module to import the environment from.
        best: Whether to take the agent of the best evaluation.

    Raises:
        InputError: There is no agent, Stable-Baselines3 has not all that it uses, or the folder cannot be written.
    """
    try:
        there = next(parent for parent in target.absolute().parents if parent.is_dir())  # nothing is made for a refusal
        with tempfile.TemporaryDirectory(dir=there, prefix=f".{target.name}.") as made:
            found = _write(Path(made), source, repository, episodes, seed, study or StudyFacts(), env_module, best)
            _put_in_place(Path(made), target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return Published(target, *found)


def _write(
    folder: Path,
    source: Path,
    repository: str | None,
    episodes: int,
    seed: int,
    study: StudyFacts,
    env_module: str | None,
    best: bool,
) -> tuple[str, tuple[str, ...]]:
    agent = load_agent(source, env_module=env_module, best=best)
    spec = agent.model.spec
    known = algorithm_class(spec.algorithm)
    zoo_algorithm = known.zoo_name()
    env = trusted_env(spec.env, source, env_module)
    env_id = spec.env.id.rpartition(":")[2]
    name = f"{zoo_algorithm}-{env_id.replace('/', '-')}"
    written = write_zip(source, folder / f"{name}.zip", env_module, best=best)
    with zipfile.ZipFile(written.path) as archive:
        archive.extractall(folder / name)
    if written.statistics is not None:
        written.statistics.rename(folder / STATISTICS)
    preprocessing = inspect(env, spec.algorithm).preprocessing
    document = yaml.safe_load(
        config_yaml(env_id, spec.schedules_over, spec.hyperparameters, spec.env.arguments(), preprocessing)
    )
    if env_id not in document:
        raise InputError(f"{source} cannot be published in RL Zoo's form: its preprocessing has no words there.")
    config = document[env_id]
    kwargs = config.get("env_kwargs") or {}
    _yaml(folder / "config.yml", config)
    _yaml(folder / "env_kwargs.yml", kwargs)
    _yaml(folder / "args.yml", _arguments(zoo_algorithm, env_id, spec.seed, spec.n_timesteps, spec.env.module))
    _metrics(folder / "train_eval_metrics.zip", agent.model.evaluations)
    returns, _ = agent.evaluate(episodes, seed)
    mean, std = statistics.fmean(returns), statistics.pstdev(returns)
    _results(folder / RESULTS, mean, std, episodes)
    notes = []
    try:
        record_agent(agent, 1, seed, folder / "film")
        (folder / "film" / MP4).rename(folder / REPLAY)
    except (MissingExtraError, InputError) as error:
        notes.append(f"No film: {error}")
    shutil.rmtree(folder / "film", ignore_errors=True)
    card = Card(
        env=env_id,
        zoo_algorithm=zoo_algorithm,
        sb3_class=written.sb3_class.rpartition(".")[2],
        library=written.sb3_class.partition(".")[0],
        file=f"{name}.zip",
        repository=repository or f"USER/{name}",
        mean=mean,
        std=std,
        episodes=episodes,
        first_seed=seed,
        config=config,
        about={
            "trained by": spec.backend,
            "seed": spec.seed,
            "environment steps": spec.n_timesteps,
            **{str(package): version for package, version in agent.model.versions.items()},
        },
        verdict=study.verdict,
        evidence=study.evidence,
        command=study.command,
        notes=written.notes,
        film=(folder / REPLAY).exists(),
    )
    (folder / CARD).write_text(readme(card), encoding="utf-8")
    (folder / ".gitattributes").write_text("".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in _LARGE))
    return f"{mean:.2f} +/- {std:.2f}", (*notes, *written.notes)


#: Endings of binary files, which the Hub keeps apart.
_LARGE = ("zip", "pth", "pkl", "mp4")


def _arguments(algorithm: str, env: str, seed: int, steps: int, module: str | None) -> dict[str, Any]:
    """Return what RL Zoo's training would have been called with; arguments of the environment stand in the config."""
    return {
        "algo": algorithm,
        "env": env,
        "env_kwargs": None,
        "gym_packages": [module] if module and not module.endswith(".py") else [],
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


def _results(path: Path, mean: float, std: float, episodes: int) -> None:
    content = {
        "mean_reward": mean,
        "std_reward": std,
        "is_deterministic": True,
        "n_eval_episodes": episodes,
        "eval_datetime": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _put_in_place(made: Path, target: Path) -> None:
    """Move each file and folder to its place; the card comes last."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (REPLAY, STATISTICS):  # not every agent has them: none of another is to stay
        (target / name).unlink(missing_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == CARD):
        old = target / path.name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        os.replace(path, old)
