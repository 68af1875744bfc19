"""The native trainer saving at every evaluation, and one that dies. Importable in spawned workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tuner.training.run_checkpoint import RunCheckpoints
from tuner.training.stack.trainer import NativeTrainer


class DeathError(Exception):
    """Stands for a process that is killed."""


class DyingDispatcher:
    """Passes everything on, and dies at the ``reports``-th report, before anybody hears it."""

    def __init__(self, dispatcher, reports, die):
        self._dispatcher, self._left, self._die = dispatcher, reports, die

    def take(self, open_shapes, *, block):
        return self._dispatcher.take(open_shapes, block=block)

    def report(self, points):
        self._left -= 1
        if self._left == 0:
            self._die()
        return self._dispatcher.report(points)

    def finish(self, outcome):
        self._dispatcher.finish(outcome)


def raise_death():
    raise DeathError


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


class SavingTrainer:
    """Trains natively, and notes in a file how many environment steps each of its lives took."""

    def __init__(self, folder: Path, lanes: int = 1, dies_at: int = 0, die=raise_death) -> None:
        self._folder, self._lanes, self._dies_at, self._die = folder, lanes, dies_at, die

    def train(self, dispatcher):
        once = self._folder.parent / "died"
        if self._dies_at and not once.exists():
            once.parent.mkdir(parents=True, exist_ok=True)
            once.touch()
            dispatcher = DyingDispatcher(dispatcher, self._dies_at, self._die)
        checkpoints = RunCheckpoints(self._folder, every_s=0, cost_factor=0)
        NativeTrainer(self._lanes, checkpoints=checkpoints).train(dispatcher)
