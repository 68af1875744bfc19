"""From a trial whose runs have all ended to how it ended, and from all trials to whether there was any use in it."""

from __future__ import annotations

from collections import Counter

from tuner.contract.objective import trial_score
from tuner.errors import DivergedError, StudyFailedError
from tuner.result.study import StudyData
from tuner.study.search.open_trials import OpenTrial
from tuner.study.search.trial import TrialEnd


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


def nothing_learned(data: StudyData) -> StudyFailedError | None:
    """Return why no trial was of any use, or None."""
    ended = [t for t in data.trials if t.outcome in ("completed", "pruned", "diverged", "timed_out", "failed")]
    if not ended or any(t.outcome in ("completed", "pruned") for t in ended):
        return None
    reasons = Counter(f"{t.outcome}: {t.reason}" for t in ended).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return StudyFailedError(f"None of the {len(ended)} trials completed ({listed}).")
