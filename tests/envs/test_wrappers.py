"""Wrappers around an environment: in order, with their rewards for training and the environment's own otherwise."""

import importlib.util
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from tuner.envs.bare import BareEnv
from tuner.envs.make import inspect, make
from tuner.envs.preflight import preflight
from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec, frozen
from tuner.envs.wrapper_names import beyond_zoo, canonicals
from tuner.envs.wrappers import helpful
from tuner.errors import InputError, MissingExtraError, UnusableEnvironmentError

PACKAGE = """
import gymnasium
import numpy as np

class Doubled(gymnasium.RewardWrapper):
    def __init__(self, env, by=2):
        super().__init__(env)
        self.by = by
    def reward(self, reward):
        return self.by * reward

class Broken(gymnasium.Wrapper):
    def __init__(self, env):
        raise RuntimeError("it does not fit\\nat all")

class Paired(gymnasium.RewardWrapper):
    def reward(self, reward):
        return np.array([reward, reward])

class NoWrapper:
    pass

def silent(env):
    return env
"""


def spec(env, *wrapper, **more):
    return EnvSpec(env, wrapper=canonicals(wrapper), **more)


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_wrappers.py").write_text(PACKAGE)
    yield
    sys.modules.pop("own_wrappers", None)


def test_they_are_put_around_from_the_inside():
    twice = ("FrameStackObservation:{stack_size: 3}", "FlattenObservation")
    assert make(spec("CartPole-v1", *twice)).observation_space.shape == (12,)
    with_time = ("FlattenObservation", "FrameStackObservation:{stack_size: 3}", "TimeAwareObservation:{flatten: false}")
    space = make(spec("CartPole-v1", *with_time)).observation_space
    assert isinstance(space, spaces.Dict) and space["obs"].shape == (3, 4)


def test_what_else_is_done_comes_around_them_and_the_page_says_all():
    facts = inspect(spec("Pendulum-v1", "TimeAwareObservation", discretize=3, frame_stack=2), "dqn")
    assert facts.observation_space.shape == (8,) and facts.n_actions == 3
    assert facts.preprocessing == {
        "wrapper": ["gymnasium.wrappers.TimeAwareObservation"], "discretize": 3, "frame_stack": 2,
    }  # fmt: skip
    assert facts.changes.startswith("wrapped in TimeAwareObservation, actions in 3 steps")
    pixels = make(spec("CartPole-v1", "ClipReward:{max_reward: 0.5}", pixels=True), training=True)
    assert pixels.observation_space.shape[-2:] == (84, 84)
    pixels.reset(seed=0)
    assert pixels.step(0)[1] == 0.5


def test_training_sees_the_rewards_that_wrappers_make_and_evaluation_the_environments_own():
    name = spec("Pendulum-v1", "own_wrappers:Doubled:{by: 3}", "RepeatAction:{num_repeats: 2}")
    plain, learns, plays = gymnasium.make("Pendulum-v1"), make(name, training=True), BareEnv.make(name)
    start = [env.reset(seed=5) for env in (plain, learns)]
    np.testing.assert_array_equal(start[0][0], plays.reset(seed=5))
    action = np.array([1.0], np.float32)
    for _ in range(4):
        own = plain.step(action)[1] + plain.step(action)[1]
        assert learns.step(action)[1] == pytest.approx(3 * own, rel=1e-12)
        assert plays.step(action)[1] == pytest.approx(own, rel=1e-12)
    plays.reset(seed=5)
    plain.reset(seed=5)
    assert plays.step(action)[1] == pytest.approx(plain.step(action)[1] + plain.step(action)[1], rel=1e-12)


def test_rewards_of_wrappers_that_no_agent_could_learn_from_are_found_by_the_look():
    with pytest.raises(UnusableEnvironmentError, match="must return a reward that is one number, got ndarray"):
        preflight(spec("CartPole-v1", "own_wrappers:Paired"), "dqn", inline=True)


def test_lists_are_tuples_where_gymnasiums_wrappers_ask_for_them():
    listed = spec("CartPole-v1", "ReshapeObservation:{shape: [2, 2]}")
    assert make(listed).observation_space.shape == (2, 2)
    assert "a list as shape, and that takes a tuple" in beyond_zoo(listed.wrapper)
    assert not beyond_zoo(canonicals(["FilterObservation:{filter_keys: [a]}", "own:ReshapeObservation:{shape: [2]}"]))


def test_a_wrapper_of_the_working_folder_is_found_though_the_environment_moves_to_another(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "moves.py").write_text(
        "import os, gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Moves(CartPoleEnv):\n    def __init__(self):\n        super().__init__(); os.chdir('/')\n"
        "gymnasium.register('Moves-v0', Moves)\n"
    )
    assert make(spec("Moves-v0", "own_wrappers:Doubled", module="envs/moves.py"), training=True).by == 2


def test_a_time_limit_among_them_is_known_and_ends_episodes():
    name = spec("CartPole-v1", "TimeLimit:{max_episode_steps: 3}")
    assert inspect(name, "dqn").max_episode_steps == 3
    for training in (True, False):
        env = BareEnv.make(name, training=training)
        env.reset(seed=0)
        assert [env.step(0)[2:] for _ in range(3)] == [(False, False), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("env", "wrapper", "line"),
    [
        ("CartPole-v1", "FlatenObservation", "in gymnasium.wrappers. Did you mean 'FlattenObservation'?"),
        ("CartPole-v1", "FrameStack", "renamed with `wrappers.FrameStackObservation`"),
        ("CartPole-v1", "own_wrappers:Dubbled", "in own_wrappers. Did you mean 'Doubled'?"),
        ("CartPole-v1", "own_wrappers:Q", "in own_wrappers. It has: Broken, Doubled, Paired."),
        (
            "CartPole-v1",
            "own_wrappers:NoWrapper",
            "subclass of gymnasium.Wrapper, got the class NoWrapper. Name another",
        ),
        ("CartPole-v1", "own_wrappers:silent", "subclass of gymnasium.Wrapper, got a function"),
        ("CartPole-v1", "own_wrappers:Broken", "cannot be put around it: RuntimeError: it does not fit. Give other"),
        ("CartPole-v1", "TimeLimit:{steps: 3}", "unexpected keyword argument 'steps'. Give other arguments"),
        ("CartPole-v1", "nowhere.at:All", "No module named 'nowhere.at' can be imported."),
        ("CartPole-v1", "NormalizeReward", "Use --set normalize_rewards=true."),
        ("CartPole-v1", "gymnasium.wrappers.NormalizeObservation", "Use --set normalize_observations=true."),
        ("CartPole-v1", "RecordVideo:{video_folder: films}", "writes files. Use --record, or tune record."),
        (
            "CartPole-v1",
            "stable_baselines3.common.monitor.Monitor:{filename: films}",
            "Monitor with a filename writes files. Leave filename out.",
        ),
        ("Pendulum-v1", "tuner.envs.discrete_actions:DiscreteActions:{steps: 3}", "is tune's own. Use --discretize"),
        ("ALE/Pong-v5", "FlattenObservation", "takes no --wrapper. Leave it out, or see the memory"),
    ],
    ids=lambda value: None if " " in value else value[:30],
)
def test_what_cannot_be_put_around_is_a_line_with_the_way_out(env, wrapper, line, tmp_path):
    with pytest.raises(UnusableEnvironmentError) as refused:
        make(spec(env, wrapper))
    assert line in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "films").exists()


@pytest.mark.skipif(importlib.util.find_spec("minigrid") is not None, reason="minigrid is installed")
def test_a_package_that_is_missing_is_named_with_its_extra():
    with pytest.raises(MissingExtraError, match=r"minigrid.wrappers.FlatObsWrapper needs .*tune-dqn\[minigrid\]"):
        make(spec("CartPole-v1", "minigrid.wrappers:FlatObsWrapper"))
    with pytest.raises(MissingExtraError, match=r"MiniGrid-Empty-5x5-v0 needs .*tune-dqn\[minigrid\]"):
        make(spec("MiniGrid-Empty-5x5-v0"))


def test_observations_that_cannot_be_read_name_the_wrapper_that_helps():
    class Mission(spaces.Text):
        pass

    text = Mission(9)
    space = spaces.Dict({"mission": text, "image": spaces.Box(0, 1, (3,)), "way": spaces.Discrete(4)})
    assert "--wrapper 'FilterObservation:{filter_keys: [image, way]}'" in helpful(space)
    assert not helpful(space["image"]) and not helpful(spaces.Dict({"mission": text}))

    class Says(gymnasium.Env):
        observation_space, action_space = space, spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return {"mission": "go", "image": np.zeros(3, np.float32), "way": 1}, {}

    gymnasium.register("Says-v0", entry_point=Says)
    try:
        with pytest.raises(InputError) as refused:
            inspect(EnvSpec("Says-v0"), "dqn")
        way_out = str(refused.value).partition("Use --wrapper '")[2].partition("'")[0]
        assert inspect(spec("Says-v0", way_out), "dqn").encoder.input_size == 7
    finally:
        del gymnasium.registry["Says-v0"]


def test_a_table_refuses_observations_that_are_no_longer_numbers():
    inspect(EnvSpec("FrozenLake-v1"), "q_learning")
    one_hot = inspect(spec("FrozenLake-v1", "FlattenObservation"), "dqn")
    assert one_hot.encoder.input_size == 16 == inspect(EnvSpec("FrozenLake-v1"), "dqn").encoder.input_size


def test_a_study_notices_that_the_users_own_wrapper_has_changed(tmp_path):
    name = spec("CartPole-v1", "own_wrappers:Doubled", "FlattenObservation")
    before = source_digest(name)
    (tmp_path / "own_wrappers.py").write_text(PACKAGE + "# another\n")
    assert before is not None and source_digest(name) != before
    assert source_digest(spec("CartPole-v1", "FlattenObservation")) is None


def test_grid_worlds_are_seen_through_their_packages_wrappers():
    pytest.importorskip("minigrid", reason="needs the extra minigrid")
    with pytest.raises(UnusableEnvironmentError, match=r"filter_keys: \[direction, image\]"):
        inspect(spec("MiniGrid-Empty-5x5-v0"), "dqn")
    flat = spec("MiniGrid-Empty-5x5-v0", "minigrid.wrappers:ImgObsWrapper", "FlattenObservation")
    assert inspect(flat, "dqn").observation_space.shape == (147,)
    assert inspect(spec("MiniGrid-DoorKey-5x5-v0", "minigrid.wrappers:FlatObsWrapper"), "dqn").n_actions == 7


def test_roads_are_seen_as_vehicles_and_their_numbers():
    pytest.importorskip("highway_env", reason="needs the extra highway")
    assert inspect(spec("highway-fast-v0", "FlattenObservation"), "dqn").observation_space.shape == (25,)
    kwargs = frozen({"config": {"vehicles_count": 3, "observation": {"type": "Kinematics", "vehicles_count": 3}}})
    assert inspect(EnvSpec("highway-fast-v0", kwargs), "dqn").observation_space.shape == (3, 5)
