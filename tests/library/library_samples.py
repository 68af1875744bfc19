"""Entries of a library for tests; their scores are made up."""

from __future__ import annotations

import dataclasses

from tuner.hyperparameters import from_mapping
from tuner.library.entry import Entry, Judged, LibraryRun
from tuner.study.confirm.contestants import setting_key

SEEDS = range(101, 111)


def judged(role, scores, algorithm="dqn", tuned_for=None, **values):
    complete = from_mapping(algorithm, values).to_mapping()
    runs = tuple(LibraryRun(seed, "completed", score, 300) for seed, score in zip(SEEDS, scores, strict=False))
    return Judged(setting_key("native", algorithm, complete), role, role, tuned_for, complete, runs)


ENTRY = Entry(
    algorithm="dqn", backend="native", env="FrozenLake-v1", env_kwargs={}, changes={},
    preprocessing={"encoded": "Discrete"}, n_timesteps=300, evaluations=3, eval_episodes=2, objective="late", seed=0,
    random_play=0.01, command="tune --env FrozenLake-v1", made="2026-01-31",
    versions={"tune-dqn": "0.1.0", "torch": "2.13.0"}, processor="a processor", processor_s=720.0,
    settings=(
        judged("library", [0.1 * i for i in range(10)], learning_rate=0.003, learning_starts=50),
        judged("defaults", [0.0] * 10),
    ),
)  # fmt: skip

DRY = dataclasses.replace(ENTRY, env_kwargs={"is_slippery": False})

TABLE = dataclasses.replace(
    ENTRY, algorithm="q_learning", env="CliffWalking-v1", preprocessing={}, n_timesteps=90,
    settings=(judged("library", [-100.0 - i for i in range(10)], "q_learning", learning_rate=0.5),),
)  # fmt: skip
