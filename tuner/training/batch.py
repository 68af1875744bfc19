"""A fixed list of runs as a supervisor: handed out in order, each trained to its end once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.contract.roles import DONE, WAIT, Signal
from tuner.contract.spec import RunId, RunSpec

#: Times a run may lose its worker before it is given up.
MAX_LOSSES = 3


class RunBatch:
    """Implements :class:`tuner.contract.roles.Supervisor` for runs that are known beforehand and never pruned.

    Args:
        specs: The runs, with distinct ids.
        on_end: Called with each run, its evaluations and how it ended; not for runs that an interrupt stopped.
        on_tick: Called now and then while workers train.
    """

    def __init__(
        self,
        specs: Sequence[RunSpec],
        on_end: Callable[[RunSpec, Sequence[EvalPoint], Outcome], None],
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        self._on_end = on_end
        self._on_tick = on_tick
        self._waiting = deque(specs)
        self._training: dict[RunId, RunSpec] = {}
        self._points: dict[RunId, list[EvalPoint]] = {}
        self._losses: dict[RunId, int] = {}
        self._interrupted = False  # set by a signal handler

    @property
    def interrupted(self) -> bool:
        """Whether it was asked to stop."""
        return self._interrupted

    def training(self) -> list[tuple[RunSpec, tuple[EvalPoint, ...]]]:
        """Return the runs in training, each with its evaluations so far."""
        return [(spec, tuple(self._points[run_id])) for run_id, spec in self._training.items()]

    def interrupt(self) -> None:
        """Stop soon. Safe to call from a signal handler."""
        self._interrupted = True

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run."""
        if self._interrupted or not (self._waiting or self._training):
            return DONE
        if not self._waiting:
            return WAIT
        spec = self._waiting.popleft()
        self._training[spec.run_id] = spec
        self._points[spec.run_id] = []
        return spec

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Keep evaluations; nothing is stopped before it has ended, but by an interrupt."""
        for point in points:
            if point.run_id in self._training:
                self._points[point.run_id].append(point)
        if not self._interrupted:
            return frozenset()
        last = {run_id: spec.grid[-1] for run_id, spec in self._training.items()}
        return frozenset(p.run_id for p in points if p.step < last.get(p.run_id, p.step + 1))

    def finish(self, outcome: Outcome) -> None:
        """Hand on a run that has ended."""
        spec = self._training.pop(outcome.run_id, None)
        if spec is not None and outcome.kind != "stopped":
            self._on_end(spec, self._points[outcome.run_id], outcome)

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """A worker died: its runs go again from the start, three times at most."""
        for run_id in run_ids:
            spec = self._training.pop(run_id, None)
            if spec is None:
                continue
            self._losses[run_id] = self._losses.get(run_id, 0) + 1
            if self._losses[run_id] < MAX_LOSSES:
                self._waiting.appendleft(spec)
            else:
                text = f"its worker ended {MAX_LOSSES} times: {reason}"
                self._on_end(spec, (), Outcome(run_id, "failed", 0, reason=text))

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Return False: these runs have no time limit."""
        return False

    def slept(self, seconds: float) -> None:
        """Do nothing: no run has a limit here."""

    def tick(self) -> bool:
        """Return False when workers are to stop."""
        if self._on_tick is not None:
            self._on_tick()
        return not self._interrupted
