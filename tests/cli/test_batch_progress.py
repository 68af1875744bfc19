"""What is shown of runs that are known beforehand: counts, steps and time left follow from what has been reported."""

import io

from contracts.fakes import FakeTrainer, fake_spec
from rich.console import Console

from tuner.cli.batch_progress import BatchProgress
from tuner.cli.progress import live_view
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.execution.inline import InlineExecutor
from tuner.study.search.progress import NoProgress
from tuner.training.batch import RunBatch


class Kept(NoProgress):
    def __init__(self):
        self.started, self.seen, self.finished = [], [], []
        self.start, self.update, self.finish = self.started.append, self.seen.append, self.finished.append


def test_counts_steps_and_time_left_follow_from_what_has_been_reported():
    now = [0.0]
    listener = Kept()
    specs = [fake_spec(i) for i in range(4)]  # grids of 10, 20, 30 steps
    progress = BatchProgress("both", listener, specs, ["diverged"], clock=lambda: now[0])
    progress.start()
    (began,) = listener.started
    assert (began.done, began.trials, began.counts, began.resumed, began.eta_s) == (1, 4, {"diverged": 1}, 1, None)
    now[0] = 6.0
    half = [EvalPoint(specs[2].run_id, 10, (7.0,), (10,)), EvalPoint(specs[2].run_id, 20, (9.0,), (10,))]
    progress.ended(Outcome(specs[1].run_id, "completed", 30))
    progress.draw(lambda: [(specs[3], ()), (specs[2], half)])
    (seen,) = listener.seen
    assert [(run.number, run.step, run.last_return) for run in seen.running] == [(2, 20, 9.0), (3, 0, None)]
    assert (seen.steps, seen.done, seen.best) == (50, 2, None)
    for snapshot, none_yet in ((began, True), (seen, False)):
        console = Console(width=80, file=io.StringIO())
        console.print(live_view(snapshot, 80, 5))
        assert ("no run has completed yet" in console.file.getvalue()) is none_yet
    assert seen.eta_s == 6.0 * (10 + 30) / 50
    progress.ended(Outcome(specs[2].run_id, "failed", 20))
    progress.finish()
    assert listener.finished[0].counts == {"diverged": 1, "completed": 1, "failed": 1}


def test_a_batch_shows_what_is_in_training_while_it_trains():
    shown = []
    specs = [fake_spec(i) for i in range(2)]
    batch = RunBatch(specs, lambda *end: None, lambda: shown.append(batch.training()))
    InlineExecutor(FakeTrainer).run(batch)
    assert {(spec.run_id, len(points)) for view in shown for spec, points in view} >= {
        (spec.run_id, n) for spec in specs for n in (1, 2)
    }
