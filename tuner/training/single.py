"""One run on its own: what ``tune train`` calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, EndObserver, Signal
from tuner.contract.spec import RunId, RunSpec
from tuner.surroundings import Surroundings
from tuner.training.registry import check_trainable, make_trainer
from tuner.training.run_checkpoint import Checkpoints


class _One:
    """A dispatcher that hands out exactly one run."""

    def __init__(
        self,
        spec: RunSpec,
        on_point: Callable[[EvalPoint], None] | None,
        last_step: int | None,
        enough: Callable[[EvalPoint], bool],
    ) -> None:
        self._spec: RunSpec | None = spec
        self._on_point, self._enough = on_point, enough
        self._end = spec.grid[-1]
        self._last_step = self._end if last_step is None else last_step
        self.outcome: Outcome | None = None

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        spec, self._spec = self._spec, None
        return DONE if spec is None else spec

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        if self._on_point is not None:
            for point in points:
                self._on_point(point)
        return frozenset(
            point.run_id
            for point in points
            if (self._last_step <= point.step or self._enough(point)) and point.step < self._end
        )

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome


def train_once(
    spec: RunSpec,
    observer: EndObserver | None = None,
    on_point: Callable[[EvalPoint], None] | None = None,
    last_step: int | None = None,
    enough: Callable[[EvalPoint], bool] = lambda point: False,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train one run in this process.

    Args:
        spec: The run.
        observer: Watches training episodes, updates and the final weights.
        on_point: Called with each evaluation.
        last_step: Stop at this grid step, as a pruned run is; None trains to the end.
        enough: Stop after an evaluation of which this is true.
        checkpoints: Where it is saved, and goes on from, if anywhere.

    Returns:
        How it ended; an exception inside the run is an outcome ``failed``.

    Raises:
        InputError: The backend cannot train this setting.
    """
    check_trainable(spec.backend, spec.hyperparameters)
    dispatcher = _One(spec, on_point, last_step, enough)
    with Surroundings.kept():
        make_trainer(spec.backend, spec.algorithm, 1, observer, checkpoints).train(dispatcher)
    assert dispatcher.outcome is not None
    return dispatcher.outcome
