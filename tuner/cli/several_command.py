"""``tune --env A --env B ...``: one setting for several environments, searched, chosen, judged on each, exported."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.cli.console import INTERRUPTED, aligned, say
from tuner.cli.paired_runs import train_missing
from tuner.cli.progress import progress_view
from tuner.cli.several_answer import say_and_write, several_document
from tuner.durable import check_writable, make_folder
from tuner.errors import StudyFailedError, StudyLockedError
from tuner.plan.naming import file_name, safe_name
from tuner.result.agents import AGENTS, KeptAgent, Place
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.contract.spec import RunSpec
    from tuner.plan.recipe import StudyRecipe
    from tuner.plan.resolve import StudyPlan
    from tuner.plan.several import SeveralPlan
    from tuner.report.numbers.several import Runs
    from tuner.result.confirmation import ConfirmRun, Contestant, Phase
    from tuner.result.study import StudyData
    from tuner.study.confirm.choice import Choice
    from tuner.study.search.progress import ProgressListener
    from tuner.study.search.run_events import RunEvents
    from tuner.study.search.supervisor import Ending
    from tuner.study.store.locks import Claim


def run_several(recipe: StudyRecipe, *, dry_run: bool) -> int:
    """Search for one setting, judge it on every environment, print and write what has been found."""
    from tuner.api import check_folders, lock_database
    from tuner.plan.cost import refuse_what_cannot_fit
    from tuner.plan.several import plan_several
    from tuner.study.search.open_study import as_resumed, found_study
    from tuner.study.store.locks import advisory_lock, study_lock

    plan = plan_several(recipe)
    folder = plan.members[0].reports / file_name(plan.name)
    check_writable(folder, f"--report-dir {plan.members[0].reports}")
    for one in plan.everywhere:
        check_folders(one)
    if dry_run:
        for one in plan.members:
            as_resumed(one, found_study(one))
        say("\n".join(_plan_lines(plan)))
        return 0
    for one in plan.members:
        refuse_what_cannot_fit(one)
    database = lock_database(plan.members[0])
    # Until the last verdict: its runs are no study's, and nobody trains them twice.
    with contextlib.ExitStack() as locks:
        for one in plan.members:
            locks.enter_context(study_lock(database, one.name))
        claim = locks.enter_context(advisory_lock(plan.members[0].storage, plan.name))
        if not claim:
            raise StudyLockedError(
                f"Another process trains '{plan.name}': of several environments one supervisor trains all. Wait for "
                "it, stop it, or start another with --study NEW."
            )
        return _run(plan, folder, claim)


def _run(plan: SeveralPlan, folder: Path, claim: Claim) -> int:
    """Search, choose and judge, with the studies' locks held."""
    from tuner.api import run_events
    from tuner.study.reading.study import load
    from tuner.study.search.outage import Patience

    progress = progress_view(quiet=plan.recipe.quiet)
    events = {one.name: made for one in plan.everywhere if (made := run_events(one, progress)) is not None}
    ending, failure = _search(plan, claim, progress, events)
    patience = Patience(progress)
    found = {one.env.id: patience(load, one.name, one.storage) for one in plan.members}
    _write_member_reports(plan, found)
    if failure is not None:
        raise failure
    if ending != "done":
        why = "Interrupted" if ending == "interrupted" else "The time is up before all trials were done"
        say(f"{why}; every finished trial is kept, and the same command carries on.")
        return INTERRUPTED if ending == "interrupted" else 0
    make_folder(folder)
    return _settle_on_one(plan, found, folder, events)


def _search(
    plan: SeveralPlan, claim: Claim, progress: ProgressListener, events: Mapping[str, RunEvents]
) -> tuple[Ending, StudyFailedError | None]:
    from tuner.api import drive
    from tuner.execution.choose import make_executor
    from tuner.study.reading.study import load
    from tuner.study.search.outage import Patience
    from tuner.study.search.provenance import of_study
    from tuner.study.search.several import open_several

    for one in plan.members:
        for line in one.notes:
            progress.note(f"{one.env.id}: {line}")
    supervisor = open_several(plan, of_study, progress, events)
    claim.on_lost = supervisor.interrupt
    for one in plan.members:
        if one.name in events:  # what ended before the flag was given
            events[one.name].fill(Patience(progress)(load, one.name, one.storage))
    if supervisor.over:
        return supervisor.close(), None
    return drive(supervisor, make_executor(plan.members[0]), progress)


def _write_member_reports(plan: SeveralPlan, found: Mapping[str, StudyData]) -> None:
    from tuner.study_report import write_study_report

    for one in plan.members:
        if found[one.env.id].trials:
            write_study_report(found[one.env.id], one.storage, one.reports, {})


def _finalists(
    plan: SeveralPlan, found: Mapping[str, StudyData], choice: Choice
) -> dict[str, tuple[Contestant, float]]:
    """Return settings that have completed everywhere, the best mean rank first: key to setting and that mean."""
    from tuner.core.ranks import mean_ranks
    from tuner.hyperparameters import from_mapping
    from tuner.result.confirmation import Contestant
    from tuner.study.confirm.contestants import setting_key

    algorithm, backend = plan.space.algorithm, plan.members[0].backend
    scores: list[dict[str, float]] = []
    settings: dict[str, Contestant] = {}
    for data in found.values():
        mine: dict[str, float] = {}
        for trial in data.trials:
            if trial.score is not None and trial.hyperparameters:
                values = from_mapping(algorithm, trial.hyperparameters).to_mapping()
                key = setting_key(backend, algorithm, values)
                mine.setdefault(key, choice.worth(key, [trial.score]))
                settings.setdefault(
                    key, Contestant(key, "finalist", f"trial {trial.number}", trial.number, backend, values)
                )
        scores.append(mine)
    keys = [key for key in scores[0] if all(key in mine for mine in scores)]
    if not keys:
        return {}
    table = [[mine[key] for key in keys] for mine in scores]
    means = dict(zip(keys, mean_ranks(table, ties=not choice.exact).tolist(), strict=True))
    ordered = sorted(keys, key=lambda key: -means[key])
    return {key: (settings[key], means[key]) for key in ordered}


def _settle_on_one(
    plan: SeveralPlan, found: Mapping[str, StudyData], folder: Path, events: Mapping[str, RunEvents]
) -> int:
    """Choose among the finalists, judge the setting, write page and export."""
    from tuner.report.numbers.several import chosen
    from tuner.study.confirm.budget import allocate
    from tuner.study.confirm.choice import choice_of

    recipe = plan.recipe
    choice = choice_of(recipe.objective, rule=(rule := min(data.rules.finalists for data in found.values())))
    ranked = _finalists(plan, found, choice)
    if not ranked:
        raise StudyFailedError("No setting has completed in every environment. Use more --trials.")
    objective = "late" if recipe.objective == "worst" else recipe.objective
    spent = sum(data.steps_spent / one.grid[-1] for data, one in zip(found.values(), plan.members, strict=True))
    runs = int(recipe.confirm_budget * spent / len(plan.members))  # in each environment
    baselines = max(len(_baselines(one)) for one in plan.everywhere)
    shared = None
    if recipe.confirm:
        most = min(recipe.confirm, len(ranked))
        shared = allocate(runs, finalists=most, baselines=baselines, seeds=recipe.confirm_seeds)
    if shared is None:
        why = (
            "--confirm 0"
            if not recipe.confirm
            else f"{counted(runs, 'run')} in each environment: too few, see --trials and --confirm-budget"
        )
        winner = next(iter(ranked.values()))[0]
        say(f"The best mean rank in the search, not trained again ({why}): {winner.name}.")
        say_and_write(plan, winner, folder, None, {})
        return 0
    finalists = [contestant for contestant, _ in list(ranked.values())[: shared.finalists]]
    winner = finalists[0]
    fresh: dict[str, float] = {}
    if shared.select_runs:
        each = shared.select_runs // shared.finalists
        selected = _train(plan, [(one, finalists) for one in plan.members], "select", each, folder, events)
        if selected is None:
            return _interrupted()
        key, fresh = chosen(selected, objective, choice.worth, ties=not choice.exact, floored=rule > 5)
        winner = next(c for c in finalists if c.key == key)
    against = [(one, [winner, *_baselines(one)[: shared.baselines]]) for one in plan.everywhere]
    judged = _train(plan, against, "verdict", shared.verdict_seeds, folder, events, keep=winner)
    if judged is None:
        return _interrupted()
    document = several_document(plan, winner, judged, against, objective)
    document["points"] = len(ranked)
    document["finalists"] = [
        {
            "name": c.name,
            "hyperparameters": dict(c.hyperparameters),
            "rank_in_search": ranked[c.key][1],
            "rank_on_fresh_seeds": fresh.get(c.key),
        }
        for c in finalists
    ]
    say_and_write(plan, winner, folder, document, _agents(plan, winner, judged, objective, folder))
    return 0


def _baselines(plan: StudyPlan) -> list[Contestant]:
    """Return what a setting stands beside in an environment."""
    from tuner.study.confirm.contestants import fixed_baselines

    env = plan.env
    return fixed_baselines(plan.algorithm, env.id, plan.backend, wrapper=env.wrapper, images=plan.sees_images)


def _interrupted() -> int:
    say("Interrupted; every finished run is kept, and the same command carries on.")
    return INTERRUPTED


def _train(
    plan: SeveralPlan,
    settings: Sequence[tuple[StudyPlan, Sequence[Contestant]]],
    phase: Phase,
    seeds: int,
    folder: Path,
    events: Mapping[str, RunEvents],
    keep: Contestant | None = None,
) -> dict[str, dict[str, list[ConfirmRun]]] | None:
    """Return the runs of each setting in each environment, training those that the folder does not hold.

    Args:
        plan: All environments.
        settings: Which are trained in each.
        phase: What for.
        seeds: Of each setting.
        folder: Holds the runs.
        events: Writes event files, by the study's name.
        keep: The setting whose models are kept.

    Returns:
        Environment to key to runs in order of seeds; None when interrupted.
    """
    from tuner.contract.spec import RunId
    from tuner.study.confirm.ledger import spec_of
    from tuner.study.confirm.schedule import Job
    from tuner.study.upkeep.keep_agents import models_folder

    places = [(one, contestant) for one, members in settings for contestant in members]
    every: list[list[RunSpec]] = [
        [
            dataclasses.replace(
                spec_of(one, contestant, Job(contestant.key, phase, r)), run_id=RunId(place, r), keep=contestant is keep
            )
            for r in range(seeds)
        ]
        for place, (one, contestant) in enumerate(places)
    ]
    what = "finalists" if phase == "select" else "verdict"
    models = models_folder(folder) if keep is not None else None
    trained = train_missing(f"{plan.name}, {what}", plan.members[0], every, folder, models)
    if trained is None:
        return None
    found: dict[str, dict[str, list[ConfirmRun]]] = {}
    for (one, contestant), runs in zip(places, trained, strict=True):
        found.setdefault(one.env.id, {}).setdefault(contestant.key, runs)
        if one.name in events:
            mine = tuple(dataclasses.replace(run, phase=phase) for run in runs)
            events[one.name].fill_trained([dataclasses.replace(contestant, runs=mine)], plan.recipe.objective)
    return found


def _agents(
    plan: SeveralPlan, winner: Contestant, judged: Runs, objective: str, folder: Path
) -> dict[str, Mapping[Place, KeptAgent]]:
    """Return the setting's best and median agent in each environment, as far as their models are there."""
    from tuner.study.upkeep.keep_agents import keep_agents_of, models_folder

    return {
        one.env.id: keep_agents_of(
            dataclasses.replace(winner, runs=tuple(judged[one.env.id][winner.key])),
            one.env,
            objective,
            models_folder(folder),
            folder / AGENTS / safe_name(one.env.id),
        )
        for one in plan.everywhere
    }


def _plan_lines(plan: SeveralPlan) -> list[str]:
    recipe = plan.recipe
    facts = {
        "together": plan.name,
        "objective": f"mean over {len(plan.members)} environments of a setting's rank, by its score {recipe.objective}",
        "search": f"{counted(recipe.trials, 'setting')}, each trained in every environment, sampler {recipe.sampler}, "
        f"no pruner, {counted(plan.most_open, 'setting')} in flight",
        **{
            one.env.id: f"{one.grid[-1]:,} {one.clock} a run, {counted(len(one.grid), 'evaluation')}; study {one.name}"
            for one in plan.members
        },
        "judged on": ", ".join(one.env.id for one in plan.everywhere),
        "searched": ", ".join(plan.space.search),
    }
    return [*aligned(facts, indent=""), "Nothing was written: this was a dry run."]
