"""What the confirm stage says of its time left, beside what it then takes: on cores with a clock of their own."""

from __future__ import annotations

import dataclasses
import random

import pytest
from study_fakes import SPACE, make_plan, supervise
from synthetic import quality

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import RunSpec
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress

WORKERS, LANES = 2, 3

#: Seconds of an evaluation step, and of an update.
EVALUATION_S, TRAINING_S = 0.001, 0.03

#: Settings that differ in their computing by eight times.
MIXED = {**SPACE, "search": {**SPACE["search"], "gradient_steps": {"type": "categorical", "choices": [1, 2, 4, 8]}}}


@dataclasses.dataclass
class Lane:
    """A run on its worker: its evaluations so far, seconds to the next one, seconds so far."""

    spec: RunSpec
    points: int = 0
    left: float = 0.0
    elapsed: float = 0.0
    lengths: tuple[int, ...] = ()

    def go_on(self, start_s: float = 0.0) -> None:
        """Train to the next evaluation, whose episodes are the longer the better the policy is."""
        spec, step = self.spec, self.spec.grid[self.points]
        share = step / spec.n_timesteps
        length = max(int(5 + 3 * max(quality(spec), 0.0) * share), 1)
        self.lengths = (length,) * spec.episodes_at(step)
        interval = step - (spec.grid[self.points - 1] if self.points else 0)
        self.left += start_s + training_s(spec) * interval + EVALUATION_S * sum(self.lengths)

    def evaluation(self) -> EvalPoint:
        """Return the evaluation that it has come to."""
        spec, step = self.spec, self.spec.grid[self.points]
        luck = random.Random(f"{spec.seed} {step}").gauss(0, 5)
        mean = quality(spec) * step / spec.n_timesteps + luck
        self.points += 1
        returns, took = (mean,) * len(self.lengths), EVALUATION_S * sum(self.lengths)
        return EvalPoint(spec.run_id, step, returns, self.lengths, self.elapsed, {}, took)


def training_s(spec: RunSpec) -> float:
    """Return the seconds of a training step: by its updates, and half to twice that by what nobody foresees."""
    updates = spec.hyperparameters.gradient_steps / spec.hyperparameters.train_freq
    return TRAINING_S * updates * 2 ** random.Random(f"{spec.hyperparameters}").uniform(-1, 1)


class Cores:
    """Workers with a core each, whose lanes share it evenly; they start after a second."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def run(self, supervisor, look=lambda: None) -> None:
        self.now += 1.0
        workers = [[] for _ in range(WORKERS)]
        while True:
            for _ in range(LANES):
                for lanes in workers:
                    if len(lanes) < LANES:
                        answer = supervisor.take({lane.spec.shape: 1 for lane in lanes}, block=not lanes)
                        if isinstance(answer, RunSpec):
                            lanes.append(Lane(answer))
                            lanes[-1].go_on()
            look()
            if not any(workers):
                return
            passed = min(min(lane.left for lane in lanes) * len(lanes) for lanes in workers if lanes)
            self.now += passed
            for lanes in workers:
                self._advance(supervisor, lanes, passed)

    def _advance(self, supervisor, lanes: list[Lane], passed: float) -> None:
        share = passed / max(len(lanes), 1)
        for lane in list(lanes):
            lane.left, lane.elapsed = lane.left - share, lane.elapsed + share
            if lane.left < 1e-9:
                supervisor.report([lane.evaluation()])
                if lane.points == len(lane.spec.grid):
                    supervisor.finish(Outcome(lane.spec.run_id, "completed", lane.spec.n_timesteps, lane.elapsed))
                    lanes.remove(lane)
                else:
                    lane.go_on()


def promises(url: str, seed: int, **settings) -> dict[float, float]:
    """Search and confirm; return what was said to be left divided by what was, after shares of the stage's time."""
    cores = Cores()
    plan = make_plan(url, space=MIXED, trials=40, pruner="none", seed=seed, eval_episodes=10, **settings)
    places = {"trials_in_flight": WORKERS * LANES, "runs_in_flight": WORKERS * LANES}
    plan = dataclasses.replace(plan, workers=WORKERS, lanes=LANES, **places)
    supervisor = supervise(plan, clock=cores)
    cores.run(supervisor)
    supervisor.close()
    stage, said = ConfirmStage(plan, load(plan.name, url), clock=cores), []
    for _, part in stage.passes({"numeric_path": "none"}, NoProgress()):
        said.append((cores(), part.snapshot()))
        cores.run(part, lambda part=part: said.append((cores(), part.snapshot())))
        assert part.close() == "done"
    began, ended = said[0][0], cores()
    found = {}
    for share in (0.0, 0.25, 0.5, 0.75):
        at, seen = next(row for row in said if row[0] >= began + share * (ended - began))
        low, high = seen.eta_range_s
        assert low <= seen.eta_s <= high
        found[share] = seen.eta_s / (ended - at)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "seeds"), [(0, 5), (1, 10)])
def test_the_time_said_to_be_left_holds_within_thirty_percent_from_the_start_on(tmp_path, seed, seeds):
    found = promises(f"sqlite:///{tmp_path}/s.db", seed, confirm_seeds=seeds)
    assert list(found) == [0.0, 0.25, 0.5, 0.75]
    assert all(0.7 <= ratio <= 1.3 for ratio in found.values()), found


@pytest.mark.slow
def test_where_the_search_knew_nothing_of_what_runs_take_it_holds_from_a_quarter_on(tmp_path, monkeypatch):
    """Studies of earlier versions say nothing of evaluations, which here take most of the stage."""
    monkeypatch.setattr("tuner.study.confirm.run_costs.median", lambda numbers: 0.0)
    found = promises(f"sqlite:///{tmp_path}/s.db", 2, confirm_seeds=5)
    assert all(0.7 <= found[share] <= 1.3 for share in (0.25, 0.5, 0.75)), found
