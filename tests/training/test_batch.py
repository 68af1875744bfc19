"""A fixed list of runs: each handed out in order and ended once, whatever dies on the way."""

from contracts.fakes import FakeTrainer, fake_spec

from tuner.contract.outcome import Outcome
from tuner.contract.roles import DONE, WAIT
from tuner.execution.inline import InlineExecutor
from tuner.training.batch import RunBatch


def test_every_run_is_trained_to_its_end_and_handed_on_once():
    ended = []
    specs = [fake_spec(i) for i in range(4)]
    batch = RunBatch(specs, lambda *end: ended.append(end))
    InlineExecutor(FakeTrainer).run(batch)
    assert [spec for spec, _, _ in ended] == specs
    for spec, points, outcome in ended:
        assert [p.step for p in points] == list(spec.grid)
        assert outcome.kind == "completed"


def test_a_lost_run_goes_again_first_and_fails_the_third_time():
    ended = []
    one, two = fake_spec(0), fake_spec(1)
    batch = RunBatch([one, two], lambda spec, points, outcome: ended.append((spec, outcome.kind)))
    for _ in range(2):
        assert batch.take({}, block=True) is one
        batch.lost([one.run_id], "killed")
    assert batch.take({}, block=False) is one
    batch.lost([one.run_id], "killed")
    batch.finish(Outcome(one.run_id, "completed", 10))  # the late end of a run that was given up
    assert ended == [(one, "failed")]
    assert batch.take({}, block=True) is two
    assert batch.take({}, block=False) is WAIT
    batch.finish(Outcome(two.run_id, "completed", 10))
    assert batch.take({}, block=True) is DONE


def test_an_interrupt_stops_runs_at_their_next_evaluation_and_hands_none_on():
    ended = []
    batch = RunBatch([fake_spec(i, points=50) for i in range(3)], lambda *end: ended.append(end))
    report = batch.report

    def interrupted(points):
        batch.interrupt()
        return report(points)

    batch.report = interrupted
    InlineExecutor(FakeTrainer).run(batch)
    assert batch.interrupted and ended == []
