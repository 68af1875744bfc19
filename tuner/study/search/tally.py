"""What the settled trials of a study add up to: how many of each outcome, the best, and failures in a row."""

from __future__ import annotations

import re
from collections import Counter, deque

from tuner.study.search.progress import BestTrial, RunningTrial, Snapshot
from tuner.study.search.trial import AskedTrial, Settled, TrialEnd

#: Equal failures in a row that end the study.
FAILURES_IN_A_ROW = 10


class Tally:
    """Counts trials as they are settled.

    Args:
        settled: What the database held at the start.
        trials: Trials there shall be in all.
    """

    def __init__(self, settled: Settled, trials: int) -> None:
        self._trials = trials
        self.counts: Counter[str] = Counter(settled.counts)
        #: Trials that were there at the start.
        self.resumed = self.counts.total()
        self.best = settled.best
        self._failures: deque[str] = deque(maxlen=FAILURES_IN_A_ROW)

    @property
    def finished(self) -> int:
        """Trials that count, stored ones included."""
        return self.counts.total()

    def add(self, asked: AskedTrial, end: TrialEnd) -> None:
        """Count one trial."""
        self.counts[end.outcome] += 1
        if end.score is not None:
            ended = BestTrial(asked.number, end.score, asked.params, end.curve_mean)
            self.best = ended if ended.before(self.best) else self.best
        reason = end.reason
        if end.outcome != "failed":
            self._failures.clear()
            return
        if self._failures and _kind_of(self._failures[-1]) != _kind_of(reason):
            self._failures.clear()
        self._failures.append(reason)

    def snapshot(
        self, name: str, running: tuple[RunningTrial, ...], steps: int, elapsed_s: float, unit: str, clock: str
    ) -> Snapshot:
        """Return the study at a moment.

        Args:
            name: The study.
            running: Trials in training.
            steps: Environment steps taken since the start.
            elapsed_s: Seconds since the start.
            unit: What is counted: ``trial`` or ``run``.
            clock: What steps are.
        """
        fresh = self.finished - self.resumed
        return Snapshot(
            name=name,
            trials=self._trials,
            counts=dict(self.counts),
            resumed=self.resumed,
            running=running,
            best=self.best,
            steps=steps,
            elapsed_s=elapsed_s,
            eta_s=elapsed_s / fresh * max(self._trials - self.finished, 0) if fresh else None,
            unit=unit,
            clock=clock,
        )

    @property
    def hopeless(self) -> bool:
        """Whether :data:`FAILURES_IN_A_ROW` trials in a row failed in the same way."""
        return len(self._failures) == FAILURES_IN_A_ROW

    @property
    def why_hopeless(self) -> str:
        """What ended a hopeless study, and what to do."""
        return (
            f"{FAILURES_IN_A_ROW} trials in a row failed in the same way: {self._failures[-1].rstrip('.')}. "
            "Mend that and run the same command again."
        )


def _kind_of(reason: str) -> str:
    """Return a failure without its numbers: the same error at another step is the same error."""
    return re.sub(r"\d+", "#", reason)
