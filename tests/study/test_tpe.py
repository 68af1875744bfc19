"""TPE on a bounded history: plain TPE up to the bound, the same good side beyond it, and no loss of search quality."""

import random
import statistics

import numpy as np
import optuna
import pytest
import scipy.special
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState, create_trial

from tuner.study.sampling.seen import Seen
from tuner.study.sampling.tpe import BEST, BOUND, BoundedTPE, Ranking, good_side, rank

pytestmark = pytest.mark.filterwarnings("ignore:`gamma` has been deprecated:FutureWarning")  # of plain_tpe

SPACE = {name: FloatDistribution(0.0, 1.0) for name in "abcde"}


def random_trial(luck):
    params = {name: luck.random() for name in SPACE}
    state = luck.choice([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED])
    curve = {10 * (i + 1): luck.randint(0, 9) / 3 for i in range(luck.randint(0, 4))}
    system = {"constraints:diverged": 1.0} if luck.random() < 0.1 else {}
    value = luck.randint(0, 50) / 10 if state == TrialState.COMPLETE else None
    return create_trial(
        state=state, value=value, params=params, distributions=SPACE, intermediate_values=curve, system_attrs=system
    )


def plain_tpe(seed):
    """Return Optuna's TPE with our good side."""
    return TPESampler(n_startup_trials=10, gamma=good_side, seed=seed)


def study_of(n, seed=0, running=0):
    study, luck = optuna.create_study(direction="maximize"), random.Random(seed)
    study.add_trials([random_trial(luck) for _ in range(n)])
    study.add_trials(
        [create_trial(state=TrialState.RUNNING, params=dict.fromkeys(SPACE, 0.5), distributions=SPACE)] * running
    )
    return study


def propose(study, sampler):
    study.sampler = sampler
    return study.ask(SPACE).params


@pytest.mark.parametrize("n", [5, 60, 100])
def test_up_to_the_bound_every_proposal_is_plain_tpes(n):
    for seed in range(3):
        bounded = BoundedTPE(startup_trials=10, seed=seed, ranking=Ranking(), seen=Seen(), bound=100, best=50)
        plain = plain_tpe(seed)
        assert propose(study_of(n, seed, running=3), bounded) == propose(study_of(n, seed, running=3), plain)


def branching(trial):
    """Draw from a space with branches, a bound that follows another value, and choices that are equal but for type."""
    trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    trial.suggest_categorical("kind", [1, True, None, "a", 0.5])
    if trial.suggest_categorical("deep", [True, False]):
        trial.suggest_int("layers", 1, 9, step=2)
    size = trial.suggest_int("size", 16, 512, log=True)
    trial.suggest_int("warmup", 0, size)
    if trial.number == 41:
        trial.suggest_float("odd", 0, 1)


def test_what_is_kept_from_proposal_to_proposal_changes_none():
    """Three trials run side by side, two of three finish, in another order than they began; 80 in all."""
    ranking, seen = Ranking(), Seen()
    makers = (plain_tpe, lambda seed: BoundedTPE(startup_trials=10, seed=seed, ranking=ranking, seen=seen))
    studies = [optuna.create_study(direction="maximize") for _ in makers]
    luck, running = random.Random(0), []
    for number in range(80):
        drawn = []
        for study, make in zip(studies, makers, strict=True):
            study.sampler = make(number)
            drawn.append(study.ask())
            branching(drawn[-1])
        assert drawn[0].params == drawn[1].params, number
        assert list(map(type, drawn[0].params.values())) == list(map(type, drawn[1].params.values()))
        running.append(drawn)
        if len(running) == 3:
            score, state = luck.choice(
                [(1.0, None), (luck.random(), None), (None, TrialState.PRUNED), (None, TrialState.FAIL)]
            )
            ended = running.pop(luck.randrange(3))
            for study, trial in zip(studies, ended, strict=True):
                study.tell(trial, score, state)


def test_beyond_the_bound_it_sees_the_best_the_newest_and_all_that_run():
    study, sampler = study_of(700, running=5), BoundedTPE(startup_trials=10, seed=1, ranking=Ranking(), seen=Seen())
    trial = study.ask()
    sampler.before_trial(study, trial)
    seen = sampler._bounded(study).get_trials(deepcopy=False)
    everything = study.get_trials(deepcopy=False)
    finished = [t for t in everything if t.state.is_finished()]
    numbers = [t.number for t in seen]
    assert numbers == sorted(set(numbers))
    assert sum(t.state.is_finished() for t in seen) == BOUND
    assert {t.number for t in everything if not t.state.is_finished()} <= set(numbers)
    assert {t.number for t in finished[BEST - BOUND :]} <= set(numbers)
    assert {t.number for t in sorted(finished, key=rank)[:BEST]} <= set(numbers)


@pytest.mark.parametrize("seed", range(4))
def test_beyond_the_bound_the_good_side_is_plain_tpes(seed):
    """The density of good trials is the same, ties, pruned trials and divergences included."""
    study, sampler = study_of(900, seed), BoundedTPE(startup_trials=10, seed=1, ranking=Ranking(), seen=Seen())
    everything = study.get_trials(deepcopy=False)
    seen = sampler._bounded(study).get_trials(deepcopy=False)
    assert good_side(len(seen)) == good_side(len(everything)) == 25
    good, rest = _split_trials(study, everything, 25)
    bounded_good, bounded_rest = _split_trials(study, seen, 25)
    assert [t.number for t in bounded_good] == [t.number for t in good]
    assert {t.number for t in bounded_rest} < {t.number for t in rest}


@pytest.mark.parametrize(("n", "good"), [(1, 1), (10, 3), (40, 10), (97, 25), (100, 25), (10_000, 25)])
def test_the_good_side_is_a_quarter_up_to_a_most(n, good):
    assert good_side(n) == good
    assert good < BEST


def test_a_ranking_that_grew_with_the_study_equals_one_made_at_once():
    trials = study_of(300).get_trials(deepcopy=False)
    grown = Ranking()
    for n in range(101, 301):
        kept = grown.select(trials[:n], bound=100, best=50)
    assert [t.number for t in kept] == [t.number for t in Ranking().select(trials, bound=100, best=50)]


def regret(make_sampler, seed, n=160):
    """Distance from the optimum of the setting that a noisy search of ``n`` trials likes best, without noise."""
    luck, study = np.random.default_rng(seed), optuna.create_study(direction="maximize")
    for number in range(n):
        study.sampler = make_sampler(1000 * seed + number)
        trial = study.ask(SPACE)
        study.tell(trial, -distance(trial.params) + 0.05 * luck.standard_normal())
    return statistics.mean(distance(t.params) for t in sorted(study.trials, key=lambda t: -t.value)[:5])


def distance(params):
    weights = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.5, "e": 0.1}
    return sum(w * (params[name] - 0.3) ** 2 for name, w in weights.items())


@pytest.mark.learning
def test_the_bound_costs_no_search_quality():
    """A bound of 60 met again and again in 160 trials: regret within noise of plain TPE's, and far below random's."""
    shared = {}

    def bounded(seed):
        ranking, seen = shared.setdefault(seed // 1000, (Ranking(), Seen()))
        return BoundedTPE(startup_trials=10, seed=seed, ranking=ranking, seen=seen, bound=60, best=25)

    plain = [regret(plain_tpe, seed) for seed in range(8)]
    mine = [regret(bounded, seed) for seed in range(8)]
    chance = [regret(lambda s: optuna.samplers.RandomSampler(seed=s), seed) for seed in range(8)]
    spread = statistics.stdev(plain) + statistics.stdev(mine)
    assert statistics.median(mine) <= statistics.median(plain) + spread / 8**0.5 * 2
    assert statistics.median(mine) < 0.5 * statistics.median(chance)


def test_scipys_logarithm_of_the_normal_distribution_is_optunas_but_for_rounding():
    at = np.concatenate([np.linspace(-40, 10, 2_001), [-0.0, 1e-9, -20.0, 6.0]])
    assert _truncnorm._log_ndtr is scipy.special.log_ndtr
    own = np.array([_truncnorm._log_ndtr_single(float(x)) for x in at])
    np.testing.assert_allclose(_truncnorm._log_ndtr(at), own, rtol=1e-12, atol=1e-15)


def test_a_stopped_trial_ranks_by_how_far_it_came_then_by_its_last_value():
    stopped = ({3: 5.0}, {3: 1.0}, {3: float("nan")}, {2: 9.0, 1: 50.0}, {})
    ranks = [rank(create_trial(state=TrialState.PRUNED, intermediate_values=values)) for values in stopped]
    assert ranks == sorted(ranks) and len(set(ranks)) == 5
    assert rank(create_trial(state=TrialState.COMPLETE, value=-1e9)) < ranks[0]
