"""Deep Q-learning over sampled actions: the search is the obvious loop, slopes are torch's, an update is its twin's."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from memory_contents import contents

from tuner.agents.action_search import ActionSearch
from tuner.agents.action_values import ActionValues
from tuner.agents.sampled_dqn import SampledDQN
from tuner.hyperparameters.sampled_dqn import SampledDQNHyperparameters
from tuner.networks.mlp import MLPLayout


def streams(seed=0):
    return {name: np.random.default_rng([seed, i]) for i, name in enumerate(("network", "replay", "actions"))}


def network(sizes, observation_size, seed=0):
    layout = MLPLayout(sizes)
    row = layout.initial(np.random.default_rng(seed)).astype(np.float32)[None]
    return layout, ActionValues(layout, row, observation_size)


def as_torch(layout, row):
    """Return the same network with torch's layers."""
    linear = []
    for weight, bias in layout.views(row):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[2])
        layer.load_state_dict({"weight": torch.tensor(weight[0].T), "bias": torch.tensor(bias[0, 0])})
        linear += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*linear[:-1])


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_the_search_is_the_obvious_loop(states, samples, rounds, dimensions, seed):
    rng = np.random.default_rng(seed)
    elites = int(rng.integers(1, samples + 1))
    search = ActionSearch(samples, rounds, elites, dimensions)
    best_of = rng.uniform(-1, 1, (states, dimensions)).astype(np.float32)

    def values(actions):
        return -((actions - best_of[:, None]) ** 2).sum(axis=-1)

    draws = search.draws(rng, states)
    found, value = search.best(values, draws, states)
    for i in range(states):
        tried = []
        actions = draws[0][i]
        for r in range(rounds):
            if r:
                scores = [-((a - best_of[i]) ** 2).sum() for a in actions]
                elite = actions[np.argsort(scores)[-elites:]]
                actions = np.clip(elite.mean(0) + np.maximum(elite.std(0), 1e-3) * draws[r][i], -1, 1)
            tried += list(actions)
        scores = [-((a - best_of[i]) ** 2).sum() for a in tried]
        np.testing.assert_allclose(value[i], max(scores), rtol=1e-4, atol=1e-5)
        assert (np.abs(found[i]) <= 1).all()
        np.testing.assert_allclose(values(np.tile(found[i], (states, 1, 1)))[i], value[i], rtol=1e-4, atol=1e-5)


def test_rounds_come_closer_than_as_many_uniform_samples():
    best_of = np.random.default_rng(1).uniform(-1, 1, (200, 2)).astype(np.float32)

    def error(search):
        found, _ = search.best(
            lambda a: -((a - best_of[:, None]) ** 2).sum(axis=-1), search.draws(np.random.default_rng(2), 200), 200
        )
        return np.linalg.norm(found - best_of, axis=1).mean()

    uniform, rounds = error(ActionSearch(96, 1, 1, 2)), error(ActionSearch(32, 3, 6, 2))
    assert rounds < uniform / 2


@pytest.mark.parametrize("hidden", [(), (7,), (8, 5)])
def test_values_and_slopes_are_torchs(hidden):
    layout, values = network((5, *hidden, 1), 3)
    rng = np.random.default_rng(4)
    observations, actions = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 4, 2)).astype(np.float32)
    twin = as_torch(layout, values.row)
    pairs = np.concatenate([np.repeat(observations[:, None], 4, axis=1), actions], axis=-1)
    expected = twin(torch.tensor(pairs)).detach().numpy()[..., 0]
    np.testing.assert_allclose(values.of(observations, actions), expected, rtol=1e-5, atol=1e-6)
    found, kept = values.with_slopes(pairs[:, 0])
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-5, atol=1e-6)
    slopes = rng.normal(size=6).astype(np.float32)
    (twin(torch.tensor(pairs[:, 0]))[:, 0] * torch.tensor(slopes)).sum().backward()
    gradient = values.gradient(slopes, kept, np.zeros_like(values.row))
    for (weight, bias), layer in zip(layout.views(gradient), [m for m in twin if hasattr(m, "weight")], strict=True):
        np.testing.assert_allclose(weight[0].T, layer.weight.grad.numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(bias[0, 0], layer.bias.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [{}, {"double_q": True}, {"loss": "mse", "max_grad_norm": 0.05}, {"action_search": "uniform", "tau": 1.0}],
    ids=str,
)
def test_updates_are_those_of_the_naive_twin(changes):
    h = SampledDQNHyperparameters(
        **{"batch_size": 8, "net_arch": (12, 6), "sampled_actions": 10, "tau": 0.3, **changes}
    )
    learner, rng = SampledDQN(3, 2, h, 50, streams()), np.random.default_rng(9)
    online, target = (as_torch(learner.online._layout, net.row) for net in (learner.online, learner.target))
    optimizer = torch.optim.Adam(online.parameters(), lr=h.learning_rate)
    for i in range(20):
        learner.store(rng.normal(size=3), rng.uniform(-1, 1, 2), rng.normal(), rng.normal(size=3), i % 5 == 4)
    copy = SampledDQN(3, 2, h, 50, streams())
    copy.restore({name: array.copy() for name, array in learner.snapshot().items()})
    for _ in range(6):
        batch = copy._ring.blank(1, h.batch_size)
        copy._ring.sample(0, 1, h.batch_size, batch)
        parts = copy._ring.unpack(batch[0])
        draws = copy._search.draws(copy._draws_stream, h.batch_size)
        y = naive_targets(h, online, target, parts, draws)
        q = online(torch.tensor(parts.observations[:, :-1]))[:, 0]
        loss = torch.nn.functional.smooth_l1_loss(q, y) if h.loss == "huber" else ((q - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(online.parameters(), h.max_grad_norm)
        optimizer.step()
        with torch.no_grad():
            for ours, theirs in zip(target.parameters(), online.parameters(), strict=True):
                ours.mul_(1 - h.tau).add_(h.tau * theirs)
        found, _ = learner.update()
        learner.update_target()
        assert found == pytest.approx(loss.item(), rel=1e-3)
    for net, twin in ((learner.online, online), (learner.target, target)):
        expected = [m for m in twin if hasattr(m, "weight")]
        for (weight, bias), layer in zip(net._layout.views(net.row), expected, strict=True):
            np.testing.assert_allclose(weight[0].T, layer.weight.detach().numpy(), rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(bias[0, 0], layer.bias.detach().numpy(), rtol=1e-3, atol=1e-5)


def naive_targets(h, online, target, parts, draws):
    """Return r + discount * Q(s', best of what is tried), state by state and action by action."""
    chooser, found = online if h.double_q else target, []

    def value(net, state, action):
        return net(torch.tensor(np.concatenate([state, action]).astype(np.float32)))[0].item()

    for i, state in enumerate(parts.next_observations[:, :3]):
        tried, actions = [], draws[0][i]
        for r in range(len(draws)):
            if r:
                elite = actions[np.argsort([value(chooser, state, a) for a in actions])[-h.elites() :]]
                actions = np.clip(elite.mean(0) + np.maximum(elite.std(0), 1e-3) * draws[r][i], -1, 1)
            tried += list(actions)
        best = max(tried, key=lambda a: value(chooser, state, a))
        found.append(parts.rewards[i] + parts.discounts[i] * value(target, state, best))
    return torch.tensor(np.array(found, np.float32))


def test_a_terminated_step_is_worth_its_reward_and_a_truncated_one_bootstraps():
    h = SampledDQNHyperparameters(gamma=0.5, batch_size=4, net_arch=())
    learner = SampledDQN(1, 1, h, 10, streams())
    learner.target.row[...] = 0
    learner.target._layers[-1][1][...] = 8.0  # whatever is seen and done
    following, rewards = np.zeros((2, 1), np.float32), np.ones(2, np.float32)
    draws = learner._search.draws(np.random.default_rng(0), 2)
    np.testing.assert_allclose(learner.targets(following, rewards, np.array([0.0, 0.5], np.float32), draws), [1, 5])
    for terminated in (True, False):
        learner.store(np.ones(1), np.zeros(1), 3.0, np.ones(1), terminated)
    assert contents(learner._ring, 0).discounts.tolist() == [0.0, 0.5]


def test_a_snapshot_goes_on_number_for_number():
    h = SampledDQNHyperparameters(batch_size=4, net_arch=(5,))
    one, other = SampledDQN(2, 1, h, 6, streams()), SampledDQN(2, 1, h, 6, streams())
    rng = np.random.default_rng(0)

    def live(learner, rng, steps):
        told = []
        for _ in range(steps):
            learner.store(rng.normal(size=2), rng.uniform(-1, 1, 1), rng.normal(), rng.normal(size=2), False)
            told.append(learner.update())
            learner.update_target()
        return told

    live(one, rng, 9)
    other.restore({name: array.copy() for name, array in one.snapshot().items()})
    state = rng.bit_generator.state
    expected = live(one, rng, 9)
    rng.bit_generator.state = state
    assert live(other, rng, 9) == expected


def test_uniform_samples_are_one_round_and_elites_at_least_one():
    uniform = SampledDQNHyperparameters(action_search="uniform", search_rounds=7)
    assert (uniform.rounds(), dataclasses.replace(uniform, action_search="cross_entropy").rounds()) == (1, 7)
    assert SampledDQNHyperparameters(sampled_actions=2, elite_fraction=0.01).elites() == 1
