"""What a run reports while it trains, and how it ends."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.contract.spec import RunId
from tuner.errors import TunerError

OutcomeKind = Literal["completed", "stopped", "diverged", "timed_out", "failed"]

#: What ended a worker: it died, a stranger killed it, it said nothing for too long, it took too much memory, or it was
#: told to stop.
LossCause = Literal["died", "killed", "silent", "memory", "stopped"]

#: Characters of an exception's text, or of a traceback, that are kept: an environment may raise megabytes.
MAX_TEXT = 4096


def bounded(text: str) -> str:
    """Return a text of at most about :data:`MAX_TEXT` characters, which says how many were cut."""
    cut = len(text) - MAX_TEXT
    return text if cut <= 0 else f"{text[:MAX_TEXT]} ... ({cut:_} more characters)"


def describe(error: BaseException) -> str:
    """Return 'Class: message' on one line; an error of ours is its message."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # it cannot even be shown
        message = ""
    if message and isinstance(error, TunerError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def described(error: BaseException) -> tuple[str, str]:
    """Return the reason and the detail of an :class:`Outcome`: the exception on one line, and its traceback."""
    return describe(error), "".join(traceback.format_exception(error))


@dataclass(frozen=True)
class EvalPoint:
    """One evaluation of one run.

    Attributes:
        run_id: Which run.
        step: Environment step of the run, a member of its grid.
        returns: Undiscounted return of each evaluation episode.
        lengths: Steps of each evaluation episode.
        elapsed_s: The run's own accounted training time so far, in seconds (not part of the run's value).
        metrics: Means since the last point: ``loss``, ``q_value``, ``epsilon``, ``train_return``, ``train_episodes``.
        evaluation_s: The seconds of ``elapsed_s`` that this evaluation took.
    """

    run_id: RunId
    step: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    elapsed_s: float = field(default=0.0, compare=False)
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluation_s: float = field(default=0.0, compare=False)

    @property
    def mean_return(self) -> float:
        """Mean return over the episodes: what the pruner sees."""
        return sum(self.returns) / len(self.returns)


def points_to_plain(points: Sequence[EvalPoint]) -> list[list[Any]]:
    """Return one run's evaluations as plain data."""
    return [[p.step, list(p.returns), list(p.lengths), p.elapsed_s, dict(p.metrics), p.evaluation_s] for p in points]


def points_from_plain(run_id: RunId, rows: Sequence[Sequence[Any]]) -> list[EvalPoint]:
    """Return the evaluations that :func:`points_to_plain` was given, now those of ``run_id``."""
    return [EvalPoint(run_id, step, tuple(r), tuple(n), *others) for step, r, n, *others in rows]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run_id: Which run.
        kind: ``stopped`` means that ``report`` asked for it (pruning, or the study is ending).
        steps: Environment steps taken.
        elapsed_s: Its own accounted training time in seconds.
        reason: For ``diverged`` and ``failed``: one line with field and step, or exception class and message.
        detail: Traceback for ``failed``, for the log and the report.
    """

    run_id: RunId
    kind: OutcomeKind
    steps: int
    elapsed_s: float = field(default=0.0, compare=False)
    reason: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", bounded(self.reason))
        object.__setattr__(self, "detail", bounded(self.detail))
