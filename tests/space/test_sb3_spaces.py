"""The packaged search spaces of the algorithms that only Stable-Baselines3 has."""

from __future__ import annotations

import random

import pytest
from rl_zoo3 import hyperparams_opt

from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS
from tuner.space.catalog import load_by_name
from tuner.space.nearest import nearest_params
from tuner.space.parse import parse_space
from tuner.zoo.tuned import zoo_values

FAMILY = [name for name, cls in ALGORITHMS.items() if not cls.native]


class Suggest:
    """Uniform answers; records the questions."""

    def __init__(self, seed=0):
        self._random, self.asked = random.Random(seed), set()

    def float(self, name, low, high, log, step):
        self.asked.add((name, low, high, log))
        return self._random.uniform(low, high)

    def int(self, name, low, high, log, step):
        self.asked.add((name, low, high, log))
        return self._random.randint(low, high)

    def choice(self, name, options):
        self.asked.add((name, len(options)))
        return self._random.choice(options)


class ZooTrial:
    """Stands in for the Zoo's trial: records the questions, answers with the first that is possible."""

    def __init__(self):
        self.asked = set()

    def suggest_float(self, name, low, high, *, log=False):
        self.asked.add((name, low, high, log))
        return low

    def suggest_int(self, name, low, high, *, log=False):
        self.asked.add((name, low, high, log))
        return high

    def suggest_categorical(self, name, choices):
        self.asked.add((name, len(choices)))
        return choices[0]

    def set_user_attr(self, name, value):
        pass


@pytest.mark.parametrize("algorithm", FAMILY)
@pytest.mark.parametrize("name", ["default", "zoo"])
def test_every_setting_of_a_space_is_one_of_the_algorithm(algorithm, name):
    space = load_by_name(name, algorithm)
    for env in (*space.environments, "Unheard-v0"):
        here = space.for_environment(env)[0].clip_to_budget()
        assert parse_space(here.to_mapping()) == here
        for seed in range(10):
            setting = here.resolve(here.sample(Suggest(seed)))
            assert setting.algorithm == algorithm


@pytest.mark.parametrize("algorithm", FAMILY)
def test_default_spaces_know_no_environment_but_by_its_budget(algorithm):
    assert all(not o.fixed and not o.search for o in load_by_name("default", algorithm).environments.values())


@pytest.mark.parametrize("algorithm", FAMILY)
def test_the_zoos_space_asks_what_the_zoo_asks(algorithm):
    theirs = ZooTrial()
    name = {"ddpg": "td3", "recurrent_ppo": "ppo_lstm"}.get(algorithm, algorithm)
    getattr(hyperparams_opt, f"sample_{name}_params")(theirs, 1, 1, {"using_her_replay_buffer": False})
    ours = Suggest()
    load_by_name("zoo", algorithm).for_environment("Unheard-v0")[0].clip_to_budget().sample(ours)
    follows = {"subsample_steps", "top_quantiles_to_drop_per_net"}  # up to what another one was drawn at
    assert {a for a in ours.asked if a[0] not in follows} == {a for a in theirs.asked if a[0] not in follows}
    assert {a[0] for a in ours.asked} == {a[0] for a in theirs.asked}


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "recurrent_ppo"])
@pytest.mark.parametrize("seed", range(10))
def test_however_many_environments_a_run_has_ten_rollouts(algorithm, seed):
    space = load_by_name("default", algorithm).with_budget(2000).clip_to_budget()
    setting = space.resolve(space.sample(Suggest(seed)))
    assert setting.n_steps * setting.n_envs * 10 <= 2000
    fixed = space.fix("n_envs", 4)
    assert fixed.resolve(fixed.sample(Suggest(seed))).n_envs == 4


@pytest.mark.parametrize("algorithm", sorted({*FAMILY} - {"recurrent_ppo"}))  # the Zoo's are of environments of its own
def test_the_zoos_tuned_values_become_a_point_of_the_default_space(algorithm):
    env = "CartPole-v1" if algorithm in ("ppo", "a2c", "qrdqn") else "Pendulum-v1"
    values = zoo_values(env, algorithm)
    assert values is not None
    space = load_by_name("default", algorithm).for_environment(env)[0].clip_to_budget()
    setting = ALGORITHMS[algorithm](**values)
    near = space.resolve(nearest_params(space, setting))
    assert near.learning_rate == pytest.approx(setting.learning_rate)
    assert getattr(near, "n_envs", 1) == setting.n_envs


def test_a_value_may_fall_to_nothing_over_the_run():
    space = load_by_name("default", "ppo").fix("learning_rate", "lin_3e-4")
    assert (space.fixed["learning_rate"], space.fixed["learning_rate_schedule"]) == (3e-4, "linear")
    assert not {"learning_rate", "learning_rate_schedule"} & space.search.keys()
    written = {"algorithm": "ppo", "budget": {"n_timesteps": 10, "evaluations": 1}, "fixed": {"clip_range": "lin_0.2"}}
    assert parse_space(written).fixed == {"clip_range": 0.2, "clip_range_schedule": "linear"}


def test_a_hyperparameter_of_another_algorithm_is_refused_with_the_way_out():
    with pytest.raises(
        InputError, match=r"ppo has no hyperparameter 'exploration_fraction'\. Leave it out, or use --algo dqn\|"
    ):
        load_by_name("default", "ppo").fix("exploration_fraction", "0.1")
