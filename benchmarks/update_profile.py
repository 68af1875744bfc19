"""Where the time of a gradient step goes, on one pinned core: what the notes under the speed table rest on.

    python benchmarks/update_profile.py

Printed, in microseconds, the best of five rounds: a whole NumPy gradient step of n lanes (batch 64), one of its large
matrix products, ReLU as maximum with a scalar and with an array, and Adam in whole passes, in cache-sized parts, and in
torch's single pass. Then the environment steps per second of 16 lanes of [64, 64] at two batch sizes, by lanes that are
updated as one block.
"""

from __future__ import annotations

import os
import statistics
import time

import numpy as np
import throughput
from threadpoolctl import threadpool_limits

from tuner.agents.dqn import stack
from tuner.agents.dqn.optimizers import FusedAdam, adam
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.update_numpy import NumpyUpdate
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.networks.mlp import MLPLayout
from tuner.replay.ring import Batch

BATCH = 64


def microseconds(work, repeats: int = 300) -> float:
    """Return the time of one call, the best of five rounds."""
    best = np.inf
    for _ in range(6):  # the first warms up
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        best = min(best, (time.perf_counter() - started) / repeats)
    return 1e6 * best


def profile(width: int, lanes: int) -> str:
    """Return a row of the table."""
    rng = np.random.default_rng(0)
    layout = MLPLayout((4, width, width, 2))
    state, hyperparameters = LearnerState(layout, lanes), DQNHyperparameters(batch_size=BATCH, net_arch=(width, width))
    for lane in range(lanes):
        state.start(lane, hyperparameters, rng)
    observations = np.ones((lanes, BATCH, 5), np.float32)
    observations[..., :4] = rng.normal(size=(lanes, BATCH, 4))
    ones = np.ones((lanes, BATCH), np.float32)
    batch = Batch(observations, observations.copy(), ones, 0.99 * ones, rng.integers(0, 2, (lanes, BATCH)))
    update = NumpyUpdate(state, QHead(2, False), hyperparameters)

    hidden, weights = (rng.normal(size=(lanes, n, width)).astype(np.float32) for n in (BATCH, width))
    product, zeros = np.empty_like(hidden), np.zeros_like(hidden)
    rows = [rng.random((lanes, layout.n_parameters)).astype(np.float32) for _ in range(5)]
    powers, rates = np.ones((2, lanes)), np.full(lanes, 1e-3)

    def step(optimizer, part: slice = slice(None)) -> None:
        powers.fill(0.5)
        optimizer(*(row[:, part] for row in rows[:4]), powers, rates, rows[4][:, part])

    def parts(size: int = 16_384) -> None:
        for begin in range(0, layout.n_parameters, size):
            step(adam, slice(begin, begin + size))

    fused = FusedAdam()
    whole = [row[:, :] for row in rows[:4]]  # the same objects each time, as in training
    cells = (
        microseconds(lambda: update(slice(0, lanes), batch)),
        microseconds(lambda: np.matmul(hidden, weights, out=product)),
        microseconds(lambda: np.maximum(hidden, 0, out=product)),
        microseconds(lambda: np.maximum(hidden, zeros, out=product)),
        microseconds(lambda: step(adam)),
        microseconds(parts),
        microseconds(lambda: (powers.fill(0.5), fused(*whole, powers, rates, rows[4]))),
    )
    return f"| [{width}, {width}], {lanes} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |"


def rate(block: int, batch_size: int) -> float:
    """Return the environment steps per second of 16 lanes that are updated ``block`` at a time."""
    make, values = stack.DQNStack.__init__, dict(throughput.ZOO)

    def with_block(self, *args, **kwargs) -> None:
        make(self, *args, **kwargs)
        self._update._block = block

    stack.DQNStack.__init__ = with_block
    throughput.ZOO.update(batch_size=batch_size, train_freq=64, gradient_steps=32)
    try:
        return statistics.median(throughput.native(64, 16, 4000, "numpy") for _ in range(3))
    finally:
        stack.DQNStack.__init__ = make
        throughput.ZOO.update(values)


def main() -> None:
    """Measure and print."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    threadpool_limits(limits=1)
    print("| network, lanes | step | a product | ReLU, scalar | ReLU, array | Adam | Adam in parts | Adam, one pass |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for width, lanes in ((256, 1), (64, 8), (64, 1)):
        print(profile(width, lanes), flush=True)
    print("\n| batch | 1 lane a block | 2 | 4 | 8 |\n|---:|---:|---:|---:|---:|")
    for batch_size in (64, 256):
        rates = " | ".join(f"{rate(block, batch_size):,.0f}" for block in (1, 2, 4, 8))
        print(f"| {batch_size} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
