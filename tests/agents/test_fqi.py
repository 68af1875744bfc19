"""Fitted Q-iteration against hand-computed targets and known values; offline data that keeps its rules."""

import gymnasium as gym
import numpy as np
import pytest
from training.desk import Desk

from tuner.agents import fqi
from tuner.agents.fqi import FittedQ, features, make_regressor
from tuner.agents.offline_data import OfflineData, collect
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.envs.probe import PROBES
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError, MissingExtraError
from tuner.hyperparameters import FQIHyperparameters
from tuner.hyperparameters.fqi import REGRESSORS
from tuner.space.catalog import load_by_name
from tuner.training.registry import make_trainer
from tuner.training.saved.model_files import load_model, save_model

QUICK = {
    "n_transitions": 300,
    "n_estimators": 5,
    "n_neighbors": 3,
    "epochs": 3,
    "net_arch": (8,),
    "min_samples_leaf": 2,
}


def data_of(rewards, terminated, truncated):
    n = len(rewards)
    states = np.arange(n + 1, dtype=np.float32)[:, None]
    return OfflineData(
        states[:n],
        np.zeros(n, np.int64),
        np.array(rewards, float),
        states[1:],
        np.array(terminated),
        np.array(truncated),
    )


def spec_of(env="CartPole-v1", grid=(2, 4), *, seed=1, **changes):
    settings = FQIHyperparameters(**{**QUICK, **changes})
    return RunSpec(RunId(0), EnvSpec(env), "native", settings, seed, grid, EvaluationSpec(2, 7, 50))


def train(*specs, **options):
    desk = Desk(list(specs), **options)
    make_trainer("native", "fqi", 1, desk).train(desk)
    return desk


def test_targets_by_hand_a_terminal_step_ends_the_value_and_a_truncated_one_does_not():
    data = data_of([1.0, 1.0, 1.0], [False, True, False], [False, False, True])
    settings = FQIHyperparameters(regressor="tree", min_samples_leaf=1, gamma=0.5)
    fitted = FittedQ(data, 1, settings, 0)
    fitted.iterate()
    assert fitted.targets.tolist() == [1.0, 1.0, 1.0]
    fitted.iterate()
    # The tree knows Q(0) = Q(1) = Q(2) = 1 and says 1 for state 3 too: the truncated step bootstraps from it.
    assert fitted.targets.tolist() == [1.5, 1.0, 1.5]


def test_actions_enter_one_hot():
    found = features(np.array([[0.5], [0.25]], np.float32), np.array([2, 0]), 3)
    assert found.tolist() == [[0.5, 0, 0, 1], [0.25, 1, 0, 0]]


def test_values_of_many_observations_are_those_of_each():
    rng = np.random.default_rng(0)
    data = data_of(rng.normal(size=40), rng.random(40) < 0.2, np.zeros(40, bool))
    fitted = FittedQ(data, 3, FQIHyperparameters(regressor="tree"), 0)
    fitted.iterate()
    observations = rng.uniform(0, 40, size=(4, 5, 1)).astype(np.float32)
    together = fitted.q_values(observations)
    assert together.shape == (4, 5, 3)
    for i, j in np.ndindex(4, 5):
        assert fitted.q_values(observations[i, j]).tolist() == together[i, j].tolist()


#: Settings with which each regressor can say what the probes ask for.
ABLE = {
    "knn": {"n_neighbors": 5}, "linear": {"degree": 3}, "tree": {}, "forest": {}, "boosting": {"n_estimators": 80},
    "neural": {"net_arch": (32,), "learning_rate": 0.01, "epochs": 60},
}  # fmt: skip


@pytest.mark.parametrize("probe", [p for p in PROBES if "Identity" not in p and "Overestimation" not in p])
@pytest.mark.parametrize("regressor", REGRESSORS)
def test_known_values_are_learned(probe, regressor):
    gamma = 0.5
    spec = spec_of(probe, (8,), regressor=regressor, gamma=gamma, **{"n_transitions": 400, **ABLE[regressor]})
    desk = train(spec)
    assert desk.outcomes[spec.run_id].kind == "completed", desk.outcomes
    env = gym.make(probe)
    bare = env.unwrapped
    arrays = desk.weights[spec.run_id]
    n = len(arrays["actions"])
    nothing = np.zeros(n, bool)
    data = OfflineData(arrays["observations"], arrays["actions"], np.zeros(n), arrays["observations"], nothing, nothing)
    fitted = FittedQ.refitted(data, arrays["targets"], 2, spec.hyperparameters, 0)
    assert fitted.q_values(bare.observations) == pytest.approx(bare.q_values(gamma), abs=0.1)
    env.close()


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_every_regressor_trains_reports_at_its_grid_and_repeats_itself(regressor):
    first, second = train(spec_of(regressor=regressor)), train(spec_of(regressor=regressor))
    points = first.points[RunId(0)]
    assert [p.step for p in points] == [2, 4]
    assert first.outcomes[RunId(0)].kind == "completed"
    assert points == second.points[RunId(0)]


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_few_transitions_are_fitted_without_a_word(regressor, recwarn):
    desk = train(spec_of(grid=(2,), regressor=regressor, n_transitions=20))
    assert desk.outcomes[RunId(0)].kind == "completed"
    assert not [str(warning.message) for warning in recwarn]


def test_values_that_run_away_are_seen_before_a_regressor_refuses_them():
    """Powers extrapolate without bounds; scikit-learn raises where a target is no number."""
    rng = np.random.default_rng(0)
    before, after = (rng.normal(size=(20, 2)).astype(np.float32) for _ in range(2))
    actions, never = rng.integers(2, size=20), np.zeros(20, bool)
    data = OfflineData(before, actions, rng.normal(size=20), after, never, never)
    fitted = FittedQ(data, 2, FQIHyperparameters(regressor="linear", degree=4), 0)
    with np.errstate(all="ignore"):
        for _ in range(150):
            fitted.iterate()
    assert fitted.diverged


def test_values_that_run_away_are_a_divergence_and_no_failure(monkeypatch):
    monkeypatch.setattr(fqi, "LARGEST", 2.5)
    spec = spec_of(regressor="tree", gamma=1.0)  # CartPole pays 1 a step: values are at most 3 after three iterations
    outcome = train(spec).outcomes[RunId(0)]
    assert (outcome.kind, outcome.steps, outcome.reason) == ("diverged", 3, "Q-value is 3 at iteration 3")


def test_a_run_told_to_stop_ends_there():
    desk = train(spec_of(grid=(1, 2, 3), regressor="linear"), stop_at={RunId(0): 2})
    assert (desk.outcomes[RunId(0)].kind, desk.outcomes[RunId(0)].steps) == ("stopped", 2)


def test_the_second_half_of_the_data_follows_what_the_first_has_taught():
    random, guided = (
        train(spec_of(regressor="linear", n_transitions=1500, behavior_eps=eps)).weights[RunId(0)] for eps in (1.0, 0.0)
    )
    assert len(random["actions"]) == len(guided["actions"]) == 1500
    assert (random["actions"][:750] == guided["actions"][:750]).mean() < 1.0 or (
        random["observations"][:750] == guided["observations"][:750]
    ).all()
    assert not (random["actions"][750:] == guided["actions"][750:]).all()


@pytest.mark.parametrize("regressor", ["linear", "forest"])
def test_a_saved_policy_plays_as_the_trained_one(tmp_path, regressor):
    spec = spec_of(regressor=regressor)
    desk = train(spec)
    save_model(tmp_path, spec, desk.weights[RunId(0)], desk.points[RunId(0)])
    policy, again = load_model(tmp_path).policy, load_model(tmp_path).policy
    inputs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert (policy.q_values(inputs) == again.q_values(inputs)).all()
    assert (policy.input_size, policy.n_actions) == (4, 2)


def test_collected_data_is_what_the_environment_did(tmp_path):
    env = BareEnv.make(EnvSpec("CartPole-v1"))
    data = collect(env, encoder_for(env.env.observation_space), 120, lambda current, i: i % 2, seed=3)
    env.close()
    twin, done = gym.make("CartPole-v1"), False
    observation, _ = twin.reset(seed=3)
    for i in range(120):
        assert (data.observations[i] == observation).all()
        observation, reward, terminated, truncated, _ = twin.step(i % 2)
        done = terminated or truncated
        assert (data.next_observations[i] == observation).all()
        assert (data.rewards[i], data.terminated[i], data.truncated[i]) == (reward, terminated, truncated)
        if done:
            observation, _ = twin.reset()
    twin.close()
    data.save(tmp_path / "data.npz")
    loaded = OfflineData.load(tmp_path / "data.npz")
    assert all((getattr(loaded, name) == getattr(data, name)).all() for name in vars(data))


@pytest.mark.parametrize("wrong", ["missing", "shape", "pickle", "text"])
def test_a_file_that_is_no_offline_data_is_one_line(tmp_path, wrong):
    path = tmp_path / "data.npz"
    arrays = vars(data_of([1.0, 2.0], [False, True], [False, False])).copy()
    if wrong == "missing":
        del arrays["actions"]
    if wrong == "shape":
        arrays["rewards"] = np.zeros(5)
    if wrong == "pickle":
        arrays["actions"] = np.array([{}, {}], object)
    np.savez(path, **arrays)
    if wrong == "text":
        path.write_text("nothing")
    with pytest.raises(InputError, match="offline data") as refused:
        OfflineData.load(path)
    assert "\n" not in str(refused.value)


def test_a_missing_scikit_learn_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"tune-dqn\[fqi\]"):
        make_regressor(FQIHyperparameters(), 10, 0)


def test_the_space_counts_iterations():
    space = load_by_name("default", "fqi")
    assert space.budget.n_timesteps == 30
    assert {d.field for d in space.dimensions} >= {"regressor", "n_neighbors"}


@pytest.mark.parametrize("n", [1, 7, 300])
def test_a_forest_asked_tree_by_tree_predicts_what_scikit_learn_does(n):
    rng = np.random.default_rng(4)
    data = OfflineData(
        rng.normal(size=(300, 4)).astype(np.float32),
        rng.integers(2, size=300),
        rng.normal(size=300),
        rng.normal(size=(300, 4)).astype(np.float32),
        rng.random(300) < 0.1,
        np.zeros(300, bool),
    )
    fitted = FittedQ(data, 2, FQIHyperparameters(regressor="forest", n_estimators=7), 1)
    fitted.iterate()
    observations = data.next_observations[:n]
    for action in (0, 1):
        inputs = features(observations, np.full(n, action), 2)
        assert np.array_equal(fitted.q_values(observations)[:, action], fitted._model.predict(inputs))
