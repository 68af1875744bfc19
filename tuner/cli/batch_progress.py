"""The live view of runs that are known beforehand, such as ``tune compare``'s: a study's view, without a study."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import RunSpec
from tuner.study.search.progress import PacedDrawing, ProgressListener, RunningTrial, Snapshot

#: Runs in training, each with its evaluations so far.
Training = Sequence[tuple[RunSpec, Sequence[EvalPoint]]]


class BatchProgress:
    """Counts runs as they end and draws them with those in training; none is called the best, which would be luck.

    Args:
        name: What is shown as the name.
        listener: Draws.
        specs: All runs, of one length, in the order in which they are numbered.
        there: How those of them ended that need no training any more.
        clock: Seconds.
    """

    def __init__(
        self,
        name: str,
        listener: ProgressListener,
        specs: Sequence[RunSpec],
        there: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._listener = listener
        self._numbers = {spec.run_id: i for i, spec in enumerate(specs)}
        self._resumed = len(there)
        self._counts = Counter(there)
        self._full = specs[0].n_timesteps
        self._steps_ended = 0
        self._clock = clock
        self._began = clock()
        self._drawing = PacedDrawing(listener)

    def start(self) -> None:
        """Show that it begins."""
        self._listener.start(self._look(()))

    def ended(self, outcome: Outcome) -> None:
        """Count a run."""
        self._counts[outcome.kind] += 1
        self._steps_ended += outcome.steps

    def draw(self, training: Callable[[], Training]) -> None:
        """Show the runs as they are, unless the last drawing is too near; ``training`` says which are in training."""
        self._drawing.draw(lambda: self._look(training()))

    def finish(self) -> None:
        """Show the end."""
        self._listener.finish(self._look(()))

    def _look(self, training: Training) -> Snapshot:
        running = [
            RunningTrial(
                self._numbers[spec.run_id],
                points[-1].step if points else 0,
                spec.n_timesteps,
                points[-1].mean_return if points else None,
                {},
            )
            for spec, points in training
        ]
        steps = self._steps_ended + sum(run.step for run in running)
        elapsed = self._clock() - self._began
        waiting = len(self._numbers) - self._counts.total() - len(running)
        left = waiting * self._full + sum(run.n_timesteps - run.step for run in running)
        return Snapshot(
            self._name, len(self._numbers), dict(self._counts), self._resumed,
            tuple(sorted(running, key=lambda run: run.number)), None, steps, elapsed,
            elapsed * left / steps if steps else None, unit="run",
        )  # fmt: skip
