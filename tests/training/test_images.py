"""Training on images: the same run anywhere, and the saved network plays as the trained one did."""

import dataclasses

import numpy as np
import pytest
from desk import Desk, make_spec

from tuner.contract.spec import EvaluationSpec, RunId
from tuner.envs.spec import EnvSpec
from tuner.training.saved.agent import load_agent
from tuner.training.saved.image_policy import ImagePolicy
from tuner.training.saved.model_files import load_model, save_model
from tuner.training.sb3.trainer import SB3Trainer
from tuner.training.stack.runner import StackRunner
from tuner.training.stack.trainer import NativeTrainer

BREAKOUT = EnvSpec("MinAtar/Breakout-v1")

#: Images with quantiles, and with noise, are compiled each for themselves, in ten seconds.
QUANTILES, NOISY = (pytest.param(variant, marks=pytest.mark.slow) for variant in ({"quantiles": 3}, {"noisy": True}))


def spec(trial, env=BREAKOUT, steps=240, **changes):
    settings = {"net_arch": (), "buffer_size": 150, "learning_starts": 60, "train_freq": 4, "gradient_steps": 1}
    made = make_spec(trial, env.id, steps=steps, **{**settings, **changes})
    return dataclasses.replace(made, env=env, evaluation=EvaluationSpec(2, 77, 30))


def train(specs, lanes):
    desk = Desk(specs)
    NativeTrainer(lanes, observer=desk).train(desk)
    assert all(outcome.kind == "completed" for outcome in desk.outcomes.values()), desk.outcomes
    return desk


def assert_same_run(one, other, run_id):
    assert one.points[run_id] == other.points[run_id]
    for name, weight in one.weights[run_id].items():
        np.testing.assert_array_equal(weight, other.weights[run_id][name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dueling": True, "double_q": True, "prioritized": True, "n_steps": 3, "gradient_steps": 2},
        {"layer_norm": True, "net_arch": (12,), "munchausen": True},
        pytest.param(
            {"quantiles": 4, "layer_norm": True, "net_arch": (12,), "munchausen": True}, marks=pytest.mark.slow
        ),
        pytest.param({"noisy": True, "net_arch": (12,)}, marks=pytest.mark.slow),
    ],
    ids=["plain", "every variant", "what came later", "with quantiles", "noisy"],
)
def test_a_run_on_images_is_bit_equal_alone_and_in_a_stack(changes):
    short = {"steps": 120, "learning_starts": 40, "buffer_size": 80, **changes}
    alone = train([spec(1, **short)], 1)
    stacked = train([spec(trial, **short) for trial in (0, 1, 2)], 3)
    refilled = train([spec(trial, **short) for trial in (0, 1)], 1)
    assert_same_run(alone, stacked, RunId(1))
    assert_same_run(alone, refilled, RunId(1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "env", [EnvSpec("PongNoFrameskip-v4"), EnvSpec("CartPole-v1", pixels=True)], ids=lambda e: e.id
)
@pytest.mark.parametrize("cnn", ["nature", "data_efficient"])
def test_a_run_on_frames_is_bit_equal_alone_and_in_a_stack(env, cnn):
    short = {"steps": 44, "evaluations": 1, "learning_starts": 20, "cnn": cnn}
    alone = train([spec(1, env, **short)], 1)
    both = [spec(trial, env, **short) for trial in (0, 1)]
    assert_same_run(alone, train(both, 2), RunId(1))


@pytest.mark.parametrize("variant", [{}, {"layer_norm": True}, QUANTILES, NOISY], ids=str)
def test_the_saved_network_plays_as_the_trained_one(variant, tmp_path):
    run = spec(3, EnvSpec("MinAtar/Asterix-v1"), dueling=True, net_arch=(16,), **variant)
    run = dataclasses.replace(run, evaluation=EvaluationSpec(4, 77, 100))  # an episode of Breakout is like the other
    desk = train([run], 1)
    save_model(tmp_path, run, desk.weights[run.run_id], desk.points[run.run_id])
    last = desk.points[run.run_id][-1]
    seed = run.evaluation_seed_at(last.step)
    assert load_agent(tmp_path).evaluate(4, seed) == (last.returns, last.lengths)
    assert load_agent(tmp_path).evaluate(4, run.evaluation.seed) != (last.returns, last.lengths), (
        "these episodes tell nothing"
    )


@pytest.mark.parametrize("cnn", ["nature", "data_efficient"])
def test_numpy_policy_has_the_stacks_q_values(tmp_path, cnn):
    env = EnvSpec("PongNoFrameskip-v4")
    run = spec(0, env, steps=80, cnn=cnn)
    runner = StackRunner(run, 1)
    runner.start(run)
    save_model(tmp_path, run, runner._stack.weights(0))
    runner.close()
    policy = load_model(tmp_path).policy
    assert isinstance(policy, ImagePolicy) and policy.seeing((4, 10, 10)) is None and policy.seeing((3, 84, 84)) is None
    policy = policy.seeing((4, 84, 84))
    inputs = np.random.default_rng(0).random((1, 3, policy.input_size), np.float32)
    outputs = runner._stack._acting.frozen(runner._stack.averaging.networks([0]))(inputs)
    np.testing.assert_allclose(policy.q_values(inputs[0]), outputs[0], atol=1e-5)


def test_a_damaged_torso_is_refused(tmp_path):
    from tuner.errors import InputError

    run = spec(0)
    desk = train([run], 1)
    weights = dict(desk.weights[run.run_id])
    weights["features_extractor.cnn.0.weight"] = weights["features_extractor.cnn.0.weight"][:, :, :2]
    save_model(tmp_path, run, weights)
    with pytest.raises(InputError, match="convolution 0"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "env",
    [
        BREAKOUT,
        EnvSpec("Blackjack-v1"),
        pytest.param(EnvSpec("PongNoFrameskip-v4"), marks=pytest.mark.slow),
        pytest.param(EnvSpec("CartPole-v1", pixels=True), marks=pytest.mark.slow),
    ],
    ids=["MinAtar", "Blackjack", "Pong", "pixels"],
)
def test_sb3_trains_on_the_same_environments(env, tmp_path):
    run = dataclasses.replace(spec(0, env, steps=80, evaluations=1), backend="sb3")
    desk = Desk([run])
    SB3Trainer(desk).train(desk)
    assert desk.outcomes[run.run_id].kind == "completed", desk.outcomes[run.run_id].detail
    save_model(tmp_path, run, desk.weights[run.run_id])
    returns, _ = load_agent(tmp_path).evaluate(2, run.evaluation_seed_at(run.n_timesteps))
    assert returns == desk.points[run.run_id][-1].returns
