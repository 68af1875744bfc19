"""What runs inside a Ray actor: one trainer in a thread, and the mailbox through which the driver speaks with it.

The driver asks, always: :meth:`TrainerActor.exchange` brings the answer to the trainer's last question and returns
what the trainer says next. So there is one call on its way to each actor at any time, nothing is polled, and an actor
that dies shows in that very call. An actor keeps nothing and touches no storage.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import Signal, Trainer
from tuner.contract.spec import RunId, RunSpec
from tuner.execution.messages import Answer, Crashed, Finish, Message, Report, Take


@dataclass(frozen=True)
class Left:
    """The trainer has returned, or raised what a :class:`Crashed` before it tells. No answer."""


Word = Message | Left


class TrainerActor:
    """Hosts one trainer. A plain class: only the driver makes a Ray actor of it.

    Args:
        make_trainer: Makes the trainer, in its thread.
    """

    def __init__(self, make_trainer: Callable[[], Trainer]) -> None:
        self._make_trainer = make_trainer
        self._said: SimpleQueue[Word] = SimpleQueue()
        self._heard: SimpleQueue[Answer] = SimpleQueue()
        threading.Thread(target=self._train, name="trainer", daemon=True).start()

    def exchange(self, answer: Answer | None) -> list[Word]:
        """Pass on the answer to the trainer's last question, wait until it says something, and return all it has said.

        Args:
            answer: None where the last words were no question.
        """
        if answer is not None:
            self._heard.put(answer)
        words = [self._said.get()]
        while True:
            try:
                words.append(self._said.get_nowait())
            except Empty:
                return words

    def node(self) -> str:
        """Return the identifier of the node it runs on; empty outside of Ray."""
        ray = sys.modules.get("ray")
        return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""

    def _train(self) -> None:
        try:
            self._make_trainer().train(MailDispatcher(self._said, self._heard))
        except BaseException as error:  # an environment's SystemExit would end this thread, and nothing else
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._said.put(Crashed(reason, traceback.format_exc()))
        finally:
            self._said.put(Left())


class MailDispatcher:
    """The dispatcher that an actor's trainer sees.

    Args:
        said: Where its words go.
        heard: Where answers come from.
    """

    def __init__(self, said: SimpleQueue[Word], heard: SimpleQueue[Answer]) -> None:
        self._said = said
        self._heard = heard

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Ask the driver for a run."""
        self._said.put(Take(dict(open_shapes), block))
        answer = self._heard.get()
        assert isinstance(answer, RunSpec | Signal)
        return answer

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Hand evaluations over and wait for which runs to stop."""
        self._said.put(Report(tuple(points)))
        answer = self._heard.get()
        assert isinstance(answer, frozenset)
        return answer

    def finish(self, outcome: Outcome) -> None:
        """Say how a run ended."""
        self._said.put(Finish(outcome))
