"""A trainer of several lanes that trains nothing and breaks on purpose. Importable in spawned workers."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from synthetic import value

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import RunSpec


@dataclass
class FaultTrainer:
    """Holds up to ``lanes`` runs and takes one evaluation of each per round.

    ``fates`` by trial number, at the run's second evaluation: ``kill``, ``segv``, ``exit``, ``leave`` (SystemExit),
    ``hang``, ``hang_c`` (in C code, holding the interpreter), ``eat`` (memory), ``fail``. With ``once`` (a folder) a
    trial's fate strikes the first time only.
    """

    lanes: int = 1
    fates: Mapping[int, str] = field(default_factory=dict)
    delay: float = 0.0
    once: str = ""

    def train(self, dispatcher):
        held: dict[RunSpec, int] = {}
        done = False
        while True:
            while not done and len(held) < self.lanes:
                answer = dispatcher.take({spec.shape: self.lanes for spec in held}, block=not held)
                if not isinstance(answer, RunSpec):
                    done = answer is DONE
                    break
                held[answer] = 0
            if not held:
                return
            time.sleep(self.delay)
            for spec in list(held):
                self._advance(dispatcher, held, spec)

    def _advance(self, dispatcher, held, spec):
        place = held[spec]
        held[spec] += 1
        step = spec.grid[place]
        if place == 1 and self._strikes(spec):
            outcome = strike(self.fates[spec.run_id.trial], spec, step)
            del held[spec]
            dispatcher.finish(outcome)
            return
        mean = value(spec, step)
        point = EvalPoint(spec.run_id, step, (mean - 1, mean + 1), (5, 5), 1e-4 * step, {"pid": os.getpid()})
        stop = dispatcher.report([point])
        kind = "completed" if step == spec.grid[-1] else "stopped" if spec.run_id in stop else None
        if kind is not None:
            del held[spec]
            dispatcher.finish(Outcome(spec.run_id, kind, step, 1e-4 * step))

    def _strikes(self, spec) -> bool:
        trial = spec.run_id.trial
        if trial not in self.fates:
            return False
        if not self.once:
            return True
        try:
            os.close(os.open(os.path.join(self.once, str(trial)), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def strike(fate, spec, step) -> Outcome:
    if fate in ("kill", "segv"):
        os.kill(os.getpid(), signal.SIGKILL if fate == "kill" else signal.SIGSEGV)
        time.sleep(10)
    if fate == "exit":
        os._exit(3)
    if fate == "leave":
        sys.exit(3)
    if fate == "mute":
        os.closerange(3, 65_536)  # whatever numbers its pipes have: spawned, they have those of the study's process
        time.sleep(600)
    if fate.startswith("hang"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        sleep = ctypes.PyDLL(None).sleep if fate == "hang_c" else time.sleep
        sleep(600)
    if fate == "eat":
        hoard = []
        while True:
            hoard.append(bytearray(8 * 2**20))
            time.sleep(0.01)
    return Outcome(spec.run_id, "failed", step, 0.1, f"ValueError: {fate} at step {step}", "Traceback ...")
