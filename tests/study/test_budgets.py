"""Default budgets of environments: which space they take, and that evaluation never outweighs training."""

import dataclasses

import numpy as np
import pytest
from gymnasium import spaces

from tuner.envs.frames import FramesBox
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.cost import memory_need
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study, space_name
from tuner.replay.frames import FrameMemory
from tuner.training.registry import footprint

DEFAULTS = [
    ("Acrobot-v1", {}),
    ("MountainCar-v0", {}),
    ("LunarLander-v3", {}),
    ("Taxi-v4", {}),
    ("CliffWalking-v1", {}),
    ("FlappyBird-v0", {}),
    ("MinAtar/Breakout-v1", {}),
    ("MinAtar/Seaquest-v0", {}),
    ("ALE/Pong-v5", {}),
    ("SpaceInvadersNoFrameskip-v4", {}),
    ("CartPole-v1", {"pixels": True}),
    ("Acrobot-v1", {"pixels": True}),
    ("MountainCar-v0", {"pixels": True}),
    ("LunarLander-v3", {"pixels": True}),
]


@pytest.mark.parametrize(("env", "settings"), DEFAULTS, ids=[f"{e}-{'pixels' if s else 'state'}" for e, s in DEFAULTS])
def test_evaluation_takes_no_more_steps_than_training_even_at_the_cap(env, settings):
    plan = plan_study(StudyRecipe(env=env, executor="inline", **settings), play=False)
    assert len(plan.grid) * plan.evaluation.episodes * plan.evaluation.max_steps <= plan.grid[-1]
    assert all(note.startswith("--executor inline") for note in plan.notes)  # the environment has a budget of its own


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (StudyRecipe(env="CartPole-v1"), "default"),
        (StudyRecipe(env="CartPole-v1", pixels=True), "pixels"),
        (StudyRecipe(env="ALE/Pong-v5"), "atari"),
        (StudyRecipe(env="PongNoFrameskip-v4"), "atari"),
        (StudyRecipe(env="ALE/Pong-v5", space="extended"), "extended"),
        (StudyRecipe(env="MinAtar/Freeway-v1"), "minatar"),
    ],
)
def test_default_stands_for_the_familys_own_space(recipe, name):
    assert space_name(recipe) == name


def test_atari_evaluates_with_a_little_chance_and_images_train_in_torch():
    plan = plan_study(StudyRecipe(env="ALE/Pong-v5", executor="inline"), play=False)
    assert plan.evaluation.epsilon == 0.001
    assert plan.numeric_path == "torch-cpu"
    assert plan_study(StudyRecipe(env="CartPole-v1", executor="inline"), play=False).numeric_path == "compiled-cpu"


def test_the_full_atari_budget_fits_a_laptops_memory():
    plan = plan_study(StudyRecipe(env="ALE/Pong-v5", steps=10_000_000, trials=100, workers=2), play=False)
    assert plan.lanes == 1
    need = memory_need(plan)
    assert need.total_bytes < 8 * 2**30
    assert need.largest.reserved_bytes < 2 * 2**30


@pytest.mark.parametrize(("length", "frames"), [(200, 4), (1000, 4), (100, 0)])
def test_the_forecast_of_a_frame_memory_is_what_it_holds(length, frames):
    image, transitions = (4, 12, 12), 2000
    memory = FrameMemory(1, transitions, image, frames)
    memory.start(0, transitions, np.random.default_rng(0))
    rng, size, stack = np.random.default_rng(1), 4 * 144, max(frames, 1)
    for _ in range(2 * transitions // length):
        pixels = rng.integers(0, 256, (length + stack, size // stack), dtype=np.uint8)
        pixels[: stack - 1] = 0
        rows = memory.blank(length)
        parts = memory.unpack(rows)
        for i in range(length):
            parts.observations[i, :-1] = pixels[i : i + stack].ravel()
            parts.next_observations[i, :-1] = pixels[i + 1 : i + 1 + stack].ravel()
        memory.extend(0, rows)
    held = len(memory.snapshot(0)["frames"]) * (size // stack + 4) + transitions * (2 * stack + 5) * 4
    facts = dataclasses.replace(
        inspect(EnvSpec("MinAtar/Breakout-v1"), "dqn"),
        observation_space=FramesBox(4, 12, 12) if frames else spaces.Box(0, 255, (12, 12, 4), np.uint8),
    )
    forecast = footprint(DQNHyperparameters(buffer_size=transitions), facts, 10**6, "native")
    assert held <= forecast.replay_bytes * 1.02
    assert forecast.replay_bytes < 1.1 * held
