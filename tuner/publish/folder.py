"""A published agent's folder: what it holds, its score on fresh episodes, a film and the card.

Made in a folder beside and then put in place, so that what stands there is one agent's.
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.contract.spec import RunSpec
from tuner.envs.spec import bare_module
from tuner.envs.wrapper_names import origin_of
from tuner.errors import InputError, MissingExtraError
from tuner.hyperparameters import algorithm_class
from tuner.plan.command_lines import trust_words
from tuner.publish.card import Card, readme
from tuner.publish.contents import WITH_ZIP, WITHOUT_ZIP, agent_name, settings_of, with_zip, without_zip
from tuner.text import env_title
from tuner.training.saved.agent import Agent, load_agent
from tuner.training.saved.film import MP4
from tuner.training.saved.model_files import MODEL
from tuner.training.saved.model_zip import lacking
from tuner.training.saved.play import record_agent

RESULTS, CARD, REPLAY, ATTRIBUTES = "results.json", "README.md", "replay.mp4", ".gitattributes"

#: What the content of every zip of Stable-Baselines3 holds, and hardly another.
_POLICY = "policy.pth"


@dataclass(frozen=True)
class StudyFacts:
    """What a card says of the study that an agent comes from.

    Attributes:
        verdict: Sentences.
        evidence: Numbers, as ``report.json`` has them under that key; None before the confirm stage.
        command: The command that repeats it.
        place: Which of the verdict's runs trained the agent: ``the best of the 10 runs of the
            first setting``; empty where that is not known.
    """

    verdict: Sequence[str] = ()
    evidence: Mapping[str, Any] | None = None
    command: str = ""
    place: str = ""


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
    wrapper: Sequence[str] = (),
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
        wrapper: Wrappers that the user has named.
        best: Whether to take the agent of the best evaluation.

    Where Stable-Baselines3 has not all that the agent uses, or RL Zoo no words for what is done to its environment,
    there is no zip, but the agent as ``load_agent`` reads it.

    Raises:
        InputError: There is no agent, the target is an agent's own folder or has files of others that these would
            replace, or it cannot be written.
    """
    if (target / MODEL).exists() and not (target / RESULTS).exists():
        raise InputError(f"-o {target} is the folder of an agent, whose files it would replace. Name another folder.")
    try:
        there = next(parent for parent in target.absolute().parents if parent.is_dir())  # nothing is made for a refusal
        with tempfile.TemporaryDirectory(dir=there, prefix=f".{target.name}.") as made:
            agent = load_agent(source, env_module=env_module, best=best, wrapper=wrapper)
            found = _write(
                Path(made), source, agent, repository, episodes, seed, study or StudyFacts(), env_module, best
            )
            if taken := [path.name for path in sorted(Path(made).iterdir()) if _of_others(target / path.name)]:
                raise InputError(
                    f"-o {target} has a {taken[0]} that tune publish has not written. Move it away, or name another "
                    "folder."
                )
            _put_in_place(Path(made), target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error
    return Published(target, *found)


def _write(
    folder: Path,
    source: Path,
    agent: Agent,
    repository: str | None,
    episodes: int,
    seed: int,
    study: StudyFacts,
    env_module: str | None,
    best: bool,
) -> tuple[str, tuple[str, ...]]:
    spec, name = agent.model.spec, agent_name(agent)
    settings, unknown = settings_of(agent)
    lack = lacking(spec.hyperparameters) or unknown.rstrip(".")
    if lack:
        found = without_zip(folder, source, agent, settings, lack, best=best)
    else:
        found = with_zip(folder, source, agent, env_module, settings, best=best)
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
    env, module = spec.env.id.rpartition(":")[2], bare_module(origin_of(spec.env.id, spec.env.module))
    card = Card(
        env=env,
        met=env_title({**spec.env.changes(), "env": env}),
        zoo_algorithm=algorithm_class(spec.algorithm).zoo_name(),
        title=found.title,
        library=found.library,
        file="" if lack else f"{name}.zip",
        lack=lack,
        repository=repository or f"USER/{name}",
        mean=mean,
        std=std,
        episodes=episodes,
        first_seed=seed,
        config=found.config,
        about={
            "trained by": spec.backend,
            "seed": spec.seed,
            spec.hyperparameters.clock: spec.n_timesteps,
            **{str(package): version for package, version in agent.model.versions.items()},
        },
        verdict=study.verdict,
        evidence=study.evidence,
        command=study.command,
        place=study.place,
        notes=(*found.notes, *_trained_on(spec)),
        film=(folder / REPLAY).exists(),
        module=module or "",
        named=shlex.join(trust_words(module, spec.env.wrapper)),
    )
    (folder / CARD).write_text(readme(card), encoding="utf-8")
    rules = "".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in _LARGE)
    (folder / ATTRIBUTES).write_text(rules, encoding="ascii")
    if lack:
        notes.append(f"No zip: {lack}. The folder holds the agent itself, for tuner.load_agent.")
    return f"{mean:.2f} +/- {std:.2f}", (*notes, *found.notes)


def _trained_on(spec: RunSpec) -> list[str]:
    """Return what schedules are shares of, where that is not all of the training."""
    if spec.schedules_over == spec.n_timesteps:
        return []
    clock, over = spec.hyperparameters.clock, spec.schedules_over
    return [
        f"It was trained on after its first {over:,} {clock}: its schedules, such as epsilon's, are shares of these."
    ]


#: Endings of binary files, which the Hub keeps apart.
_LARGE = ("zip", "pth", "pkl", "mp4", "npz")


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
    """Move each file and folder to its place: first what says whose they are, the card last."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _left_over(made, target):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: (path.name == CARD, path.name != RESULTS)):
        old = target / path.name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        os.replace(path, old)


def _of_others(place: Path) -> bool:
    """Whether something is there that no earlier call has put there; a new repository of the Hub has attributes."""
    return place.name != ATTRIBUTES and os.path.lexists(place) and not (place.parent / RESULTS).exists()


def _left_over(made: Path, target: Path) -> list[Path]:
    """Return what an agent published there before has and this one has not: none of another is to stay."""
    if not (target / RESULTS).exists():
        return []
    zips = [path for path in target.glob("*.zip") if (target / path.stem / _POLICY).is_file()]  # its content beside it
    names = [REPLAY, *WITH_ZIP, *WITHOUT_ZIP, *(n for path in zips for n in (path.name, path.stem))]
    return [target / name for name in names if not (made / name).exists()]
