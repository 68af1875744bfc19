"""The exported setting's agents: of its verdict runs that of the best and of the median seed, beside the report.

Workers write the model of each such run before they tell its end (:mod:`tuner.training.keeping`). Once the verdict is
there, two of them are copied to where people look; whatever is killed meanwhile, the same command does the rest.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tuner.durable import replace_file
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import from_mapping
from tuner.plan.naming import confirm_name, file_name
from tuner.result.agents import AGENTS, KeptAgent, Place, best_and_median
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.study.store import keys as attr
from tuner.study.store.catalog import stored
from tuner.training.run_checkpoint import FINGERPRINT
from tuner.training.saved.model_files import MODEL, WEIGHTS, load_model
from tuner.training.saved.model_zip import drop_zip


def models_folder(report: Path) -> Path:
    """Return where workers write the models of verdict runs; it does not depend on the working folder."""
    return report.absolute() / AGENTS / "runs"


def report_folders(name: str, url: str) -> list[Path]:
    """Return where a stored study and its confirm stage have had their reports: the latter's command may say another.

    Args:
        name: Study name.
        url: Storage URL.
    """
    said = stored(url, attr.RECIPE).get(name), stored(url, attr.CONFIRM).get(confirm_name(name))
    places = [one.get("report_dir") for one in said if isinstance(one, dict)]
    return [Path(place) / file_name(name) for place in places if isinstance(place, str)]


def keep_agents(
    confirmation: Confirmation | None, report: Path, earlier: Iterable[Path] = ()
) -> dict[Place, KeptAgent]:
    """Copy the verdict's best and median agent to ``agents/best`` and ``agents/median``, and return which are there.

    What lies there of another setting goes. A disk without room leaves out what it has none for.

    Args:
        confirmation: What training again has shown.
        report: The study's report folder.
        earlier: Report folders that it has had; what they hold of the verdict's models is brought along.
    """
    folder, runs = report / AGENTS, models_folder(report)
    winner = confirmation.winner if confirmation is not None else None
    if confirmation is None or winner is None or not confirmation.complete:
        return {}
    for place in earlier:
        if place.absolute() != report.absolute():
            _bring(winner, models_folder(place), runs)
    if not folder.is_dir():
        return {}
    models: dict[int, Path] = {}
    for path in _models(runs):
        found = _run_of(path, confirmation.finalists)
        if found is None:  # of another study of that name, or half written
            shutil.rmtree(path, ignore_errors=True)
        elif found[0] is winner:
            models[found[1].seed] = path
    _place(winner, confirmation.objective, models, folder)
    return kept_agents(confirmation, report)


def _bring(winner: Contestant, source: Path, runs: Path) -> None:
    """Copy a setting's models from one folder of models to another, as far as they are missing and there is room."""
    for path in _models(source):
        target = runs / path.name
        if _run_of(path, (winner,)) is not None and _run_of(target, (winner,)) is None:
            with contextlib.suppress(OSError):
                target.mkdir(parents=True, exist_ok=True)
                _copy(path, target)


def keep_agents_of(
    winner: Contestant, env: EnvSpec, objective: str, runs: Path, folder: Path
) -> dict[Place, KeptAgent]:
    """Copy the best and the median agent of a setting's verdict in one of several environments, likewise.

    Args:
        winner: The setting, with its runs there.
        env: The environment.
        objective: What gives a run its score.
        runs: Where workers have written models, those of other environments too.
        folder: Gets ``best`` and ``median``.
    """
    models: dict[int, Path] = {}
    for path in _models(runs):
        found = _run_of(path, (winner,), env)
        if found is not None:
            models[found[1].seed] = path
    if models:
        folder.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        _place(winner, objective, models, folder)
    return _kept(winner, objective, folder)


def drop_models(report: Path) -> None:
    """Remove the models that workers have written into :func:`models_folder`; what others have put there stays."""
    folder = models_folder(report)
    for path in _models(folder):
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # where nothing else lies in it
        folder.rmdir()


def _models(runs: Path) -> list[Path]:
    """Return the folders of a folder of models that :mod:`tuner.training.keeping` made, by their names."""
    return [path for path in runs.glob("*") if FINGERPRINT.fullmatch(path.name)]


def _place(winner: Contestant, objective: str, models: Mapping[int, Path], folder: Path) -> None:
    """Copy the models of the best and the median seed into a folder, as far as they are there."""
    for place, run in best_and_median(winner, objective).items():
        target, source = folder / place, models.get(run.seed)
        if _run_of(target, (winner,)) == (winner, run):
            continue
        with contextlib.suppress(OSError):
            if source is None:
                _remove(target)
            else:
                _copy(source, target)


def kept_agents(confirmation: Confirmation | None, report: Path) -> dict[Place, KeptAgent]:
    """Return the agents that a report folder holds of a verdict: those whose seed, setting and whole curve are its own.

    Args:
        confirmation: What training again has shown.
        report: The study's report folder.
    """
    winner = confirmation.winner if confirmation is not None else None
    if confirmation is None or winner is None or not confirmation.complete:
        return {}
    return _kept(winner, confirmation.objective, report / AGENTS)


def _kept(winner: Contestant, objective: str, folder: Path) -> dict[Place, KeptAgent]:
    kept: dict[Place, KeptAgent] = {}
    for place, run in best_and_median(winner, objective).items():
        where, score = folder / place, run.score(objective)
        if score is not None and _run_of(where, (winner,)) == (winner, run):
            kept[place] = KeptAgent(where, winner.trial, run.seed, score, len(winner.phase("verdict")), run.curve)
    return kept


def _run_of(
    folder: Path, contestants: Iterable[Contestant], env: EnvSpec | None = None
) -> tuple[Contestant, ConfirmRun] | None:
    """Return the verdict run that trained a model, that of its seed, setting and whole curve; None if there is none.

    Nor where the model is of another environment than ``env``.
    """
    with contextlib.suppress(InputError):
        model = load_model(folder)
        if env is not None and model.spec.env != env:
            return None
        spec, curve = model.spec, [(point.step, point.returns) for point in model.evaluations]
        for contestant in contestants:
            setting = from_mapping(spec.algorithm, contestant.hyperparameters)
            if (spec.backend, spec.hyperparameters) == (contestant.backend, setting):
                for run in contestant.phase("verdict"):
                    if run.seed == spec.seed and [(p.step, tuple(p.returns)) for p in run.curve] == curve:
                        return contestant, run
    return None


def _copy(source: Path, target: Path) -> None:
    """Copy a model in two steps; a crash in between cannot pass for a model, as each file names the other's content.

    The zip of what was there goes first: one that is there is of the model beside it.
    """
    target.mkdir(exist_ok=True)
    drop_zip(target)
    for name in (WEIGHTS, MODEL):
        replace_file(target / name, (source / name).read_bytes())


def _remove(folder: Path) -> None:
    """Remove a model and its zip; other files stay."""
    drop_zip(folder)
    for name in (MODEL, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
