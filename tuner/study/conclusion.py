"""From a trial whose runs have all ended to how it ended."""

from __future__ import annotations

from tuner.errors import DivergedError
from tuner.study.flight import OpenTrial
from tuner.study.objective import trial_score
from tuner.study.trials import TrialEnd


def conclude(trial: OpenTrial, last_step: int, objective: str) -> TrialEnd | None:
    """Return how a trial ended; None when its runs were stopped before their end without a verdict.

    Args:
        trial: None of its runs trains or waits.
        last_step: The runs' budget in environment steps.
        objective: Name of the score.
    """
    score, verdict, runs = None, trial.verdict, trial.runs.values()
    if verdict is None:
        if any(run.last_step < last_step for run in runs):
            return None
        try:
            score = trial_score(objective, trial.curves)
        except DivergedError as error:
            verdict = ("diverged", str(error))
    outcome, reason = verdict or ("completed", "")
    return TrialEnd(outcome, score, sum(run.steps for run in runs), sum(run.elapsed_s for run in runs), reason)
