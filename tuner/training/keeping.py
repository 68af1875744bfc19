"""Models of runs that are to be kept, written by whoever trains them before their end is told.

So a run that counts as completed has its model, wherever the worker is killed: what was trained and not yet told goes
again, and writes the same model again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import Dispatcher, Signal, Trainer
from tuner.contract.spec import RunId, RunSpec
from tuner.errors import InputError
from tuner.training.run_checkpoint import fingerprint
from tuner.training.saved.model_files import WEIGHTS, save_model

#: Bytes of a folder of models above which none is added.
MAX_BYTES = 1 << 29


class KeepingTrainer:
    """Trains as another trainer does, and writes the models of runs that say ``keep``.

    Args:
        make: From ``observer=`` to that trainer, such as a partial of :func:`~tuner.training.registry.make_trainer`.
        folder: Gets a folder for each run that is kept. Absolute: an environment may change the working folder.
    """

    def __init__(self, make: Callable[..., Trainer], folder: Path) -> None:
        self._watch = _LastWeights()
        self._trainer = make(observer=self._watch)
        self._folder = folder

    def train(self, dispatcher: Dispatcher) -> None:
        """Train until the dispatcher says DONE."""
        self._trainer.train(_Keeping(dispatcher, self._watch, self._folder))


class _LastWeights:
    """Holds the weights of runs that have just ended."""

    def __init__(self) -> None:
        self.ended: dict[RunId, Mapping[str, np.ndarray]] = {}

    def on_evaluated(self, point: EvalPoint, weights: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Nothing to hold."""

    def on_end(self, run_id: RunId, weights: Mapping[str, np.ndarray]) -> None:
        """Hold them until the end is told."""
        self.ended[run_id] = weights


class _Keeping:
    """Passes everything on, and writes a model between a run's end and its being told."""

    def __init__(self, dispatcher: Dispatcher, watch: _LastWeights, folder: Path) -> None:
        self._dispatcher, self._watch, self._folder = dispatcher, watch, folder
        self._kept: dict[RunId, tuple[RunSpec, list[EvalPoint]]] = {}

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        answer = self._dispatcher.take(open_shapes, block=block)
        if isinstance(answer, RunSpec) and answer.keep:
            self._kept[answer.run_id] = answer, []
        return answer

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        for point in points:
            if point.run_id in self._kept:
                self._kept[point.run_id][1].append(point)
        return self._dispatcher.report(points)

    def finish(self, outcome: Outcome) -> None:
        weights = self._watch.ended.pop(outcome.run_id, None)
        kept = self._kept.pop(outcome.run_id, None)
        if kept is not None and weights and outcome.kind == "completed":
            self._write(*kept, weights)
        self._dispatcher.finish(outcome)

    def _write(self, spec: RunSpec, points: Sequence[EvalPoint], weights: Mapping[str, np.ndarray]) -> None:
        with contextlib.suppress(InputError, OSError):  # a full disk costs the model, not the run
            there = sum(path.stat().st_size for path in self._folder.glob(f"*/{WEIGHTS}"))
            if there + sum(array.nbytes for array in weights.values()) <= MAX_BYTES:
                save_model(self._folder / fingerprint(spec), spec, weights, points)
