"""``tune train`` and ``tune evaluate``: from an export to a saved model and its returns."""

import json
from pathlib import Path

import pytest
import yaml
from cli_shell import tune

import tuner
from tuner.cli.console import decimal
from tuner.cli.train_commands import plan_training
from tuner.cli.train_progress import TrainingWatch
from tuner.training.saved.model_files import load_model
from tuner.zoo.write import config_yaml

#: What lies beside the model of the last step.
BEST_FILES = {"best_model.json", "best_weights.npz"}

#: An environment that any policy solves.
EASY = Path(__file__).parents[1] / "data" / "easy.py"

SHORT = ("--steps", "600", "--evaluations", "3", "--eval-episodes", "2")


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """What ``tune train`` writes and says with the best values of the tiny study."""
    folder, _ = finished
    target = tmp_path_factory.mktemp("a model")
    best = folder / "reports" / "tiny" / "best.yaml"
    return target, tune("train", "--config", str(best), *SHORT, "--set", "gamma=0.9", "--seed", "7", "-o", str(target))


def test_training_writes_model_plot_and_values(trained):
    target, shell = trained
    assert shell.code == 0, shell.err
    written = {p.name for p in target.iterdir()}
    model = {"model.json", "weights.npz", "checkpoint.npz", "model.zip"}
    assert written == model | {"training.html", "training.json", "config.yaml"} | BEST_FILES
    quoted = f"'{target}'"  # a shell takes its space for an end
    assert all(f"\n  tune {word} {quoted}" in shell.out for word in ("evaluate", "record", "train --continue"))
    assert shell.err.count("\n") == 3, shell.err  # one line for each evaluation


def test_a_training_is_told_that_it_learns_nothing_by_its_own_values(in_tmp):
    """Not by those of the default search space, which begins to learn after 1,000 steps."""
    values = ("--env", "CartPole-v1", "--config", "defaults", *SHORT)
    told = [tune("train", *values, "--set", f"learning_starts={n}", "-o", f"of {n}").err for n in (100, 600)]
    assert ["Nothing is learned" in err for err in told] == [False, True]


def test_what_was_asked_for_is_what_was_trained(trained, finished):
    target, _ = trained
    spec = load_model(target).spec
    asked = yaml.safe_load((finished[0] / "reports" / "tiny" / "best.yaml").read_text())["CartPole-v1"]
    assert (spec.seed, spec.grid) == (7, (200, 400, 600))
    assert spec.hyperparameters.gamma == 0.9
    assert spec.hyperparameters.learning_rate == asked["learning_rate"]


def test_the_plot_has_the_training_that_was_watched(trained):
    document = json.loads((trained[0] / "training.json").read_text())
    assert [p["step"] for p in document["evaluations"]] == [200, 400, 600]
    assert len(document["episodes"]["return"]) > 3
    assert document["updates"]["loss"]


def test_the_saved_values_train_again_to_the_same_curve(trained, tmp_path):
    target, _ = trained
    config = str(target / "config.yaml")
    assert tune("train", "--config", config, *SHORT, "--seed", "7", "-o", str(tmp_path), "--quiet").err == ""
    assert load_model(tmp_path).evaluations == load_model(target).evaluations


def test_the_best_evaluation_has_a_model_of_its_own(trained):
    target, _ = trained
    points = load_model(target).evaluations
    best = load_model(target, best=True)
    highest = max(point.mean_return for point in points)
    assert best.evaluations == points[: len(best.evaluations)]
    assert best.evaluations[-1].mean_return == highest
    assert all(point.mean_return < highest for point in points[len(best.evaluations) :])
    # It plays what that evaluation saw.
    spec, last = best.spec, best.evaluations[-1]
    agent = tuner.load_agent(target, best=True)
    returns, _ = agent.evaluate(len(last.returns), spec.evaluation_seed_at(last.step))
    assert returns == last.returns
    played = tune("evaluate", str(target), "--best", "--episodes", "5")
    own, _ = agent.evaluate(5)
    assert f"mean return         {decimal(sum(own) / 5)}" in played.out


def test_until_solved_ends_at_the_first_evaluation_that_reaches_the_threshold(in_tmp):
    easy = ("train", "--env-module", str(EASY), "--env", "Easy-v0", *SHORT, "-o", "out")
    shell = tune(*easy, "--until-solved")
    assert shell.code == 0, shell.err
    assert [point.step for point in load_model(Path("out")).evaluations] == [200]
    assert "The threshold 5.00 is reached: the model is that of step 200 of 600." in shell.out
    assert [point.step for point in load_model(Path("out"), best=True).evaluations] == [200]


def test_until_solved_takes_the_rounding_of_means_for_no_lack(in_tmp):
    tenths = ("train", "--env-module", str(EASY), "--env", "Tenths-v0", *SHORT, "--eval-episodes", "3", "-o", "out")
    assert tune(*tenths, "--until-solved").code == 0
    (point,) = load_model(Path("out")).evaluations
    assert point.step == 200 and point.mean_return < 0.7


def test_until_solved_needs_a_threshold(in_tmp):
    shell = tune("train", "--env-module", str(EASY), "--env", "Endless-v0", *SHORT, "--until-solved", "-o", "out")
    assert (shell.code, "no reward threshold" in shell.err) == (2, True)
    assert not Path("out").exists()
    assert shell.err.count("\n") == 1


@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_what_was_evaluated_when_ctrl_c_came_is_kept(in_tmp, backend, monkeypatch):
    def interrupt(self, point):
        seen(self, point)
        if point.step == 400:
            raise KeyboardInterrupt

    seen = TrainingWatch.on_point
    monkeypatch.setattr(TrainingWatch, "on_point", interrupt)
    shell = tune("train", "--env", "CartPole-v1", "--backend", backend, *SHORT, "-o", "out")
    assert shell.code == 130
    assert "Interrupted: the model is that of step 400 of 600." in shell.out
    assert [point.step for point in load_model(Path("out")).evaluations] == [200, 400]


def test_ctrl_c_before_the_first_evaluation_leaves_nothing_and_says_so(in_tmp, monkeypatch):
    def interrupt(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingWatch, "on_episode", interrupt)
    shell = tune("train", "--env", "CartPole-v1", *SHORT, "-o", "out")
    assert (shell.code, Path("out").exists()) == (130, False)
    assert "Interrupted before the evaluation at step 200: there was no model to save into out." in shell.out


def test_another_seed_gives_another_run(trained, tmp_path):
    target, _ = trained
    tune("train", "--config", str(target / "config.yaml"), *SHORT, "--seed", "8", "-o", str(tmp_path))
    assert load_model(tmp_path).evaluations != load_model(target).evaluations


def test_evaluate_repeats_itself(trained):
    target, _ = trained
    first = tune("evaluate", str(target), "--episodes", "5")
    assert first.code == 0
    assert "mean return" in first.out
    assert tune("evaluate", str(target), "--episodes", "5").out == first.out


def test_sb3_trains_too(in_tmp):
    shell = tune("train", "--env", "CartPole-v1", "--backend", "sb3", *SHORT, "--set", "net_arch=16", "--quiet")
    assert shell.code == 0, shell.err
    folder = Path("runs/dqn-sb3-CartPole-v1-seed0")
    assert load_model(folder).spec.hyperparameters.net_arch == (16,)
    assert f"For Stable-Baselines3: {folder}/model.zip (stable_baselines3.DQN.load reads it)" in shell.out


def test_a_zip_never_outlives_its_model(in_tmp):
    normalized = ("--set", "net_arch=8", "--set", "normalize_observations=true")
    shell = tune("train", "--env", "CartPole-v1", *SHORT, *normalized, "--quiet", "-o", "run")
    assert "reads it, with vecnormalize.pkl)" in shell.out
    assert Path("run/model.zip").is_file() and Path("run/vecnormalize.pkl").is_file()
    change = ("--set", "net_arch=8", "--set", "double_q=true")  # which Stable-Baselines3 lacks
    shell = tune("train", "--env", "CartPole-v1", *SHORT, *change, "--quiet", "-o", "run")
    assert shell.code == 0
    assert [line for line in shell.out.splitlines() if "Stable-Baselines3" in line] == [
        "No model.zip: Stable-Baselines3's DQN has no double_q=True (--backend sb3 trains what it has)."
    ]
    assert not Path("run/model.zip").exists() and not Path("run/vecnormalize.pkl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "gama=0.9"], ["gama", "'gamma'"]),
        (["--set", "gamma=2"], ["gamma", "at most 1"]),
        (["--steps", "0"], ["--steps"]),
        (["--backend", "sb3", "--set", "double_q=true"], ["double_q"]),
        (["--env-arg", "colour=red"], ["colour"]),
        (["-o", "taken/model"], ["-o", "taken"]),
        (["--algo", "q_learning", "--set", "bins=100"], ["100^4 table rows", "Use fewer bins"]),
        (["--algo", "q_learning", "--env", "Blackjack-v1"], ["Discrete or Box", "got Tuple", "--algo dqn"]),
    ],
)
def test_bad_input_trains_nothing(in_tmp, arguments, words):
    (in_tmp / "taken").write_text("a file")
    shell = tune("train", "--env", "CartPole-v1", *arguments)
    assert (shell.code, shell.out) == (2, "")
    assert shell.err.splitlines()[-1].startswith("tune: error: ")
    for word in words:
        assert word in shell.err.splitlines()[-1]
    assert [p.name for p in in_tmp.iterdir()] == ["taken"]


@pytest.mark.slow
@pytest.mark.parametrize(("env", "default"), [("MinAtar/Breakout-v1", ()), ("CartPole-v1", (64, 64))])
def test_what_a_file_leaves_out_is_the_default_for_what_is_observed(in_tmp, env, default):
    fitting = "CnnPolicy" if default == () else "MlpPolicy"
    own = {"schema": "tune/1", "algorithm": "dqn", "env": env, "hyperparameters": {"learning_rate": 0.01}}
    zoo = {"learning_rate": 0.01}
    for content, layers in (
        (own | {"n_timesteps": 200}, default),
        ({env: zoo}, default),
        ({env: zoo | {"policy": fitting}}, default),
        ({env: zoo | {"policy_kwargs": {"net_arch": [32]}}}, (32,)),
    ):
        Path("a.yaml").write_text(yaml.safe_dump(content))
        plan, hyperparameters = plan_training({"steps": 200}, "a.yaml")
        assert (plan.env.id, hyperparameters.learning_rate, hyperparameters.net_arch) == (env, 0.01, layers)
        Path("b.yaml").write_text(config_yaml(env, 200, hyperparameters, {}, plan.facts.preprocessing))
        assert plan_training({"steps": 200}, "b.yaml")[1] == hyperparameters


@pytest.mark.parametrize(
    ("env", "policy", "fitting", "seen"),
    [
        ("MinAtar/Breakout-v1", "MlpPolicy", "CnnPolicy", "images"),
        ("CartPole-v1", "CnnPolicy", "MlpPolicy", "no images"),
    ],
)
def test_a_policy_for_other_observations_is_one_line_and_trains_nothing(in_tmp, env, policy, fitting, seen):
    Path("a.yaml").write_text(f"{env}: {{n_timesteps: 200, policy: {policy}}}\n")
    Path("b.yaml").write_text(f"{env}: {{n_timesteps: 200, gamma: 0.9}}\n")
    for command in (["train", "--config", "a.yaml"], ["compare", "b.yaml", "a.yaml"]):
        shell = tune(*command)
        assert (shell.code, shell.out) == (2, "")
        assert shell.err == (
            f"tune: error: a.yaml: policy must be {fitting} where observations are {seen}, as those of {env} are; "
            f"got {policy}. Write {fitting}, or leave policy out.\n"
        )
    assert sorted(path.name for path in in_tmp.iterdir()) == ["a.yaml", "b.yaml"]


NAN_ENV = """\
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class Broken(CartPoleEnv):
    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float("nan"), terminated, truncated, info


gymnasium.register("Broken-v0", entry_point=Broken, max_episode_steps=50)
"""


def test_a_run_that_diverges_saves_nothing_and_exits_3(in_tmp):
    (in_tmp / "broken_env.py").write_text(NAN_ENV)
    shell = tune("train", "--env", "Broken-v0", "--env-module", "broken_env.py", *SHORT, "--quiet")
    assert (shell.code, shell.out) == (3, "")
    assert shell.err.count("\n") == 1
    assert "diverged" in shell.err
    assert not (in_tmp / "runs").exists()
