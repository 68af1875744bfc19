"""Creating a study, or finding it again: what is stored with it, and what must not differ on resume."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import optuna
from optuna.storages import BaseStorage

from tuner.contract.rules import rules_of
from tuner.errors import InputError, ResumeError
from tuner.plan.known import Known
from tuner.plan.naming import CONFIRM_SUFFIX, study_name
from tuner.plan.proposal_cost import proposal_cost
from tuner.plan.recipe import SETTINGS, StudyRecipe, flag, set_as_meant
from tuner.plan.resolve import StudyPlan, describe_evaluation
from tuner.plan.stored import as_stored, changed_source
from tuner.storage_url import default_storage, mask
from tuner.study.sampling.samplers import make_sampler
from tuner.study.search.asker import SpaceAsker
from tuner.study.search.ledger import Ledger
from tuner.study.search.pruners import AUDIT_SHARE, PruningRule, make_pruner
from tuner.study.search.shared import Member
from tuner.study.store import keys as attr
from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.catalog import look, stores, study_names
from tuner.study.store.checked import check_attributes
from tuner.study.store.connect import NoTablesError, open_storage, storage_errors
from tuner.study.store.database import sqlite_path
from tuner.study.store.identity import Identity
from tuner.study.store.locks import opening
from tuner.study.store.peers import leaving_on_error, share
from tuner.study.store.spool import replay, spool_of
from tuner.study.store.writer import row_writer

#: Settings whose resolved value is compared instead of what was said (said or not said, the budget is the same).
_BUDGET = {"steps": "n_timesteps", "evaluations": "evaluations", "eval_episodes": "eval_episodes"}


class OpenedStudy(NamedTuple):
    """A study, ready to search.

    Attributes:
        ledger: Its rows in the database.
        plan: What it does: the plan asked for, with what a stored study keeps of its own (:func:`as_stored`).
        resumed: Whether it was there already.
    """

    ledger: Ledger
    plan: StudyPlan
    resumed: bool


def open_study(plan: StudyPlan, provenance: Mapping[str, Any], member: Member | None = None) -> OpenedStudy:
    """Create the plan's study or resume it.

    Args:
        plan: The complete study.
        provenance: Stored with a new study.
        member: What proposes, where several studies train the same points; None: the plan's own sampler.

    Raises:
        InputError: The storage cannot be used.
        MissingExtraError: The sampler or the storage needs a package.
        ResumeError: The stored study differs in a pinned setting.
        StorageLostError: The database stops answering.
    """
    recipe = plan.recipe
    storage = open_storage(plan.storage, create=True)
    with contextlib.ExitStack() as on_error, storage_errors(plan.storage):
        with opening(storage, plan.name):
            plan, resumed = _create_or_resume(storage, plan, provenance)
            buffered = buffer_study(storage, plan.name, plan.storage, recipe.trials)
            if buffered.sharing is not None:
                on_error.callback(buffered.sharing.leave)
        exclusive = is_exclusive(plan.storage)
        sampler = make_sampler(
            recipe.sampler,
            seed=recipe.seed,
            startup_trials=recipe.startup_trials,
            known=plan.known,
            dimensions=plan.space.dimensions,
            log_cost=proposal_cost(plan),
            repeats=plan.rules.proposals > 2,
        )
        pruner = make_pruner(
            recipe.pruner, grid=plan.grid, startup_trials=recipe.startup_trials, version=plan.rules.pruning
        )
        study = optuna.load_study(
            study_name=plan.name,
            storage=buffered,
            sampler=sampler if member is None else member.sampler,
            pruner=pruner,
        )
        asker = SpaceAsker(plan.space, seed=recipe.seed, replicates=recipe.seeds_per_trial)
        ledger = Ledger(
            study,
            buffered,
            asker if member is None else member.asker(study),
            PruningRule(
                recipe.pruner,
                plan.grid,
                audit=AUDIT_SHARE if recipe.audit_pruning else 0.0,
                seed=recipe.seed,
                version=plan.rules.pruning,
            ),
            url=plan.storage,
            exclusive=exclusive,
        )
        on_error.pop_all()
    return OpenedStudy(ledger, plan, resumed)


def _create_or_resume(storage: BaseStorage, plan: StudyPlan, provenance: Mapping[str, Any]) -> tuple[StudyPlan, bool]:
    """Write what is stored of a new study, or check that a stored one is meant; return as :class:`OpenedStudy`."""
    resumed = plan.name in study_names(storage)
    if not resumed and plan.name.endswith(CONFIRM_SUFFIX):
        raise InputError(
            f"--study must not end in {CONFIRM_SUFFIX}, got '{plan.name}': such names are those of confirm stages. "
            "Choose another."
        )
    study = optuna.create_study(storage=storage, study_name=plan.name, direction="maximize", load_if_exists=True)
    plan = _resumed(study, plan)
    if list(study.directions) != [optuna.study.StudyDirection.MAXIMIZE]:
        raise ResumeError(
            f"The study '{plan.name}' {_directions(study)}; tune maximises one return. Choose another with --study NEW."
        )
    if attr.RECIPE not in study.user_attrs:
        # The recipe is written last: a study without one was never begun.
        for key, value in _describe(plan, provenance).items():
            study.set_user_attr(key, value)
    else:
        _note_resume(study, plan, provenance)
    return dataclasses.replace(plan, id=study.user_attrs.get(attr.ID, "")), resumed


def called_as_before(recipe: StudyRecipe) -> StudyRecipe:
    """Return the recipe, with the study's name where its own spelling of ``set`` named a study that is there.

    Earlier versions made the default name of what was written, not of what it means.

    Raises:
        InputError: A setting breaks a rule.
    """
    meant = recipe.validated()
    before, now = study_name(dataclasses.replace(meant, set=recipe.set)), study_name(meant)
    url = recipe.storage or default_storage()
    if before == now or stores(url, now, attr.RECIPE) or not stores(url, before, attr.RECIPE):
        return recipe
    return dataclasses.replace(recipe, study=before)


def stored_progress(plan: StudyPlan, study: optuna.Study | None) -> tuple[Mapping[str, Any] | None, int]:
    """Return the stored budget of runs of a plan's study, and its trials that count; (None, 0) without one.

    Args:
        plan: The study.
        study: As :func:`found_study` gives it.
    """
    if study is None:
        return None, 0
    with storage_errors(plan.storage):
        space = study.user_attrs.get(attr.SPACE)
        return (space["budget"], _counted(study)) if space else (None, 0)


def as_resumed(plan: StudyPlan, study: optuna.Study | None) -> tuple[StudyPlan, int | None]:
    """Return the plan by which a resume would go on, and how many trials are there; as it is, and None, of a new study.

    Args:
        plan: What is asked for.
        study: As :func:`found_study` gives it.

    Raises:
        ResumeError: The stored study differs in a pinned setting.
        StorageLostError: The database stops answering.
    """
    if study is None:
        return plan, None
    with storage_errors(plan.storage):
        return _resumed(study, plan), _counted(study)


def found_study(plan: StudyPlan) -> optuna.Study | None:
    """Return a plan's study where the database has it, else None; nothing is made or changed by that.

    It reads its finished trials once, however often it is asked.

    Raises:
        InputError: The storage cannot be used.
        StorageLostError: The database stops answering.
    """
    name, url = plan.name, plan.storage
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    try:
        if name not in look(url, study_names):
            return None
    except NoTablesError:
        return None
    storage = open_storage(url, create=False)
    with storage_errors(url):
        return optuna.load_study(study_name=name, storage=storage)


def _counted(study: optuna.Study) -> int:
    return sum(attr.outcome_of(trial) in attr.COUNTED for trial in study.get_trials(deepcopy=False))


def _resumed(study: optuna.Study, plan: StudyPlan) -> StudyPlan:
    """Return the plan with what a stored study keeps of its own, once that is found to be the one that is meant."""
    stored, trials = study.user_attrs, study.get_trials(deepcopy=False)
    check_attributes(study.study_name, stored, {trial.number: trial.user_attrs for trial in trials})
    if attr.RECIPE in stored:
        plan = as_stored(plan, stored[attr.SPACE], rules_of(stored))
        plan = dataclasses.replace(plan, known=Known.from_stored(stored.get(attr.KNOWN)))
    if attr.RECIPE in stored or trials:
        check_resume(plan, stored)
    return plan


def _directions(study: optuna.Study) -> str:
    return "minimises" if len(study.directions) == 1 else f"has {len(study.directions)} directions"


def buffer_study(storage: BaseStorage, name: str, url: str, trials: int | None = None) -> BufferedStorage:
    """Return a study's storage as its supervisor uses it; what a former process had to keep is told first.

    Args:
        storage: As :func:`open_storage` gives it.
        name: Study name.
        url: Its URL.
        trials: Trials the study shall have, where several supervisors may share it; None: no limit.
    """
    study_id = storage.get_study_id_from_name(name)
    identity = Identity(storage, study_id, sqlite_path(url))
    spool = spool_of(url, name, identity.id)
    sharing = share(storage, study_id, trials)
    with leaving_on_error(sharing):
        told = replay(spool, storage, study_id, sharing.writer if sharing is not None else row_writer(storage))
        buffered = BufferedStorage(
            storage, study_id, exclusive=is_exclusive(url), spool=spool, sharing=sharing, identity=identity
        )
    buffered.told_late = told
    return buffered


def _note_resume(study: optuna.Study, plan: StudyPlan, provenance: Mapping[str, Any]) -> None:
    """Keep what this command asks for beyond the pinned settings, and who went on with the study when."""
    stored = study.user_attrs
    given = _describe(plan, provenance)[attr.RECIPE]
    # A pinned setting that has come since the study was begun stays unsaid.
    free = {name: value for name, value in given.items() if not SETTINGS[name].pinned}
    study.set_user_attr(attr.RECIPE, {**stored[attr.RECIPE], **free})
    origin = stored[attr.PROVENANCE]
    keys = ("created", "command", "git_commit", "numeric_path")
    visit = {key: provenance.get(key) for key in keys} | {
        "versions": {k: v for k, v in provenance.get("versions", {}).items() if origin.get("versions", {}).get(k) != v}
    }
    if "env_source" in provenance:  # what an older version began has none
        origin = {"env_source": provenance["env_source"], **origin}
    for key, value in _random_play(plan).items():
        if key not in stored:  # a study of an older version
            study.set_user_attr(key, value)
    study.set_user_attr(attr.PROVENANCE, _plain({**origin, "resumed": [*origin.get("resumed", []), visit]}))


def is_exclusive(url: str) -> bool:
    """Return whether one supervisor at a time owns a study in this storage."""
    return url.startswith("sqlite")


def check_resume(plan: StudyPlan, stored: Mapping[str, Any]) -> None:
    """Refuse to go on with a study that was begun with other settings.

    Raises:
        ResumeError: The message names each difference, stored and given, and what to do.
    """
    if attr.RECIPE not in stored:
        raise ResumeError(
            f"The study '{plan.name}' in {mask(plan.storage)} was not made by tune. Choose another with --study NEW."
        )
    differences = _differences(plan, stored)
    if differences:
        raise ResumeError(
            f"The study '{plan.name}' was begun with other settings: {'; '.join(differences)}. "
            "Give the stored settings to resume it, or start another with --study NEW."
        )


def _differences(plan: StudyPlan, stored: Mapping[str, Any]) -> list[str]:
    asked, recipe, space = plan.recipe, stored[attr.RECIPE], stored[attr.SPACE]
    found = []
    for name, given in asked.pinned().items():
        if name == "space":
            continue
        if name not in recipe and given == getattr(StudyRecipe(), name):
            continue  # a setting that has come since, and that nobody asks for
        was = recipe.get(name)
        if name in _BUDGET:
            was = space["budget"].get(_BUDGET[name])
            given = plan.space.to_mapping()["budget"].get(_BUDGET[name])
        if name == "set":  # earlier versions stored it as it was written
            was, given = (set_as_meant(asked.algo, values or {}) for values in (was, given))
        if _plain(was) != _plain(given):
            found.append(f"{flag(name)} was {_show(_plain(was))}, now {_show(_plain(given))}")
    if not found and stored[attr.SPACE_HASH] not in (plan.space.hash(), plan.space.hash(whole_steps=False)):
        found.append(_space_difference(space, plan.space.to_mapping(), recipe["space"], asked.space))
    path = stored[attr.PROVENANCE].get("numeric_path")
    if path != plan.numeric_path:
        found.append(f"networks were trained by '{path}', now by '{plan.numeric_path}' (see --device)")
    if source := changed_source(plan.env, stored[attr.PROVENANCE]):
        found.append(source)
    if not found and stored[attr.EVALUATION] != _plain(describe_evaluation(plan.evaluation)):
        found.append("the environment's step limit for evaluations has changed")
    return found


def _space_difference(was: Mapping[str, Any], now: Mapping[str, Any], was_name: str, now_name: str) -> str:
    if was_name != now_name:
        return f"--space was '{was_name}', now '{now_name}'"
    now = _plain(now)
    for part in ("algorithm", "budget", "fixed", "search", "derived"):
        old, new = was.get(part, {}), now.get(part, {})
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next((k for k in [*old, *new] if old.get(k) != new.get(k)), None)
            if key is not None:
                return (
                    f"the search space '{now_name}' had {part}: {key}: {_show(old.get(key))}, now {_show(new.get(key))}"
                )
        return f"the search space '{now_name}' has another '{part}'"
    return f"the search space '{now_name}' has another order"


def _describe(plan: StudyPlan, provenance: Mapping[str, Any]) -> dict[str, Any]:
    recipe = plan.recipe.to_mapping() | {"storage": mask(plan.storage)}
    return {
        attr.ID: uuid.uuid4().hex,
        attr.SPACE: _plain(plan.space.to_mapping()),
        attr.SPACE_HASH: plan.space.hash(),
        attr.GRID: list(plan.grid),
        attr.EVALUATION: _plain(describe_evaluation(plan.evaluation)),
        attr.REWARD_THRESHOLD: plan.facts.reward_threshold,
        attr.PROVENANCE: _plain(provenance),
        attr.KNOWN: _plain(plan.known.to_mapping()),
        **_random_play(plan),
        **dataclasses.asdict(plan.rules),
        attr.RECIPE: _plain(recipe),
    }


def _random_play(plan: StudyPlan) -> dict[str, list[float]]:
    """Return the returns of random play, measured once for each study; nothing where no episode ended in time."""
    played = plan.facts.random_play
    return {attr.RANDOM_PLAY: list(played.returns)} if played is not None and played.returns else {}


def _plain(value: Any) -> Any:
    """Return what a value becomes by going through the database."""
    return json.loads(json.dumps(value, default=list))


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_show(v)}" for k, v in value.items()) + "}" if value else "not set"
    return "not set" if value is None else f"'{value}'" if isinstance(value, str) else str(value)
