"""Proposals in view of their cost: the cheaper of equals, for TPE and for the prior, in spaces of every kind."""

import dataclasses
import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tuner.contract.rules import CURRENT
from tuner.hyperparameters import algorithm_class, from_mapping
from tuner.plan.known import Known
from tuner.plan.proposal_cost import proposal_cost
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.space.nearest import nearest_params
from tuner.study.sampling.proposals import Proposals, distribution
from tuner.study.sampling.samplers import make_sampler

PLAN = plan_study(StudyRecipe(env="CartPole-v1", trials=10))
SPACE = PLAN.space
LOG_COST = proposal_cost(PLAN, weight=1.0)
DISTRIBUTIONS = {d.name: distribution(d) for d in SPACE.dimensions}


def study_of(log_cost, seed, score, finished=40):
    """Return a study with random trials, each worth what ``score`` says of its parameters."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        direction="maximize",
        sampler=make_sampler("tpe", seed=seed, startup_trials=10, dimensions=SPACE.dimensions, log_cost=log_cost),
    )
    source = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(finished):
        params = source.ask(DISTRIBUTIONS).params
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.COMPLETE, value=score(params, rng), params=params, distributions=DISTRIBUTIONS
            )
        )
    return study


def proposed(log_cost, seed, score):
    return study_of(log_cost, seed, score).ask(DISTRIBUTIONS).params


@pytest.mark.learning
def test_of_equals_the_cheaper_is_proposed():
    def noise(params, rng):
        return float(rng.random())

    plain, thrifty = (
        np.mean([LOG_COST(proposed(log_cost, seed, noise)) for seed in range(12)]) for log_cost in (None, LOG_COST)
    )
    assert thrifty < plain - math.log(2)  # less than half of the cost


@pytest.mark.learning
def test_where_the_dear_is_better_it_is_still_proposed():
    def dear(params, rng):
        return LOG_COST(params)

    thrifty = np.mean([LOG_COST(proposed(LOG_COST, seed, dear)) for seed in range(12)])
    middle = np.median([LOG_COST(t.params) for t in study_of(None, 0, dear, finished=100).trials])
    assert thrifty > middle


def test_the_cost_of_a_proposal_follows_from_its_values_alone():
    params = proposed(None, 3, lambda params, rng: 0.0)
    assert LOG_COST(params) == proposal_cost(plan_study(StudyRecipe(env="CartPole-v1", trials=500, seed=9)), 1.0)(
        params
    )
    nets = DISTRIBUTIONS["net_arch"].choices
    costs = [LOG_COST({**params, "net_arch": net}) for net in nets]
    assert costs == sorted(costs) and len(set(costs)) == len(nets)  # smallest network first


@pytest.mark.parametrize("space", ["default", "classic", "extended", "zoo"])
def test_a_part_of_a_proposal_has_a_cost_in_every_space(space):
    plan = plan_study(StudyRecipe(env="CartPole-v1", trials=10, space=space))
    log_cost = proposal_cost(plan)
    whole = nearest_params(plan.space, algorithm_class("dqn")())
    assert math.isfinite(log_cost(whole))
    for name in whole:
        assert math.isfinite(log_cost({k: v for k, v in whole.items() if k != name}))


def test_the_prior_draws_a_cheap_setting_as_much_more_often():
    dear = {"net_arch": [256, 256], "batch_size": 256, "train_freq": 4, "gradient_steps": 4}
    cheap = {"net_arch": [64], "batch_size": 16, "train_freq": 64, "gradient_steps": 4}
    points = [nearest_params(SPACE, from_mapping("dqn", values)) for values in (dear, cheap)]
    known = Known(good=((points[0], 0.5), (points[1], 0.5)))
    even = Proposals(known, SPACE.dimensions, seed=0, prior=True)
    thrifty = Proposals(known, SPACE.dimensions, seed=0, prior=True, log_cost=LOG_COST)
    assert even.shares.tolist() == [0.5, 0.5]
    ratio = math.exp(LOG_COST(points[0]) - LOG_COST(points[1]))
    assert ratio > 10
    assert thrifty.shares[1] / thrifty.shares[0] == pytest.approx(ratio)


def test_studies_of_earlier_rules_look_at_scores_alone():
    assert CURRENT.proposals > 1
    assert proposal_cost(dataclasses.replace(PLAN, rules=dataclasses.replace(CURRENT, proposals=1))) is None


def test_where_seconds_are_what_a_study_may_spend_its_proposals_are_worth_their_promise_per_second():
    dear, cheap = (nearest_params(SPACE, from_mapping("dqn", {"batch_size": batch})) for batch in (256, 16))

    def weight(plan):
        of_study, whole = proposal_cost(plan), proposal_cost(plan, 1.0)
        return (of_study(dear) - of_study(cheap)) / (whole(dear) - whole(cheap))

    timed = dataclasses.replace(PLAN, recipe=dataclasses.replace(PLAN.recipe, within=60.0))
    assert (weight(PLAN), weight(timed)) == pytest.approx((0.5, 1.0))
