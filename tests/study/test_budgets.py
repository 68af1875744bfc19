"""Default budgets of environments: which space they take, and that evaluation never outweighs training."""

import pytest

from tuner.study.plan import plan_study, space_name
from tuner.study.recipe import StudyRecipe

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
    plan = plan_study(StudyRecipe(env=env, **settings))
    assert len(plan.grid) * plan.evaluation.episodes * plan.evaluation.max_steps <= plan.grid[-1]
    assert not plan.notes  # the environment has a budget of its own


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
    plan = plan_study(StudyRecipe(env="ALE/Pong-v5"))
    assert plan.evaluation.epsilon == 0.001
    assert plan.numeric_path == "torch-cpu"
    assert plan_study(StudyRecipe(env="CartPole-v1")).numeric_path == "numpy-cpu"
