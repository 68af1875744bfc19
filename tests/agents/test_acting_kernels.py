"""Compiled environment steps against NumPy's, bit for bit."""

import numpy as np
import pytest

from tuner.agents.dqn import acting_kernels
from tuner.agents.dqn.stack import DQNStack
from tuner.envs.encoders import BoxEncoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.replay.normalizer import LaneNormalizer

SIZE = 3


def test_compiled_statistics_are_numpys():
    rng = np.random.default_rng(0)
    own, twin = (LaneNormalizer(4, SIZE) for _ in range(2))
    own.compiled = acting_kernels
    for lane in range(4):
        for normalizer in (own, twin):
            normalizer.start(lane, True, True, 0.9 + 0.02 * lane)
    for step in range(60):
        lanes = slice(0, 4) if step % 3 else slice(1, 3)
        n = lanes.stop - lanes.start
        observations = (5 + 10.0 ** rng.integers(-3, 4) * rng.normal(size=(n, SIZE))).astype(np.float32)
        rewards, ends = rng.normal(size=n).astype(np.float32), rng.random(n) < 0.2
        for normalizer in (own, twin):
            normalizer.arrived(lanes, observations)
            normalizer.earned(lanes, rewards, ends)
    for name, values in own._parts().items():
        np.testing.assert_array_equal(values, twin._parts()[name], err_msg=name)


@pytest.mark.parametrize("head", [QHead(3), QHead(3, dueling=True), QHead(3, quantiles=5), QHead(2, True, 4)], ids=str)
def test_the_compiled_best_action_is_that_of_preferences(head):
    rng = np.random.default_rng(1)
    for i in range(200):
        outputs = rng.integers(-2, 3, head.n_outputs).astype(np.float32)  # with ties
        if i % 4 == 0:
            outputs[rng.integers(head.n_outputs)] = np.nan
        found = acting_kernels.best_of(outputs, head.n_actions, head.quantiles, int(head.dueling))
        assert found == head.preferences(outputs).argmax()


def test_lanes_act_on_the_scale_of_their_own_statistics():
    rng = np.random.default_rng(2)
    stacks = []
    for path in ("compiled", "numpy"):
        h = DQNHyperparameters(net_arch=(8,))
        stack = DQNStack(BoxEncoder(SIZE), 4, h, lanes=3, capacity=50, numeric_path=path)
        for lane in range(3):
            stack.start(lane, DQNHyperparameters(net_arch=(8,), normalize_observations=lane != 1), lane, 50)
        stacks.append(stack)
    observations = np.ones((3, SIZE + 1), np.float32)
    for _ in range(30):
        observations[:, :SIZE] = 100 + rng.normal(size=(3, SIZE))
        for stack in stacks:
            stack.normalizer.arrived(slice(0, 3), observations[:, :SIZE].copy())
        chosen = [stack.act(slice(0, 3), observations, np.zeros(3, bool), np.zeros(3, int)) for stack in stacks]
        np.testing.assert_array_equal(*chosen)


def test_what_acts_sees_ten_deviations_at_most_and_a_number_that_never_changed():
    h = DQNHyperparameters(net_arch=(8,), normalize_observations=True)
    found = []
    for path in ("compiled", "numpy"):
        stack = DQNStack(BoxEncoder(SIZE), 4, h, lanes=2, capacity=50, numeric_path=path)
        for lane in range(2):
            stack.start(lane, h, lane, 50)
            stack.normalizer.mean[lane], stack.normalizer.variance[lane] = [1.0, 0.5, 3.0 * lane], [4.0, 0.0, 1.0]
        observations = np.array([[50.0, 0.5, -40.0, 1.0], [-1e3, 0.5 + 2**-14, 5.0, 1.0]], np.float32)
        best = stack._exploring.best(slice(0, 2), observations)
        if path == "compiled":
            found.append((best, stack._exploring.results))
        else:
            inputs = stack.normalizer.inputs(slice(0, 2), observations)
            np.testing.assert_allclose(inputs[:, :SIZE], [[10, 0, -10], [-10, 2**-14 * 1e4, 2]], rtol=1e-6)
            found.append((best, stack._acting.outputs(slice(0, 2), inputs)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)
