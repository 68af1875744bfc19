"""``tune --env ID --trials N``: a search, from flags to the answer."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tuner.cli.confirm_command import agent_lines, verdict_lines
from tuner.cli.console import INTERRUPTED, aligned, decimal, say
from tuner.cli.progress import counts_text, progress_view
from tuner.cli.range_text import range_text
from tuner.cli.recipe_flags import given, over, settings
from tuner.errors import InputError
from tuner.plan.command_lines import recipe_command, train_words
from tuner.plan.recipe import StudyRecipe, from_mapping
from tuner.storage_url import DEFAULT_STORAGE, default_storage, mask
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.plan.known import Known
    from tuner.plan.resolve import StudyPlan
    from tuner.study_result import StudyResult


def run(parsed: argparse.Namespace) -> int:
    """Search, or show what would be searched."""
    recipe = recipe_of(parsed)
    if recipe.envs or recipe.holdout_env is not None:
        from tuner.cli.several_command import run_several

        several = recipe if recipe.envs else dataclasses.replace(recipe, envs=(recipe.env,), env="")
        return run_several(several, dry_run=bool(given(parsed).get("dry_run")))
    if given(parsed).get("dry_run"):
        return _dry_run(recipe)
    from tuner.api import run as run_study

    result = run_study(recipe, progress=progress_view(quiet=recipe.quiet), began=_process_began())
    say("\n".join(answer(result, recipe)))
    return INTERRUPTED if result.ending == "interrupted" else 0


def _process_began() -> float:
    """Return the monotonic second at which this process began: ``--within`` counts Python's own start, too."""
    import time

    import psutil

    return time.monotonic() - max(time.time() - psutil.Process().create_time(), 0.0)


def recipe_of(parsed: argparse.Namespace) -> StudyRecipe:
    """Return the recipe file's settings with the flags over them, checked.

    Raises:
        InputError: A setting breaks its rule.
    """
    from tuner.plan.recipe_files import read_recipe

    name = given(parsed).get("recipe")
    below = read_recipe(name) if name is not None else {}
    recipe = from_mapping(over(below, settings(parsed)))
    if recipe.env and recipe.envs:
        raise InputError(
            f"{name} names both env, {recipe.env}, and envs, {', '.join(recipe.envs)}. Leave one of them out."
        )
    return recipe


def answer(result: StudyResult, recipe: StudyRecipe) -> list[str]:
    """Return what a search has found, in lines."""
    data, best = result.data, result.data.best
    counts = {t: data.count(t) for t in ("completed", "pruned", "diverged", "timed_out", "failed")}
    lines = [f"Study {data.name}: {counted(sum(counts.values()), 'trial')} ({counts_text(counts)})"]
    if result.ending == "timeout":
        lines.append("The time is up before all trials were done; the same command carries on.")
    if result.ending == "interrupted":
        lines.append("Interrupted; every finished trial is kept, and the same command carries on.")
    if result.ending in ("timeout", "interrupted"):
        command = recipe_command(recipe, data.name, recipe.storage or default_storage(), here=True)
        lines.append(f"Go on with: {command}")
    if best is None and recipe.within is not None:
        lines.append("No trial has run to its end in this time. Give --within longer, or fewer --steps.")
    lines += verdict_lines(data)
    if data.chosen is not None:
        lines += [f"Values of trial {data.chosen.number}:", *aligned(result.values())]
    lines += [*agent_lines(result), f"Report: {result.report}"]
    storage = [] if recipe.storage in (None, DEFAULT_STORAGE) else ["--storage", mask(str(recipe.storage))]
    next_commands = [["tune", "show", data.name, *storage], ["tune", "dashboard", *storage]]
    if result.export is not None:
        lines.append(f"Export: {result.export}")
        next_commands.insert(0, train_words(recipe, str(result.export)))
    return [*lines, "Next:", *(f"  {shlex.join(words)}" for words in next_commands)]


def _dry_run(recipe: StudyRecipe) -> int:
    from tuner.api import check_folders
    from tuner.cli.forecast_lines import cost_facts
    from tuner.execution.choose import with_workers
    from tuner.plan.cost import refuse_what_cannot_fit
    from tuner.plan.resolve import plan_study
    from tuner.plan.within import Deadlines, plan_within
    from tuner.study.confirm.reuse import known_beforehand
    from tuner.study.reading.foreign import best_trials
    from tuner.study.sampling.samplers import make_sampler
    from tuner.study.search.open_study import as_resumed, called_as_before, found_study, stored_progress
    from tuner.study.search.progress import going_on
    from tuner.study.store.database import sqlite_path

    plan = plan_study(called_as_before(recipe), with_workers, best_trials)
    stored = found_study(plan)
    if recipe.within is not None:
        deadlines = Deadlines(_process_began(), recipe.within)
        plan = plan_within(plan, deadlines, *stored_progress(plan, stored), best_trials)
        recipe = plan.recipe
    plan, there = as_resumed(plan, stored)
    need = refuse_what_cannot_fit(plan)
    check_folders(plan)
    sqlite_path(plan.storage)
    make_sampler(recipe.sampler, seed=recipe.seed, startup_trials=recipe.startup_trials)
    if not recipe.quiet:
        for line in plan.notes:
            say(line, stderr=True)
    known = [known_beforehand(plan)]
    if there is not None:
        known.insert(0, going_on(plan.name, there, plan.trials))
    say("\n".join(plan_lines(plan, cost_facts(plan, need), known)))
    return 0


def plan_lines(plan: StudyPlan, costs: Mapping[str, str], known: Sequence[str] = ()) -> list[str]:
    """Return a plan in lines that people and scripts can read.

    Args:
        plan: The study.
        costs: What it will cost, from :func:`tuner.cli.forecast_lines.cost_facts`.
        known: What is there of it already, and of its verdict in earlier studies, in sentences.
    """
    from tuner.plan.advice import long_evaluations
    from tuner.plan.known import library_note

    recipe, budget = plan.recipe, plan.space.budget
    runs = plan.runs
    clock = plan.clock
    seeds = f" x {recipe.seeds_per_trial} seeds" if recipe.seeds_per_trial > 1 else ""
    facts = {
        "study": plan.name,
        "storage": mask(plan.storage),
        "environment": f"{recipe.env}: {plan.facts.observation}, {plan.facts.actions}"
        + (f" ({plan.facts.changes})" if plan.facts.changes else ""),
        "trainer": f"{recipe.algo}, {recipe.backend}, {plan.numeric_path}",
        "search": f"{counted(recipe.trials, 'trial')}{seeds}, sampler {recipe.sampler}, pruner {recipe.pruner}, "
        f"objective {recipe.objective}, seed {recipe.seed}",
        **_first_facts(plan.known, recipe.trials),
        **_baseline_facts(plan),
        "each run": f"{budget.n_timesteps:,} {clock}, {counted(budget.evaluations, 'evaluation')} of "
        f"{counted(budget.eval_episodes, 'episode')} ({_episode_text(plan)})",
        "evaluated at": ", ".join(_shortened(plan.grid)),
        "in parallel": f"{recipe.executor}: {counted(plan.workers, 'worker')} x {counted(plan.lanes, 'lane')}, "
        f"{counted(min(plan.trials_in_flight, recipe.trials), 'trial')} in flight",
        "in all": f"at most {runs * budget.n_timesteps:,} {clock} of training",
        "then confirm": _confirm_text(recipe, runs, budget.n_timesteps),
        **costs,
        "report": f"{recipe.report_dir}/{plan.name}/index.html",
    }
    lines = [
        *aligned(facts, indent=""),
        "searched",
        *aligned({n: range_text(r.to_mapping()) for n, r in plan.space.search.items()}),
    ]
    if plan.space.fixed:
        lines += ["fixed", *aligned(plan.space.fixed)]
    if plan.space.derived:
        lines += ["derived", *aligned({n: range_text(r.to_mapping()) for n, r in plan.space.derived.items()})]
    said = [*known, long_evaluations(plan), library_note(recipe, plan.grid[-1])]
    return [*lines, *filter(None, said), "Nothing was written: this was a dry run."]


def _first_facts(known: Known, trials: int) -> dict[str, str]:
    """Return what a new study of so many trials trains before its sampler proposes."""
    from tuner.plan.known import PORTFOLIO

    names = [start.name for start in known.starts][:trials]
    portfolio, random = sum(name.startswith(PORTFOLIO) for name in names), names.count("")
    parts = {
        "of --start-with": len(names) - portfolio - random,
        "of the portfolio": portfolio,
        "at random": random,
    }
    said = [f"{count:,} {whose}" for whose, count in parts.items() if count]
    return {"begins with": f"{counted(len(names), 'setting')}: {', '.join(said)}"} if said else {}


def _baseline_facts(plan: StudyPlan) -> dict[str, str]:
    """Return what the result will stand beside, as far as it is known now."""
    from tuner.report.words.evidence import share_of_steps
    from tuner.zoo.tuned import zoo_config

    facts, played = {}, plan.facts.random_play
    if played is not None and played.mean is not None:
        facts["random play"] = f"{decimal(played.mean)}, the mean of {counted(len(played.returns), 'episode')}"
    zoo, steps = zoo_config(plan.env.id, plan.algorithm, plan.env.wrapper), plan.grid[-1]
    if zoo is not None and plan.recipe.zoo_full_budget and steps != zoo.n_timesteps:
        facts["RL Zoo's values"] = f"train for their full {zoo.n_timesteps:,} steps, the others for {steps:,}"
    elif zoo is not None and steps < zoo.n_timesteps:
        share = share_of_steps({"n_timesteps": steps, "tuned_for": zoo.n_timesteps})
        facts["RL Zoo's values"] = (
            f"train for {share} of the {zoo.n_timesteps:,} steps that they are meant for, as all do"
        )
    return facts


def _confirm_text(recipe: StudyRecipe, runs: int, n_timesteps: int) -> str:
    from tuner.study.confirm.budget import pays_for_a_verdict, too_few_runs

    if recipe.confirm == 0:
        return "nothing: --confirm 0"
    finalists = min(recipe.confirm, recipe.trials)
    if recipe.within is None and not pays_for_a_verdict(recipe.confirm_budget, runs, finalists):  # else time decides
        return f"nothing: {too_few_runs(runs, finalists)}"
    return (
        f"up to {counted(recipe.confirm, 'finalist')} trained again on fresh seeds, the winner and its baselines on up "
        f"to {recipe.confirm_seeds} fresher ones{_until_text(recipe)}: at most {recipe.confirm_budget:g} x the steps "
        f"that the search spends ({int(recipe.confirm_budget * runs * n_timesteps):,})"
    )


def _episode_text(plan: StudyPlan) -> str:
    """Return where evaluation episodes end at the latest, and how to say so for those that would never."""
    most = f"at most {plan.evaluation.max_steps:,} steps each"
    limited = plan.facts.max_episode_steps is not None
    return most if limited else f"{most}, as it has no limit; --env-arg max_episode_steps=N sets one"


def _until_text(recipe: StudyRecipe) -> str:
    return "" if recipe.until is None else f", until each comparison is sure ({recipe.until:g})"


def _shortened(grid: tuple[int, ...]) -> list[str]:
    steps = [f"{step:,}" for step in grid]
    return steps if len(steps) <= 12 else [*steps[:3], "...", steps[-1]]
