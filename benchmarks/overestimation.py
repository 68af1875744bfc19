"""How much DQN and double DQN overestimate a value that is 0: the probe environment with noisy rewards.

    python benchmarks/overestimation.py [--seeds 30]

``tune/ProbeOverestimation-v0``: two steps, eight actions, the last reward has mean 0 and standard deviation 1. Every
Q-value is 0; what is learned for the first observation beyond that is overestimation. 3,000 steps of random play,
learning rate 0.005, batches of 16, a memory of 100, a target copied every 400 steps; mean over seeds, and its standard
error.
"""

from __future__ import annotations

import argparse

import numpy as np
from desk import Desk

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.networks.mlp import Activations, MLPLayout, append_one, forward
from tuner.training.stack.trainer import NativeTrainer

ACTIONS = 8
SETTING = {"learning_rate": 5e-3, "batch_size": 16, "net_arch": (16, 16), "train_freq": 8, "gradient_steps": 4,
           "learning_starts": 50, "gamma": 1.0, "loss": "mse", "buffer_size": 100, "target_update_interval": 400,
           "exploration_final_eps": 1.0}  # fmt: skip


def first_values(seeds: int, **variant: bool) -> np.ndarray:
    """Return the mean Q-value of the first observation, by seed."""
    setting = DQNHyperparameters(**SETTING, **variant)
    evaluation = EvaluationSpec(episodes=1, seed=0, max_steps=2)
    specs = [
        RunSpec(RunId(i), EnvSpec("tune/ProbeOverestimation-v0"), "native", setting, i, (3000,), evaluation)
        for i in range(seeds)
    ]
    desk = Desk(specs)
    NativeTrainer(min(seeds, 16), observer=desk).train(desk)
    assert not desk.failed
    head = QHead(ACTIONS, setting.dueling)
    layout = MLPLayout((1, 16, 16, head.n_outputs))
    inputs, buffers = append_one(np.array([[[-1.0]]], np.float32)), Activations(layout, 1, 1, np.float32)
    rows = [layout.from_state_dict(weights)[None] for weights in desk.weights.values()]
    return np.array([head.q_values(forward(layout.network(row), inputs, buffers)).mean() for row in rows])


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    seeds = parser.parse_args().seeds
    print("| agent | overestimation |\n|---|---:|")
    for name, variant in (
        ("DQN", {}),
        ("double DQN", {"double_q": True}),
        ("dueling DQN", {"dueling": True}),
        ("dueling double DQN", {"dueling": True, "double_q": True}),
    ):
        values = first_values(seeds, **variant)
        error = values.std(ddof=1) / np.sqrt(seeds)
        print(f"| {name} | {values.mean():.3f} (standard error {error:.3f}) |", flush=True)


if __name__ == "__main__":
    main()
