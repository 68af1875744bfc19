"""Who is charged when a worker dies: the supervisor's rules, without processes."""

from study_fakes import make_plan, supervise, value

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, WAIT
from tuner.contract.spec import RunSpec
from tuner.study.reading.study import load
from tuner.study.search.outcomes import MAX_CHARGES, MAX_DEATHS_ALONE


def begin(url, trials, **settings):
    plan = make_plan(url, trials=trials, in_flight=trials, sampler="random", pruner="none", **settings)
    return plan, supervise(plan)


def take_all(supervisor):
    """Fill one worker."""
    held = {}
    while isinstance(spec := supervisor.take({s.shape: 9 for s in held.values()}, block=False), RunSpec):
        held[spec.run_id] = spec
    return held


def complete(supervisor, spec):
    for step in spec.grid:
        supervisor.report([EvalPoint(spec.run_id, step, (value(spec, step),), (1,))])
    supervisor.finish(Outcome(spec.run_id, "completed", spec.n_timesteps))


def test_a_death_charges_no_run_unless_it_was_alone(url):
    plan, supervisor = begin(url, 3)
    for _ in range(MAX_CHARGES):
        held = take_all(supervisor)
        assert len(held) in (3, 1)  # all together, then each alone
        supervisor.lost(list(held), "killed by signal 9")
    while held := take_all(supervisor):
        for spec in held.values():
            complete(supervisor, spec)
    assert load(plan.name, url).count("completed") == 3


def test_runs_there_at_two_deaths_in_a_row_go_again_alone(url):
    _, supervisor = begin(url, 3)
    for deaths in range(2):
        held = take_all(supervisor)
        assert len(held) == 3
        assert not any(spec.alone for spec in held.values()), deaths
        supervisor.lost(list(held), "killed by signal 9")
    alone = [supervisor.take({}, block=False) for _ in range(3)]  # three workers that train nothing
    assert all(spec.alone for spec in alone)
    assert len({spec.shape for spec in alone}) == 3
    assert supervisor.take({alone[0].shape: 9}, block=False) is WAIT
    for spec in alone:
        complete(supervisor, spec)
    assert supervisor.take({}, block=False) is DONE


def test_a_worker_with_company_never_gets_a_run_that_goes_alone(url):
    plan, supervisor = begin(url, 4)
    suspect, neighbour, bystander = (supervisor.take({}, block=False) for _ in range(3))
    for _ in range(2):
        supervisor.lost([suspect.run_id, neighbour.run_id], "killed by signal 9")
        again = [supervisor.take({}, block=False) for _ in range(2)]
    assert {spec.run_id for spec in again} == {suspect.run_id, neighbour.run_id}
    supervisor.lost([again[0].run_id], "killed by signal 9")
    last = supervisor.take({bystander.shape: 9}, block=False)
    assert (last.run_id.trial, last.alone) == (3, False)
    assert supervisor.take({bystander.shape: 9}, block=False) is WAIT
    assert supervisor.take({}, block=False).run_id == again[0].run_id
    assert plan.trials_in_flight == 4


def test_only_the_guilty_run_is_given_up_after_three_deaths_alone(url):
    plan, supervisor = begin(url, 4)
    deaths = 0
    while held := take_all(supervisor):
        if any(run_id.trial == 2 for run_id in held):
            deaths += 1
            supervisor.lost(list(held), "worker killed by SIGSEGV")
        else:
            for spec in held.values():
                complete(supervisor, spec)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["completed", "completed", "failed", "completed"]
    assert rows[2].reason == "its worker died 3 times: worker killed by SIGSEGV"
    assert deaths == 2 + MAX_CHARGES


def test_neighbours_of_a_silent_run_go_on_uncharged_and_it_is_timed_out_alone(url):
    plan, supervisor = begin(url, 3, trial_timeout=60)
    held = take_all(supervisor)
    assert not supervisor.overdue(list(held), 179.0)  # three lanes share the worker's time
    assert supervisor.overdue(list(held), 181.0)
    supervisor.lost(list(held), "worker silent for 181 s, killed", "silent")
    while held := take_all(supervisor):
        ((run_id, spec),) = held.items()
        assert spec.alone
        if run_id.trial == 1:
            supervisor.report([EvalPoint(run_id, plan.grid[0], (1.0,), (1,), 20.0)])
            assert not supervisor.overdue([run_id], 39.0)
            assert supervisor.overdue([run_id], 41.0)
            supervisor.lost([run_id], "worker silent for 41 s, killed", "silent")
        else:
            complete(supervisor, spec)
    rows = load(plan.name, url).trials
    assert [(t.state, t.outcome) for t in rows] == [
        ("COMPLETE", "completed"),
        ("PRUNED", "timed_out"),
        ("COMPLETE", "completed"),
    ]
    assert rows[1].reason == "worker silent for 41 s, killed"


def test_a_strangers_kills_at_one_place_are_no_proof_up_to_ten(url):
    plan, supervisor = begin(url, 1)
    for _ in range(MAX_DEATHS_ALONE):
        supervisor.lost([supervisor.take({}, block=False).run_id], "worker killed by SIGKILL", "killed")
    assert supervisor.take({}, block=False) is DONE
    assert load(plan.name, url).trials[0].reason == "its worker died 10 times: worker killed by SIGKILL"


def test_deaths_at_different_places_are_a_strangers_doing_up_to_ten(url):
    plan, supervisor = begin(url, 1, evaluations=40)
    for death in range(MAX_DEATHS_ALONE):
        spec = supervisor.take({}, block=False)
        for step in spec.grid[: death + 1]:
            supervisor.report([EvalPoint(spec.run_id, step, (1.0,), (1,))])
        supervisor.lost([spec.run_id], "worker killed by SIGKILL")
    assert supervisor.take({}, block=False) is DONE
    assert load(plan.name, url).trials[0].reason == "its worker died 10 times: worker killed by SIGKILL"


def test_without_a_trial_timeout_silence_is_never_too_long(url):
    _, supervisor = begin(url, 1)
    assert not supervisor.overdue([supervisor.take({}, block=False).run_id], 1e9)


def test_a_run_that_alone_takes_too_much_memory_has_failed_at_once(url):
    plan, supervisor = begin(url, 2)
    held = take_all(supervisor)
    supervisor.lost(list(held), "worker took 900 MiB", "memory")
    while held := take_all(supervisor):
        ((run_id, spec),) = held.items()
        if run_id.trial == 0:
            supervisor.lost([run_id], "worker took 800 MiB", "memory")
        else:
            complete(supervisor, spec)
    rows = load(plan.name, url).trials
    assert [t.outcome for t in rows] == ["failed", "completed"]
    assert rows[0].reason == "out of memory: worker took 800 MiB"


def test_stopping_a_worker_charges_nobody(url):
    _, supervisor = begin(url, 1)
    for _ in range(2 * MAX_CHARGES):
        spec = supervisor.take({}, block=False)
        supervisor.lost([spec.run_id], "stopped before its next evaluation", "stopped")
    assert isinstance(supervisor.take({}, block=False), RunSpec)


def test_going_alone_does_not_change_what_a_run_is(url):
    _, supervisor = begin(url, 2)
    first = take_all(supervisor)
    supervisor.lost(list(first), "x")
    supervisor.lost(list(take_all(supervisor)), "x")
    again = supervisor.take({}, block=False)
    assert again == first[again.run_id]
    assert again.shape != first[again.run_id].shape
