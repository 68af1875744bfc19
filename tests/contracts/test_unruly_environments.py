"""Each environment that does something to its process completes or fails alone, with its reason."""

import functools
import multiprocessing.resource_tracker
import os
import signal
import sys
from pathlib import Path

import pytest
from contracts.unruly_envs import HOWS

from tuner.contract.outcome import Outcome
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.execution.processes import ProcessExecutor
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.batch import RunBatch
from tuner.training.registry import make_trainer

MODULE = str(Path(__file__).with_name("unruly_envs.py"))

SMALL = DQNHyperparameters(batch_size=16, learning_starts=900, train_freq=50, gradient_steps=2, net_arch=(16,))

#: How each ends: its kind and a part of its reason. What is not here completes.
ENDS = {
    "raise": ("failed", "ValueError: broken"),
    "raise_silent": ("failed", "SilentError"),
    "close_raises": ("failed", "ValueError: broken close"),
    "raise_odd": ("failed", "its worker ended 3 times"),
    "interrupt": ("failed", "its worker ended 3 times"),
    "sys_exit": ("failed", "its worker ended 3 times"),
    "memory_error": ("failed", "MemoryError"),
    "stop_iteration": ("failed", "StopIteration"),
    "generator_exit": ("failed", "its worker ended 3 times"),
    "recursion": ("failed", "RecursionError"),
    "huge_text": ("failed", "more characters"),
    "os_exit_0": ("failed", "exit code 0"),
    "os_exit_7": ("failed", "exit code 7"),
    "abort": ("failed", "SIGABRT"),
    "segfault": ("failed", "SIGSEGV"),
    "kill": ("failed", "SIGKILL"),
    "alarm": ("failed", "SIGALRM"),
    "close_descriptors": ("failed", "its worker ended 3 times"),
    "fill_memory": ("failed", "MiB"),
    "hang": ("failed", "silent"),
    "stop": ("failed", "silent"),
    "nan_reward": ("diverged", "reward"),
    "no_reward": ("failed", ""),
    "text_reward": ("failed", ""),
    "nan_observation": ("diverged", ""),
    "longer_observation": ("failed", ""),
    "text_observation": ("failed", ""),
    "reset_raises": ("failed", "ValueError: broken reset"),
    "four_values": ("failed", "ValueError"),
    "close_exits": ("failed", "exit code 0"),
}


class Impatient(RunBatch):
    """A batch that gives up what says nothing for 25 seconds, at once."""

    def overdue(self, run_ids, silent_s):
        return silent_s > 25

    def lost(self, run_ids, reason, cause="died"):
        if cause == "silent":
            for run_id in run_ids:
                self.finish(Outcome(run_id, "failed", 0, reason=reason))
        else:
            super().lost(run_ids, reason, cause)


def surroundings():
    umask = os.umask(0)
    os.umask(umask)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    return os.getcwd(), umask, sys.stdout, sys.stderr, handlers, len(os.listdir("/proc/self/fd"))


def outcomes(backend):
    """Train each of them once, two workers of one lane, and return how each ended."""
    specs = [
        RunSpec(
            RunId(i), EnvSpec("Unruly-v0", (("how", how),), MODULE), backend, SMALL, 7, (600, 1200),
            EvaluationSpec(episodes=1, seed=9, max_steps=20),
        )
        for i, how in enumerate(HOWS)
    ]  # fmt: skip
    ended = {}
    batch = Impatient(specs, lambda spec, points, outcome: ended.update({dict(spec.env.kwargs)["how"]: outcome}))
    trainer = functools.partial(make_trainer, backend, "dqn", 1)
    ProcessExecutor(trainer, 2, memory_limit=2 * 2**30).run(batch)
    return ended


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_each_of_fifty_unruly_environments_completes_or_fails_alone_with_its_reason(backend):
    multiprocessing.resource_tracker.ensure_running()  # spawning keeps one descriptor for it
    before = surroundings()
    ended = outcomes(backend)
    assert surroundings() == before
    found = {how: (ended[how].kind, ended[how].reason) for how in HOWS}
    for how, (kind, reason) in found.items():
        wanted, words = ENDS.get(how, ("completed", ""))
        assert kind == wanted and words in reason, found
        assert kind == "completed" or reason, found
        assert len(reason) < 4_200
