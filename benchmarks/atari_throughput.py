"""Atari on one worker: environment steps per second and peak memory, native against Stable-Baselines3.

    python benchmarks/atari_throughput.py                    # speed, 1 and 2 threads, interleaved pairs
    python benchmarks/atari_throughput.py --memory           # peak memory with 100,000 transitions held

Both train the same settings (RL Zoo's for Atari) on the same game, each in a process of its own. Stable-Baselines3 runs
as its users run it: ``AtariWrapper``, ``VecFrameStack(4)`` and ``CnnPolicy``, without our adapter. The other machine
load changes from one minute to the next, so only ratios of neighbouring runs mean something.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

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


def native(steps: int, warm_up: int, starts: int, buffer: int, threads: int) -> float:
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.native import NativeTrainer
    from tuner.training.types import DONE, EvaluationSpec, RunId, RunSpec

    hyperparameters = DQNHyperparameters(**SETTINGS, learning_starts=starts, buffer_size=buffer, net_arch=())
    spec = RunSpec(RunId(0), EnvSpec(GAME), "native", hyperparameters, 1, (warm_up, steps), EvaluationSpec(1, 0, 1))
    times: list[float] = []

    class Desk:
        def __init__(self) -> None:
            self.specs = [spec]

        def take(self, open_shapes, *, block):
            return self.specs.pop() if self.specs else DONE

        def report(self, points):
            times.append(time.perf_counter())
            return frozenset()

        def finish(self, outcome):
            assert outcome.kind == "completed", outcome.detail

    NativeTrainer(1, threads=threads).train(Desk())
    return (steps - warm_up) / (times[1] - times[0])


def sb3(steps: int, warm_up: int, starts: int, buffer: int, threads: int) -> float:
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
    times: list[float] = []

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps in (warm_up, steps):
                times.append(time.perf_counter())
            return True

    env = VecFrameStack(DummyVecEnv([lambda: AtariWrapper(Monitor(gymnasium.make(GAME)))]), 4)
    model = DQN("CnnPolicy", env, learning_starts=starts, buffer_size=buffer, seed=1, device="cpu", **SETTINGS)
    model.learn(steps, callback=Watch())
    return (steps - warm_up) / (times[1] - times[0])


def child(options: argparse.Namespace) -> None:
    train = native if options.child == "native" else sb3
    rate = train(options.steps, options.warm_up, options.starts, options.buffer, options.threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rate": rate, "peak_bytes": peak}))


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
    print("threads  native steps/s  SB3 steps/s  ratio of pairs (median, least, most)  native peak  SB3 peak")
    for threads in (1, 2):
        pairs = []
        for i in range(options.pairs):
            order = ("native", "sb3") if i % 2 == 0 else ("sb3", "native")
            found = {
                backend: measure(
                    backend, threads, steps=options.steps, warm_up=options.warm_up, starts=200, buffer=options.steps
                )
                for backend in order
            }
            pairs.append((found["native"], found["sb3"]))
        ratios = sorted(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
        rates = [statistics.median(pair[i]["rate"] for pair in pairs) for i in (0, 1)]
        peaks = [max(pair[i]["peak_bytes"] for pair in pairs) / 1e9 for i in (0, 1)]
        print(
            f"{threads:7}  {rates[0]:14.0f}  {rates[1]:11.0f}  {statistics.median(ratios):6.2f}, {ratios[0]:.2f}, "
            f"{ratios[-1]:.2f}  {peaks[0]:30.2f} GB  {peaks[1]:.2f} GB",
            flush=True,
        )


def memory(options: argparse.Namespace) -> None:
    """Fill the memory by random play, without a gradient step."""
    print("transitions  native peak  SB3 peak  (whole process)")
    steps = options.transitions
    few = {"steps": 2000, "warm_up": 1000, "starts": 10**7, "buffer": 1000}
    peaks, fresh = {}, {}
    for backend in ("native", "sb3") if options.both else ("native",):
        peaks[backend] = measure(backend, 1, steps=steps, warm_up=1000, starts=10**7, buffer=steps)["peak_bytes"]
        fresh[backend] = measure(backend, 1, **few)["peak_bytes"]
        print(
            f"{steps:11,}  {backend}: {peaks[backend] / 1e9:.2f} GB, {fresh[backend] / 1e9:.2f} GB of it with 1,000",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--warm-up", type=int, default=1000)
    parser.add_argument("--memory", action="store_true", help="peak memory instead of speed")
    parser.add_argument("--transitions", type=int, default=100_000)
    parser.add_argument("--both", action="store_true", help="measure Stable-Baselines3's memory as well")
    parser.add_argument("--starts", type=int, default=200, help=argparse.SUPPRESS)
    parser.add_argument("--buffer", type=int, default=4000, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=("native", "sb3"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
    elif options.memory:
        memory(options)
    else:
        speed(options)


if __name__ == "__main__":
    main()
