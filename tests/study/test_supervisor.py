import dataclasses
import random

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_fakes import SPACE, FakeExecutor, make_plan, search, supervise, value

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, WAIT
from tuner.contract.rules import CURRENT
from tuner.contract.spec import RunId
from tuner.errors import ResumeError
from tuner.seeding import run_seed
from tuner.space.parse import parse_space
from tuner.study.reading.study import load
from tuner.study.search.ledger import Ledger
from tuner.study.search.progress import NoProgress
from tuner.study.store.connect import open_storage

COUNTED = ("completed", "pruned", "diverged", "timed_out", "failed")


def fate_by_number(fates):
    return lambda spec: fates.get(spec.run_id.trial, "completed")


# The outcome table.


def test_every_outcome_is_stored_as_the_table_says(url):
    fates = {1: "diverged", 2: "failed", 3: "timed_out", 4: "nan", 5: "slow"}
    plan = make_plan(url, trials=7, trial_timeout=1500, pruner="none")
    search(plan, FakeExecutor(fate_by_number(fates)))
    data = load(plan.name, url)
    assert [(t.state, t.outcome) for t in data.trials] == [
        ("COMPLETE", "completed"),
        ("PRUNED", "diverged"),
        ("FAIL", "failed"),
        ("PRUNED", "timed_out"),
        ("PRUNED", "diverged"),
        ("PRUNED", "timed_out"),
        ("COMPLETE", "completed"),
    ]
    assert [t.score is not None for t in data.trials] == [True, *[False] * 5, True]
    assert data.trials[2].reason == "failed on purpose"
    assert "not finite" in data.trials[4].reason
    assert "limit 1500 s" in data.trials[5].reason
    assert data.best in (data.trials[0], data.trials[6])


def test_a_completed_trial_keeps_everything_that_made_its_score(url):
    plan = make_plan(url, trials=1, seeds_per_trial=2, seed=5)
    executor = FakeExecutor()
    search(plan, executor)
    (trial,) = load(plan.name, url).trials
    assert trial.hyperparameters == executor.taken[0].hyperparameters.to_mapping()
    assert trial.seeds == {r: run_seed(5, "search", 0, r) for r in (0, 1)}
    assert [s.seed for s in executor.taken] == list(trial.seeds.values())
    for replicate, spec in enumerate(executor.taken):
        curve = trial.curves[replicate]
        assert [p.step for p in curve] == list(plan.grid)
        assert [p.mean for p in curve] == pytest.approx([value(spec, s) for s in plan.grid])
        assert curve[0].returns == (value(spec, plan.grid[0]) - 1, value(spec, plan.grid[0]) + 1)
        assert curve[0].metrics == {"loss": 0.5}
    late = sum(value(s, g) for s in executor.taken for g in plan.grid[-2:]) / 4
    assert trial.score == pytest.approx(late)
    assert trial.steps == 2 * plan.grid[-1]
    assert trial.duration_s == pytest.approx(1.0)


def test_a_pruned_trial_has_no_score_and_never_ran_to_the_end(url):
    plan = make_plan(url, trials=14, startup_trials=3)
    plan = dataclasses.replace(plan, rules=dataclasses.replace(CURRENT, pruning=1))
    executor = FakeExecutor()
    search(plan, executor)
    data = load(plan.name, url)
    pruned = [t for t in data.trials if t.outcome == "pruned"]
    assert len(pruned) >= 3
    assert all(t.state == "PRUNED" and t.score is None and t.steps < plan.grid[-1] for t in pruned)
    assert {t.number for t in pruned} == {r.trial for r in executor.stopped}


def test_no_run_is_stopped_at_the_last_grid_point(url):
    plan = make_plan(url, trials=14, startup_trials=1, evaluations=2, pruner="halving")
    executor = FakeExecutor()
    search(plan, executor)
    data = load(plan.name, url)
    assert all(len(t.curves[0]) < 2 for t in data.trials if t.outcome == "pruned")
    assert data.count("pruned") > 0


def test_a_run_that_stops_unasked_or_skips_evaluations_has_failed(url):
    plan = make_plan(url, trials=2)
    supervisor = supervise(plan)
    for outcome in ("stopped", "completed"):
        spec = supervisor.take({}, block=True)
        supervisor.report([EvalPoint(spec.run_id, plan.grid[0], (1.0, 1.0), (1, 1))])
        supervisor.finish(Outcome(spec.run_id, outcome, 1000))
    assert supervisor.take({}, block=True) is DONE
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["failed", "failed"]
    assert "1 of 6 evaluations" in rows[1].reason


# Exactly N.


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 4), st.integers(1, 2))
def test_any_mix_of_fates_gives_exactly_n_counted_trials_and_none_running(tmp_path, seed, trials, lanes, seeds):
    url = f"sqlite:///{tmp_path}/{seed}-{trials}-{lanes}-{seeds}.db"
    luck = random.Random(seed)
    fates = ["completed", "completed", "completed", "diverged", "failed", "timed_out", "nan", "die"]
    plan = make_plan(url, trials=trials, in_flight=lanes, startup_trials=2, seeds_per_trial=seeds, sampler="random")
    executor = FakeExecutor(lambda spec: luck.choice(fates), lanes=lanes, luck=luck)
    supervisor = search(plan, executor)
    data = load(plan.name, url)
    assert sum(data.count(o) for o in COUNTED) == trials == len(data.trials)
    assert all(t.state in ("COMPLETE", "PRUNED", "FAIL") for t in data.trials)
    assert all((t.score is not None) == (t.outcome == "completed") for t in data.trials)
    assert all(t.reason for t in data.trials if t.outcome in ("failed", "diverged", "timed_out"))
    snapshot = supervisor.snapshot()
    assert {o: data.count(o) for o in COUNTED if data.count(o)} == dict(snapshot.counts)
    assert (snapshot.best.number if snapshot.best else None) == (data.best.number if data.best else None)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6))
def test_any_number_of_interruptions_still_gives_exactly_n(tmp_path, seed):
    url, luck = f"sqlite:///{tmp_path}/{seed}.db", random.Random(seed)
    plan = make_plan(url, trials=6, in_flight=3, startup_trials=2, sampler="random")
    for _ in range(60):
        supervisor = supervise(plan)
        executor = FakeExecutor(lanes=3, luck=luck, stop_after_reports=luck.randint(1, 60))
        executor.run(supervisor)
        if luck.random() < 0.6:
            supervisor.close()  # else: killed, nothing was settled
        if supervisor.finished == 6:
            break
    data = load(plan.name, url)
    assert sum(data.count(o) for o in COUNTED) == 6
    lost = [t.number for t in data.trials if t.outcome == "lost"]
    assert len(data.trials) == 6 + len(lost)
    assert data.count("running") == data.count("waiting") == 0


def test_a_lost_run_goes_again_and_its_trial_is_unharmed(url):
    deaths = iter(["die"])
    plan = make_plan(url, trials=3)
    executor = FakeExecutor(lambda spec: next(deaths, "completed") if spec.run_id.trial == 1 else "completed")
    search(plan, executor)
    assert [s.run_id.trial for s in executor.taken] == [0, 1, 1, 2]
    assert executor.taken[1] == executor.taken[2]
    assert [t.outcome for t in load(plan.name, url).trials] == ["completed"] * 3


def test_a_run_that_kills_every_worker_fails_in_the_end(url):
    plan = make_plan(url, trials=2)
    executor = FakeExecutor(fate_by_number({0: "die"}))
    search(plan, executor)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["failed", "completed"]
    assert "died 3 times: killed by signal 9" in rows[0].reason


def test_late_news_of_a_lost_run_is_ignored(url):
    plan = make_plan(url, trials=1)
    supervisor = supervise(plan)
    first = supervisor.take({}, block=True)
    supervisor.lost([first.run_id], "gone")
    supervisor.finish(Outcome(first.run_id, "failed", 1, reason="late"))
    assert supervisor.report([EvalPoint(first.run_id, plan.grid[0], (1.0,), (1,))]) == {first.run_id}
    FakeExecutor().run(supervisor)
    assert load(plan.name, url).count("completed") == 1


def test_ten_equal_failures_in_a_row_end_the_study(url):
    plan = make_plan(url, trials=50)
    supervisor = search(plan, FakeExecutor(lambda spec: "failed"))
    assert supervisor.finished == 10
    assert "failed on purpose" in str(supervisor.failure)
    assert supervisor.failure.exit_code == 3


def test_failures_with_other_outcomes_between_go_on(url):
    plan = make_plan(url, trials=12)
    supervisor = search(plan, FakeExecutor(lambda s: "failed" if s.run_id.trial % 8 else "completed"))
    assert supervisor.failure is None
    assert supervisor.finished == 12


# One order, one study.


def rows_of(plan, url):
    return [(t.params, t.score, t.outcome, t.steps, t.seeds) for t in load(plan.name, url).trials]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_the_same_study_twice_is_the_same_study(tmp_path, sampler):
    trials = 5 if sampler == "gp" else 9
    rows = []
    for name in ("a", "b"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        plan = make_plan(url, trials=trials, in_flight=3, startup_trials=3, sampler=sampler)
        search(plan, FakeExecutor(lanes=3))
        rows.append(rows_of(plan, url))
    assert rows[0] == rows[1]
    assert len({str(r[0]) for r in rows[0]}) == trials


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_resumed_study_does_the_rest_and_equals_an_unbroken_one(tmp_path, sampler):
    whole, parts = f"sqlite:///{tmp_path}/whole.db", f"sqlite:///{tmp_path}/parts.db"
    options = {"startup_trials": 5, "sampler": sampler}
    plan = make_plan(whole, trials=9, **options)
    search(plan)
    for trials in (2, 6, 9):
        search(make_plan(parts, trials=trials, **options))
    assert rows_of(plan, parts) == rows_of(plan, whole)
    assert len({str(r[0]) for r in rows_of(plan, parts)}) == 9


def test_an_interrupted_trial_goes_again_with_the_same_values_and_seeds(url):
    plan = make_plan(url, trials=4)
    whole = f"{url}2"
    search(make_plan(whole, trials=4))
    search(plan, FakeExecutor(stop_after_reports=9))  # in the middle of trial 1
    search(plan)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["completed", "lost", "completed", "completed", "completed"]
    assert rows[1].reason.startswith("interrupted")
    assert rows[2].params == rows[1].params
    assert rows[2].seeds == rows[1].seeds
    assert rows[2].score == load(plan.name, whole).trials[1].score


def test_what_a_killed_process_left_open_is_settled_once(url):
    plan = make_plan(url, trials=3, in_flight=3)
    killed = supervise(plan)
    for _ in range(2):
        killed.take({}, block=False)
    supervise(plan)  # settles, and is killed in turn before it takes anything
    search(plan)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows].count("lost") == 3
    assert [t.outcome for t in rows].count("completed") == 3
    assert {str(t.params) for t in rows[:3]} == {str(t.params) for t in rows[3:]}


def test_a_trial_with_its_outcome_written_is_not_lost_when_optuna_was_not_told(url, monkeypatch):
    plan = make_plan(url, trials=2)

    supervisor = supervise(plan)

    def killed(*arguments, **options):
        supervisor._ledger.flush()  # what a database gets that takes the outcome and the state one after the other
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor._ledger, "_tell_optuna", killed)
    with pytest.raises(KeyboardInterrupt):
        FakeExecutor().run(supervisor)
    search(plan)
    rows = load(plan.name, url).trials
    assert [(t.state, t.outcome) for t in rows] == [("COMPLETE", "completed")] * 2
    assert all(t.score is not None for t in rows)


def test_a_successor_that_was_not_queued_is_queued_at_the_next_start(url, monkeypatch):
    plan = make_plan(url, trials=1)
    killed = supervise(plan)
    killed.take({}, block=False)
    monkeypatch.setattr("tuner.study.search.ledger.Ledger._enqueue_successor", lambda *a: None)
    killed.close()
    monkeypatch.undo()
    search(plan)
    search(plan)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["lost", "completed"]
    assert rows[0].params == rows[1].params


def test_the_time_limit_ends_the_search_and_the_same_command_carries_on(url):
    seconds = iter(range(1000))
    plan = make_plan(url, trials=10, timeout=60)
    supervisor = supervise(plan, clock=lambda: float(next(seconds)))
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "timeout"
    assert 0 < supervisor.finished < 10
    assert search(make_plan(url, trials=10)).finished == 10


# In flight.


def test_new_trials_are_asked_for_up_to_the_limit_and_only_when_asked_for_work(url):
    plan = make_plan(url, trials=10, in_flight=4)
    supervisor = supervise(plan)
    assert load(plan.name, url).trials == ()
    taken = [supervisor.take({}, block=False) for _ in range(5)]
    assert taken[4] is WAIT
    assert len(load(plan.name, url).trials) == 4
    for step in plan.grid:
        supervisor.report([EvalPoint(taken[0].run_id, step, (1.0,), (1,))])
    supervisor.finish(Outcome(taken[0].run_id, "completed", 1000))
    assert len(load(plan.name, url).trials) == 4
    assert supervisor.take({}, block=False).run_id == RunId(4)


def test_a_worker_gets_a_queued_run_of_its_open_shape_first(url):
    shapes = {"type": "categorical", "choices": [[8], [16]]}
    space = {**SPACE, "search": {"net_arch": shapes, **SPACE["search"]}}
    plan = make_plan(url, trials=8, in_flight=8, sampler="random", space=space)
    supervisor = supervise(plan)
    first = supervisor.take({}, block=False)
    taken = [supervisor.take({first.shape: 3}, block=False) for _ in range(7)]
    same = [spec.shape == first.shape for spec in taken]
    assert same == sorted(same, reverse=True)
    assert len(set(same)) == 2
    assert sorted(spec.run_id for spec in [first, *taken]) == [RunId(i) for i in range(8)]


def test_curves_of_running_trials_are_in_the_database_within_two_seconds(url, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("tuner.study.search.ledger.time.monotonic", lambda: now[0])
    plan = make_plan(url, trials=1)
    supervisor = supervise(plan)
    run_id = supervisor.take({}, block=False).run_id
    seen = []
    for i, seconds in enumerate((0.0, 1.0, 1.1, 0.5)):
        now[0] += seconds
        supervisor.report([EvalPoint(run_id, plan.grid[i], (1.0,), (1,))])
        assert supervisor.tick()
        seen.append(len(intermediate(plan, url)))
    assert seen == [0, 0, 3, 3]


def test_an_interruption_is_acknowledged_once(url):
    notes = []

    class Listener(NoProgress):
        def note(self, line):
            notes.append(line)

    supervisor = supervise(make_plan(url, trials=2), progress=Listener())
    supervisor.take({}, block=False)
    assert supervisor.tick()
    supervisor.interrupt()
    assert not supervisor.tick()
    assert not supervisor.tick()
    assert notes == ["Stopping: runs end at their next evaluation; Ctrl-C again stops at once."]


def test_a_second_ctrl_c_in_the_moment_in_which_a_trial_is_told_leaves_the_others_settled(url, monkeypatch):
    plan = make_plan(url, trials=3, in_flight=2, sampler="random")
    supervisor, teach = supervise(plan), Ledger._teach_pruner

    def interrupted(ledger, number=None):
        if number is not None:
            monkeypatch.setattr(Ledger, "_teach_pruner", teach)
            raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "_teach_pruner", interrupted)
    with pytest.raises(KeyboardInterrupt):
        FakeExecutor(lanes=2).run(supervisor)
    assert supervisor.close() == "done"
    outcomes = [trial.outcome for trial in load(plan.name, url).trials]
    assert sorted(outcomes) == ["completed", "lost", "waiting"]
    assert search(plan).finished == 3


# Several seeds.


def test_seeds_side_by_side_are_judged_once_all_have_reached_the_step(url):
    plan = make_plan(url, trials=1, in_flight=1, seeds_per_trial=2)
    supervisor = supervise(plan)
    a, b = (supervisor.take({}, block=False).run_id for _ in range(2))
    step = plan.grid[0]
    supervisor.report([EvalPoint(a, step, (10.0,), (1,))])
    assert intermediate(plan, url) == {}
    supervisor.report([EvalPoint(b, step, (30.0,), (1,))])
    supervisor._ledger.flush()
    assert intermediate(plan, url) == {step: 20.0}


def test_a_seed_that_trains_later_corrects_the_stored_mean(url):
    plan = make_plan(url, trials=1, seeds_per_trial=2)
    executor = FakeExecutor()
    search(plan, executor)
    expected = {g: sum(value(s, g) for s in executor.taken) / 2 for g in plan.grid}
    assert intermediate(plan, url) == pytest.approx(expected)


def test_one_diverging_seed_ends_the_whole_trial(url):
    plan = make_plan(url, trials=2, seeds_per_trial=3)
    executor = FakeExecutor(lambda s: "diverged" if s.run_id == RunId(0, 1) else "completed")
    search(plan, executor)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["diverged", "completed"]
    assert RunId(0, 2) not in [s.run_id for s in executor.taken]
    assert rows[0].steps == plan.grid[-1] + plan.grid[1]


def intermediate(plan, url):
    import optuna

    return optuna.load_study(study_name=plan.name, storage=url).trials[0].intermediate_values


# Resume.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 3}, ["--seed was 0, now 3"]),
        ({"objective": "best", "sampler": "random"}, ["--objective was 'late', now 'best'", "--sampler was 'tpe'"]),
        ({"env": "Other-v0"}, ["--env was 'Fake-v0', now 'Other-v0'"]),
        ({"backend": "sb3"}, ["--backend was 'native', now 'sb3'"]),
        ({"steps": 2000}, ["--steps was 1000, now 2000"]),
        ({"set": {"gamma": 0.9}}, ["--set was not set, now {gamma: 0.9}"]),
        ({"env_arg": {"x": 1}}, ["--env-arg"]),
    ],
)
def test_a_resume_that_differs_in_a_pinned_setting_names_it(url, settings, words):
    search(make_plan(url, trials=1, study="s"))
    with pytest.raises(ResumeError) as error:
        supervise(make_plan(url, trials=2, study="s", **settings))
    assert all(word in str(error.value) for word in [*words, "--study NEW"]), str(error.value)
    assert len(load("s", url).trials) == 1


def test_a_resume_with_another_range_of_a_space_of_ones_own_names_it(url, tmp_path, monkeypatch):
    (tmp_path / "search_spaces" / "dqn").mkdir(parents=True)
    (tmp_path / "search_spaces" / "dqn" / "default.yaml").write_text(
        "algorithm: dqn\n"
    )  # found before the packaged one
    monkeypatch.chdir(tmp_path)
    search(make_plan(url, trials=1, study="s"))
    other = {**SPACE, "search": {**SPACE["search"], "buffer_size": {"type": "int", "low": 100, "high": 500}}}
    with pytest.raises(ResumeError, match=r"buffer_size: .*10000.* now .*500"):
        supervise(make_plan(url, trials=2, study="s", space=other))


def test_a_study_whose_version_stored_no_step_of_one_between_floats_goes_on(url, tmp_path, monkeypatch):
    (tmp_path / "search_spaces" / "dqn").mkdir(parents=True)
    (tmp_path / "search_spaces" / "dqn" / "default.yaml").write_text("algorithm: dqn\n")  # before the packaged one
    monkeypatch.chdir(tmp_path)
    whole = {"type": "float", "low": 1.0, "high": 8.0, "step": 1}
    space = {**SPACE, "search": {**SPACE["search"], "max_grad_norm": whole}}
    search(make_plan(url, trials=1, study="s", space=space))
    study = optuna.load_study(study_name="s", storage=open_storage(url, create=False))
    stored = study.user_attrs["space"]
    del stored["search"]["max_grad_norm"]["step"]
    study.set_user_attr("space", stored)
    study.set_user_attr("space_hash", parse_space(stored).hash())
    assert search(make_plan(url, trials=2, study="s", space=space)).finished == 2
    assert all(t.params["max_grad_norm"].is_integer() for t in load("s", url).trials)
    other = {**SPACE, "search": {**SPACE["search"], "max_grad_norm": {**whole, "step": 0.5}}}
    with pytest.raises(ResumeError, match="max_grad_norm"):
        supervise(make_plan(url, trials=3, study="s", space=other))


def test_saying_the_budget_that_the_space_gave_is_no_difference(url):
    search(make_plan(url, trials=1, study="s"))
    assert search(make_plan(url, trials=2, study="s", steps=1000, evaluations=6)).finished == 2


def test_free_settings_may_change_and_are_kept(url):
    search(make_plan(url, trials=1, study="s"))
    search(make_plan(url, trials=2, study="s", workers=3, trial_timeout=60, quiet=True))
    data = load("s", url)
    assert data.recipe["trials"] == 2
    assert data.recipe["trial_timeout"] == 60
    assert len(data.provenance["resumed"]) == 1


@pytest.mark.parametrize(
    ("directions", "says"), [(["minimize"], "minimises"), (["maximize", "minimize"], "has 2 directions")]
)
def test_an_empty_study_of_another_direction_is_refused(tmp_path, directions, says):
    import optuna

    url = f"sqlite:///{tmp_path}/s.db"
    optuna.create_study(study_name="theirs", storage=url, directions=directions)
    with pytest.raises(ResumeError, match=f"'theirs' {says}; tune maximises"):
        supervise(make_plan(url, study="theirs"))
    assert not optuna.load_study(study_name="theirs", storage=url).user_attrs


def test_a_study_of_another_program_is_left_alone(url):
    import optuna

    supervise(make_plan(url, trials=1, study="mine"))
    optuna.create_study(study_name="theirs", storage=url).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ResumeError, match="not made by tune"):
        supervise(make_plan(url, trials=1, study="theirs"))
