"""Why trials ended without a result, equal reasons together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner.result.study import StudyData, TrialRow


@dataclass(frozen=True)
class ReasonGroup:
    """Trials that ended for the same reason, numbers aside.

    Attributes:
        outcome: Their outcome.
        reason: The first one's reason.
        trials: Their numbers.
    """

    outcome: str
    reason: str
    trials: tuple[int, ...]


def reason_groups(data: StudyData) -> list[ReasonGroup]:
    """Return why trials diverged, failed, timed out or were lost; equal reasons together, the most frequent first.

    Reasons count as equal when they differ in numbers only ("at step 1,200", "at step 3,400").
    """
    groups: dict[tuple[str, str], list[TrialRow]] = {}
    for trial in data.trials:
        if trial.outcome in ("diverged", "timed_out", "failed", "lost") and trial.continued_as is None:
            pattern = re.sub(r"\d[\d,._]*", "#", trial.reason)
            groups.setdefault((trial.outcome, pattern), []).append(trial)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[1][0].number))
    return [
        ReasonGroup(outcome, members[0].reason or "no reason recorded", tuple(t.number for t in members))
        for (outcome, _), members in ordered
    ]
