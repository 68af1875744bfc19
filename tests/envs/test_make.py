import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from tuner.envs.actions import Actions
from tuner.envs.make import inspect, make
from tuner.envs.preflight import preflight
from tuner.envs.spec import EnvSpec
from tuner.errors import MissingExtraError, UnusableEnvironmentError


def refusal(spec: EnvSpec | str) -> str:
    """The one line that refuses an environment."""
    spec = EnvSpec(spec) if isinstance(spec, str) else spec
    with pytest.raises(UnusableEnvironmentError) as caught:
        inspect(spec, "dqn")
    message = str(caught.value)
    assert "\n" not in message and message.strip() == message and caught.value.exit_code == 2
    return message


@pytest.mark.parametrize(
    ("env_id", "expected"),
    [
        ("CartPol-v1", "Did you mean CartPole-v1"),
        ("cartpole-v1", "Did you mean CartPole-v1"),
        ("LunarLander-v2", "Use LunarLander-v3."),
        ("Taxi-v3", "Use Taxi-v4."),
        ("CliffWalking-v0", "Use CliffWalking-v1."),
        ("CartPole-v99", "installed: CartPole-v0, CartPole-v1."),
        ("CartPole", "Use CartPole-v1."),
        ("FrozenLakeNotSlippery-v1", "FrozenLake-v1 with --env-arg is_slippery=false"),
        ("nope/Pong-v5", "nothing registers the namespace 'nope'"),
        ("not an id!", "'not an id!' is not an environment id"),
        ("", "'' is not an environment id"),
        ("Zxqwvut-v0", "--env-module"),
    ],
)
def test_unknown_id_names_what_was_meant(env_id: str, expected: str) -> None:
    assert expected in refusal(env_id)


def test_misspelt_atari_id_names_atari_ids() -> None:
    assert "ALE/Pong-v5" in refusal("ALE/Pang-v5")
    assert "Use ALE/Pong-v5." in refusal("Pong-v5")


def test_continuous_actions_are_refused_with_the_space() -> None:
    assert refusal("Pendulum-v1") == (
        "DQN needs a Discrete action space; Pendulum-v1 has Box(-2.0, 2.0, (1,), float32). "
        "Use --discretize 5 to cut each number into 5 steps, --algo sampled_dqn, or --backend sb3 --algo sac."
    )


class Acts(gymnasium.Env):
    """Takes actions of a space that it is given, and does nothing."""

    observation_space = spaces.Box(-1, 1, (2,))

    def __init__(self, actions):
        self.action_space = ACTIONS[actions]

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.zeros(2, np.float32), 0.0, False, False, {}


#: Where floats end.
MOST = float(np.finfo(np.float64).max)

ACTIONS = {
    "multi": spaces.MultiDiscrete([2, 3]),
    "dict": spaces.Dict(a=spaces.Discrete(2)),
    "none": spaces.Box(-1, 1, (0,)),
    "widest": spaces.Box(-MOST, MOST, (2,), np.float64),
    "fixed": spaces.Box(np.array([-1, 1], np.float32), np.float32(1)),
}
gymnasium.register("test/Acts-v0", Acts)


@pytest.mark.parametrize(
    ("actions", "algorithm", "line"),
    [
        ("multi", "dqn", "has MultiDiscrete([2 3]). None of the algorithms here acts in it: put a wrapper around it"),
        ("dict", "sac", "has Dict('a': Discrete(2)). None of the algorithms here acts in it: put a wrapper around it"),
        ("none", "sampled_dqn", "its continuous actions are empty, Box(0,)."),
        ("none", "ppo", "its continuous actions are empty, Box(0,)."),
        ("widest", "sac", "SAC cannot act in Box(-1.79"),
        (
            "fixed",
            "ddpg",
            "float32): it divides by the distance of an action's bounds, which must be a finite number above 0.",
        ),
    ],
)
def test_actions_that_nobody_or_not_this_algorithm_takes_are_a_line_with_the_way_out(actions, algorithm, line) -> None:
    with pytest.raises(UnusableEnvironmentError) as refused:
        preflight(EnvSpec("test/Acts-v0", (("actions", actions),)), algorithm, inline=True)
    assert line in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("actions", ["widest", "fixed"])
def test_bounds_as_far_apart_as_floats_go_or_not_at_all_are_drawn_between(actions) -> None:
    preflight(EnvSpec("test/Acts-v0", (("actions", actions),)), "sampled_dqn", inline=True, play_from=0)
    drawn = Actions(ACTIONS[actions]).draw(np.random.default_rng(0), (100,))
    assert all(ACTIONS[actions].contains(action) for action in drawn)


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_actions_are_drawn_as_numpy_draws_them(one, other) -> None:
    space = spaces.Box(min(one, other), max(one, other), (3,), np.float64)
    theirs = np.random.default_rng(5).uniform(space.low, space.high, (4, 3))
    np.testing.assert_allclose(Actions(space).draw(np.random.default_rng(5), (4,)), theirs, rtol=1e-15, atol=1e-300)


class Seen(gymnasium.Env):
    observation_space, action_space = spaces.Box(0, 255, (40, 40, 3), np.uint8), spaces.Box(-1, 1, (1,))


@pytest.mark.parametrize(
    ("env", "algorithm", "instead"),
    [
        (Seen, "sampled_dqn", "Use --backend sb3 --algo "),
        (type("Pressed", (Seen,), {"action_space": spaces.Discrete(2)}), "fqi", "Use --algo dqn."),
    ],
)
def test_who_does_not_learn_from_images_says_so_before_anything_is_trained(env, algorithm, instead) -> None:
    gymnasium.register(f"test/{env.__name__}-v0", env)
    with pytest.raises(UnusableEnvironmentError) as refused:
        inspect(EnvSpec(f"test/{env.__name__}-v0"), algorithm)
    assert f"{algorithm} does not learn from images. {instead}" in str(refused.value)


def test_windows_are_for_tune_enjoy() -> None:
    assert "Leave it out; tune enjoy shows an agent." in refusal(EnvSpec("CartPole-v1", (("render_mode", "human"),)))


def test_atari_on_pixels_is_refused() -> None:
    assert "observed through its frames already" in refusal(EnvSpec("ALE/Pong-v5", pixels=True))


@pytest.mark.parametrize("argument", [("obs_type", "grayscale"), ("frameskip", 0), ("frameskip", (2, 5))])
def test_atari_arguments_that_the_preprocessing_replaces_are_refused(argument: tuple) -> None:
    assert argument[0] in refusal(EnvSpec("ALE/Pong-v5", (argument,)))


@pytest.mark.parametrize(
    ("env_id", "module", "extra"),
    [("MinAtar/Breakout-v1", "minatar", "minatar"), ("FlappyBird-v0", "flappy_bird_gymnasium", "flappy")],
)
def test_missing_package_names_its_extra(env_id: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{env_id} needs .* pip install 'tune-dqn\[{extra}\]'"):
        inspect(EnvSpec(env_id), "dqn")


def test_unknown_argument_is_named_with_the_known_ones() -> None:
    message = refusal(EnvSpec("FrozenLake-v1", (("is_slipery", False),)))
    assert "takes no argument 'is_slipery'. Did you mean 'is_slippery'?" in message and "map_name" in message


def test_bad_argument_value_is_shown() -> None:
    assert refusal(EnvSpec("FrozenLake-v1", (("map_name", "9x9"),))).startswith(
        "FrozenLake-v1 cannot be made with map_name='9x9': KeyError"
    )


def test_missing_box2d_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    assert "pip install 'tune-dqn[box2d]'" in refusal("LunarLander-v3")


@pytest.mark.parametrize(
    ("env_id", "observation", "n_actions", "limit", "threshold", "cap"),
    [
        ("CartPole-v1", "Box(4,) float32", 2, 500, 475.0, 500),
        ("Acrobot-v1", "Box(6,) float32", 3, 500, -100.0, 500),
        ("MountainCar-v0", "Box(2,) float32", 3, 200, -110.0, 200),
        ("LunarLander-v3", "Box(8,) float32", 4, 1000, 200, 1000),
        ("FrozenLake-v1", "Discrete(16)", 4, 100, 0.7, 100),
        ("Taxi-v4", "Discrete(500)", 6, 200, 8, 200),
        ("CliffWalking-v1", "Discrete(48)", 4, None, None, 1000),
        ("Blackjack-v1", "Tuple", 2, None, None, 1000),
        ("MinAtar/Breakout-v1", "Box(10, 10, 4) bool", 3, None, None, 1000),
        ("MinAtar/Breakout-v0", "Box(10, 10, 4) bool", 6, None, None, 1000),
        ("FlappyBird-v0", "Box(180,) float64", 2, None, None, 1000),
        ("ALE/Pong-v5", "Box(4, 84, 84) uint8", 6, None, None, 6750),
        ("SpaceInvadersNoFrameskip-v4", "Box(4, 84, 84) uint8", 6, None, None, 6750),
    ],
)
def test_facts_of_the_listed_environments(
    env_id: str, observation: str, n_actions: int, limit: int | None, threshold: float | None, cap: int
) -> None:
    facts = inspect(EnvSpec(env_id), "dqn")
    assert (facts.observation, facts.n_actions) == (observation, n_actions)
    assert (facts.max_episode_steps, facts.reward_threshold, facts.eval_max_steps) == (limit, threshold, cap)


def test_time_limit_can_be_given_as_an_argument() -> None:
    facts = inspect(EnvSpec("CliffWalking-v1", (("max_episode_steps", 77),)), "dqn")
    assert facts.max_episode_steps == facts.eval_max_steps == 77


@pytest.mark.parametrize(("frameskip", "cap"), [(4, 6750), (5, 5400), (1, 27000)])
def test_atari_evaluation_cap_counts_frames(frameskip: int, cap: int) -> None:
    facts = inspect(EnvSpec("ALE/Pong-v5", (("frameskip", frameskip), ("obs_type", "ram"))), "dqn")
    assert facts.eval_max_steps == cap


def test_no_per_step_checker_is_in_the_way() -> None:
    env = make(EnvSpec("CartPole-v1"))
    while isinstance(env, gymnasium.Wrapper):
        assert not isinstance(env, gymnasium.wrappers.PassiveEnvChecker)
        env = env.env


def test_arguments_reach_the_environment() -> None:
    env = make(EnvSpec("FrozenLake-v1", (("is_slippery", False), ("map_name", "8x8"))))
    assert env.observation_space.n == 64
    env.close()


def test_outdated_but_registered_version_is_made_without_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inspect(EnvSpec("CartPole-v0"), "dqn").max_episode_steps == 200


def test_atari_package_is_not_imported_for_other_environments() -> None:
    code = (
        "import sys; from tuner.envs.make import inspect; from tuner.envs.spec import EnvSpec;"
        "inspect(EnvSpec('CartPole-v1'), 'dqn'); sys.exit('ale_py' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


ENV_FILE = """
import gymnasium
import numpy as np

class Line(gymnasium.Env):
    def __init__(self, size=5):
        self.observation_space = gymnasium.spaces.Box(0, size, (2, 2), np.float64)
        self.action_space = gymnasium.spaces.Discrete(3, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((2, 2)), {}

    def step(self, action):
        return np.zeros((2, 2)), 0.0, True, False, {}

gymnasium.register("Line-v0", entry_point="MODULE:Line", max_episode_steps=9)
"""


@pytest.fixture
def line_env(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A file that registers Line-v0, in the working directory, under a fresh module name."""
    name = f"line_env_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(ENV_FILE.replace("MODULE", name))
    monkeypatch.chdir(tmp_path)
    yield name
    gymnasium.registry.pop("Line-v0", None)
    sys.modules.pop(name, None)


@pytest.mark.parametrize("how", ["module", "file", "absolute", "prefix"])
def test_environment_of_a_user_module(line_env: str, how: str, tmp_path) -> None:
    spec = {
        "module": EnvSpec("Line-v0", module=line_env),
        "file": EnvSpec("Line-v0", module=f"{line_env}.py"),
        "absolute": EnvSpec("Line-v0", module=str(tmp_path / f"{line_env}.py")),
        "prefix": EnvSpec(f"{line_env}:Line-v0"),
    }[how]
    path = list(sys.path)
    facts = inspect(spec, "dqn")
    assert (facts.n_actions, facts.action_space.start, facts.max_episode_steps) == (3, -1, 9)
    assert facts.observation == "Box(2, 2) float64"
    assert sys.path == path
    assert inspect(spec, "dqn") == facts  # again, with the module loaded


def test_broken_user_modules_are_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_one.py").write_text("1 / 0")
    (tmp_path / "needs_other.py").write_text("import surely_not_installed_anywhere")
    assert "Importing 'broken_one' failed: ZeroDivisionError" in refusal(EnvSpec("X-v0", module="broken_one"))
    assert "Importing 'broken_one.py' failed" in refusal(EnvSpec("X-v0", module="broken_one.py"))
    assert "needs 'surely_not_installed_anywhere'" in refusal(EnvSpec("X-v0", module="needs_other"))
    assert "No module named 'absent_module'" in refusal(EnvSpec("X-v0", module="absent_module"))
    assert "No module named 'absent_module'" in refusal("absent_module:X-v0")
    assert "There is no file" in refusal(EnvSpec("X-v0", module="absent.py"))
    assert "broken_one" not in sys.modules


def test_file_named_like_a_loaded_module_is_still_imported(tmp_path) -> None:
    path = tmp_path / "json.py"
    path.write_text(ENV_FILE.replace('"MODULE:Line"', "Line"))
    try:
        assert inspect(EnvSpec("Line-v0", module=str(path)), "dqn").n_actions == 3
        import json

        assert hasattr(json, "dumps")
    finally:
        gymnasium.registry.pop("Line-v0", None)


def test_video_frames_on_request() -> None:
    env = make(EnvSpec("CliffWalking-v1"), render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    env.close()
    assert isinstance(frame, np.ndarray) and frame.ndim == 3
