"""What workers and their executor say to each other.

A worker speaks first, always; the executor answers :class:`Take` and :class:`Report`. Both ends are our own processes
on one machine, so the pipe's pickling reads nothing that others wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import Signal
from tuner.contract.spec import RunId, RunSpec


@dataclass(frozen=True)
class Take:
    """Asks for a run. Answer: a run or a signal; a blocking question waits for its answer."""

    open_shapes: Mapping[tuple[object, ...], int]
    block: bool


@dataclass(frozen=True)
class Report:
    """Hands over evaluations. Answer: the runs to stop."""

    points: tuple[EvalPoint, ...]


@dataclass(frozen=True)
class Finish:
    """Says how a run ended. No answer."""

    outcome: Outcome


@dataclass(frozen=True)
class Crashed:
    """The trainer itself raised; the worker ends. No answer.

    Attributes:
        reason: Exception class and message.
        detail: Traceback.
    """

    reason: str
    detail: str


Message = Take | Report | Finish | Crashed
Answer = RunSpec | Signal | frozenset[RunId]
