"""Environments that do something to their process after 1,000 good steps. Registered when imported."""

from __future__ import annotations

import atexit
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import gymnasium as gym
import numpy as np

#: Training step at which it happens.
AT = 1_050


class SilentError(Exception):
    """An exception that cannot even be shown."""

    def __str__(self):
        raise ValueError("no text")


class OddError(BaseException):
    """Not an Exception."""


def fill_memory():
    kept = []
    while True:
        kept.append(b"x" * 2**28)


def recurse(n=0):
    return recurse(n + 1)


def fork_and_leave():
    if os.fork() == 0:
        os._exit(0)


def fork_and_go_on():
    os.fork()


def start_thread():
    threading.Thread(target=time.sleep, args=(600,)).start()


def raise_(error):
    raise error


#: What happens to the process; the step itself is a good one, if it comes back.
DEEDS = {
    "chdir": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "no_streams": lambda: (setattr(sys, "stdout", None), setattr(sys, "stderr", None)),
    "print": lambda: print("x" * 50_000_000, flush=True),
    "seed_numpy": lambda: np.random.seed(0),  # noqa: NPY002
    "seed_random": lambda: random.seed(0),
    "numpy_raises": lambda: np.seterr(all="raise"),
    "warnings_are_errors": lambda: warnings.simplefilter("error"),
    "thread": start_thread,
    "child": lambda: subprocess.Popen(["sleep", "600"]),
    "fork_and_leave": fork_and_leave,
    "ignore_sigterm": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "clear_environment": os.environ.clear,
    "no_collection": gc.disable,
    "exit_at_end": lambda: atexit.register(os._exit, 3),
    "sleep_a_little": lambda: time.sleep(2),
    "default_double": lambda: __import__("torch").set_default_dtype(__import__("torch").float64),
    "torch_seed": lambda: __import__("torch").manual_seed(0),
    "recursion_limit": lambda: sys.setrecursionlimit(500),
    "fork_and_go_on": fork_and_go_on,
    "raise": lambda: raise_(ValueError("broken")),
    "raise_silent": lambda: raise_(SilentError()),
    "raise_odd": lambda: raise_(OddError("odd")),
    "interrupt": lambda: raise_(KeyboardInterrupt()),
    "sys_exit": lambda: sys.exit(0),
    "memory_error": lambda: raise_(MemoryError()),
    "stop_iteration": lambda: raise_(StopIteration()),
    "generator_exit": lambda: raise_(GeneratorExit()),
    "recursion": recurse,
    "huge_text": lambda: raise_(ValueError("x" * 5_000_000)),
    "os_exit_0": lambda: os._exit(0),
    "os_exit_7": lambda: os._exit(7),
    "abort": os.abort,
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "alarm": lambda: os.kill(os.getpid(), signal.SIGALRM),
    "close_descriptors": lambda: os.closerange(3, 65_536),
    "fill_memory": fill_memory,
    "hang": lambda: time.sleep(600),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}

#: What a step returns instead: (observation, reward).
RETURNS = {
    "nan_reward": (None, float("nan")),
    "no_reward": (None, "none"),
    "text_reward": (None, "much"),
    "nan_observation": (np.array([np.nan, 0], np.float32), 1.0),
    "longer_observation": (np.zeros(3, np.float32), 1.0),
    "text_observation": ("left", 1.0),
}

HOWS = ("", *DEEDS, *RETURNS, "reset_raises", "four_values", "close_raises", "close_sleeps", "close_exits")


class Unruly(gym.Env):
    """Episodes of ten steps, reward 1.

    Args:
        how: What happens at training step :data:`AT`, or in ``close()``.
    """

    def __init__(self, how: str = "") -> None:
        self.observation_space = gym.spaces.Box(-10, 10, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.how, self.total, self.steps = how, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.how == "reset_raises" and self.total >= AT:
            raise ValueError("broken reset")
        self.steps = 0
        return self._observation(), {}

    def _observation(self):
        return np.array([self.steps / 10, self.np_random.uniform(-1, 1)], np.float32)

    def step(self, action):
        self.total += 1
        self.steps += 1
        observation, reward = self._observation(), 1.0
        if self.total == AT:
            if self.how in DEEDS:
                DEEDS[self.how]()
            if self.how == "four_values":
                return observation, reward, False, {}
            other, reward = RETURNS.get(self.how, (None, reward))
            observation = observation if other is None else other
            reward = None if reward == "none" else reward
        return observation, reward, self.steps == 10, False, {}

    def close(self):
        if self.how == "close_raises":
            raise ValueError("broken close")
        if self.how == "close_sleeps":
            time.sleep(2)
        if self.how == "close_exits" and self.total >= AT:
            os._exit(0)


if "Unruly-v0" not in gym.registry:
    gym.register("Unruly-v0", entry_point=Unruly)
