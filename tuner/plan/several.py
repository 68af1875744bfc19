"""From a recipe for several environments to a plan for each: one search space, and an ordinary study for each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tuner.errors import InputError
from tuner.plan.known import known_to_several
from tuner.plan.naming import member_suffix, safe_name, study_name
from tuner.plan.recipe import StudyRecipe, check_study_name, flag
from tuner.plan.resolve import StudyPlan, plan_study, space_name
from tuner.space.model import SearchSpace

#: Characters of a name of several studies at most: each adds its environment's.
LONGEST_NAME = 80

#: Settings that one environment's study has and several do not: the value that leaves them out, and what to do instead.
_LEFT_OUT: dict[str, tuple[Any, str]] = {
    "within": (None, "Say --trials and --steps; --timeout ends a search, and the same command carries on."),
    "until": (None, "Say how many seeds judge with --confirm-seeds."),
    "confirm_backend": (None, "Leave it out: --backend trains the verdict, too."),
    "record": (False, "Leave it out, and film a kept agent: tune record DIR."),
    "audit_pruning": (False, "Leave it out: of several no run is stopped."),
    "zoo_full_budget": (False, "Leave it out, and compare on each: tune compare FILE.yaml --env ID."),
}


@dataclass(frozen=True)
class SeveralPlan:
    """One setting for several environments.

    Attributes:
        name: What the studies are called together.
        recipe: What was asked for.
        members: The environments' studies, in the order in which they were given; all search the same space.
        holdout: Where the setting found is judged, too; no study searches it.
        most_open: Settings that train at a time.
    """

    name: str
    recipe: StudyRecipe
    members: tuple[StudyPlan, ...]
    holdout: StudyPlan | None
    most_open: int

    @property
    def space(self) -> SearchSpace:
        """What all of them search."""
        return self.members[0].space

    @property
    def everywhere(self) -> tuple[StudyPlan, ...]:
        """Where the setting is judged, the environment held out last."""
        return self.members if self.holdout is None else (*self.members, self.holdout)


def plan_several(recipe: StudyRecipe) -> SeveralPlan:
    """Resolve a recipe for several environments.

    Args:
        recipe: With ``envs``, and no ``env``.

    Raises:
        InputError: A setting breaks a rule or does not go with several environments, or these need different spaces.
    """
    _check(recipe)
    named = dataclasses.replace(recipe, env="+".join(recipe.envs), envs=recipe.envs)
    name = check_study_name(recipe.study) if recipe.study is not None else _short(study_name(named))
    if len(name) > LONGEST_NAME:
        raise InputError(f"--study must have at most {LONGEST_NAME} characters for several environments, got {name!r}.")
    one = dataclasses.replace(recipe, pruner="none", holdout_env=recipe.holdout_env)
    plans = [plan_study(dataclasses.replace(one, env=env, study=f"{name}{member_suffix(env)}")) for env in recipe.envs]
    holdout = None
    if recipe.holdout_env is not None:
        holdout = plan_study(dataclasses.replace(one, env=recipe.holdout_env, study=f"{name}.holdout"))
    spaces = {env: space_name(dataclasses.replace(one, env=env)) for env in (*recipe.envs, *_holdouts(recipe))}
    if len(set(spaces.values())) > 1:
        first, other = next((a, b) for a in spaces for b in spaces if spaces[a] != spaces[b])
        raise InputError(
            f"--env {first} is searched in the space '{spaces[first]}' and {other} in '{spaces[other]}': one setting "
            "cannot lie in both. Say --space NAME, or give environments of one kind."
        )
    space = _common_space(plans)
    known = known_to_several([(plan.recipe, plan.sees_images) for plan in plans], space)
    share = len(plans)
    members = tuple(
        dataclasses.replace(
            plan,
            space=space.with_budget(plan.grid[-1], len(plan.grid), plan.evaluation.episodes),
            known=known,
            trials_in_flight=max(-(-plan.trials_in_flight // share), 1),
            runs_in_flight=max(-(-plan.runs_in_flight // share), 1),
        )
        for plan in plans
    )
    return SeveralPlan(name, recipe, members, holdout, plans[0].trials_in_flight)


def _check(recipe: StudyRecipe) -> None:
    everywhere = (*recipe.envs, *_holdouts(recipe))
    if len(recipe.envs) < 2:
        raise InputError("--holdout-env needs several --env, got one. Add another --env, or use tune compare.")
    repeated = next((env for env in everywhere if everywhere.count(env) > 1), None)
    if repeated is not None:
        raise InputError(f"--env must name each environment once, got {repeated} twice.")
    if len({safe_name(env) for env in everywhere}) < len(everywhere):
        raise InputError("--env: two of the names differ only in characters that no file name has. Rename one.")
    for name, (out, instead) in _LEFT_OUT.items():
        if getattr(recipe, name) != out:
            raise InputError(f"{flag(name)} is for one environment, and several --env are given. {instead}")
    if recipe.pruner not in ("median", "none"):
        raise InputError(
            f"--pruner {recipe.pruner} is for one environment: of several no run is stopped. Leave it out."
        )
    if recipe.sampler == "grid":
        raise InputError("--sampler grid is for one environment, and several --env are given. Use tpe, gp or random.")
    if recipe.executor == "ray":
        raise InputError("--executor ray is for one environment, and several --env are given. Use processes.")


def _holdouts(recipe: StudyRecipe) -> tuple[str, ...]:
    return () if recipe.holdout_env is None else (recipe.holdout_env,)


def _short(name: str) -> str:
    """Return a name with room for an environment's; its last characters tell commands apart."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 7]}{name[-7:]}"


def _common_space(plans: list[StudyPlan]) -> SearchSpace:
    """Return the space of the shortest runs, with what any environment fixes fixed: it lies in that of every other."""
    space = min(plans, key=lambda plan: plan.grid[-1]).space
    for plan in plans:
        for name, value in plan.space.fixed.items():
            if name in space.search:
                space = space.fix(name, value)
    if not space.search:
        raise InputError("Nothing is left to search that all environments have. Use fewer --set.")
    return space
