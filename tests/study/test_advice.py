"""Workers and lanes for environments whose own steps take most of the time."""

import dataclasses

import pytest
from training.desk import make_spec

from tuner.cli.forecast_lines import cost_facts
from tuner.envs.make import RandomPlay
from tuner.plan import cost
from tuner.plan.advice import StepTimes, advice, limit, long_evaluations
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.training.cost import timing

TWO = {"cores": 2, "runs": 100, "workers": 2, "lanes": 6}


@pytest.mark.parametrize(
    ("waiting", "workers", "faster"),
    [(60.0, 5, 2.5), (75.0, 8, 4.0), (90.0, 16, 8.0), (99.0, 16, 8.0)],
)
def test_as_many_workers_as_keep_the_cores_at_work_where_steps_wait(waiting, workers, faster):
    found = advice(StepTimes(100.0, waiting, 0.0), **TWO)
    assert found.startswith(f"--workers {workers} --lanes 1, about {faster:.1f} times as fast: ")


def test_no_more_workers_than_runs():
    assert advice(StepTimes(100.0, 90.0, 0.0), **{**TWO, "runs": 3}).startswith(
        "--workers 3 --lanes 1, about 1.5 times"
    )


def test_whoever_has_enough_workers_is_told_nothing():
    assert advice(StepTimes(100.0, 75.0, 0.0), **{**TWO, "workers": 8, "lanes": 1}) == ""


def test_steps_that_compute_leave_the_workers_as_they_are():
    found = advice(StepTimes(100.0, 5.0, 80.0), **TWO)
    assert found.startswith("--lanes 1 costs next to nothing") and "80 %" in found
    assert advice(StepTimes(100.0, 5.0, 80.0), **{**TWO, "lanes": 1}) == ""


def test_quick_environments_get_no_advice():
    assert advice(StepTimes(100.0, 10.0, 20.0), **TWO) == ""


# -- where the environment is the limit -------------------------------------------------------------------------------

SLEEPY = """
import time
import gymnasium, numpy as np

class Sleepy(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, seconds):
        self.seconds = seconds
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}
    def step(self, action):
        self.t += 1
        time.sleep(self.seconds)
        return np.zeros(2, np.float32), 1.0, self.t == 10, False, {}

gymnasium.register("Sleepy-v0", Sleepy, max_episode_steps=10)
"""


def test_half_of_the_training_is_where_the_environment_becomes_the_limit():
    quick = {"waits": False, "cores": 2, "workers": 2}
    assert limit(0.49, **quick) == ""
    assert limit(0.71, **quick) == (
        "the environment: its own steps take 71 % of the training; "
        "other settings or more lanes save little, more cores do"
    )
    assert limit(0.5, **{**quick, "workers": 1}).endswith("more --workers do")
    assert limit(0.5, **{**quick, "waits": True}).endswith("more --workers do")


def test_the_share_is_that_of_the_middling_setting(monkeypatch):
    plan = plan_study(StudyRecipe(env="CartPole-v1", workers=1, lanes=2, executor="inline"))
    order = [setting.costly_values() for setting in cost.typical(plan)]

    def timed(plan, runs):
        values = [spec.hyperparameters.costly_values() for spec, _ in runs]
        steps_s = [1e-5 * (1 + order.index(value)) if value in order else 1.0 for value in values]
        return [timing.RunCosts(0.0, step_s, 0.0, 1e-6, 7e-6) for step_s in steps_s]

    monkeypatch.setattr(cost, "time_runs", timed)
    middle = order.index(order[len(order) // 2])
    assert middle > 0
    assert cost.forecast(plan).environment == pytest.approx(0.7 / (1 + middle))


@pytest.mark.parametrize("algo", ["q_learning", "fqi"])
def test_a_clock_of_iterations_has_no_steps_to_share(algo, monkeypatch):
    plan = plan_study(StudyRecipe(env="CartPole-v1", algo=algo, workers=1, executor="inline"))
    costs = timing.RunCosts(0.0, 1e-5, 0.0, 1e-6, 2e-5)
    monkeypatch.setattr(cost, "time_runs", lambda plan, runs: [costs] * len(runs))
    assert cost.forecast(plan).environment == {"q_learning": 1.0, "fqi": 0.0}[algo]


@pytest.mark.parametrize("seconds", [0.001, 0.0], ids=["slow", "fast"])
def test_a_dry_run_says_so_of_a_slow_environment_alone(seconds, tmp_path, monkeypatch):
    """Timed are the environment's own steps, by a clock that its sleep alone moves; learning takes 0.2 ms on top."""
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    env = {"env": "Sleepy-v0", "env_module": str(tmp_path / "sleepy.py"), "env_arg": {"seconds": seconds}}
    plan = plan_study(StudyRecipe(**env, executor="inline", workers=1, lanes=1, trials=2, steps=100, space="classic"))

    def timed(plan, runs):
        alone = [timing._environment_s(spec, 0.02)[0] for spec, _ in runs]
        return [timing.RunCosts(0.0, step_s + 0.0002, 0.0, 1e-6, step_s) for step_s in alone]

    clock = [0.0]

    def sleep(seconds):
        clock[0] += seconds + 1e-6

    monkeypatch.setattr(timing.time, "sleep", sleep)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(cost, "time_runs", timed)
    said = cost_facts(plan, cost.memory_need(plan)).get("limit", "")
    assert bool(said) == bool(seconds)
    if said:
        assert " take 83 % of the training" in said  # 1 ms of 1.2 ms
        assert said.endswith("of the training; other settings or more lanes save little, more --workers do")


def test_an_environment_that_raises_while_it_is_timed_alone_spoils_no_forecast(monkeypatch):
    def broken(self, action):
        raise ValueError("worn out")

    monkeypatch.setattr(timing.BareEnv, "step", broken)
    assert timing._environment_s(make_spec(0), 0.01) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("longest", "played", "said"),
    [
        (500, 500.0, ""),
        (100_000, 50.0, ""),  # ends by itself
        (100_000, 100_000.0, "5,000,000 steps"),  # only a goal ends it
        (100_000, 0.0, "5,000,000 steps"),  # none was over in time
        (10_000, 10_000.0, ""),
    ],
)
def test_a_run_that_will_mostly_evaluate_is_said_to_with_what_shortens_it(longest, played, said):
    plan = plan_study(StudyRecipe(env="CartPole-v1", workers=1, executor="inline"))
    facts = dataclasses.replace(plan.facts, random_play=RandomPlay((1.0,), 1e-5, 1e-5, played))
    evaluation = dataclasses.replace(plan.evaluation, max_steps=longest)
    plan = dataclasses.replace(plan, facts=facts, evaluation=evaluation)
    found = long_evaluations(plan)
    assert said in found and bool(found) == bool(said)
    if said:
        assert "beside 50,000 of training" in found and "--eval-episodes" in found
    timed = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, within=60.0))
    assert long_evaluations(timed) == ""  # its evaluations are as many as there is time for
