"""Atari on one worker: environment steps per second and peak memory, native against Stable-Baselines3.

    python benchmarks/atari_throughput.py                    # speed, 1 and 2 threads, interleaved pairs
    python benchmarks/atari_throughput.py --cnn              # native, data_efficient against nature convolutions
    python benchmarks/atari_throughput.py --memory           # what replay memories weigh with 100,000 transitions
    python benchmarks/atari_throughput.py --memory --transitions 1000000 --alone

Both train the same settings (RL Zoo's for Atari) on the same game, each in a process of its own. Stable-Baselines3 runs
as its users run it: ``AtariWrapper``, ``VecFrameStack(4)`` and ``CnnPolicy``, without our adapter. What else
runs on the machine changes from one minute to the next, so only ratios of neighbouring runs mean something; the ratio
of processor time (user and system, all threads) is the steadier one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import psutil

GAME = "SpaceInvadersNoFrameskip-v4"

#: RL Zoo's values for Atari; learning starts at once, so that a short run shows what a long one costs.
SETTINGS = {
    "learning_rate": 1e-4,
    "batch_size": 32,
    "target_update_interval": 1000,
    "train_freq": 4,
    "gradient_steps": 1,
    "exploration_fraction": 0.1,
    "exploration_final_eps": 0.01,
}


def native(
    steps: int, warm_up: int, starts: int, buffer: int, threads: int, cnn: str = "nature"
) -> list[tuple[float, float]]:
    from desk import Desk

    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.stack.trainer import NativeTrainer

    own = {"learning_starts": starts, "buffer_size": buffer, "net_arch": (), "cnn": cnn}
    hyperparameters = DQNHyperparameters(**SETTINGS, **own)
    spec = RunSpec(RunId(0), EnvSpec(GAME), "native", hyperparameters, 1, (warm_up, steps), EvaluationSpec(1, 0, 1))
    times: list[tuple[float, float]] = []

    class Timed(Desk):
        """Notes when the run was evaluated."""

        def report(self, points):
            times.append((time.perf_counter(), time.process_time()))
            return frozenset()

    desk = Timed([spec])
    NativeTrainer(1, threads=threads).train(desk)
    assert not desk.failed
    return times


def sb3(steps: int, warm_up: int, starts: int, buffer: int, threads: int) -> list[tuple[float, float]]:
    import ale_py
    import gymnasium
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.atari_wrappers import AtariWrapper
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

    gymnasium.register_envs(ale_py)
    torch.set_num_threads(threads)
    times: list[tuple[float, float]] = []

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps in (warm_up, steps):
                times.append((time.perf_counter(), time.process_time()))
            return True

    env = VecFrameStack(DummyVecEnv([lambda: AtariWrapper(Monitor(gymnasium.make(GAME)))]), 4)
    model = DQN("CnnPolicy", env, learning_starts=starts, buffer_size=buffer, seed=1, device="cpu", **SETTINGS)
    model.learn(steps, callback=Watch())
    return times


def child(options: argparse.Namespace) -> None:
    sides = {"native": native, "sb3": sb3, "data_efficient": partial(native, cnn="data_efficient")}
    train = sides[options.child]
    begin, end = train(options.steps, options.warm_up, options.starts, options.buffer, options.threads)
    steps = options.steps - options.warm_up
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rates = {"rate": steps / (end[0] - begin[0]), "cpu_rate": steps / (end[1] - begin[1])}
    print(json.dumps({**rates, "peak_bytes": peak}))


def measure(backend: str, threads: int, *, steps: int, warm_up: int, starts: int, buffer: int) -> dict[str, float]:
    arguments = {"--steps": steps, "--warm-up": warm_up, "--starts": starts, "--buffer": buffer, "--threads": threads}
    words = [word for name, value in arguments.items() for word in (name, str(value))]
    done = subprocess.run(
        [sys.executable, __file__, "--child", backend, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(options: argparse.Namespace) -> None:
    # Plain native trains Nature's convolutions.
    sides = ("data_efficient", "native") if options.cnn else ("native", "sb3")
    print(
        f"threads  {sides[0]} and {sides[1]} steps/s  ratio (median, least, most)  of processor time (the same)  peaks"
    )
    for threads in options.thread_counts:
        pairs = []
        for i in range(options.pairs):
            order = sides if i % 2 == 0 else sides[::-1]
            found = {
                backend: measure(
                    backend, threads, steps=options.steps, warm_up=options.warm_up, starts=200, buffer=options.steps
                )
                for backend in order
            }
            pairs.append((found[sides[0]], found[sides[1]]))
        ratios = sorted(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
        by_cpu = sorted(ours["cpu_rate"] / theirs["cpu_rate"] for ours, theirs in pairs)
        rates = [statistics.median(pair[i]["rate"] for pair in pairs) for i in (0, 1)]
        peaks = [max(pair[i]["peak_bytes"] for pair in pairs) / 1e9 for i in (0, 1)]
        print(
            f"{threads:7}  {rates[0]:.0f} {rates[1]:.0f}  {spread(ratios)}  {spread(by_cpu)}  "
            f"{peaks[0]:.2f} GB {peaks[1]:.2f} GB",
            flush=True,
        )


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def filled_native(transitions: int) -> Any:
    """Fill a replay memory with episodes of 200 random frames, the worst case: nothing is alike."""
    from tuner.replay.frames import FrameMemory

    memory = FrameMemory(1, transitions, (4, 84, 84), 4)
    memory.start(0, transitions, np.random.default_rng(0))
    for rows, *_ in episodes(transitions):
        memory.extend(0, rows)
    return memory


def filled_sb3(transitions: int) -> Any:
    import gymnasium
    from stable_baselines3.common.buffers import ReplayBuffer

    space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    memory = ReplayBuffer(transitions, space, gymnasium.spaces.Discrete(6), "cpu")
    for _, before, after in episodes(transitions):
        for i in range(len(before)):
            memory.add(before[i], after[i], np.array([0]), np.array([0.0]), np.array([False]), [{}])
    return memory


def episodes(transitions: int, length: int = 200) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (packed rows, observations, next observations) of one episode after the other."""
    from tuner.replay.frames import FrameMemory

    rng, packer = np.random.default_rng(0), FrameMemory(1, 1, (4, 84, 84), 4)
    for _ in range(transitions // length):
        frames = rng.integers(0, 256, (length + 4, 84 * 84), dtype=np.uint8)
        frames[:3] = 0
        stacks = np.stack([frames[i : i + length + 1] for i in range(4)], axis=1)
        rows = packer.blank(length)
        parts = packer.unpack(rows)
        parts.observations[:, :-1] = stacks[:-1].reshape(length, -1)
        parts.next_observations[:, :-1] = stacks[1:].reshape(length, -1)
        yield rows, stacks[:-1].reshape(length, 4, 84, 84), stacks[1:].reshape(length, 4, 84, 84)


def weigh(options: argparse.Namespace) -> None:
    for _ in episodes(200):  # whatever making frames itself takes
        pass
    import gymnasium  # noqa: F401
    import stable_baselines3.common.buffers  # noqa: F401

    before = psutil.Process().memory_info().rss
    memory = (filled_native if options.child == "memory-native" else filled_sb3)(options.transitions)
    held = psutil.Process().memory_info().rss - before
    assert memory is not None
    print(json.dumps({"held_bytes": held}))


def memory(options: argparse.Namespace) -> None:
    print("transitions  memory  held")
    for backend in ("native",) if options.alone else ("native", "sb3"):
        command = [sys.executable, __file__, "--child", f"memory-{backend}", "--transitions", str(options.transitions)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        held = json.loads(done.stdout.splitlines()[-1])["held_bytes"]
        each = held / options.transitions
        print(f"{options.transitions:11,}  {backend:6}  {held / 1e9:.3f} GB, {each:,.0f} bytes each", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--warm-up", type=int, default=1000)
    parser.add_argument("--thread-counts", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cnn", action="store_true", help="compare the two convolutions natively instead")
    parser.add_argument("--memory", action="store_true", help="weigh replay memories instead")
    parser.add_argument("--transitions", type=int, default=100_000)
    parser.add_argument("--alone", action="store_true", help="weigh the native memory only")
    parser.add_argument("--starts", type=int, default=200, help=argparse.SUPPRESS)
    parser.add_argument("--buffer", type=int, default=4000, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child and options.child.startswith("memory"):
        weigh(options)
    elif options.child:
        child(options)
    elif options.memory:
        memory(options)
    else:
        speed(options)


if __name__ == "__main__":
    main()
