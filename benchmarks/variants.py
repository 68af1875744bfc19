"""What DQN's variants cost: environment steps per second of a processor, one stack, each variant beside plain DQN.

    python benchmarks/variants.py [--pairs 5] [--steps 10000] [--lanes 16] [--width 64] [--only NAME ...]

CartPole-v1, one core, RL Zoo's train_freq 256 and 128 gradient steps of 64 transitions. Plain DQN and a variant take
turns in fresh processes; the figure is the median over pairs of variant / plain. Processor time counts, so a
busy machine shows in the pairs' spread and hardly in the figure.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

VARIANTS = {
    "double": {"double_q": True},
    "dueling": {"dueling": True},
    "n-step (3)": {"n_steps": 3},
    "prioritised": {"prioritized": True},
    "linear schedule": {"learning_rate_schedule": "linear"},
    "Munchausen": {"munchausen": True},
    "layer norm": {"layer_norm": True},
    "quantiles (16)": {"quantiles": 16},
    "quantiles (50)": {"quantiles": 50},
    "noisy": {"noisy": True},
    "all four": {"double_q": True, "dueling": True, "n_steps": 3, "prioritized": True},
}
ZOO = {"learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000, "train_freq": 256,
       "gradient_steps": 128, "target_update_interval": 10, "exploration_fraction": 0.16,
       "exploration_final_eps": 0.04}  # fmt: skip


def rate(variant: str, width: int, lanes: int, steps: int) -> float:
    """Return environment steps per second of ``lanes`` runs side by side in this process."""
    import os

    from tuner.contract.roles import DONE
    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.stack.trainer import NativeTrainer

    class Queue:
        def __init__(self) -> None:
            setting = DQNHyperparameters(**ZOO, net_arch=(width, width), **VARIANTS.get(variant, {}))
            evaluation = EvaluationSpec(episodes=1, seed=0, max_steps=1)
            self.specs = [
                RunSpec(RunId(i), EnvSpec("CartPole-v1"), "native", setting, i, (steps,), evaluation)
                for i in range(lanes)
            ]

        def take(self, open_shapes, *, block):
            return self.specs.pop() if self.specs else DONE

        def report(self, points):
            return frozenset()

        def finish(self, outcome):
            assert outcome.kind in ("completed", "diverged"), outcome

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    queue = Queue()
    started = time.process_time()
    NativeTrainer(lanes).train(queue)
    return lanes * steps / (time.process_time() - started)


def measure(variant: str, options: argparse.Namespace) -> float:
    """Return the rate in a fresh process."""
    size = (options.width, options.lanes, options.steps)
    command = [sys.executable, __file__, "--child", variant, *map(str, size)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        variant, *size = options.child
        print(rate(variant, *map(int, size)))
        return
    print("| variant | plain steps/s | variant steps/s | ratio: median (min to max) |\n|---|---:|---:|---|")
    for variant in options.only:
        pairs = [(measure("plain", options), measure(variant, options)) for _ in range(options.pairs)]
        ratios = [theirs / plain for plain, theirs in pairs]
        plain, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"| {variant} | {plain:,.0f} | {theirs:,.0f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
