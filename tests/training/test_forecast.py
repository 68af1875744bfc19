"""What a study will cost: bytes exactly, steps and trials by arithmetic, seconds by measurement."""

import contextlib
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from cli.cli_shell import tune
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer
from training.desk import Desk, make_spec

import tuner.api
from tuner.agents.dqn.exploration import epsilon
from tuner.agents.dqn.stack import DQNStack
from tuner.agents.dqn.state import LearnerState
from tuner.cli.forecast_lines import cost_facts
from tuner.cli.run_command import plan_lines
from tuner.contract.spec import EvaluationSpec
from tuner.envs.child import CALL_LIMIT_S
from tuner.envs.encoders import encoder_for
from tuner.envs.make import RandomPlay, inspect
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, QLearningHyperparameters
from tuner.networks.mlp import MLPLayout
from tuner.plan import cost as study_forecast
from tuner.plan import extremes as extremes_of
from tuner.plan.cost import Pace, evaluation_steps, largest_saving, memory_need, refuse_what_cannot_fit
from tuner.plan.extremes import drawn, extremes
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.replay.frames import FrameMemory
from tuner.replay.ring import LaneRing
from tuner.replay.sum_tree import LaneSumTrees
from tuner.training.cost import timing
from tuner.training.cost.footprint import can_reserve
from tuner.training.cost.timing import RunCosts, evaluation_parts, longest_share, measure, measure_all
from tuner.training.registry import footprint
from tuner.training.stack.staging import Stage
from tuner.training.stack.trainer import NativeTrainer

SECONDS = st.floats(0.01, 1000.0)


def facts_of(env):
    return inspect(EnvSpec(env), "dqn")


def study(**changes):
    return plan_study(StudyRecipe(**{"env": "CartPole-v1", "workers": 2, "trials": 40, **changes}))


# -- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1", "FrozenLake-v1"])
@pytest.mark.parametrize(("buffer_size", "n_timesteps"), [(700, 1000), (5000, 1000)])
@pytest.mark.parametrize("dueling", [False, True])
def test_a_native_run_holds_what_its_arrays_hold(env, buffer_size, n_timesteps, dueling):
    facts = facts_of(env)
    hyperparameters = DQNHyperparameters(buffer_size=buffer_size, net_arch=(24, 8), dueling=dueling)
    found = footprint(hyperparameters, facts, n_timesteps, backend="native")
    encoder = encoder_for(facts.observation_space)
    size = int(np.prod(encoder.storage_shape))
    ring = LaneRing(1, min(buffer_size, n_timesteps), size)
    state = LearnerState(MLPLayout((encoder.input_size, 24, 8, facts.n_actions + dueling)), 1)
    arrays = [value for value in vars(state).values() if isinstance(value, np.ndarray)]
    assert found.replay_bytes == ring._rows.nbytes
    assert found.network_bytes == sum(array.nbytes for array in arrays)
    assert found.reserved_bytes == LaneRing(1, n_timesteps, size)._rows.nbytes


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("weight_averaging", [0.0, 0.5])
def test_a_native_run_holds_its_average_and_the_noisy_network_that_acts_too(noisy, weight_averaging):
    facts = facts_of("CartPole-v1")
    hyperparameters = DQNHyperparameters(net_arch=(24, 8), noisy=noisy, weight_averaging=weight_averaging)
    stack = DQNStack(facts.encoder, facts.n_actions, hyperparameters, lanes=1, capacity=100)
    stack.start(0, hyperparameters, 0, 100)
    found = footprint(hyperparameters, facts, 100, backend="native")
    kept = [stack.averaging._average, getattr(stack.state.perturbation, "online", None)]
    assert found.copies_bytes == sum(array.nbytes for array in kept if array is not None)
    assert found.total_bytes == found.replay_bytes + found.network_bytes + found.copies_bytes + found.stretch_bytes


@pytest.mark.parametrize(("train_freq", "staged"), [(1, 1), (64, 64), (3000, 1000)])
@pytest.mark.parametrize(("env", "pixels"), [("CartPole-v1", False), ("CartPole-v1", True), ("FrozenLake-v1", False)])
def test_a_native_run_holds_the_steps_between_two_training_calls_whole(env, pixels, train_freq, staged):
    facts = inspect(EnvSpec(env, pixels=pixels), "dqn")
    found = footprint(DQNHyperparameters(train_freq=train_freq), facts, 1000, backend="native")
    encoder = facts.encoder
    if encoder.image is None:
        memory = LaneRing(1, 10, int(np.prod(encoder.storage_shape)))
    else:
        memory = FrameMemory(1, 10, encoder.image, encoder.frames)
    stage = Stage(memory, 1)
    stage.reserve(staged)
    assert found.stretch_bytes == stage.rows.nbytes
    assert found.total_bytes == found.replay_bytes + found.network_bytes + found.stretch_bytes


def test_a_long_stretch_of_images_is_refused_with_the_field_that_makes_it_long(monkeypatch):
    plan = study(pixels=True, set={"train_freq": 1000, "buffer_size": 1000}, steps=50_000)
    need = memory_need(plan)
    assert need.largest.stretch_bytes > 200 * 2**20 > 20 * need.largest.replay_bytes
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: need.total_bytes - 1)
    with pytest.raises(InputError, match=r"215 MiB of steps between two training calls.*--set train_freq=N"):
        refuse_what_cannot_fit(plan)


@pytest.mark.parametrize("capacity", [1, 2, 37, 1000, 50_000])
def test_priorities_take_two_numbers_for_each_transition(capacity):
    plain, ranked = (
        footprint(DQNHyperparameters(prioritized=on), facts_of("CartPole-v1"), capacity, backend="native")
        for on in (False, True)
    )
    trees = LaneSumTrees(1, capacity)
    held = sum(level.nbytes for level in trees._levels)
    assert held == pytest.approx(ranked.replay_bytes - plain.replay_bytes, rel=0.01, abs=200)


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1", "FrozenLake-v1"])
def test_an_sb3_run_holds_what_its_replay_memory_holds(env):
    facts = facts_of(env)
    found = footprint(DQNHyperparameters(buffer_size=900), facts, 1000, backend="sb3")
    buffer = ReplayBuffer(900, facts.observation_space, facts.action_space, device="cpu")
    arrays = [value for value in vars(buffer).values() if isinstance(value, np.ndarray)]
    assert found.replay_bytes == sum(array.nbytes for array in arrays)


def test_a_study_holds_its_dearest_run_as_often_as_runs_are_in_progress():
    need = memory_need(study(lanes=3))
    assert need.runs == 6
    assert need.largest.transitions == 50_000  # the largest that the space searches, cut to the budget
    assert need.total_bytes == 6 * need.largest.total_bytes
    assert memory_need(study(lanes=3, trials=4)).runs == 4
    assert memory_need(study(backend="sb3", lanes=3)).runs == 2  # one at a time in each worker
    assert memory_need(study()).runs == 5  # an eighth of 40 trials is in flight, of six places


def test_a_memory_that_cannot_fit_is_refused_before_anything_is_written(in_tmp, monkeypatch):
    recipe = StudyRecipe(env="CartPole-v1", lanes=3, workers=2)
    needed = memory_need(plan_study(recipe)).total_bytes
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(InputError) as refused:
        tuner.api.run(recipe)
    message = str(refused.value)
    assert "\n" not in message
    assert study_forecast.show_bytes(needed) in message
    assert "--set buffer_size=" in message
    assert list(in_tmp.iterdir()) == []


def test_the_memory_that_the_refusal_proposes_fits_and_what_just_fits_is_let_through(monkeypatch):
    need = memory_need(study(lanes=3, space="classic"))
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: need.total_bytes)
    assert refuse_what_cannot_fit(study(lanes=3, space="classic")) == need
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: need.total_bytes // 3)
    with pytest.raises(InputError) as refused:
        refuse_what_cannot_fit(study(lanes=3, space="classic"))
    proposed = int(str(refused.value).split("buffer_size=")[1].split(",")[0])
    assert proposed > 10_000
    refuse_what_cannot_fit(study(lanes=3, space="classic", set={"buffer_size": proposed}))


def test_addresses_that_the_system_does_not_give_out_are_refused(monkeypatch):
    assert can_reserve(2**20)
    assert not can_reserve(2**62)
    asked = []
    monkeypatch.setattr(study_forecast.memory, "can_reserve", asked.append)  # which is to say no
    for backend, at_a_time in (("native", 3), ("sb3", 1)):
        plan = study(lanes=3, backend=backend)
        with pytest.raises(InputError, match="addresses"):
            refuse_what_cannot_fit(plan)
        assert asked.pop() == at_a_time * memory_need(plan).largest.reserved_bytes


def test_the_memory_of_other_machines_is_not_known(monkeypatch):
    plan = study(lanes=3)
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: 1)
    for address, refused in (("head:6379", False), ("local", True)):
        recipe = dataclasses.replace(plan.recipe, executor="ray", ray_address=address)
        with pytest.raises(InputError) if refused else contextlib.nullcontext():
            refuse_what_cannot_fit(dataclasses.replace(plan, recipe=recipe))


# -- arithmetic -------------------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 16), SECONDS, st.floats(1.0, 16.0), SECONDS)
def test_the_runs_that_fit_a_time_fit_and_one_more_does_not(workers, lanes, one_s, ratio, seconds):
    pace = Pace(workers, lanes, one_s, one_s * ratio if lanes > 1 else one_s)
    runs = pace.runs_within(seconds)
    assert pace.wall_s(runs) <= seconds * (1 + 1e-9)
    assert pace.wall_s(runs + 1) >= seconds * (1 - 1e-9)


def test_a_study_lasts_its_full_waves_and_a_shorter_last_one():
    pace = Pace(workers=2, lanes=4, one_s=10.0, full_s=16.0)
    assert pace.wall_s(0) == 0
    assert pace.wall_s(1) == pace.wall_s(2) == 10
    assert pace.wall_s(3) == 12
    assert pace.wall_s(8) == 16
    assert pace.wall_s(17) == 42
    assert pace.runs_within(9.9) == 0
    assert pace.runs_within(12.5) == 4
    assert pace.runs_within(42.0) == 18


@pytest.mark.parametrize("changes", [{}, {"train_freq": 7, "learning_starts": 49}, {"learning_starts": 5000}])
def test_learning_starts_after_the_random_steps(changes):
    spec, calls = make_spec(0, steps=600, **changes), []
    desk = Desk([spec])
    desk.on_update = lambda run_id, step, loss, q_value, epsilon: calls.append(step)
    NativeTrainer(1, desk).train(desk)
    random_steps = spec.hyperparameters.random_steps(600)
    assert random_steps == min(spec.hyperparameters.learning_starts, 600)
    assert min(calls, default=601) > random_steps


@pytest.mark.parametrize("learns", [True, False])
def test_steady_settings_explore_as_the_whole_run_does_on_average(learns):
    fields = {"exploration_initial_eps": 0.9, "exploration_final_eps": 0.1, "exploration_fraction": 0.4}
    setting = DQNHyperparameters(**fields)
    steady = setting.steady(learns=learns)
    steps = np.arange(1, 10_001)
    assert np.mean(epsilon(steady, steps, 10_000)) == pytest.approx(np.mean(epsilon(setting, steps, 10_000)), rel=1e-3)
    assert steady.random_steps(10_000) == (0 if learns else 10_000)
    assert steady.shape() == setting.shape()


def test_evaluation_steps_and_the_saving_are_upper_bounds():
    plan = study(trials=40, evaluations=10, eval_episodes=3, seeds_per_trial=2)
    assert evaluation_steps(plan) == 40 * 2 * 10 * 3 * 500
    assert largest_saving(plan) == pytest.approx(30 / 40 * 0.8)  # ten startup trials; first decision at point 2 of 10
    assert largest_saving(study(pruner="none")) == 0
    assert largest_saving(study(trials=10)) == 0
    assert largest_saving(study(trials=40, evaluations=10, pruner="hyperband")) == pytest.approx(39 / 40 * 0.9)


# -- settings that stand for a space ----------------------------------------------------------------------------------


def test_corners_reach_the_bounds_of_every_costly_field():
    space = study(space="zoo").space
    found = list(extremes(space))
    assert {setting.batch_size for setting in found} == {4, 2048}
    assert {setting.train_freq for setting in found} == {1, 10}
    assert {setting.net_arch for setting in found} == {(64, 64), (256, 256), (400, 300)}
    assert len({setting.learning_rate for setting in found}) == 1


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_drawn_settings_cost_on_average_what_a_studys_proposals_do(weight, monkeypatch):
    space, costs = study(space="default").space, {}

    def cost(setting):
        return costs.setdefault(setting, float(np.exp(setting.target_update_interval / 2500)))  # 1 to 55, a long tail

    monkeypatch.setattr(extremes_of, "DRAWS", 200)
    found = drawn(space, cost, 6, weight)
    expected = sum(c ** (1 - weight) for c in costs.values()) / sum(c**-weight for c in costs.values())
    assert len(found) == 6
    assert np.mean([costs[setting] for setting in found]) == pytest.approx(expected, rel=0.02)
    assert [costs[setting] for setting in found] == sorted(costs[setting] for setting in found)


def test_drawn_settings_spread_over_the_cost_and_are_the_same_every_time():
    space = study(space="extended").space
    settings = drawn(space, lambda setting: setting.batch_size, 6)
    assert settings == drawn(space, lambda setting: setting.batch_size, 6)
    sizes = [setting.batch_size for setting in settings]
    assert sizes == sorted(sizes)
    assert {32, 256} < set(sizes)


@pytest.mark.slow
def test_where_a_study_prefers_what_costs_less_the_typical_setting_costs_less():
    plan = study(space="default")

    def mean_work(found):
        return sum(study_forecast.work(plan, setting) for setting in found) / len(found)

    def work(setting):
        return study_forecast.work(plan, setting)

    even, thrifty = (mean_work(drawn(plan.space, work, 100, weight)) for weight in (0.0, 0.5))
    # The mean over proposals whose density falls with the root of the cost, by sums over the same settings.
    costs = [work(setting) for setting in drawn(plan.space, work, extremes_of.DRAWS)]
    expected = sum(cost**0.5 for cost in costs) / sum(cost**-0.5 for cost in costs)
    assert thrifty == pytest.approx(expected, rel=0.1)
    assert thrifty < even
    assert study_forecast.typical(plan) == drawn(plan.space, work, study_forecast.TIMED_DRAWS, 0.5)
    random = study(space="default", sampler="random")
    assert study_forecast.typical(random) == drawn(plan.space, work, study_forecast.TIMED_DRAWS)


# -- seconds ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_where_nothing_that_is_searched_costs_anything_one_setting_is_timed(monkeypatch):
    measured = []

    def quick(spec, lanes):
        measured.append((spec.shape, lanes))
        return measure(spec, lanes, piece_s=0.001)

    monkeypatch.setattr("tuner.training.cost.timing.measure", quick)
    monkeypatch.setattr(study_forecast, "TIMED_DRAWS", 2)
    found = study_forecast.forecast(study(lanes=3, executor="inline", space="classic"))
    assert [lanes for _, lanes in measured] == [1, 3]
    assert found.settings == 1
    assert 0 < found.short.one_s <= found.expected.one_s <= found.long.one_s
    measured.clear()
    found = study_forecast.forecast(study(lanes=3, space="extended", steps=2000, executor="inline"))
    assert {lanes for _, lanes in measured} == {1}  # hardly two settings share a stack
    assert found.run_s[1] <= found.run_s[0] <= found.run_s[2]


def test_evaluation_is_forecast_to_last_between_random_play_and_its_cap():
    plan = study(lanes=1)

    def shares(length):
        facts = dataclasses.replace(plan.facts, random_play=RandomPlay((1.0,), 1e-5, 1e-5, length))
        return study_forecast.episode_shares(dataclasses.replace(plan, facts=facts))

    assert plan.evaluation.max_steps == 500
    assert shares(20.0) == pytest.approx((0.04, 0.2, 1.0))
    assert study_forecast.episode_shares(dataclasses.replace(plan, facts=facts_of("CartPole-v1"))) == (0.1, 0.5, 1.0)
    assert shares(0.0) == (0.1, 0.5, 1.0)  # none was over in time
    assert shares(500.0) == (0.1, 0.5, 1.0)  # only a goal ends it, and learning brings that nearer


def test_a_forecast_is_for_full_lanes_and_for_workers_that_share_a_core(monkeypatch):
    """A run takes ten seconds alone and four beside three others; two workers on one core take twice that."""

    class Timed:
        environment_s, step_s = 1.0, 4.0

        def __init__(self, lanes):
            self._seconds = 10.0 if lanes == 1 else 4.0

        def seconds(self, spec, share):
            return self._seconds + share

    monkeypatch.setattr(study_forecast, "time_runs", lambda plan, runs: [Timed(lanes) for _, lanes in runs])
    monkeypatch.setattr(study_forecast, "available_cores", lambda: 1)
    plan = study(lanes=4, space="classic")
    found = study_forecast.forecast(plan)
    for pace, share in zip((found.short, found.expected, found.long), study_forecast.episode_shares(plan), strict=True):
        assert (pace.workers, pace.lanes) == (2, 4)
        assert (pace.one_s, pace.full_s) == pytest.approx((2 * (10 + share), 2 * 4 * (4 + share)))
    assert found.run_s == pytest.approx((found.expected.full_s / 4,) * 3)
    assert (found.settings, found.environment) == (1, 0.25)


def test_settings_are_drawn_as_the_random_sampler_does():
    """Each value of a grid as often as any other, both ends included."""
    draw = extremes_of.Draw(np.random.default_rng(0))
    drawn_values = {
        (0.1, 0.2, 0.3): [draw.float("", 0.1, 0.3, False, 0.1) for _ in range(3000)],
        (1, 3, 5): [draw.int("", 1, 5, False, 2) for _ in range(3000)],
        ("a", "b", "c"): [draw.choice("", ("a", "b", "c")) for _ in range(3000)],
    }
    for values, found in drawn_values.items():
        assert [found.count(value) / 3000 for value in values] == pytest.approx([1 / 3] * 3, abs=0.03)
    # An integer's share of a logarithmic range: it is rounded to from half below to half above.
    ones = [draw.int("", 1, 8, True, 1) for _ in range(3000)].count(1)
    assert ones / 3000 == pytest.approx(np.log(1.5 / 0.5) / np.log(8.5 / 0.5), abs=0.03)


def test_a_plan_says_which_lengths_its_time_is_for():
    plan = study(lanes=1, trials=2, steps=600, space="classic", executor="inline")
    said = cost_facts(plan, study_forecast.memory_need(plan))["time"]
    played = plan.facts.random_play.length
    assert f"episodes last {round((played * 500) ** 0.5)} ({round(played)}, as random play's, to 500) steps" in said


@pytest.mark.parametrize(
    ("confirm", "trials", "budget", "said"),
    [(5, 8, 1.0, True), (5, 7, 1.0, False), (0, 100, 1.0, False)],
)
def test_the_time_speaks_of_confirming_where_the_plan_confirms(confirm, trials, budget, said):
    plan = study(lanes=1, trials=trials, steps=600, space="classic", executor="inline", confirm=confirm,
                 confirm_budget=budget)  # fmt: skip
    costs = cost_facts(plan, study_forecast.memory_need(plan))
    assert ("confirming trains" in costs["time"]) is said
    plain = next(line for line in plan_lines(plan, costs) if line.startswith("then confirm "))
    assert ("nothing: " in plain) is not said


@pytest.mark.parametrize("backend", ["native", "sb3"])
@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1"])
def test_every_part_of_a_run_takes_time(backend, env):
    costs = measure(make_spec(0, env, backend=backend), 1 if backend == "sb3" else 2, piece_s=0.01)
    parts = dataclasses.asdict(costs)
    assert parts.pop("reset_s") >= 0
    assert parts.pop("place_s") >= 0
    assert min(parts.values()) > 0


def test_what_an_algorithm_without_a_stack_takes_is_timed_too():
    spec = dataclasses.replace(make_spec(0, "FrozenLake-v1"), hyperparameters=QLearningHyperparameters())
    costs = measure(spec, 1, piece_s=0.01)
    assert costs.random_step_s == costs.step_s > 0
    assert costs.seconds(spec, 0.5) > 600 * costs.step_s


def test_evaluations_of_the_last_third_count_with_their_own_episodes():
    costs, spec = RunCosts(0.0, 0.0, 1.0, 0.01), make_spec(0, steps=600, evaluations=6)
    assert costs.evaluation_s(spec, 0.5) == pytest.approx(6 * 3 * (1 + 0.5 * 200 * 0.01))
    late = dataclasses.replace(spec, evaluation=dataclasses.replace(spec.evaluation, late_episodes=9))
    assert costs.evaluation_s(late, 0.5) == pytest.approx((4 * 3 + 2 * 9) * 2.0)


def test_a_batch_of_evaluation_episodes_goes_on_until_the_longest_ends():
    assert longest_share(0.1, 1) == pytest.approx(0.1)
    assert longest_share(0.1, 3) == pytest.approx(0.1 * (1 + 1 / 2 + 1 / 3))
    assert longest_share(0.5, 4) == longest_share(1.0, 1) == 1.0  # the cap
    spec = make_spec(0, steps=600, evaluations=6)  # three episodes each, of 200 steps at most
    costs = RunCosts(0.0, 0.0, 1.0, 0.01, place_s=0.1)
    longest = 0.1 * 200 * 11 / 6
    assert costs.evaluation_s(spec, 0.1) == pytest.approx(6 * 3 * (1 + 20 * 0.01 + longest * 0.1))
    assert costs.evaluation_s(spec, 1.0) == pytest.approx(6 * 3 * (1 + 200 * 0.01 + 200 * 0.1))
    late = dataclasses.replace(spec, evaluation=dataclasses.replace(spec.evaluation, late_episodes=1))
    assert costs.evaluation_s(late, 0.1) == pytest.approx(4 * 3 * (1.2 + longest * 0.1) + 2 * (1.2 + 2.0))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60).filter(lambda lengths: max(lengths) > 1))
def test_two_evaluations_of_known_lengths_tell_the_parts_apart(lengths):
    reset_s, step_s, place_s = 0.5, 0.02, 0.003

    def seconds(cut):
        cut = [min(length, cut) for length in lengths]
        return len(cut) * reset_s + sum(cut) * step_s + max(cut) * len(cut) * place_s

    assert evaluation_parts(seconds(1), seconds(50), lengths, step_s) == pytest.approx((reset_s, step_s, place_s))
    dearer = evaluation_parts(seconds(1), seconds(50), lengths, 1e3)  # more than the evaluations leave
    assert 0.0 <= dearer[2] <= 1e-12
    assert len(lengths) * dearer[0] + sum(lengths) * dearer[1] <= seconds(50) * (1 + 1e-9)


def test_episodes_of_one_step_leave_nothing_to_tell_apart():
    assert evaluation_parts(3.0, 3.0, (1, 1, 1), 0.1) == (0.0, 1.0, 0.0)


def test_no_environment_is_stepped_in_the_supervisors_process(monkeypatch):
    def here(*arguments):
        raise AssertionError("timed here")

    monkeypatch.setattr("tuner.training.cost.timing.make_trainer", here)
    with pytest.raises(AssertionError):
        measure_all([(make_spec(0), 1)], lambda word: None)
    assert study_forecast.forecast(study(lanes=1, trials=2, steps=600, space="classic")).expected.one_s > 0


def test_more_training_is_forecast_to_take_longer():
    spec = make_spec(0, steps=600)
    costs = measure(spec, 1, piece_s=0.01)
    longer = dataclasses.replace(spec, grid=(600, 1200))
    assert costs.training_s(longer) > costs.training_s(spec)
    assert costs.evaluation_s(spec, 0.1) < costs.evaluation_s(spec, 0.5) < costs.evaluation_s(spec, 1.0)


# -- the command line -------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_the_study_costs(in_tmp):
    words = ("--trials", "20", "--steps", "2000", "--timeout", "1d", "--space", "classic", "--dry-run")
    shell = tune("--env", "CartPole-v1", *words)
    facts = {line.split("  ")[0]: line for line in shell.out.splitlines()}
    assert shell.code == 0
    # 20 trials x 10 evaluations x 10 episodes x 500
    assert "at most 1,000,000 environment steps" in facts["evaluation"]
    assert "up to" in facts["pruning"]
    assert "about" in facts["time"]
    assert "all of 20 trials fit 1d00h" in facts["within timeout"]
    assert "runs at a time" in facts["memory"]
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_memory_that_cannot_fit_is_one_line_and_exit_code_2(in_tmp, monkeypatch, dry):
    monkeypatch.setattr(study_forecast.memory, "available_bytes", lambda: 10_000)
    shell = tune("--env", "CartPole-v1", "--trials", "20", *dry)
    assert shell.code == 2
    assert shell.out == ""
    assert shell.err.startswith("tune: error: Replay memory cannot fit")
    assert shell.err.count("\n") == 1
    assert list(in_tmp.iterdir()) == []


def test_an_environment_that_breaks_leaves_the_plan_readable(in_tmp, monkeypatch):
    def broken(plan):
        raise RuntimeError("the environment broke")

    monkeypatch.setattr("tuner.cli.forecast_lines.forecast", broken)
    shell = tune("--env", "CartPole-v1", "--trials", "20", "--dry-run")
    assert shell.code == 0
    assert "not known: RuntimeError: the environment broke" in shell.out


def test_settings_of_a_slow_environment_are_not_timed_one_after_the_other_for_minutes(monkeypatch):
    clock, asked = [0.0], []

    def slow(spec, lanes):
        clock[0] += 15.0
        asked.append((spec, lanes))
        return (spec, lanes)

    monkeypatch.setattr(timing, "measure", slow)
    monkeypatch.setattr(timing, "warm_up", lambda spec: None)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    runs = [(name, lanes) for name in "abcd" for lanes in (1, 8)]
    found = timing.measure_all(runs, lambda word: None)
    assert asked == [("a", 1), ("a", 8)]
    assert found == [("a", 1), ("a", 8)] * 4


class World:
    """An environment and a learner whose every part takes known seconds of a clock of their own."""

    def __init__(self, make_s=0.001, reset_s=1e-5, step_s=1e-5, length=50, learn_s=1e-4, trained=None):
        self.make_s, self.reset_s, self.step_s, self.length, self.learn_s = make_s, reset_s, step_s, length, learn_s
        self.length_trained = trained or length
        self.now, self.trained = 0.0, []
        self.env = SimpleNamespace(action_space=spaces.Discrete(2))

    def make(self, spec, *, training=False):
        self.now += self.make_s
        return self

    def reset(self, seed=None):
        self.now += self.reset_s
        self.at = 0

    def step(self, action):
        self.now, self.at = self.now + self.step_s, self.at + 1
        return None, 0.0, self.at == self.length, False

    def close(self):
        pass

    def training_s(self, steps):
        return steps * (self.step_s + self.learn_s) + steps // self.length_trained * self.reset_s

    def evaluation_s(self, episodes, cap):
        return episodes * (self.reset_s + min(self.length, cap) * self.step_s)

    def train(self, spec, lanes, grid, evaluation):
        """Stand in for :func:`tuner.training.cost.timing._train`: runs side by side, one after the other."""
        self.trained.append(lanes)
        episodes, cap = evaluation.episodes, evaluation.max_steps
        made = (1 + lanes * (1 + episodes)) * self.make_s
        evaluated = self.evaluation_s(episodes, cap)
        self.now += made + lanes * (self.reset_s + self.training_s(grid[-1]) + len(grid) * evaluated)
        later = sum(step > grid[1] for step in grid)
        seconds = self.training_s(grid[-1]) - self.training_s(grid[1]) + later * evaluated
        return seconds, (min(self.length, cap),) * episodes


@pytest.mark.parametrize("lanes", [1, 6])
@pytest.mark.parametrize(
    "parts",
    [
        {"step_s": 0.05},
        {"step_s": 0.1, "length": 10**9},
        {"reset_s": 2.0},
        {"reset_s": 2.0, "length": 1},
        {"reset_s": 2.0, "length": 1000, "trained": 1},
        {"make_s": 10.0},
        {"make_s": 5.0, "learn_s": 0.02},
        {},
        {"learn_s": 0.01},
    ],
    ids=lambda parts: "+".join(parts) or "fast",
)
def test_timing_comes_back_however_slow_an_environment_is_and_tells_what_its_runs_take(parts, lanes, monkeypatch):
    world = World(**parts)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: world.now)
    monkeypatch.setattr(timing, "_train", world.train)
    monkeypatch.setattr(timing.BareEnv, "make", world.make)
    spec = dataclasses.replace(make_spec(0, steps=20_000, evaluations=10), evaluation=EvaluationSpec(10, 0, 50))
    costs = measure(spec, lanes)
    assert world.now < CALL_LIMIT_S
    slow = {"step_s", "reset_s", "make_s"} & set(parts)
    assert bool(slow and max(world.trained) == 1) or not slow  # one run tells as much
    warm_up = spec.hyperparameters.random_steps(20_000)
    trains = world.training_s(20_000) - warm_up * world.learn_s
    making = (2 + 10) * world.make_s
    assert costs.training_s(spec) == pytest.approx(trains, rel=1 / 3)
    assert costs.evaluation_s(spec, min(world.length / 50, 1.0)) == pytest.approx(
        making + 10 * world.evaluation_s(10, 50), rel=1 / 3
    )
