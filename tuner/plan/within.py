"""``--within``: how a command's time is shared out, and the steps of a run that let enough of them fit."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

from tuner.contract.spec import RunId
from tuner.durations import show_duration
from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class, defaults
from tuner.plan.cost import episode_shares, time_runs, typical, work
from tuner.plan.imported import TrialsOf
from tuner.plan.known import unread
from tuner.plan.resolve import StudyPlan, plan_study
from tuner.text import counted
from tuner.training.cost.cores import available_cores

#: Seconds kept for the report and for ending processes, and the share of the whole where that is more.
REPORT_S, REPORT_SHARE = 4.0, 0.04

#: Share of what is left that the search may take; the confirm stage has the rest.
SEARCH_SHARE = 0.5

#: (trials that there should be time for, the share of their steps that runs keep for that): runs become shorter rather
#: than fewer, down to the share; where fewer than the next number of trials fit then, down to the next share.
ENOUGH = ((32, 1 / 5), (8, 1 / 8))

#: Episodes of an evaluation at least, where evaluations become shorter so that runs need not.
LEAST_EPISODES = 3

#: Runs that one place shall train one after the other: what runs have shown is to guide others, and the confirm stage
#: shares as much time among two phases.
IN_TURN = 3

#: Trials beyond which more say little.
MOST_TRIALS = 300

#: Commands shorter than this time two settings; others all that the study starts with, or a sample of the space.
SHORT_S = 240.0

#: Fewest starts that stand for a study's proposals: the later ones stay near those that were good.
ENOUGH_STARTS = 4


@dataclass(frozen=True)
class Deadlines:
    """When the stages of a command end, in monotonic seconds.

    Attributes:
        began: When the command began.
        seconds: How long it may take.
    """

    began: float
    seconds: float

    @property
    def report(self) -> float:
        """When the report has to begin."""
        return self.began + self.seconds - max(REPORT_S, REPORT_SHARE * self.seconds)

    def search(self, now: float) -> float:
        """Return when a search that begins now has to be done."""
        return now + SEARCH_SHARE * max(self.report - now, 0.0)


@dataclass(frozen=True)
class Fitted:
    """What fits into a search.

    Attributes:
        steps: Environment steps of each run.
        trials: Trials.
        episodes: Of each evaluation.
    """

    steps: int
    trials: int
    episodes: int = 1


def fit(
    train_s: float, evaluate_s: float, steps: int, seconds: float, wall_s: float, *, shorten: bool
) -> Fitted | None:
    """Return the steps and trials that fit.

    Runs whose training is the smaller part of them are not made shorter for the sake of more trials.

    Args:
        train_s: Seconds that a run of ``steps`` trains.
        evaluate_s: Seconds that it evaluates, however long it is.
        steps: The search space's budget.
        seconds: Time of the search times the runs that train at a time.
        wall_s: Time of the search, which no run may outlast, however many train beside it.
        shorten: Whether runs may be shorter than ``steps``.

    Returns:
        None where not even one of the shortest fits.
    """
    share, even = 1.0, min(evaluate_s / train_s, 1.0)
    for trials, shortest in ENOUGH if shorten else ():
        if seconds < trials * (share * train_s + evaluate_s):
            share = min(share, max((seconds / trials - evaluate_s) / train_s, shortest, even))
    if shorten and IN_TURN * (share * train_s + evaluate_s) > wall_s:
        share = min(share, max((wall_s / IN_TURN - evaluate_s) / train_s, ENOUGH[-1][1]))
    if share * train_s + evaluate_s > wall_s:
        return None
    steps, train_s = math.ceil(share * steps), share * train_s
    trials = min(int(seconds / (train_s + evaluate_s)), MOST_TRIALS)
    return Fitted(steps, trials) if trials else None


def fit_episodes(
    train_s: float, evaluate_s: float, steps: int, seconds: float, wall_s: float, *, shorten: bool, episodes: range
) -> Fitted | None:
    """Return what fits, with as many episodes of an evaluation as leave a run that is not whole to its training.

    Where time is short, evaluations take no longer than training does: in an environment with long episodes or slow
    steps they would take most of it, and shorter runs would save next to nothing.

    Args:
        train_s: As for :func:`fit`.
        evaluate_s: Likewise, with the most episodes.
        steps: Likewise.
        seconds: Likewise.
        wall_s: Likewise.
        shorten: Likewise.
        episodes: From the fewest that there may be to the most.

    Returns:
        As :func:`fit`.
    """
    found = None
    for count in reversed(episodes):
        evaluating_s = evaluate_s * count / episodes[-1]
        found = fit(train_s, evaluating_s, steps, seconds, wall_s, shorten=shorten)
        if found is not None:
            found = dataclasses.replace(found, episodes=count)
            whole = found.steps == steps and found.trials >= ENOUGH[0][0]
            if whole or evaluating_s <= train_s * found.steps / steps:
                break
    return found


def plan_within(
    plan: StudyPlan,
    deadlines: Deadlines,
    budget: Mapping[str, Any] | None,
    done: int,
    trials_of: TrialsOf = unread,
) -> StudyPlan:
    """Return the plan of a study that ends in time.

    Args:
        plan: What is asked for, with ``--within``.
        deadlines: Of the command.
        budget: Budget that the study has stored, which it goes on with; None for a new one.
        done: Trials that it has already; those that fit come on top, up to ``recipe.trials`` in all.
        trials_of: Reads Optuna studies that ``--start-with`` names.

    Raises:
        InputError: Not even one run fits.
        UnusableEnvironmentError: A run failed, with its reason.
    """
    recipe, play = plan.recipe, plan.facts.random_play is not None
    if budget is not None:
        recipe = dataclasses.replace(
            recipe,
            steps=budget["n_timesteps"],
            evaluations=budget["evaluations"],
            eval_episodes=budget["eval_episodes"],
        )
        plan = plan_study(dataclasses.replace(recipe, study=plan.name), trials_of=trials_of, play=play)
    train_s, evaluate_s = _run_seconds(plan, deadlines.seconds)
    now = time.monotonic()
    at_a_time = min(plan.workers, available_cores()) / recipe.seeds_per_trial
    wall_s = deadlines.search(now) - now
    most = plan.evaluation.episodes
    episodes = range(most if recipe.eval_episodes is not None else min(LEAST_EPISODES, most), most + 1)
    shorten, searching_s = recipe.steps is None, wall_s * at_a_time
    found = fit_episodes(train_s, evaluate_s, plan.grid[-1], searching_s, wall_s, shorten=shorten, episodes=episodes)
    if found is None:
        clock = algorithm_class(recipe.algo).clock
        evaluate_s *= episodes[0] / most
        less = "--steps" if train_s > evaluate_s else "--evaluations"
        raise InputError(
            f"--within {show_duration(deadlines.seconds)} is too short: getting ready and timing a run took "
            f"{show_duration(now - deadlines.began)} of it, {show_duration(wall_s)} are left for the "
            f"search, and a run of {plan.grid[-1]:,} {clock} takes about {show_duration(train_s + evaluate_s)} here, "
            f"{show_duration(evaluate_s)} of them in evaluations. Give it longer, or fewer {less}."
        )
    trials = min(done + found.trials, recipe.trials)
    again = dataclasses.replace(
        recipe,
        steps=found.steps,
        trials=trials,
        eval_episodes=found.episodes if found.episodes < most else recipe.eval_episodes,
        study=plan.name,
    )
    new = max(trials - done, 0)
    note = (
        f"Within {show_duration(deadlines.seconds)} there is time for about {counted(new, 'trial')} of "
        f"{found.steps:,} steps"
        + (f" (the search space's budget is {plan.grid[-1]:,})." if found.steps < plan.grid[-1] else ".")
        + (
            f" Evaluations are of {counted(found.episodes, 'episode')}: of the search space's {most} they would take "
            "longer than training."
            if found.episodes < most
            else ""
        )
    )
    fitted = plan_study(again, trials_of=trials_of, play=play)
    return dataclasses.replace(fitted, notes=(*plan.notes, note), deadline=deadlines.search(time.monotonic()))


def _run_seconds(plan: StudyPlan, within: float) -> tuple[float, float]:
    """Return the mean seconds that a run trains and evaluates, over settings that stand for the study's proposals.

    In a short command two are timed, the defaults and the dearest of what the study starts with: times between grow as
    the computing does (:func:`tuner.plan.cost.work`). The middle one says nothing of a mean that few dear ones decide.
    """
    starts = [plan.space.resolve(start.params) for start in plan.known.starts]
    short = within < SHORT_S
    computing = [work(plan, setting) for setting in starts] if short else []
    if short:
        dearest = [starts[computing.index(max(computing))]] if starts else []
        settings = [defaults(plan.algorithm, images=plan.sees_images), *dearest]
    else:
        settings = starts if len(starts) >= ENOUGH_STARTS else typical(plan)
    specs = [plan.run_spec(RunId(i), setting, seed=i) for i, setting in enumerate(settings)]
    costs, (_, share, _) = time_runs(plan, [(spec, 1) for spec in specs]), episode_shares(plan)
    seconds = [(c.training_s(spec), c.evaluation_s(spec, share)) for spec, c in zip(specs, costs, strict=True)]
    if computing:
        part = _part(work(plan, settings[0]), mean(computing), max(computing))
        train_s, evaluate_s = (usual + part * (dear - usual) for usual, dear in zip(*seconds, strict=True))
        return train_s, evaluate_s
    return mean(train for train, _ in seconds), mean(evaluate for _, evaluate in seconds)


def _part(low: float, value: float, high: float) -> float:
    """Return how far a value lies between two others, within 0 and 1; one half where they are equal."""
    return min(max((value - low) / (high - low), 0.0), 1.0) if high != low else 0.5
