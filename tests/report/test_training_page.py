"""The page of one training shows what was watched, however long it was."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.report.figures.training import DRAWN_EPISODES, trailing_mean, training_metric, training_returns
from tuner.report.numbers.trials import spread
from tuner.report.pages.training import write_training_page
from tuner.training.log import ThinnedSeries, TrainingLog

RUN = RunId(0)


def spec(env_id: str = "CartPole-v1") -> RunSpec:
    return RunSpec(
        run_id=RUN,
        env=EnvSpec(env_id),
        backend="native",
        hyperparameters=DQNHyperparameters(),
        seed=7,
        grid=(500, 1000),
        evaluation=EvaluationSpec(episodes=2, seed=1, max_steps=500),
    )


@dataclass
class Watched:
    log: TrainingLog
    points: list[EvalPoint]


@pytest.fixture(scope="module")
def watched() -> Watched:
    rng = np.random.default_rng(0)
    log = TrainingLog()
    for i in range(150):
        log.on_episode(RUN, 6 * (i + 1), float(rng.integers(8, 60)), 6)
    for step in range(100, 1001, 4):
        log.on_update(RUN, step, 1.0 / step, step / 10, 1 - step / 2000)
    log.on_end(RUN, {})
    points = [EvalPoint(RUN, 500, (20.0, 30.0), (20, 30)), EvalPoint(RUN, 1000, (100.0, 140.0), (100, 140))]
    return Watched(log, points)


def write(run, log, points, folder):
    return write_training_page(run.describe(), log.to_mapping(), [(p.step, p.returns) for p in points], folder)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300), st.integers(1, 120))
def test_trailing_mean_equals_the_naive_one(values, window):
    naive = [np.mean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]
    assert trailing_mean(values, window) == pytest.approx(naive, abs=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400), st.sampled_from([2, 4, 16]))
def test_a_thinned_series_is_bounded_and_each_row_is_the_mean_of_its_stride(values, capacity):
    series = ThinnedSeries(("value",), capacity)
    for value in values:
        series.add(value)
    rows = series.columns()["value"]
    assert len(rows) <= capacity
    naive = [np.mean(values[i : i + series.stride]) for i in range(0, len(values), series.stride)]
    assert rows == pytest.approx(naive, abs=1e-6)


def test_a_short_series_is_kept_as_it_is(watched):
    updates = watched.log.to_mapping()["updates"]
    assert watched.log.updates.stride == 1
    assert updates["step"] == list(range(100, 1001, 4))
    assert updates["loss"] == [1.0 / step for step in range(100, 1001, 4)]


def test_page_and_json_hold_what_was_watched(watched, tmp_path):
    path = write(spec(), watched.log, watched.points, tmp_path)
    assert path == tmp_path / "training.html"
    document = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert document["episodes"]["return"] == watched.log.episode_returns
    assert document["updates"] == watched.log.to_mapping()["updates"]
    assert document["evaluations"][1] == {"step": 1000, "returns": [100.0, 140.0]}
    assert document["run"]["hyperparameters"] == DQNHyperparameters().to_mapping()
    html = path.read_text(encoding="utf-8")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', html).group(1))
    assert set(figures) == {"returns", "metrics-0", "metrics-1", "metrics-2"}
    assert figures["metrics-0"]["data"][0]["y"] == document["updates"]["loss"]
    assert figures["metrics-2"]["data"][0]["y"] == document["updates"]["epsilon"]
    assert figures["returns"]["data"][1]["y"] == pytest.approx(trailing_mean(watched.log.episode_returns).tolist())
    assert figures["returns"]["data"][2]["y"] == [25.0, 120.0]


def test_many_episodes_are_drawn_in_part_but_averaged_in_full():
    returns = np.random.default_rng(0).normal(size=9 * DRAWN_EPISODES).tolist()
    steps = list(range(len(returns)))
    none = {"step": [], "mean": [], "low": [], "high": []}
    dots, mean = training_returns({"step": steps, "return": returns}, none).data
    assert len(dots.x) == len(mean.x) == DRAWN_EPISODES
    assert mean.y[1000] == pytest.approx(np.mean(returns[9000 - 99 : 9001]))


def test_a_loss_over_two_decades_is_logarithmic():
    assert training_metric([1, 2], [1e-4, 1.0], may_be_log=True).layout.yaxis.type == "log"
    assert training_metric([1, 2], [0.5, 1.0], may_be_log=True).layout.yaxis.type is None
    assert training_metric([1, 2], [float("nan")] * 2) is None


def test_a_run_that_never_learnt_says_so(tmp_path):
    html = write(spec(), TrainingLog(), [], tmp_path).read_text(encoding="utf-8")
    assert "Nothing to draw: no episode ended and nothing was evaluated." in html
    assert "Nothing to draw: the run took no gradient step." in html


def test_a_training_no_better_than_random_play_says_so(watched, tmp_path):
    points = [(p.step, p.returns) for p in watched.points]

    def page(random_mean):
        log = watched.log.to_mapping()
        return write_training_page(spec().describe(), log, points, tmp_path, random_mean=random_mean).read_text("utf-8")

    assert "Nothing was learned: the best evaluation (120) is below random play (125)." in page(125.0)
    assert "is no better than random play (120)" in page(120.0)
    assert "Nothing was learned" not in page(119.0) + page(None)


def test_episodes_that_are_won_or_lost_have_an_interval_in_place_of_worst_to_best(watched, tmp_path):
    points = [(500, (0.0,) * 12 + (1.0,) * 8), (1000, (1.0,) * 20)]
    page = write_training_page(spec().describe(), watched.log.to_mapping(), points, tmp_path).read_text("utf-8")
    assert "greedy evaluation, 95 % interval" in page and "worst to best" not in page
    low, high, intervals = spread([returns for _, returns in points])
    exact = [scipy.stats.binomtest(k, 20).proportion_ci(method="exact") for k in (8, 20)]
    assert intervals and low == pytest.approx([e.low for e in exact]) and high == pytest.approx([e.high for e in exact])
    assert spread([(0.0, 2.0, 3.0)]) == ([0.0], [3.0], False)
    wider = spread([(-10.0, 20.0)] * 2)
    assert wider[0][0] == pytest.approx(-10 + 30 * scipy.stats.binomtest(1, 2).proportion_ci().low)


def test_names_are_escaped_and_nothing_is_loaded(watched, tmp_path):
    html = write(spec("<img src=http://x>"), watched.log, watched.points, tmp_path).read_text("utf-8")
    assert "<img" not in html.split("<script")[0]
    assert "&lt;img" in html
    assert not re.search(r"<(?:link|script|img)[^>]*(?:src|href)=", html.split("<script")[0])


def test_iterations_are_no_environment_steps(watched, tmp_path):
    run = {**spec().describe(), "algorithm": "fqi"}
    evaluations = [(p.step, p.returns) for p in watched.points]
    page = write_training_page(run, watched.log.to_mapping(), evaluations, tmp_path).read_text(encoding="utf-8")
    assert "One training of 1,000 iterations by" in page and "environment steps" not in page
