"""What a running study shows of itself: a read-only snapshot, and the listener that draws it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tuner.contract.objective import rank
from tuner.text import counted, printable


@dataclass(frozen=True)
class RunningTrial:
    """A trial that is training now.

    Attributes:
        number: Trial number.
        step: Last evaluated environment step, the farthest of its seeds; 0 before the first evaluation.
        n_timesteps: Environment steps of a full run.
        last_return: Mean return at ``step``, or None before the first evaluation.
        params: What was sampled.
    """

    number: int
    step: int
    n_timesteps: int
    last_return: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class BestTrial:
    """The best completed trial so far: its number, its score, what was sampled, and the mean of its whole curve."""

    number: int
    score: float
    params: Mapping[str, Any]
    curve_mean: float = -math.inf

    def before(self, other: BestTrial | None) -> bool:
        """Whether it comes before another one."""
        return other is None or self._rank < other._rank

    @property
    def _rank(self) -> tuple[float, float, int]:
        return rank(self.score, self.curve_mean, self.number)


class SecondsLeft(NamedTuple):
    """How long something still takes.

    Attributes:
        mean: Seconds, as expected.
        low: If it goes as fast as it may.
        high: If it goes as slowly as it may.
    """

    mean: float
    low: float
    high: float

    def at_most(self, seconds: float) -> SecondsLeft:
        """Return the same where it ends in so many seconds whatever happens."""
        return SecondsLeft(*(min(value, seconds) for value in self))


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        name: Study name.
        trials: How many trials the study shall have.
        counts: Counted trials by outcome (completed, pruned, diverged, timed_out, failed), stored ones included.
        resumed: Counted trials that were there when this process began.
        running: Trials in training, by number.
        best: The best completed trial so far.
        steps: Environment steps evaluated by this process.
        elapsed_s: Seconds since this process began the search.
        eta_s: Seconds left, by the pace so far or by a schedule; None while unknown.
        eta_range_s: The same if all goes as fast and as slowly as it may, where a schedule knows both.
        unit: What is counted: ``trial``, or ``run`` in the confirm stage.
        clock: What steps are: what runs of its algorithm count.
        standing: Where settings stand in the confirm stage, in a line; a run that was good says nothing there.
    """

    name: str
    trials: int
    counts: Mapping[str, int]
    resumed: int
    running: tuple[RunningTrial, ...]
    best: BestTrial | None
    steps: int
    elapsed_s: float
    eta_s: float | None = field(default=None)
    eta_range_s: tuple[float, float] | None = None
    unit: str = "trial"
    clock: str = "environment steps"
    standing: str = ""

    @property
    def done(self) -> int:
        """Trials that count so far."""
        return sum(self.counts.values())

    @property
    def steps_per_second(self) -> float:
        """Environment steps per second of this process, all runs together."""
        return self.steps / self.elapsed_s if self.elapsed_s > 0 else 0.0


class ProgressListener(Protocol):
    """Draws a study while it runs. Called from the thread that called ``tuner.run``."""

    def start(self, snapshot: Snapshot) -> None:
        """The search begins (or goes on from where it was)."""
        ...

    def update(self, snapshot: Snapshot) -> None:
        """Called at each tick of the supervisor, at least four times a second while workers train."""
        ...

    def note(self, line: str) -> None:
        """One line the user should read, such as that a budget is a guess. May come before ``start``."""
        ...

    def finish(self, snapshot: Snapshot) -> None:
        """The search is over, whatever the reason. Called exactly once after ``start``."""
        ...


class NoProgress:
    """Draws nothing: ``--quiet`` and the Python API's default; see :func:`warn`."""

    def start(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Do nothing."""

    def note(self, line: str) -> None:
        """Do nothing."""

    def finish(self, snapshot: Snapshot) -> None:
        """Do nothing."""


def warn(listener: ProgressListener, line: str) -> None:
    """Say a line that has to be seen even where nothing is drawn: results go elsewhere than was asked, or nowhere."""
    listener.note(line)
    if isinstance(listener, NoProgress):
        logging.getLogger("tuner").warning(printable(line))  # on stderr, unless the program says otherwise


def going_on(name: str, there: int, trials: int) -> str:
    """Return that a study is there already, and how much of it.

    Args:
        name: Study name.
        there: Trials that count.
        trials: How many it shall have.
    """
    if there > trials:
        return (
            f"The study '{name}' has {counted(there, 'trial')}, and --trials asks for {trials} in all: none is added."
        )
    are = "is" if there == 1 else "are"
    return f"Going on with the study '{name}': {there} of {counted(trials, 'trial')} {are} there."


#: Part of the time that may go into looking at the study in order to draw it.
DRAWING_SHARE = 0.05


class PacedDrawing:
    """Hands snapshots on, not more often than takes :data:`DRAWING_SHARE` of the time: they grow with trials in flight.

    Args:
        listener: Gets them.
        clock: Seconds.
    """

    def __init__(self, listener: ProgressListener, clock: Callable[[], float] = time.perf_counter) -> None:
        self._listener = listener
        self._clock = clock
        self._next = -math.inf

    def draw(self, look: Callable[[], Snapshot]) -> None:
        """Take a snapshot and hand it on, when the last one is long enough ago."""
        began = self._clock()
        if began < self._next:
            return
        self._listener.update(look())
        now = self._clock()
        self._next = now + (now - began) * (1 / DRAWING_SHARE - 1)
