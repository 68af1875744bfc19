"""The native backend: stacks of DQN lanes, refilled as runs end."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

from tuner.agents.dqn.seams import NumericPath
from tuner.contract.outcome import Outcome, described
from tuner.contract.roles import DONE, WAIT, Dispatcher, EndObserver
from tuner.contract.spec import RunSpec
from tuner.training.run_checkpoint import Checkpoints
from tuner.training.stack.runner import StackRunner


class NativeTrainer:
    """Trains up to ``lanes`` runs at a time, those of one shape as one stack.

    Args:
        lanes: Most runs in progress at a time, >= 1.
        observer: Watches single runs, or None.
        numeric_path: ``numpy``, ``torch`` or ``compiled``; None takes what the runs' rules say.
        threads: Threads of a convolution. More than one may change the bits of a run.
        checkpoints: Where long runs are saved, and go on from; None where every run starts over.
    """

    def __init__(
        self,
        lanes: int,
        observer: EndObserver | None = None,
        numeric_path: NumericPath | None = None,
        threads: int = 1,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, got {lanes}.")
        self._lanes = lanes
        self._observer = observer
        self._numeric_path = numeric_path
        self._threads = threads
        self._checkpoints = checkpoints
        self._stacks: dict[tuple[object, ...], StackRunner] = {}

    def train(self, dispatcher: Dispatcher) -> None:
        """Take runs while there are any, and train all that are in progress round by round.

        Matrix products use one thread: they are small, and how they are split among threads would show in the bits.
        """
        with threadpool_limits(limits=1, user_api="blas"):
            self._train(dispatcher)

    def _train(self, dispatcher: Dispatcher) -> None:
        try:
            done, refill = False, True
            while True:
                if refill and not done:
                    done = self._refill(dispatcher)
                if not self._stacks:
                    return
                # Nothing that changes what a dispatcher would hand out happens between two reports.
                refill = False
                for stack in self._stacks.values():
                    refill |= stack.round(dispatcher)
                for shape, stack in list(self._stacks.items()):
                    if not stack.active:
                        stack.close()
                        del self._stacks[shape]
                refill = refill or not self._stacks
        finally:
            for stack in self._stacks.values():
                stack.close()
            self._stacks.clear()

    def _refill(self, dispatcher: Dispatcher) -> bool:
        """Fill free lanes; return whether nothing will ever come."""
        while self._in_progress < self._lanes:
            free = self._lanes - self._in_progress
            open_shapes = dict.fromkeys(self._stacks, free)
            answer = dispatcher.take(open_shapes, block=not self._stacks)
            if answer is DONE:
                return True
            if answer is WAIT:
                return False
            assert isinstance(answer, RunSpec)
            self._start(answer, dispatcher)
        return False

    def _start(self, spec: RunSpec, dispatcher: Dispatcher) -> None:
        try:
            if spec.shape not in self._stacks:
                self._stacks[spec.shape] = StackRunner(
                    spec,
                    self._lanes,
                    self._observer,
                    self._numeric_path,
                    threads=self._threads,
                    checkpoints=self._checkpoints,
                )
            self._stacks[spec.shape].start(spec)
        except Exception as error:
            stack = self._stacks.get(spec.shape)
            if stack is not None and not stack.active:
                stack.close()
                del self._stacks[spec.shape]
            dispatcher.finish(Outcome(spec.run_id, "failed", 0, 0.0, *described(error)))

    @property
    def _in_progress(self) -> int:
        return sum(len(stack.active) for stack in self._stacks.values())
