"""The live view of a study on stderr: what is done, what is best, how fast it goes, and every trial in training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tuner.cli.console import console, decimal, one_line, say, setting
from tuner.durations import show_duration
from tuner.result.sampled import as_fields, field_of, value_of
from tuner.study.search.progress import NoProgress, ProgressListener, RunningTrial, Snapshot

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Seconds between two redraws; workers report more often than eyes can follow.
REDRAW_S = 0.25

#: Seconds between two lines of the plain view: after a finished trial, and when nothing has finished.
PLAIN_S, PLAIN_IDLE_S = 10.0, 60.0

#: How far off a time left may be and still be told as one number: within 30 %.
SURE = 0.3

#: Lines of the live view that are not running trials, with one spare so that the terminal never scrolls.
OTHER_LINES = 9

#: Outcome -> its colour and the word that is shown.
OUTCOMES = {
    "completed": ("green", "completed"),
    "pruned": ("yellow", "pruned"),
    "diverged": ("magenta", "diverged"),
    "timed_out": ("magenta", "timed out"),
    "failed": ("red", "failed"),
}


def progress_view(*, quiet: bool) -> ProgressListener:
    """Return what suits: nothing, a live view on a terminal, plain lines elsewhere."""
    if quiet:
        return NoProgress()
    return LiveProgress(console(stderr=True)) if sys.stderr.isatty() else PlainProgress()


class PlainProgress:
    """Lines for logs: one when trials have finished (at most every few seconds), a sign of life otherwise."""

    def __init__(
        self,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = PLAIN_S,
    ) -> None:
        self._write = write or (lambda line: say(line, stderr=True))
        self._clock = clock
        self._every_s = every_s
        self._said_at = -float("inf")
        self._said: int | None = None

    def start(self, snapshot: Snapshot) -> None:
        """Say what begins."""
        self._write(f"{snapshot.name}: {snapshot.done} of {snapshot.trials} {snapshot.unit}s are there.")
        self._said_at, self._said = self._clock(), snapshot.done

    def update(self, snapshot: Snapshot) -> None:
        """Say how far it is, now and then."""
        waited = self._clock() - self._said_at
        if waited >= (self._every_s if snapshot.done != self._said else PLAIN_IDLE_S):
            self._say(snapshot)

    def note(self, line: str) -> None:
        """Say it."""
        self._write(one_line(line))

    def finish(self, snapshot: Snapshot) -> None:
        """Say how it ended, unless that has just been said."""
        if snapshot.done != self._said:
            self._say(snapshot)

    def _say(self, snapshot: Snapshot) -> None:
        self._write(plain_line(snapshot))
        self._said_at, self._said = self._clock(), snapshot.done


def plain_line(snapshot: Snapshot) -> str:
    """Return a study's state in one line."""
    parts = [f"{snapshot.done}/{snapshot.trials} {snapshot.unit}s ({counts_text(snapshot.counts)})"]
    if snapshot.unit == "run":
        parts += [snapshot.standing] if snapshot.standing else []
    elif snapshot.best is not None:
        parts.append(f"best {decimal(snapshot.best.score)} ({snapshot.unit} {snapshot.best.number})")
    return ", ".join([*parts, *pace(snapshot)])


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts by outcome in words: ``12 completed, 3 pruned``."""
    return ", ".join(f"{counts[kind]} {word}" for kind, (_, word) in OUTCOMES.items() if counts.get(kind)) or "none yet"


def pace(snapshot: Snapshot) -> list[str]:
    """Return speed, elapsed time and time left in words."""
    clock = snapshot.clock.split()[-1]
    parts = [f"{snapshot.steps_per_second:,.0f} {clock}/s"] if snapshot.steps else []
    parts.append(show_duration(snapshot.elapsed_s))
    if snapshot.eta_s is not None and snapshot.done < snapshot.trials:
        parts.append(time_left(snapshot.eta_s, snapshot.eta_range_s))
    return parts


def time_left(seconds: float, within: tuple[float, float] | None) -> str:
    """Return the time left in words: what is expected, or from when to when where that would say too much."""
    if within is None or (within[0] >= (1 - SURE) * seconds and within[1] <= (1 + SURE) * seconds):
        return f"about {show_duration(seconds)} left"
    low, high = map(show_duration, within)
    return f"about {high} left" if low == high else f"{low} to {high} left"


class LiveProgress:
    """A block at the bottom of the terminal, redrawn in place."""

    def __init__(self, on: Console, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.live import Live

        self._console = on
        self._clock = clock
        self._drawn_at = -float("inf")
        self._live: Live | None = None

    def start(self, snapshot: Snapshot) -> None:
        """Begin to draw."""
        from rich.live import Live

        self._live = Live(self._view(snapshot), console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        """Draw the study as it is."""
        if self._clock() - self._drawn_at >= REDRAW_S:
            self._draw(snapshot)

    def note(self, line: str) -> None:
        """Print a line above the block."""
        self._console.print(one_line(line), style="dim")

    def finish(self, snapshot: Snapshot) -> None:
        """Draw the end and leave it on the screen."""
        if self._live is not None:
            self._draw(snapshot)
            self._live.stop()
            self._live = None

    def _draw(self, snapshot: Snapshot) -> None:
        self._drawn_at = self._clock()
        if self._live is not None:
            self._live.update(self._view(snapshot), refresh=True)

    def _view(self, snapshot: Snapshot) -> RenderableType:
        size = self._console.size
        return live_view(snapshot, size.width, max(size.height - OTHER_LINES, 1))


def live_view(snapshot: Snapshot, width: int, lines: int) -> RenderableType:
    """Return a study as something to draw.

    Args:
        snapshot: The study.
        width: Columns of the terminal.
        lines: Lines there are for trials in training; the rest is counted.
    """
    from rich.console import Group

    parts: list[RenderableType] = [_headline(snapshot, width), _best(snapshot), _line(", ".join(pace(snapshot)), "dim")]
    if snapshot.running:
        shown = snapshot.running[:lines]
        parts.append(_running(shown, width))
        if hidden := len(snapshot.running) - len(shown):
            parts.append(_line(f"and {hidden} more in training", "dim"))
    return Group(*parts)


def _headline(snapshot: Snapshot, width: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    counts = Text(no_wrap=True, overflow="ellipsis")
    for kind, (colour, word) in OUTCOMES.items():
        if n := snapshot.counts.get(kind, 0):
            counts.append(f"{n} {word}  ", style=colour)
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=snapshot.trials, completed=snapshot.done, width=max(width // 4, 10))
    done = Text(f"{snapshot.done}/{snapshot.trials} {snapshot.unit}s", style="bold", no_wrap=True)
    grid.add_row(bar, done, counts)
    return Group(_line(snapshot.name, "bold"), grid)


def _best(snapshot: Snapshot) -> RenderableType:
    from rich.text import Text

    if snapshot.standing:
        return _line(snapshot.standing, "bold green")
    if snapshot.best is None or snapshot.unit == "run":
        return _line("" if snapshot.counts.get("completed") else f"no {snapshot.unit} has completed yet", "dim")
    text = Text()
    text.append(f"best {decimal(snapshot.best.score)}", style="bold green")
    text.append(f" ({snapshot.unit} {snapshot.best.number})")
    for name, value in as_fields(snapshot.best.params).items():
        text.append(f"  {one_line(name)} ", style="dim")
        text.append(setting(value))
    return text


def _running(trials: tuple[RunningTrial, ...], width: int) -> RenderableType:
    """Return one line for each trial; as many of the sampled values as there is room for."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    names = _fitting(trials, width - _FIXED_COLUMNS)
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for head, right in (("trial", True), ("", False), ("steps", True), ("return", True), *((n, True) for n in names)):
        grid.add_column(Text(one_line(field_of(head))), justify="right" if right else "left", no_wrap=True)
    for trial in trials:
        bar = ProgressBar(total=trial.n_timesteps, completed=trial.step, width=10)
        values = [setting(value_of(n, trial.params[n])) if n in trial.params else "" for n in names]
        shown = [f"{trial.step:,}/{trial.n_timesteps:,}", decimal(trial.last_return), *values]
        grid.add_row(str(trial.number), bar, *(Text(text, overflow="ellipsis") for text in shown))
    return grid


#: Columns that number, bar, steps and return of a trial take.
_FIXED_COLUMNS = 7 + 12 + 17 + 9


def _fitting(trials: tuple[RunningTrial, ...], room: int) -> list[str]:
    """Return the sampled names, in their order, whose columns fit into ``room``."""
    columns: dict[str, int] = {}
    for trial in trials:
        for name, value in trial.params.items():
            columns[name] = max(columns.get(name, len(field_of(name))), len(setting(value_of(name, value))))
    chosen = []
    for name, wide in columns.items():
        if wide + 2 <= room:
            chosen.append(name)
            room -= wide + 2
    return chosen


def _line(text: str, style: str) -> RenderableType:
    from rich.text import Text

    return Text(one_line(text), style=style, no_wrap=True, overflow="ellipsis")
