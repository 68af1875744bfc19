"""One setting for several environments: studies side by side that train the same points, by mean normalised ranks."""

from __future__ import annotations

import dataclasses
import math
from statistics import mean

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_fakes import FakeExecutor, empty_database, make_plan, search

from tuner.contract.outcome import EvalPoint
from tuner.core.ranks import mean_ranks, normalised_ranks
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, from_mapping
from tuner.plan.known import NOTHING_KNOWN, Known, Start
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.plan.several import LONGEST_NAME, SeveralPlan, _short, plan_several
from tuner.space.nearest import nearest_params
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress
from tuner.study.search.several import open_several
from tuner.study.store import keys as attr
from tuner.zoo.tuned import zoo_values

scores = st.lists(st.sampled_from([-math.inf, -3.0, 0.0, 0.5, 1e9]), min_size=2, max_size=12)


@given(scores)
def test_a_normalised_rank_is_the_share_of_the_others_that_are_beaten_ties_counted_half(values):
    found = normalised_ranks(values)
    for i, mine in enumerate(values):
        others = values[:i] + values[i + 1 :]
        assert found[i] == pytest.approx(mean(1.0 if mine > o else 0.5 if mine == o else 0.0 for o in others))
    assert found.mean() == pytest.approx(0.5)


@given(scores, st.randoms(use_true_random=False))
def test_ranks_do_not_feel_an_environment_s_scale(values, order):
    others = list(values)
    order.shuffle(others)
    stretched = [7.0 * v - 3.0 for v in others]
    assert mean_ranks([values, others]).tolist() == mean_ranks([values, stretched]).tolist()


def test_a_score_that_is_no_number_has_no_rank():
    assert normalised_ranks([5.0]).tolist() == [0.5]
    with pytest.raises(ValueError, match="NaN"):
        normalised_ranks([1.0, math.nan])


class Different(FakeExecutor):
    """Environment B-v0 is another one: best at a learning rate of 1e-4, with returns a thousand times as large."""

    def _advance(self, supervisor, spec, done):
        return super()._advance(_Scaled(supervisor, spec) if spec.env.id == "B-v0" else supervisor, spec, done)


class _Scaled:
    def __init__(self, supervisor, spec):
        self._supervisor, self._spec = supervisor, spec

    def report(self, points):
        quality = -1000.0 * abs(math.log10(self._spec.hyperparameters.learning_rate) + 4)
        means = [EvalPoint(p.run_id, p.step, (quality,), (5,), p.elapsed_s, p.metrics) for p in points]
        return self._supervisor.report(means)

    def __getattr__(self, name):
        return getattr(self._supervisor, name)


def make_several(tmp_path, name="j", trials=20, in_flight=4, **settings) -> SeveralPlan:
    url = f"sqlite:///{tmp_path}/{name}.db"
    if not (tmp_path / f"{name}.db").exists():
        (tmp_path / f"{name}.db").write_bytes(empty_database())
    settings = {"pruner": "none", "trials": trials, "startup_trials": 5, **settings}
    members = tuple(
        dataclasses.replace(make_plan(url, in_flight=2, env=env, study=f"{name}.{env}", **settings))
        for env in ("A-v0", "B-v0")
    )
    return SeveralPlan(name, members[0].recipe, members, None, in_flight)


def train(plan, executor=None):
    supervisor = open_several(plan, lambda one: {"numeric_path": one.numeric_path}, NoProgress())
    executor = executor or Different(lanes=3)
    executor.run(supervisor)
    return supervisor.close(), executor


def by_point(plan):
    """Return for each study what its points trained: point to (params, outcome, score)."""
    found = []
    for one in plan.members:
        trials = optuna.load_study(study_name=one.name, storage=one.storage).get_trials(deepcopy=False)
        counted = [t for t in trials if t.user_attrs.get(attr.OUTCOME) in attr.COUNTED]
        points = [t.user_attrs[attr.POINT] for t in counted]
        assert len(points) == len(set(points))
        found.append(
            {
                t.user_attrs[attr.POINT]: (t.params, t.user_attrs[attr.OUTCOME], t.user_attrs.get(attr.SCORE))
                for t in counted
            }
        )
    return found


def test_every_environment_trains_the_same_settings_once_each(tmp_path):
    plan = make_several(tmp_path)
    ending, executor = train(plan)
    assert ending == "done"
    one, other = by_point(plan)
    assert set(one) == set(other) == set(range(20))
    assert all(one[point][0] == other[point][0] for point in one)
    assert len(executor.taken) == 40
    assert len({spec.run_id for spec in executor.taken}) == 40
    for member in plan.members:
        assert {t.outcome for t in load(member.name, member.storage).trials} == {"completed"}


@pytest.mark.learning
def test_the_search_serves_both_environments_and_not_the_one_of_larger_returns(tmp_path):
    """A is best at a learning rate of 1e-3, B at 1e-4: between them nothing is better for both."""
    plan = make_several(tmp_path, trials=60, sampler="tpe", prior="none")
    train(plan)
    one, other = by_point(plan)
    value = mean_ranks([[points[i][2] for i in range(60)] for points in (one, other)])
    rates = np.array([math.log10(one[i][0]["learning_rate"]) for i in range(60)])
    between = (rates > -4.3) & (rates < -2.7)
    assert between[40:].mean() > between[:10].mean()
    assert -4.3 < rates[int(value.argmax())] < -2.7


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 40, 111, 190])
def test_an_interrupted_search_goes_on_with_the_same_points(tmp_path, after):
    plan = make_several(tmp_path)
    ending, _ = train(plan, Different(lanes=3, stop_after_reports=after))
    assert ending == "interrupted"
    before = by_point(plan)
    assert train(make_several(tmp_path))[0] == "done"
    one, other = by_point(plan)
    assert set(one) == set(other) == set(range(20))
    assert all(one[point][0] == other[point][0] for point in one)
    assert all(
        after[point] == found
        for earlier, after in zip(before, (one, other), strict=True)
        for point, found in earlier.items()
    )


def test_one_lane_makes_the_same_search_every_time(tmp_path):
    found = []
    for name in ("x", "y"):
        plan = make_several(tmp_path, name)
        train(plan, Different(lanes=1))
        found.append([points[i] for points in by_point(plan) for i in range(20)])
    assert found[0] == found[1]


def test_a_setting_that_diverges_in_one_environment_ranks_last_there_and_one_that_fails_counts_nowhere(tmp_path):
    def behave(spec):
        if spec.env.id != "B-v0" or spec.run_id.trial // 2 not in (3, 4):
            return "completed"
        return "diverged" if spec.run_id.trial // 2 == 3 else "failed"

    plan = make_several(tmp_path)
    ending, _ = train(plan, Different(behave=behave, lanes=2))
    assert ending == "done"
    _, other = by_point(plan)
    assert sorted(found[1] for found in other.values()).count("diverged") == 1
    assert sorted(found[1] for found in other.values()).count("failed") == 1


def test_an_environment_in_which_nothing_works_ends_the_search_of_all(tmp_path):
    plan = make_several(tmp_path, trials=60)
    supervisor = open_several(plan, lambda one: {"numeric_path": one.numeric_path}, NoProgress())
    Different(behave=lambda spec: "failed" if spec.env.id == "B-v0" else "completed").run(supervisor)
    supervisor.close()
    assert "10 trials in a row failed" in str(supervisor.failure)
    one, _ = by_point(plan)
    assert len(one) < 30


def test_a_lost_worker_s_runs_go_again_in_their_own_studies(tmp_path):
    died = []

    def behave(spec):
        if len(died) < 6 and spec.run_id not in died:
            died.append(spec.run_id)
            return "die"
        return "completed"

    plan = make_several(tmp_path)
    assert train(plan, Different(behave=behave, lanes=2))[0] == "done"
    one, other = by_point(plan)
    assert len(one) == len(other) == 20 and died


def test_a_study_of_several_is_not_continued_alone(tmp_path):
    plan = make_several(tmp_path, envs=("A-v0", "B-v0"))
    train(plan)
    alone = dataclasses.replace(plan.members[0].recipe, envs=())
    with pytest.raises(InputError, match="--envs was"):
        search(dataclasses.replace(plan.members[0], recipe=alone))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"envs": ("CartPole-v1", "CartPole-v1")}, "each environment once"),
        ({"holdout_env": "CartPole-v1"}, "each environment once"),
        ({"envs": ("CartPole-v1",), "holdout_env": "Acrobot-v1"}, "--holdout-env needs several --env"),
        ({"within": 60.0}, "--within is for one environment.*Say --trials and --steps"),
        ({"until": 0.95}, "--until is for one environment.*--confirm-seeds"),
        ({"zoo_full_budget": True}, "--zoo-full-budget is for one environment.*tune compare"),
        ({"pruner": "hyperband"}, "--pruner hyperband is for one environment"),
        ({"sampler": "grid"}, "--sampler grid is for one environment"),
        ({"executor": "ray"}, "--executor ray is for one environment"),
        ({"confirm_backend": "sb3"}, "--backend trains the verdict"),
        ({"record": True}, "tune record DIR"),
        ({"audit_pruning": True}, "no run is stopped"),
        ({"study": "x" * 100}, "at most 80 characters"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_go_with_several_environments_is_said_before_anything_is_written(tmp_path, settings, said):
    recipe = StudyRecipe(
        **{"envs": ("CartPole-v1", "MountainCar-v0"), "storage": f"sqlite:///{tmp_path}/x.db", **settings}
    )
    with pytest.raises(InputError, match=said):
        plan_several(recipe)
    assert not list(tmp_path.iterdir())


def test_all_environments_are_searched_in_one_space_with_their_own_budgets(tmp_path):
    recipe = StudyRecipe(
        envs=("CartPole-v1", "MountainCar-v0"), storage=f"sqlite:///{tmp_path}/x.db", executor="inline"
    )
    plan = plan_several(recipe)
    one, other = plan.members
    assert one.space.search == other.space.search and one.space.fixed == other.space.fixed
    assert one.grid[-1] == 50_000 < other.grid[-1]
    assert one.known == other.known and one.known.starts
    alone = plan_study(dataclasses.replace(recipe, env="CartPole-v1", envs=()))
    assert one.space.search == alone.space.search  # cut to the shortest runs
    assert (alone.trials_in_flight, alone.runs_in_flight) == (12, 12)
    assert [(m.trials_in_flight, m.runs_in_flight) for m in plan.members] == [(6, 6)] * 2
    assert plan.most_open == 12
    assert [m.name for m in plan.members] == [f"{plan.name}.CartPole-v1", f"{plan.name}.MountainCar-v0"]


def test_what_the_space_fixes_for_one_environment_is_fixed_for_all(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "algorithm: q_learning\nbudget: {n_timesteps: 1000}\n"
        "search: {gamma: {low: 0.9, high: 0.99}, learning_rate: {low: 0.1, high: 0.9}}\n"
        "environments: {CliffWalking-v1: {fixed: {gamma: 1.0}}}\n"
    )
    recipe = StudyRecipe(
        envs=("FrozenLake-v1", "CliffWalking-v1"), algo="q_learning", space=str(tmp_path / "own.yaml"),
        storage=f"sqlite:///{tmp_path}/x.db", executor="inline",
    )  # fmt: skip
    for member in plan_several(recipe).members:
        assert list(member.space.search) == ["learning_rate"] and member.space.fixed["gamma"] == 1.0


def test_environments_of_two_kinds_have_no_space_in_common(tmp_path):
    envs = ("CartPole-v1", "MinAtar/Breakout-v1")
    recipe = StudyRecipe(envs=envs, storage=f"sqlite:///{tmp_path}/x.db", executor="inline")
    with pytest.raises(InputError, match=r"CartPole-v1 is searched in the space 'default' and MinAtar/.* 'minatar'"):
        plan_several(recipe)


def test_a_long_name_is_cut_and_keeps_what_tells_it_from_others():
    names = [f"{'long' * 25}-{end:06}" for end in range(2)]
    assert [len(_short(name)) for name in names] == [LONGEST_NAME] * 2
    assert [_short(name)[-7:] for name in names] == ["-000000", "-000001"]
    assert _short(names[0][:LONGEST_NAME]) == names[0][:LONGEST_NAME]


def test_settings_asked_for_are_those_of_every_environment_and_come_first(tmp_path):
    envs = ("CartPole-v1", "MountainCar-v0")
    recipe = StudyRecipe(
        envs=envs, storage=f"sqlite:///{tmp_path}/x.db", executor="inline", start_with=("zoo", "defaults")
    )
    plan = plan_several(recipe)
    values = [from_mapping("dqn", zoo_values(env, "dqn", ())) for env in envs]
    asked = [nearest_params(plan.space, setting) for setting in values]
    assert asked[0] != asked[1]
    first = plan.members[0].known.starts
    assert [start.params for start in first if start.name == "zoo"] == asked
    assert [start.name for start in first[:3]] == ["zoo", "defaults", "zoo"]
    others = [start.name for start in first[3:]]
    assert others[5:7] == ["", ""] and all(name.startswith("portfolio/") for name in [*others[:5], *others[7:]])


def test_a_resumed_search_goes_on_from_what_it_knew_when_it_began(tmp_path):
    rates = [1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4]

    def plan(trials, known):
        made = make_several(tmp_path, trials=trials)
        members = tuple(dataclasses.replace(one, known=known) for one in made.members)
        return dataclasses.replace(made, members=members)

    space = make_several(tmp_path).space
    params = [nearest_params(space, DQNHyperparameters(learning_rate=rate)) for rate in rates]
    train(plan(2, Known(tuple(Start(f"file {i}", each) for i, each in enumerate(params)))))
    resumed = plan(8, NOTHING_KNOWN)
    train(resumed)
    assert [by_point(resumed)[0][point][0] for point in range(5)] == params
