"""The plan of a study that is in the database: the same again, as it was stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tuner.contract.grid import evaluation_grid
from tuner.contract.rules import Rules
from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec
from tuner.envs.wrapper_names import canonicals, check_origin, check_trusted, origin_of
from tuner.errors import InputError
from tuner.plan.recipe import StudyRecipe, flag
from tuner.plan.recipe import from_mapping as recipe_from_mapping
from tuner.plan.resolve import StudyPlan, plan_study, space_name
from tuner.result.study import StudyData
from tuner.seeding import evaluation_seed
from tuner.space.catalog import is_packaged
from tuner.space.parse import parse_space

#: Settings by which a user vouches for code that a study names.
_VOUCHING = ("env_module", "wrapper")


def plan_again(data: StudyData, storage: str, settings: Mapping[str, Any]) -> StudyPlan:
    """Return the plan of a study that is in the database, to train more of the same.

    Args:
        data: The study.
        storage: Its storage URL.
        settings: Recipe settings over the stored ones. ``env_module`` and ``wrapper`` only repeat what is stored: by
            them the user vouches for code, which a database alone never makes us import.

    Raises:
        InputError: The study was not made by this program, nobody vouches for its environment's code, a setting is
            pinned or breaks a rule, or its environment or space cannot be used any more.
    """
    if not data.recipe or not data.grid:
        raise InputError(f"The study '{data.name}' was not made by tune: its runs cannot be repeated.")
    stored = recipe_from_mapping({**data.recipe, "storage": storage, "study": data.name})
    pinned = stored.pinned()
    _check_trusted(stored, data.name, settings)
    settings = {name: value for name, value in settings.items() if name not in _VOUCHING}
    for name, value in settings.items():
        if name in pinned and value != pinned[name]:
            raise InputError(f"{flag(name)} defines the study '{data.name}' and cannot change: it is {pinned[name]!r}.")
    # Nothing is asked for again, so what was known beforehand is not read: its files may be gone. Nor does the time of
    # the search's command hold for another.
    again = recipe_from_mapping({**stored.to_mapping(), **settings, "prior": "none", "start_with": (), "within": None})
    plan = plan_study(again, play=not data.random_play, stored=True)
    recipe = dataclasses.replace(plan.recipe, prior=stored.prior, start_with=stored.start_with)
    plan = as_stored(dataclasses.replace(plan, recipe=recipe), data.space, data.rules)
    if changed_source(plan.env, data.provenance):
        raise InputError(f"{changed_source(plan.env, data.provenance)} since '{data.name}' began. Put it back.")
    if plan.grid != data.grid:
        raise InputError(
            f"The search space '{stored.space}' now evaluates at other steps than the study '{data.name}' did. "
            "Put the space back as it was."
        )
    return plan


def plan_confirm(data: StudyData, storage: str, settings: Mapping[str, Any]) -> StudyPlan:
    """Return the plan by which ``tune confirm`` trains the finalists of a study that is in the database.

    Arguments and errors are those of :func:`plan_again`. A search that was told to leave its finalists out
    (``confirm`` 0) has as many as by default here: this command is asked for them.
    """
    if data.recipe.get("confirm") == 0:
        settings = {"confirm": StudyRecipe().confirm, **settings}
    return plan_again(data, storage, settings)


def _check_trusted(stored: StudyRecipe, name: str, settings: Mapping[str, Any]) -> None:
    origin = origin_of(stored.env, stored.env_module)
    module, wrappers = settings.get("env_module"), canonicals(settings.get("wrapper") or ())
    known = canonicals(stored.wrapper)
    check_origin(origin, f"The study '{name}' has its environment", module)
    if module not in (None, origin):
        raise InputError(f"--env-module defines the study '{name}' and cannot change: it is {origin!r}.")
    if other := next((each for each in wrappers if each not in known), None):
        raise InputError(f"The study '{name}' was not made with --wrapper {other}. Leave it out.")
    check_trusted(known, f"The study '{name}'", module, wrappers)


def changed_source(env: EnvSpec, provenance: Mapping[str, Any]) -> str:
    """Return that the environment's own files are not those that a study began with, or an empty string."""
    was = provenance.get("env_source")
    if was is None or was == source_digest(env):
        return ""
    return f"what the files of '{env.module or env.id}' say has changed"


def as_stored(plan: StudyPlan, space: Mapping[str, Any], rules: Rules) -> StudyPlan:
    """Return the plan of a study that is in the database: what nobody can be asked to put back is as it was stored.

    That is the rules, and a packaged search space, which another version of this program may have changed. A space of
    the user's own stays as it is now; whether it has changed is for the caller to find.

    Args:
        plan: What is asked for now.
        space: The stored search space, plain data.
        rules: The stored rules.
    """
    recipe = plan.recipe
    if rules != plan.rules:
        seed = evaluation_seed(recipe.seed, "search", rules.evaluation_seeds)
        plan = dataclasses.replace(plan, rules=rules, evaluation=dataclasses.replace(plan.evaluation, seed=seed))
    if not space or not is_packaged(space_name(recipe), recipe.algo):
        return plan
    stored = parse_space(space, "The stored search space")
    stored = stored.with_budget(recipe.steps, recipe.evaluations, recipe.eval_episodes)
    budget = stored.budget
    return dataclasses.replace(
        plan,
        space=stored,
        grid=evaluation_grid(budget.n_timesteps, budget.evaluations),
        evaluation=dataclasses.replace(plan.evaluation, episodes=budget.eval_episodes),
    )
