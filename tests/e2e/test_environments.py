"""A study of three trials starts, finishes, reports and exports on every kind of environment, with either backend."""

import json

import pytest
import yaml
from cli.cli_shell import tune

import tuner
from tuner.hyperparameters import beyond_sb3

#: Environment, settings of the recipe, whether RL Zoo's format can hold the export.
SMALL = [
    ("FrozenLake-v1", {}, True),
    ("Taxi-v4", {}, True),
    ("CliffWalking-v1", {}, True),
    ("Blackjack-v1", {}, True),
    ("LunarLander-v3", {}, True),
    ("FlappyBird-v0", {}, True),
]
IMAGES = [
    ("CartPole-v1", {"pixels": True}, False),
    ("MinAtar/Breakout-v1", {}, False),
    ("ALE/Pong-v5", {"env_arg": {"max_num_frames_per_episode": 200}}, True),
    ("SpaceInvadersNoFrameskip-v4", {"env_arg": {"max_episode_steps": 40}}, False),  # RL Zoo would count frames
]


def study(env, settings, zoo, backend, tmp_path):
    recipe = tuner.StudyRecipe(
        env=env, trials=3, backend=backend, steps=160, evaluations=2, eval_episodes=1, confirm=0, executor="inline",
        set={"learning_starts": 60}, storage=f"sqlite:///{tmp_path / 'study.db'}",
        report_dir=str(tmp_path / "reports"), **settings,
    )  # fmt: skip
    result = tuner.run(recipe)
    assert [(t.outcome, t.steps) for t in result.data.trials] == [("completed", 160)] * 3
    report = json.loads(result.report.with_name("report.json").read_text())
    assert len(report["trials"]) == 3
    exported = yaml.safe_load(result.export.read_text())
    if zoo and not beyond_sb3(result.best):  # what the search chose may be more than Stable-Baselines3 has
        assert exported[env]["n_timesteps"] == 160
        assert exported[env]["learning_rate"] == result.best.learning_rate
    else:
        assert exported["schema"] == "tune/1" and exported["env"] == env
        assert exported["hyperparameters"]["learning_rate"] == result.best.learning_rate
    return result


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")  # test_small_studies draws them all
@pytest.mark.parametrize("backend", ["native", pytest.param("sb3", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("env", "settings", "zoo"), SMALL, ids=[env for env, _, _ in SMALL])
def test_three_trials_run_report_and_export(env, settings, zoo, backend, tmp_path):
    study(env, settings, zoo, backend, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "sb3"])
@pytest.mark.parametrize(("env", "settings", "zoo"), IMAGES, ids=[env for env, _, _ in IMAGES])
def test_three_trials_on_images_run_report_and_export(env, settings, zoo, backend, tmp_path):
    result = study(env, settings, zoo, backend, tmp_path)
    stored = result.data.provenance["preprocessing"]
    if env.startswith(("ALE/", "SpaceInvaders")):
        assert (stored["frame_skip"], stored["training_clips_rewards"]) == (4, True)
        assert stored["repeat_action_probability"] == (0.25 if env == "ALE/Pong-v5" else 0.0)
        exported = yaml.safe_load(result.export.read_text())
        assert (exported[env]["policy"] if zoo else exported["schema"]) == ("CnnPolicy" if zoo else "tune/1")


OWN = """
import gymnasium


class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Dict(place=gymnasium.spaces.Discrete(5), lit=gymnasium.spaces.MultiBinary(2))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length=5, render_mode=None):
        self.length = length

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self._seen(), {}

    def step(self, action):
        self.place = min(max(self.place + (1 if action else -1), 0), self.length - 1)
        return self._seen(), -0.1 + (self.place == self.length - 1), self.place == self.length - 1, False, {}

    def _seen(self):
        return {"place": self.place, "lit": [self.place % 2, 1]}


gymnasium.register("own/Corridor-v0", Corridor, max_episode_steps=30)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--env", "own/Corridor-v0", "--env-module", "corridor.py"],
        ["--env", "corridor:own/Corridor-v0", "--env-arg", "length=4"],
        pytest.param(
            ["--env", "own/Corridor-v0", "--env-module", "corridor", "--backend", "sb3"], marks=pytest.mark.slow
        ),
    ],
    ids=["file", "module:Id", "sb3"],
)
@pytest.mark.usefixtures("pages_of_one_figure")
def test_a_users_own_environment_trains_in_workers(words, in_tmp):
    """The command itself finds it nowhere: its folder is not among those that this process imports from."""
    (in_tmp / "corridor.py").write_text(OWN)
    done = tune(
        *words, "--trials", "3", "--steps", "400", "--evaluations", "2", "--eval-episodes", "2", "--set",
        "learning_starts=50", "--space", "classic", "--workers", "1", "--confirm", "0", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "3 completed" in done.out
    (exported,) = in_tmp.glob("reports/*/best.yaml")
    (settings,) = yaml.safe_load(exported.read_text()).values()
    assert settings["env_wrapper"] == ["gymnasium.wrappers.FlattenObservation"]
