"""How many workers and lanes suit an environment whose own steps take most of the time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.hyperparameters import Hyperparameters
from tuner.plan.cost import Forecast, episode_shares, evaluation_steps
from tuner.plan.resolve import StudyPlan
from tuner.text import percent
from tuner.training.cost.cores import available_cores

#: Workers for each core at most: each holds a process of its own.
MOST_FOR_A_CORE = 8

#: A run has to wait for this share of its time before more workers than cores are worth their memory, and its
#: environment has to compute for this share before lanes gain nothing; of a training step it has to take this share to
#: be called the limit.
SHARE = 0.5

#: Times as many steps of a run in evaluations as in training, and such steps, from which that is worth a word.
MOSTLY_EVALUATES, MANY_STEPS = 10, 1_000_000


@dataclass(frozen=True)
class StepTimes:
    """Where the time of a run goes.

    Attributes:
        run_s: Seconds of a run on its own, evaluations included.
        waiting_s: ... in which its environment's steps wait, for another process or a clock.
        stepping_s: ... in which they compute.
    """

    run_s: float
    waiting_s: float
    stepping_s: float


def step_times(plan: StudyPlan, known: Forecast) -> StepTimes | None:
    """Return where the time of one of a study's runs goes; None where nobody has timed the environment's steps."""
    played = plan.facts.random_play
    if played is None or plan.runs == 0:
        return None
    slower = max(1.0, plan.workers / available_cores())
    share = known.lengths[1] / plan.evaluation.max_steps
    steps = plan.grid[-1] + share * evaluation_steps(plan) / plan.runs
    run_s = known.expected.one_s / slower
    waiting_s = min(max(played.step_s - played.computing_s, 0.0) * steps, 0.99 * run_s)
    return StepTimes(run_s, waiting_s, min(played.computing_s * steps, run_s - waiting_s))


def advice(times: StepTimes, *, cores: int, runs: int, workers: int, lanes: int) -> str:
    """Return which ``--workers`` and ``--lanes`` to give, and why; empty where there is nothing better.

    Lanes of one worker step their environments one after another: they share the cost of learning, never that of
    stepping. Workers wait side by side, so that a core serves as many as fit into the time that one of them waits.

    Args:
        times: Of a run.
        cores: There are.
        runs: The study has.
        workers: Planned.
        lanes: Planned, of each.
    """
    room = cores * times.run_s / (times.run_s - times.waiting_s)  # workers that keep all cores at work
    better = min(math.ceil(room), runs, MOST_FOR_A_CORE * cores)
    if times.waiting_s >= SHARE * times.run_s and better > workers:
        faster = min(better, room) / min(workers, room)
        return (
            f"--workers {better} --lanes 1, about {faster:.1f} times as fast: the environment's steps wait for "
            f"{percent(times.waiting_s / times.run_s)} of a run's time, and lanes wait one after another"
        )
    if times.stepping_s >= SHARE * times.run_s and lanes > 1 and runs > workers:
        return (
            "--lanes 1 costs next to nothing: the environment's own steps are "
            f"{percent(times.stepping_s / times.run_s)} of a run's time, which lanes do not share; with fewer "
            "trials in flight proposals learn from more results"
        )
    return ""


def limit(share: float, *, waits: bool, cores: int, workers: int) -> str:
    """Return that the environment is the limit, and what saves time then; empty where it is not.

    Args:
        share: Of a training step of the middling setting that the environment's own takes.
        waits: Whether its steps mostly wait, so that a core serves several.
        cores: There are.
        workers: Planned.
    """
    if share < SHARE:
        return ""
    faster = "more --workers do" if waits or workers < cores else "more cores do"
    return (
        f"the environment: its own steps take {percent(share)} of the training; other settings or more lanes save "
        f"little, {faster}"
    )


def long_evaluations(plan: StudyPlan) -> str:
    """Return that runs will mostly evaluate, and what shortens that; empty where they will not, or time decides."""
    training, longest = plan.grid[-1], plan.evaluation.max_steps
    expected = round(episode_shares(plan)[1] * longest) * len(plan.grid) * plan.evaluation.episodes
    if plan.clock != Hyperparameters.clock or plan.recipe.within is not None:
        return ""
    if expected < max(MOSTLY_EVALUATES * training, MANY_STEPS):
        return ""
    return (
        f"Each run is expected to take {expected:,} steps in evaluations beside {training:,} of training: an episode "
        f"may last {longest:,}. --eval-episodes, --evaluations or --env-arg max_episode_steps=N make that less."
    )
