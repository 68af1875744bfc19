"""What a study will cost, in words: the part of ``--dry-run`` that is measured."""

from __future__ import annotations

from tuner.contract.outcome import describe
from tuner.durations import show_duration
from tuner.plan.advice import advice, limit, step_times
from tuner.plan.cost import Forecast, MemoryNeed, evaluation_steps, forecast, largest_saving, show_bytes
from tuner.plan.resolve import StudyPlan
from tuner.study.confirm.budget import pays_for_a_verdict
from tuner.text import counted, number, percent
from tuner.training.cost.cores import available_cores
from tuner.training.cost.footprint import available_bytes


def cost_facts(plan: StudyPlan, need: MemoryNeed) -> dict[str, str]:
    """Return steps, time and memory of a study by name; the time is measured now, which takes seconds.

    Args:
        plan: The study.
        need: What its runs hold.
    """
    facts = {"evaluation": f"at most {evaluation_steps(plan):,} environment steps beside these"}
    saving = largest_saving(plan)
    if saving:
        facts["pruning"] = f"saves up to {percent(saving)} of the training steps"
    try:
        known = forecast(plan)
        facts |= _time_facts(plan, known) | _limit_facts(plan, known) | _advice_facts(plan, known)
    except Exception as error:  # the environment's own code runs here, and a plan is still worth reading
        facts["time"] = f"not known: {describe(error)}"
    return facts | {"memory": _memory_text(need)}


def _time_facts(plan: StudyPlan, known: Forecast) -> dict[str, str]:
    recipe = plan.recipe
    runs = plan.runs
    short, expected, long = (show_duration(pace.wall_s(runs)) for pace in (known.short, known.expected, known.long))
    least, usual, most = (f"{max(round(length), 1):,}" for length in known.lengths)
    confirmed = min(recipe.confirm, recipe.trials)
    played = plan.facts.random_play
    from_play = ", as random play's," if played is not None and known.lengths[0] == played.length else ""
    facts = {
        "time": f"about {expected} ({short} to {long}) of training and evaluation if nothing is pruned and evaluation "
        f"episodes last {usual} ({least}{from_play} to {most}) steps"
        + (
            f"; confirming trains at most {recipe.confirm_budget:g} x as many steps again, with longer evaluations"
            if (recipe.confirm and recipe.within is not None)
            or pays_for_a_verdict(recipe.confirm_budget, runs, confirmed)
            else ""
        )
    }
    if known.settings > 1:
        mean, least, most = (number(seconds, 3) for seconds in known.run_s)
        facts["each run takes"] = f"{mean} s of a worker on average, {least} to {most} over {known.settings} settings"
    if recipe.timeout is not None:
        low, middle, high = (
            pace.runs_within(recipe.timeout) // recipe.seeds_per_trial
            for pace in (known.long, known.expected, known.short)
        )
        fitting = "all" if middle >= recipe.trials else f"{middle:,}"
        facts["within timeout"] = (
            f"{fitting} of {counted(recipe.trials, 'trial')} fit {show_duration(recipe.timeout)} "
            f"(room for about {middle:,}; {low:,} to {high:,})"
        )
    return facts


def _limit_facts(plan: StudyPlan, known: Forecast) -> dict[str, str]:
    played = plan.facts.random_play
    if played is None:
        return {}
    found = limit(
        known.environment,
        waits=played.computing_s < played.step_s / 2,
        cores=available_cores() if plan.trains_here else plan.workers + 1,  # other machines have more
        workers=plan.workers,
    )
    return {"limit": found} if found else {}


def _advice_facts(plan: StudyPlan, known: Forecast) -> dict[str, str]:
    times = step_times(plan, known)
    if times is None or not plan.trains_here:
        return {}
    found = advice(times, cores=available_cores(), runs=plan.runs, workers=plan.workers, lanes=plan.side_by_side)
    played = plan.facts.random_play
    if not found or played is None:
        return {}
    step = f"{1e3 * played.step_s:.3g} ms, {1e3 * played.computing_s:.3g} ms of them computing"
    return {"a step takes": step, "better": found}


def _memory_text(need: MemoryNeed) -> str:
    largest = need.largest
    networks = show_bytes(largest.network_bytes + largest.copies_bytes)
    # Of vectors next to nothing.
    much = largest.stretch_bytes > largest.total_bytes / 100
    stretch = f", steps between two training calls {show_bytes(largest.stretch_bytes)}" if much else ""
    return (
        f"at most {show_bytes(need.total_bytes)} of {show_bytes(available_bytes())} for "
        f"{counted(need.runs, 'run')} at a time "
        f"(each: replay {show_bytes(largest.replay_bytes)}, networks {networks}{stretch}); "
        "the processes themselves come on top"
    )
