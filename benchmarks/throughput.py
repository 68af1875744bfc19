"""Training throughput: the native stack against Stable-Baselines3's DQN (and SBX where installed), one pinned core.

    python benchmarks/throughput.py [--pairs 5] [--steps 10000] [--rows stack64 stack256 single64 single256 workers]

Both sides train CartPole-v1 with RL Zoo's values (batch 64, train_freq 256, gradient_steps 128, buffer 100,000),
evaluation excluded, interleaved pair by pair in one go, each in a process of its own with one thread. A row's figure
is the median over pairs of the ratio of environment steps per second, summed over lanes. ``workers`` compares two
native workers on two cores with one worker on one core.

``of the peak`` is the native side's matrix products (flops as `settings.py` counts them) beside the best that one core
reached in a loop of large matrix products, measured before each row.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from desk import Desk
from settings import flops, measured_peak

from tuner.agents.dqn.seams import NumericPath
from tuner.hyperparameters import DQNHyperparameters

ZOO = {
    "learning_rate": 2.3e-3,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "batch_size": 64,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
#: The core that one process is pinned to: the last one, since the first serves interrupts.
ONE = max(os.sched_getaffinity(0))
#: Row name -> (hidden width, lanes of the native side, rivals).
ROWS = {
    "stack64": (64, 16, ("sb3",)),
    "stack256": (256, 4, ("sb3",)),
    "single64": (64, 1, ("sb3", "sbx")),
    "single256": (256, 1, ("sb3", "sbx")),
    "workers": (64, 16, ("native",)),
}


def native(width: int, lanes: int, steps: int, numeric_path: NumericPath | None = None) -> float:
    """Return environment steps per second over all lanes; a short run before the clock starts loads what there is."""
    import torch  # noqa: F401  (imports come before the clock on both sides; wide networks need torch)

    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.spec import EnvSpec
    from tuner.training.stack.trainer import NativeTrainer

    def runs(steps: int) -> Desk:
        hyperparameters = DQNHyperparameters(**ZOO, net_arch=(width, width))
        evaluation = EvaluationSpec(episodes=1, seed=0, max_steps=1)  # the seam wants one; one step costs nothing
        env = EnvSpec("CartPole-v1")
        return Desk([RunSpec(RunId(i), env, "native", hyperparameters, i, (steps,), evaluation) for i in range(lanes)])

    NativeTrainer(lanes, numeric_path=numeric_path).train(runs(1300))
    desk, started = runs(steps), time.perf_counter()
    NativeTrainer(lanes, numeric_path=numeric_path).train(desk)
    assert not desk.failed
    return lanes * steps / (time.perf_counter() - started)


def torch_or_jax(rival: str, width: int, steps: int) -> float:
    """Return environment steps per second of one learner of Stable-Baselines3 or SBX."""
    import gymnasium

    if rival == "sbx":
        from sbx import DQN
    else:
        import torch
        from stable_baselines3 import DQN

        torch.set_num_threads(1)
    arguments = {**ZOO, "policy_kwargs": {"net_arch": [width, width]}, "seed": 0}
    model = DQN("MlpPolicy", gymnasium.make("CartPole-v1"), **arguments)
    if rival == "sbx":
        model.learn(2000)  # compile before the clock starts
        model = model.set_env(model.env) or model
    started = time.perf_counter()
    model.learn(steps)
    return steps / (time.perf_counter() - started)


def measure(side: str, width: int, lanes: int, steps: int, cores: tuple[int, ...]) -> float:
    """Run one side in fresh processes, one per core, and return the sum of their rates."""
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    command = [sys.executable, __file__, "--child", side, str(width), str(lanes), str(steps)]
    children = [subprocess.Popen([*command, str(core)], env=env, stdout=subprocess.PIPE, text=True) for core in cores]
    return sum(float(child.communicate()[0]) for child in children)


def child(side: str, width: str, lanes: str, steps: str, core: str) -> None:
    """Measure in this process, pinned to one core."""
    os.sched_setaffinity(0, {int(core)})
    if side == "native":
        print(native(int(width), int(lanes), int(steps)))
    else:
        print(torch_or_jax(side, int(width), int(steps)))


def main() -> None:
    """Measure the rows asked for and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--without-sbx", action="store_true")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    print("| row | rival | native steps/s | rival steps/s | ratio: median (min to max) | of the peak |")
    print("|---|---|---:|---:|---|---:|")
    for row in options.rows:
        width, lanes, rivals = ROWS[row]
        peak, cores = measured_peak(), 2 if row == "workers" else 1
        work = flops(DQNHyperparameters(**ZOO, net_arch=(width, width)), options.steps) / options.steps
        for rival in rivals:
            if rival == "sbx" and options.without_sbx:
                continue
            pairs = []
            for _ in range(options.pairs):
                mine = measure("native", width, lanes, options.steps, (0, 1) if row == "workers" else (ONE,))
                theirs = measure(rival, width, lanes if rival == "native" else 1, options.steps, (ONE,))
                pairs.append((mine, theirs))
            ratios = [mine / theirs for mine, theirs in pairs]
            mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
            share = mine / cores * work / (peak * 1e9)
            name = "native, one worker" if rival == "native" else rival
            print(
                f"| {row} (K = {lanes}) | {name} | {mine:,.0f} | {theirs:,.0f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {share:.0%} of {peak:.0f} GFLOP/s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
