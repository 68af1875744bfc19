"""``tune replay``: a trial trained again from what the database holds, compared evaluation by evaluation, bit for bit.

What is stored decides everything: environment, hyperparameters, seeds, grid, evaluation, numeric path. A difference is
named with the recorded field that explains it: a version, the threads, the device, the numeric path, the hardware.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import optuna

from tuner.contract.outcome import EvalPoint
from tuner.contract.rules import rules_of
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.wrapper_names import check_origin, check_trusted, origin_of
from tuner.errors import InputError
from tuner.hyperparameters import from_mapping
from tuner.plan.recipe import from_mapping as recipe_from_mapping
from tuner.storage_url import default_storage
from tuner.study.search.provenance import provenance
from tuner.study.store import keys as attr
from tuner.study.store.catalog import check_study
from tuner.study.store.checked import check_attributes
from tuner.study.store.connect import open_storage, storage_errors

#: What a provenance records that can change bits, as paths into it.
EXPLAINS = ("numeric_path", "threads", "git_commit", "versions", "hardware.cpu", "hardware.system")


@dataclass(frozen=True)
class StoredTrial:
    """A trial as the database holds it, ready to train again.

    Attributes:
        study: Study name.
        number: Trial number.
        outcome: How it ended.
        specs: Its runs by replicate, those with evaluations.
        curves: Stored evaluations of each of these runs, rows as :func:`~tuner.study.store.keys.curve_to_json` writes
            them.
        provenance: With and on what it was trained.
    """

    study: str
    number: int
    outcome: str
    specs: tuple[RunSpec, ...]
    curves: tuple[list[list[Any]], ...]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """The first number that is not the same.

    Attributes:
        replicate: Which of the trial's runs.
        step: Environment step of the evaluation.
        field: ``step``, ``returns``, ``lengths``, or a metric such as ``loss``; ``evaluation`` where it is missing.
        stored: What the database holds.
        replayed: What training again gave.
    """

    replicate: int
    step: int
    field: str
    stored: Any
    replayed: Any


def read_trial(
    study: str,
    number: int,
    storage: str | None = None,
    env_module: str | None = None,
    wrapper: Collection[str] = (),
) -> StoredTrial:
    """Read a trial.

    Args:
        study: Study name.
        number: Trial number.
        storage: Storage URL; None takes the default.
        env_module: File or module that registers the environment. A database alone never makes us import code.
        wrapper: Wrappers that the user has named; those of known packages need not be.

    Raises:
        InputError: There is no such study or trial, or nothing that could be trained again; one line says why.
    """
    url = storage or default_storage()
    opened = open_storage(url, create=False)
    check_study(study, opened, url)
    with storage_errors(url):
        loaded = optuna.load_study(study_name=study, storage=opened)
        stored = loaded.user_attrs
        trials = {t.number: t for t in loaded.get_trials(deepcopy=False)}
        check_attributes(study, stored, {number: trial.user_attrs for number, trial in trials.items()})
    if study.endswith(".confirm") and attr.RECIPE not in stored:
        raise InputError(
            f"'{study}' holds runs of a confirm stage; replay trials of '{study.removesuffix('.confirm')}'."
        )
    if not {attr.RECIPE, attr.GRID, attr.EVALUATION} <= set(stored):
        raise InputError(f"The study '{study}' does not say how it was trained; only studies made by tune replay.")
    if number not in trials:
        raise InputError(f"The study '{study}' has no trial {number}; its trials are 0 to {max(trials, default=-1)}.")
    trial = trials[number].user_attrs
    curves = {
        r: trial[attr.curve_key(r)] for r in range(len(trial.get(attr.SEEDS, ()))) if trial.get(attr.curve_key(r))
    }
    if not curves or attr.HYPERPARAMETERS not in trial:
        raise InputError(f"Trial {number} of '{study}' has no stored evaluations, so there is nothing to compare.")
    began = trials[number].datetime_start
    return StoredTrial(
        study=study,
        number=number,
        outcome=str(trial.get(attr.OUTCOME, "running")),
        specs=tuple(_spec(stored, trial, number, r, env_module, wrapper) for r in curves),
        curves=tuple(curves.values()),
        provenance=_in_force(stored.get(attr.PROVENANCE, {}), began),
    )


def _spec(
    study: Mapping[str, Any],
    trial: Mapping[str, Any],
    number: int,
    replicate: int,
    env_module: str | None,
    wrapper: Collection[str],
) -> RunSpec:
    recipe = recipe_from_mapping({**study[attr.RECIPE], "storage": None})
    env = recipe.env_spec()
    origin = origin_of(env.id, env.module)
    check_origin(origin, "This study's environment comes", env_module)
    if origin is not None:
        env = replace(env, id=env.id.rpartition(":")[2], module=env_module)
    check_trusted(env.wrapper, "This study", env_module, wrapper)
    if other := next((each for each in wrapper if each not in env.wrapper), None):
        raise InputError(f"This study was not trained with --wrapper {other}. Leave it out.")
    inspect(env, recipe.algo)
    device = str(study.get(attr.PROVENANCE, {}).get("numeric_path", "")).rpartition("-")[2]
    return RunSpec(
        run_id=RunId(number, replicate),
        env=env,
        backend=recipe.backend,
        hyperparameters=from_mapping(recipe.algo, trial[attr.HYPERPARAMETERS]),
        seed=int(trial[attr.SEEDS][replicate]),
        grid=tuple(study[attr.GRID]),
        evaluation=EvaluationSpec(**study[attr.EVALUATION]),
        device="cuda" if device == "cuda" else "cpu",
        rules=rules_of(study),
    )


def _in_force(origin: Mapping[str, Any], began: datetime | None) -> dict[str, Any]:
    """Return the provenance that held when a trial began: the study's, with what later sittings changed."""
    held = {key: value for key, value in origin.items() if key != "resumed"}
    for visit in origin.get("resumed", []):
        created = datetime.fromisoformat(visit["created"]) if visit.get("created") else None
        if began is None or created is None or created > began.astimezone(created.tzinfo):
            break
        changed = {key: value for key, value in visit.items() if key != "versions" and value is not None}
        held = {**held, **changed, "versions": {**held.get("versions", {}), **visit.get("versions", {})}}
    return held


def first_difference(replicate: int, stored: Sequence[list[Any]], points: Sequence[EvalPoint]) -> Difference | None:
    """Compare the evaluations of one run.

    Args:
        replicate: Which run.
        stored: Rows of the database.
        points: Evaluations of the replay; beyond the last stored one they do not count.

    Returns:
        The first difference, or None where every bit is equal.
    """
    replayed = attr.curve_to_json(points)
    for i, row in enumerate(stored):
        step = int(row[0])
        if i >= len(replayed):
            return Difference(replicate, step, "evaluation", "there", "missing")
        for field, one, other in zip(("step", "returns", "lengths"), row, replayed[i], strict=False):
            if one != other:
                return Difference(replicate, step, field, one, other)
        before, now = row[3], replayed[i][3]
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                return Difference(replicate, step, name, before.get(name), now.get(name))
    return None


def explanations(stored: Mapping[str, Any], numeric_path: str) -> list[str]:
    """Return what is recorded of a trial and is different here: ``versions.torch: 2.9.0 then, 2.13.0 now``."""
    now = provenance(numeric_path=numeric_path)
    found = []
    for path in EXPLAINS:
        one, other = _at(stored, path), _at(now, path)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            pairs = [(f"{path}.{name}", one.get(name), other.get(name)) for name in {**one, **other}]
        else:
            pairs = [(path, one, other)]
        found += [f"{name}: {then} then, {here} now" for name, then, here in pairs if then != here and then is not None]
    return found


def _at(values: Mapping[str, Any], path: str) -> Any:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None  # type: ignore[assignment]
    return values
