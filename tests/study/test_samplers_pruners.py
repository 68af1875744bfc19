import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.pruners import MedianPruner
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from study_fakes import FakeExecutor, make_plan, search

from tuner.contract.grid import evaluation_grid, first_pruned, warmup_steps
from tuner.contract.rules import CURRENT
from tuner.study.sampling.samplers import make_sampler, point_of, with_stopped
from tuner.study.search.median_pruner import NEWEST, MedianMemory, lower_limit, tells
from tuner.study.search.pruners import PruningRule, make_pruner
from tuner.study.store import keys as attr

GRID = tuple(range(100, 1001, 100))


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "gp"])
def test_two_samplers_of_one_study_never_propose_the_same_startup_point(name):
    """What parallel or resumed supervisors do: each builds its own sampler from the same seed."""
    study = optuna.create_study(direction="maximize")
    points = []
    for _ in range(8):
        study.sampler = make_sampler(name, seed=3, startup_trials=10)
        trial = study.ask()
        points.append(trial.suggest_float("x", 0, 1))
        study.tell(trial, points[-1])
    assert len(set(points)) == 8


def test_qmc_fills_the_range_evenly():
    study = optuna.create_study(direction="maximize", sampler=make_sampler("qmc", seed=1, startup_trials=1))
    points = []
    for _ in range(17):
        trial = study.ask()
        points.append(trial.suggest_float("x", 0, 1))
        study.tell(trial, 0.0)
    # The first point is random, the next 16 are a scrambled Sobol sequence: one in each sixteenth.
    assert sorted(int(x * 16) for x in points[1:]) == list(range(16))


@pytest.mark.slow
@pytest.mark.parametrize("diverged", [False, True], ids=["pruned", "diverged"])
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_sampler_that_learns_leaves_the_half_where_every_trial_is_stopped(name, diverged):
    study = optuna.create_study(direction="maximize", sampler=make_sampler(name, seed=2, startup_trials=10))
    bad = 0
    for number in range(26):
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if x < 0.5:
            trial.report(math.nan if diverged else 0.0, 100)
            if diverged:
                trial.set_constraint("diverged", 1.0)
            study.tell(trial, state=TrialState.PRUNED)
            bad += number >= 14
        else:
            study.tell(trial, 1.0 - (x - 0.7) ** 2 - (y - 0.4) ** 2)
    assert bad <= 3  # of 12; by chance 6
    assert {t.value for t in study.trials if t.state == TrialState.PRUNED} <= {0.0, math.nan, None}  # as it was stored


def test_a_stopped_trial_is_seen_with_the_lower_of_its_last_report_and_the_worst_completed():
    def stopped(curve):
        return create_trial(
            state=TrialState.PRUNED, intermediate_values=curve, system_attrs={"constraints:diverged": 1.0}
        )

    complete = [create_trial(value=value) for value in (5.0, 3.0)]
    reports = [{100: 9.0, 200: 1.0}, {100: 4.0}, {100: math.nan}, {}]
    trials = [*complete, *(stopped(curve) for curve in reports), create_trial(state=TrialState.FAIL)]
    seen = with_stopped(trials)
    assert [t.value for t in seen if t.state == TrialState.COMPLETE] == [5.0, 3.0, 1.0, 3.0, 3.0, 3.0]
    assert not any(t.constraints for t in seen)
    assert trials[2].state == TrialState.PRUNED and trials[2].constraints
    alone = with_stopped(trials[2:])
    assert [t.value for t in alone if t.state == TrialState.COMPLETE] == [1.0, 4.0]


@pytest.mark.parametrize(("fate", "outcome"), [("late_nan", "diverged"), ("late_slow", "timed_out")])
def test_the_sampler_ranks_a_late_divergence_below_an_early_pruning(tmp_path, fate, outcome):
    """TPE ranks pruned trials by how far they came; a divergence just before the end must rank last all the same."""
    from optuna.samplers._tpe.sampler import _split_trials

    url = f"sqlite:///{tmp_path}/s.db"
    plan = make_plan(url, trials=14, startup_trials=2, trial_timeout=1500, sampler="random")
    plan = dataclasses.replace(plan, rules=dataclasses.replace(CURRENT, pruning=1))
    search(plan, FakeExecutor(lambda spec: fate if spec.run_id.trial in (4, 8) else "completed"))
    study = optuna.load_study(study_name=plan.name, storage=url)
    trials = study.get_trials(deepcopy=False)
    outcomes = [t.user_attrs["outcome"] for t in trials]
    assert [number for number, o in enumerate(outcomes) if o == outcome] == [4, 8]
    assert outcomes.count("pruned") >= 2
    assert all(trials[number].state == TrialState.PRUNED for number in (4, 8))
    for n_good in range(len(trials) - 1):
        good, _ = _split_trials(study, trials, n_good)
        assert len(good) == n_good
        assert not {4, 8} & {t.number for t in good}
    assert study.best_trial.number not in (4, 8)


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=10, max_size=10), min_size=1, max_size=9),
    st.lists(st.integers(-9, 9), min_size=1, max_size=10),
    st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_the_median_pruner_is_the_median_rule_on_the_grid(finished, values, startup):
    """The rule in full: best so far below the median of completed trials at this very step, after the warm-up."""
    rule = make_pruner("median", grid=GRID, startup_trials=startup, version=1)
    study = optuna.create_study(direction="maximize", pruner=rule)
    for curve in finished:
        study.add_trial(create_trial(value=curve[-1], intermediate_values=dict(zip(GRID, curve, strict=True))))
    study.pruner.learn(study.get_trials(deepcopy=False))
    trial = study.ask()
    for step, value in zip(GRID, values, strict=False):
        trial.report(value, step)
    frozen = study.get_trials(deepcopy=False)[trial.number]
    step = GRID[len(values) - 1]
    column = sorted(curve[len(values) - 1] for curve in finished)
    middle = len(column) // 2
    median = column[middle] if len(column) % 2 else (column[middle - 1] + column[middle]) / 2
    expected = len(finished) >= startup and 400 <= step < 1000 and max(values) < median
    assert PruningRule("median", GRID).stops(study, frozen) == expected


VALUES = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(float))


@given(
    st.lists(st.dictionaries(st.sampled_from(GRID), VALUES, max_size=10), max_size=9),
    st.dictionaries(st.sampled_from(GRID), VALUES, max_size=10),
    st.integers(0, 5),
    st.sampled_from((0, 300, 400)),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning", "ignore:invalid value:RuntimeWarning")  # Optuna's side
def test_the_median_from_memory_decides_as_optunas_median_pruner(curves, reported, startup, warmup):
    """Any values, steps left out, not-a-number and infinities included."""
    trials = [create_trial(value=0.0, intermediate_values=curve) for curve in curves]
    for number, frozen in enumerate(trials):
        frozen.number = number
    asked = create_trial(state=TrialState.RUNNING, intermediate_values=reported)
    study = SimpleNamespace(direction=StudyDirection.MAXIMIZE, get_trials=lambda **_: trials)
    memory = MedianMemory(startup, warmup)
    for frozen in trials:
        memory.learn(trials[: frozen.number + 1])  # what is known already is passed over
    assert memory.prune(study, asked) == MedianPruner(startup, warmup).prune(study, asked)


def study_of(curves, pruner):
    """A study whose completed trials have these curves on the grid, the last value being the score."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for curve in curves:
        study.add_trial(create_trial(value=curve[-1], intermediate_values=dict(zip(GRID, curve, strict=True))))
    pruner.learn(study.get_trials(deepcopy=False))
    return study


def stopped_steps(curves, version=CURRENT.pruning):
    """Where a trial that stays below everything would be stopped, one grid step after the other."""
    study = study_of(curves, make_pruner("median", grid=GRID, startup_trials=1, version=version))
    values = [dict.fromkeys(GRID[:n], -99.0) for n in range(1, 10)]
    asked = [create_trial(state=TrialState.RUNNING, intermediate_values=v) for v in values]
    return [trial.last_step for trial in asked if PruningRule("median", GRID, version=version).stops(study, trial)]


def test_a_rung_that_tells_opens_and_the_scores_own_rungs_never_do():
    """Curves that keep their order: what is low at any step ends low."""
    assert stopped_steps([[float(n)] * 10 for n in range(24)]) == [200, 300, 400, 500, 600]


def test_a_repeat_is_never_stopped():
    """What it is for is the score of another whole run."""
    study = study_of([[float(n)] * 10 for n in range(24)], make_pruner("median", grid=GRID, startup_trials=1))
    rule, low = PruningRule("median", GRID), dict.fromkeys(GRID[:5], -99.0)
    again = create_trial(state=TrialState.RUNNING, intermediate_values=low, user_attrs={attr.SOURCE: "repeat"})
    other = create_trial(state=TrialState.RUNNING, intermediate_values=low, user_attrs={attr.SOURCE: "prior"})
    assert not rule.stops(study, again)
    assert rule.stops(study, other)


def test_a_study_that_began_with_the_gate_alone_keeps_a_third_of_the_grid_as_warm_up():
    curves = [[float(n)] * 10 for n in range(24)]
    assert stopped_steps(curves, version=2) == [400, 500, 600]


def share_opened(runs, version):
    rng = np.random.default_rng(0)
    return np.mean([bool(stopped_steps(rng.standard_normal((runs, 10)), version)) for _ in range(40)])


def test_a_rung_that_tells_nothing_stays_closed():
    assert share_opened(40, version=2) <= 0.2  # three rungs at a level of 10 % each


def test_what_is_vouched_for_fades_as_runs_that_say_otherwise_end():
    assert share_opened(40, CURRENT.pruning) <= 0.4
    assert share_opened(300, CURRENT.pruning) <= 0.2


def test_from_a_third_of_the_grid_on_a_rung_is_open_unless_the_studys_runs_speak_against_it():
    """Five runs outside, beside what is vouched for, open it; with one inside it is closed: 0.1 ** (1 / 10) > 0.75."""
    ten = [[float(n)] * 10 for n in range(10)]
    assert stopped_steps(ten) == [400, 500, 600]
    assert stopped_steps(ten, version=2) == []
    assert stopped_steps([*ten[1:], [0.0] * 9 + [99.0]]) == []
    assert lower_limit(10, 10) == pytest.approx(0.1 ** (1 / 10))
    assert lower_limit(9, 10) < 0.75


def test_what_is_vouched_for_is_worth_five_runs_outside():
    """Beside them four make nine, three make eight, and 0.1 ** (1 / 9) > 0.75 > 0.1 ** (1 / 8)."""
    assert stopped_steps([[float(n)] * 10 for n in range(8)]) == [400, 500, 600]
    assert stopped_steps([[float(n)] * 10 for n in range(6)]) == []


def test_runs_that_are_level_are_no_evidence():
    """Those with the median would go on, and those with the best quarter's last are among the best."""
    order = np.arange(24.0)
    assert tells(order, order)
    floor = np.repeat([0.0, 1.0], [14, 6])
    assert not tells(floor, floor)
    assert not tells(order, np.full(24, 500.0))


def test_a_runs_evidence_at_a_rung_is_its_best_value_up_to_there():
    """Here the first value alone tells how a run ends; all later ones fall in the opposite order."""
    assert stopped_steps([[float(n), *[-float(n)] * 8, float(n)] for n in range(10)]) == [400, 500, 600]


def test_a_rung_closes_again_when_further_runs_speak_against_it():
    study = study_of([[float(n)] * 10 for n in range(10)], make_pruner("median", grid=GRID, startup_trials=1))
    low = create_trial(state=TrialState.RUNNING, intermediate_values=dict.fromkeys(GRID[:4], -99.0))
    assert study.pruner.prune(study, low)
    for n in range(10):  # low at every rung, and the best in the end
        study.add_trial(create_trial(value=99.0, intermediate_values=dict.fromkeys(GRID[:9], -1.0 - n)))
    study.pruner.learn(study.get_trials(deepcopy=False))
    assert not study.pruner.prune(study, low)


def test_what_lies_far_back_is_no_evidence():
    """A rung opens again by the newest runs; of all of them 170 of 230 below the median would not be enough."""
    against = [[-1.0 - n] * 9 + [9999.0] for n in range(60)]
    order = [[float(n)] * 10 for n in range(NEWEST)]
    assert stopped_steps(order[:60] + against, version=2) == []
    assert stopped_steps(against + order, version=2) == [400, 500, 600]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 99)), min_size=1, max_size=12))
def test_a_point_is_the_count_of_points_before_it_and_a_successor_has_its_predecessors(drawn):
    """However many of the trials have been filled yet."""
    trials, points = [], []
    for number, (filled, fresh, pick) in enumerate(drawn):
        if fresh or not trials:
            found, point = {}, sum(attr.RETRY_OF not in t.user_attrs for t in trials)
        else:
            lost = trials[pick % number]
            root = lost.user_attrs.get(attr.ROOT, lost.number)
            found, point = {attr.RETRY_OF: lost.number, attr.ROOT: root}, points[lost.number]
        if filled:
            found |= {attr.POINT: point, attr.SEEDS: [7]}
        trials.append(create_trial(state=TrialState.RUNNING, user_attrs=found))
        trials[-1].number = number
        points.append(point)
    assert [point_of(trials, number) for number in range(len(trials))] == points


def test_points_of_a_study_of_version_0_1_0_are_its_trials_numbers():
    """A successor among them has its predecessor's, what another program has enqueued its own."""
    kinds = [{attr.SEEDS: [7]}, {attr.SEEDS: [7]}, {attr.RETRY_OF: 0, attr.ROOT: 0, attr.SEEDS: [7]}, {attr.ROOT: 9}]
    trials = [create_trial(state=TrialState.RUNNING, user_attrs=attributes) for attributes in kinds]
    for number, trial in enumerate(trials):
        trial.number = number
    assert [point_of(trials, number) for number in range(4)] == [0, 1, 0, 2]


def test_a_rung_stays_closed_before_there_is_evidence_enough():
    """Nine stopped runs that all ended outside of the best quarter show it, eight do not: 0.1 ** (1 / 8) < 0.75."""
    assert stopped_steps([[float(n)] * 10 for n in range(16)], version=2) == []
    assert stopped_steps([[float(n)] * 10 for n in range(18)], version=2) != []
    assert 200 not in stopped_steps([[float(n)] * 10 for n in range(16)])
    assert 200 in stopped_steps([[float(n)] * 10 for n in range(18)])
    assert lower_limit(8, 8) == pytest.approx(0.1 ** (1 / 8))
    assert lower_limit(0, 10) == 0.0


def test_a_rung_stays_closed_where_low_starts_end_high():
    assert stopped_steps([[float(-n)] * 9 + [float(n)] for n in range(40)]) == []


def test_scores_level_with_the_best_quarter_count_as_inside():
    best, tied = np.arange(40.0), np.full(40, 500.0)
    assert not tells(best, tied)


@pytest.mark.parametrize(("n", "first"), [(1, 1), (2, 1), (3, 2), (6, 3), (10, 4)])
def test_the_first_third_of_the_grid_is_warm_up(n, first):
    assert warmup_steps(GRID[:n]) == GRID[first - 1]


@pytest.mark.parametrize(("n", "first"), [(1, 1), (2, 2), (3, 2), (10, 2), (20, 3)])
def test_the_gated_rule_may_stop_after_a_tenth_of_the_grid(n, first):
    grid = evaluation_grid(1000, n)
    assert first_pruned("median", grid, 3) == grid[first - 1]
    assert first_pruned("median", grid, 2) == first_pruned("halving", grid, 3) == warmup_steps(grid)
    assert first_pruned("hyperband", grid, 3) == grid[0]


@pytest.mark.parametrize("name", ["halving", "hyperband"])
def test_resources_of_halving_pruners_are_environment_steps(name):
    study = optuna.create_study(direction="maximize", pruner=make_pruner(name, grid=GRID, startup_trials=1))
    rule, stops = PruningRule(name, GRID), []
    for number in range(60):
        trial = study.ask({"x": FloatDistribution(0, 1)})
        for step in GRID:
            trial.report(-number * step / 1000, step)
            if rule.stops(study, study.get_trials(deepcopy=False)[trial.number]):
                stops.append(step)
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, -number)
    rungs = {400} if name == "halving" else {100, 300, 900}
    assert stops
    assert set(stops) <= rungs


def test_no_pruner_never_stops():
    assert not any(PruningRule("none", GRID).may_stop(step) for step in GRID)
