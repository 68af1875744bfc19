"""The confirm stage end to end with synthetic curves: seeds, contestants, resume, and what becomes of the answer."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
from collections import Counter
from pathlib import Path
from statistics import fmean

import optuna
import pytest
import yaml
from study_fakes import FakeExecutor, draw_nothing

import tuner
import tuner.api
from tuner.contract.grid import late_points
from tuner.contract.rules import VERSION_0_1_0
from tuner.contract.spec import RunSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.report.numbers.evidence import evidence
from tuner.report.words.evidence import verdict as sentences
from tuner.result.confirmation import Confirmation
from tuner.seeding import run_seed
from tuner.storage_url import default_storage
from tuner.study.confirm.budget import DECIDABLE_SEEDS, Allocation, allocate
from tuner.study.confirm.choice import MEAN, WORST
from tuner.study.confirm.contestants import baselines, finalists
from tuner.study.confirm.schedule import Job, Selection
from tuner.study.reading.confirmation import tied
from tuner.study.reading.study import load
from tuner.study.reading.summaries import list_studies
from tuner.zoo.tuned import zoo_values

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "startup_trials": 3,
    "study": "s", "space": "extended",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("in_tmp")


@pytest.fixture(autouse=True)
def no_page(monkeypatch, request):
    """Drawing page and plots takes longer than these studies; one test looks at what is written."""
    if "exported" not in request.node.name:
        draw_nothing(monkeypatch)


def run(trials=30, executor=None, **settings):
    return tuner.run(StudyRecipe(**{**SMALL, **settings}, trials=trials), executor=executor or FakeExecutor())


@contextlib.contextmanager
def elsewhere(tmp_path_factory):
    """A folder of its own for a study that several tests read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("shared"))
        patch.delenv("TUNE_STORAGE", raising=False)
        draw_nothing(patch)
        yield


def copy_database(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    executor = FakeExecutor(lanes=4)
    with elsewhere(tmp_path_factory):
        return run(executor=executor), executor


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """A study whose confirm stage nobody interrupts, and the database before and after that stage."""
    with elsewhere(tmp_path_factory):
        run(confirm=0)
        before = copy_database(Path("studies/tuner.db"), Path("before.db").absolute())
        return run().data, before, Path("studies/tuner.db").absolute()


@pytest.fixture
def whole(stages):
    return stages[0]


@pytest.fixture
def searched(stages):
    """Stand where a search has ended and its confirm stage has not begun."""
    copy_database(stages[1], Path("studies/tuner.db"))


@pytest.fixture
def finished(stages):
    """Stand where the confirm stage has ended too."""
    copy_database(stages[2], Path("studies/tuner.db"))


def test_a_search_ends_with_a_verdict_on_seeds_that_no_choice_has_seen(confirmed):
    result, _ = confirmed
    confirmation = result.data.confirmation
    assert confirmation.complete
    assert [c.role for c in confirmation.contestants] == ["finalist"] * 4 + ["defaults", "zoo"]
    search = {run_seed(0, "search", trial, 0) for trial in range(30)}
    select = {r.seed for c in confirmation.contestants for r in c.phase("select")}
    verdict = {r.seed for c in confirmation.contestants for r in c.phase("verdict")}
    shares = Allocation(**confirmation.settings["allocation"])
    most = allocate(
        30, finalists=5, baselines=3, seeds=10
    )  # by steps; RL Zoo's network costs more than a share of them
    runs = [len(c.phase("select")) for c in confirmation.contestants if c.role == "finalist"]
    assert min(runs) >= shares.first_seeds == 3
    assert sum(runs) <= shares.select_runs
    assert select == {run_seed(0, "select", 0, r) for r in range(max(runs))}
    assert len(verdict) == shares.verdict_seeds == 5
    assert shares.runs <= most.runs
    assert not (search & select or search & verdict or select & verdict)
    for contestant in (confirmation.winner, *confirmation.baselines):
        assert [r.replicate for r in contestant.phase("verdict")] == list(range(5))
        assert [r.seed for r in contestant.phase("verdict")] == [run_seed(0, "verdict", 0, r) for r in range(5)]


def test_confirming_takes_no_more_steps_than_the_search(confirmed):
    result, _ = confirmed
    assert 0 < result.data.confirmation.steps_spent <= result.data.steps_spent
    assert run(study="half", confirm_budget=0.5).data.confirmation.steps_spent <= result.data.steps_spent / 2


def test_each_replicate_of_a_phase_has_episodes_of_its_own_that_all_settings_share(confirmed):
    _, executor = confirmed
    of_seed = {}  # a run's seed stands for its phase and replicate, whoever trains it; a search's runs share theirs
    for spec in executor.taken:
        place = "search" if spec.evaluation.late_episodes is None else spec.seed
        of_seed.setdefault(place, set()).add(spec.evaluation.seed)
    assert all(len(seeds) == 1 for seeds in of_seed.values())
    assert len(set.union(*of_seed.values())) == len(of_seed) > 3


def test_fifty_episodes_where_the_score_looks(confirmed):
    _, executor = confirmed
    assert {spec.evaluation.late_episodes for spec in executor.taken} == {None, 50}


def test_a_runs_late_grid_points_have_other_episodes_each_and_the_early_ones_the_same(confirmed):
    _, executor = confirmed
    spec = executor.taken[-1]
    late = late_points(len(spec.grid))
    firsts = [spec.evaluation_seed_at(step) for step in spec.grid]
    assert set(firsts[:-late]) == {spec.evaluation.seed} and len(set(firsts[-late - 1 :])) == late + 1
    stored = dataclasses.replace(spec, rules=VERSION_0_1_0)
    assert {stored.evaluation_seed_at(step) for step in spec.grid} == {spec.evaluation.seed}


def test_the_winner_is_what_is_exported_not_the_search_s_favourite():
    """Trial 0's search score is pure luck: on any other seed it is the worst."""
    lucky = run_seed(0, "search", 0, 0)

    class Lucky(FakeExecutor):
        def _advance(self, supervisor, spec, done):
            if spec.seed == lucky:
                better = dataclasses.replace(spec.hyperparameters, learning_rate=1e-3)
                spec = dataclasses.replace(spec, hyperparameters=better)
                self.bonus = 1000.0
            return super()._advance(Bonus(supervisor, 1000.0 if spec.seed == lucky else 0.0), spec, done)

    class Bonus:
        def __init__(self, supervisor, bonus):
            self.supervisor, self.bonus = supervisor, bonus

        def report(self, points):
            lifted = [dataclasses.replace(p, returns=tuple(r + self.bonus for r in p.returns)) for p in points]
            return self.supervisor.report(lifted)

        def __getattr__(self, name):
            return getattr(self.supervisor, name)

    result = run(executor=Lucky())
    assert result.data.best.number == 0
    chosen = result.data.chosen
    assert chosen.number == result.data.confirmation.winner.trial != 0
    written = yaml.safe_load(Path("reports/s/best.yaml").read_text())
    settings = written.get("CartPole-v1") or written["hyperparameters"]
    assert settings["learning_rate"] == chosen.hyperparameters["learning_rate"] == result.best.learning_rate


def test_luck_is_the_search_score_minus_the_verdict_s_mean(confirmed):
    data = confirmed[0].data
    found = evidence(data)
    scores = data.confirmation.scores(data.confirmation.winner, "verdict")
    assert found["luck"]["winner"]["shrinkage"] == pytest.approx(data.chosen.score - sum(scores) / len(scores))
    assert {c["role"] for c in found["comparisons"]} <= {"defaults", "zoo", "startup"}


@pytest.mark.parametrize("after", [1, 20, 35, 60])
def test_an_interrupted_confirm_stage_goes_on_and_ends_as_if_it_had_not_been(after, whole, searched):
    first = run(executor=FakeExecutor(stop_after_reports=after))
    assert first.ending == "interrupted"
    assert not first.data.confirmation.complete
    resumed = run().data.confirmation
    assert without_times(resumed) == without_times(whole.confirmation)


def test_a_search_that_lost_a_trial_is_confirmed_as_if_it_had_not(whole):
    assert run(executor=FakeExecutor(stop_after_reports=20 * 3 + 2)).ending == "interrupted"
    resumed = run().data
    assert sum(t.steps for t in resumed.trials if t.outcome == "lost") == 200  # one had begun; others waited
    assert resumed.steps_spent == whole.steps_spent
    assert resumed.confirmation.settings == whole.confirmation.settings


def without_times(confirmation: Confirmation) -> Confirmation:
    contestants = tuple(
        dataclasses.replace(c, runs=tuple(dataclasses.replace(r, duration_s=0.0) for r in sorted(c.runs, key=str)))
        for c in confirmation.contestants
    )
    return dataclasses.replace(confirmation, contestants=contestants)


def test_a_finished_confirm_stage_trains_nothing_more(finished):
    class Forbidden:
        def run(self, supervisor):
            raise AssertionError

    assert run(executor=Forbidden()).data.confirmation.complete


def test_confirming_again_with_more_seeds_keeps_every_run_and_adds_to_them(searched):
    before = run(confirm_seeds=3).data.confirmation
    after = tuner.api.confirm("s", settings={"confirm_seeds": 4}, executor=FakeExecutor()).data.confirmation
    assert after.seeds == 4 > before.seeds
    old, new = (
        {(c.key, r.phase, r.replicate): r.curve for c in confirmation.contestants for r in c.runs}
        for confirmation in (before, after)
    )
    assert new.items() >= {k: v for k, v in old.items() if k in new}.items()
    seeds = [Counter(key for key, phase, _ in runs if phase == "verdict") for runs in (old, new)]
    assert [set(counts.values()) for counts in seeds] == [{3}, {4}]
    assert len(seeds[0].keys() & seeds[1].keys()) > 1


def test_a_verdict_of_another_number_of_seeds_once_one_is_known_says_how_much_likelier_an_error_is(searched):
    first = evidence(run(confirm_seeds=3).data)
    assert first["looked"] == [] and "judged by" not in " ".join(sentences(first))
    for seeds, looked, words in (
        (4, [3], "judged by 3 seeds when this number of seeds was asked for"),
        (4, [3], "one of the 2 verdicts names a difference in up to 10 % of such cases, not in 5 %"),
        (5, [3, 4], "judged by 3 and 4 seeds when this number of seeds was asked for"),
        (5, [3, 4], "one of the 3 verdicts names a difference in up to 15 % of such cases"),
    ):
        found = evidence(run(confirm_seeds=seeds).data)
        assert found["looked"] == looked and words in " ".join(sentences(found))


@pytest.mark.parametrize("larger", [(45, 1, 8, 0.6), (22, 5, 5, 0.3)])
def test_a_smaller_stage_after_a_larger_one_is_complete_at_once(searched, larger):
    """Seeds that the larger one has trained beyond its own pay for none of its runs."""
    reports, finalists, seeds, budget = larger
    cut = FakeExecutor(stop_after_reports=reports)
    run(executor=cut, confirm=finalists, confirm_seeds=seeds, confirm_budget=budget)
    found = run(confirm=2, confirm_seeds=3, confirm_budget=1.0).data.confirmation
    assert found.complete
    assert {len(c.phase("verdict")) for c in (found.winner, *found.baselines)} == {3}


def test_a_search_too_small_to_confirm_says_so_and_still_answers():
    notes = []

    class Notes:
        def note(self, line):
            notes.append(line)

        def start(self, snapshot): ...

        update = finish = start

    result = tuner.run(StudyRecipe(**SMALL, trials=4), executor=FakeExecutor(), progress=Notes())
    assert result.best is not None
    assert result.data.confirmation is None
    assert any(
        "at least 8 full runs, and the search spent 4.0" in note and "--confirm-budget 2" in note for note in notes
    )
    with pytest.raises(InputError, match="--confirm-budget 2"):
        tuner.api.confirm("s")
    alone = tuner.api.confirm("s", settings={"confirm_budget": 2}, executor=FakeExecutor()).data.confirmation
    assert alone.complete
    assert (len(alone.finalists), alone.seeds, len(alone.baselines)) == (1, DECIDABLE_SEEDS, 1)


def test_confirm_zero_confirms_nothing_until_it_is_asked_for(searched):
    assert load("s").confirmation is None
    asked_for = tuner.api.confirm("s", executor=FakeExecutor()).data.confirmation
    assert asked_for.complete
    assert len(asked_for.finalists) > 1


def test_a_pinned_setting_cannot_change_when_confirming(finished):
    with pytest.raises(InputError, match="--objective defines the study"):
        tuner.api.confirm("s", settings={"objective": "final"})


def test_the_confirm_study_is_not_listed_as_a_search(finished):
    assert [s.name for s in list_studies()] == ["s"]


def test_equal_settings_are_one_finalist_and_defaults_and_the_zoo_are_baselines(searched):
    data = load("s")
    doubled = dataclasses.replace(data, trials=(*data.trials, *data.trials))
    keys = [c.key for c in finalists(doubled, 60, "native")]
    assert len(keys) == len(set(keys)) == len(finalists(data, 60, "native"))
    found = {c.role: c for c in baselines(data, "native")}
    assert found["defaults"].hyperparameters == DQNHyperparameters().to_mapping()
    assert found["zoo"].hyperparameters["target_update_interval"] == 10
    known = [t for t in data.ranked if t.source.startswith("portfolio/")]
    assert found["known"].trial == max(known, key=lambda t: t.score).number
    assert "startup" not in found, "all of its startup trials were known beforehand"
    blank = {c.role: c for c in baselines(run(confirm=0, prior="none", study="blank").data, "native")}
    assert blank["startup"].trial in range(3)
    assert "known" not in blank


@pytest.mark.parametrize("images", [False, True])
def test_defaults_of_a_verdict_are_those_for_what_is_observed(images):
    confirmation = run(trials=12, confirm=1, confirm_budget=9.0, space="default", pixels=images).data.confirmation
    (judged,) = [c for c in confirmation.baselines if c.role == "defaults"]
    assert judged.phase("verdict") and judged.hyperparameters["net_arch"] == ([] if images else [64, 64])


def test_rl_zoo_has_values_for_its_own_environments_only():
    assert zoo_values("CartPole-v1")["gradient_steps"] == 128
    assert zoo_values("FrozenLake-v1") is None


def test_a_diverged_run_counts_as_the_worst_of_its_phase(searched):
    def behave(spec):
        return "diverged" if spec.seed == run_seed(0, "verdict", 0, 1) else "completed"

    data = run(executor=FakeExecutor(behave)).data
    confirmation = data.confirmation
    assert confirmation.complete
    assert confirmation.floor == min(data.random_mean, *(t.score for t in data.ranked))
    scores = {c.name: confirmation.scores(c, "verdict") for c in confirmation.contestants if c.phase("verdict")}
    worst = min(s for mine in scores.values() for r, s in enumerate(mine) if r != 1)
    assert {mine[1] for mine in scores.values()} == {min(worst, confirmation.floor)}


def test_both_backends_confirm_the_winner():
    backends = []

    class Noted(FakeExecutor):
        def run(self, supervisor):
            super().run(supervisor)
            backends.append({spec.backend for spec in self.taken})

    def both(plan, checkpoints, models):
        return Noted()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuner.api, "make_executor", both)
        both_have = {**SMALL.get("set", {}), "loss": "huber", "double_q": False}
        recipe = StudyRecipe(**{**SMALL, "space": "default", "set": both_have}, trials=30, confirm_backend="both")
        confirmation = tuner.run(recipe, executor=Noted()).data.confirmation
    assert confirmation.complete
    twin = next(c for c in confirmation.contestants if c.role == "other_backend")
    assert twin.backend == "sb3"
    assert twin.hyperparameters == confirmation.winner.hyperparameters
    assert len(twin.phase("verdict")) == confirmation.seeds
    assert backends[-1] == {"sb3"}


def test_the_suffix_of_confirm_studies_is_refused_for_a_new_study():
    with pytest.raises(InputError, match=r"--study must not end in \.confirm, got 's\.confirm'"):
        run(trials=3, study="s.confirm", confirm=0)
    assert [s.name for s in list_studies()] == []


def test_a_study_of_its_own_that_has_the_name_is_left_alone():
    run(trials=12, confirm=0)
    theirs = optuna.create_study(study_name="s.confirm", storage=default_storage())
    theirs.add_trial(optuna.trial.create_trial(value=1e9))
    with pytest.raises(InputError, match="a study of its own has that name"):
        tuner.api.confirm("s", executor=FakeExecutor())
    assert len(theirs.get_trials()) == 1
    assert load("s").confirmation is None


@pytest.mark.slow
def test_runs_of_a_deleted_study_are_not_those_of_its_successor():
    before = run(trials=12, confirm_seeds=3)
    assert before.data.confirmation.winner.runs
    optuna.delete_study(study_name="s", storage=default_storage())
    again = {"trials": 12, "seed": 7, "confirm_seeds": 3}
    assert run(**again, confirm=0).data.confirmation is None
    executor = FakeExecutor()
    after = run(**again, executor=executor).data.confirmation
    assert after.complete
    assert {r.seed for c in after.contestants for r in c.runs} == {spec.seed for spec in executor.taken}
    assert len(executor.taken) == sum(len(c.runs) for c in after.contestants)


def test_a_run_counts_once_among_the_steps_spent_whatever_roles_its_setting_has():
    found = run(start_with=["defaults"], confirm_budget=3).data.confirmation
    names = Counter(c.key for c in found.contestants)
    assert max(names.values()) > 1, "the best of what was known is a finalist, too"
    runs = {(c.key, r.phase, r.replicate): r.steps for c in found.contestants for r in c.runs if r.reused is None}
    assert found.steps_spent == sum(runs.values())


def test_a_finalist_that_was_dropped_after_diverging_stands_among_the_tied_only_with_what_that_counts_as():
    results = {Job("a", "select", r): 500.0 + r for r in range(5)}
    results |= {Job("b", "select", 0): 495.0} | {Job("b", "select", r): WORST for r in range(1, 5)}
    closed = Selection((), ("a",), {"b": 5}, "a")
    assert tied(closed, results, dataclasses.replace(MEAN, floor=20.0)) == []


def test_a_finalist_that_was_dropped_but_overlaps_the_winner_stands_among_the_tied():
    dropped = Selection((), ("a",), {"b": 5, "c": 5}, "a")
    scores = {"a": [100.0, 90, 110, 95, 105], "b": [80.0, 120, 60, 100, 70], "c": [1.0, 2, 3, 2, 1]}
    results = {Job(key, "select", r): s for key, mine in scores.items() for r, s in enumerate(mine)}
    assert tied(dropped, results) == ["b"]


def test_runs_are_handed_out_seed_by_seed_the_costliest_first(searched):
    executor = FakeExecutor()
    run(executor=executor)
    replicates = {run_seed(0, phase, 0, r): r for phase in ("select", "verdict") for r in range(10)}

    def work(spec):
        sizes = (4, *spec.hyperparameters.net_arch, 2)
        return spec.hyperparameters.work(4 * sum(a * b for a, b in itertools.pairwise(sizes)), spec.n_timesteps)

    order = [(replicates[s.seed], work(s)) for s in executor.taken]
    round_ends = next((i for i in range(1, len(order)) if order[i][0] < order[i - 1][0]), len(order))
    first = order[:round_ends]
    assert [r for r, _ in first] == sorted(r for r, _ in first)
    seeds = sorted({r for r, _ in first})
    assert len(seeds) >= 3
    for r in seeds[:-1]:
        of_seed = [work for seed, work in first if seed == r]
        assert of_seed[0] == max(of_seed) > min(of_seed)


def test_the_baselines_verdict_is_trained_beside_the_selection_which_it_does_not_touch(searched):
    executor = FakeExecutor()
    found = run(executor=executor).data.confirmation
    verdict = [run_seed(0, "verdict", 0, r) for r in range(10)]
    baselines = [c.hyperparameters for c in found.baselines]
    order = [(s.seed in verdict, s.hyperparameters.to_mapping() in baselines) for s in executor.taken]
    last_of_selection = max(i for i, (judged, _) in enumerate(order) if not judged)
    assert all(baseline for judged, baseline in order[:last_of_selection] if judged)
    early = sum(judged for judged, _ in order[:last_of_selection])
    assert early > len(found.baselines)  # more than the first seed of each
    means = {c.key: fmean(found.scores(c, "select")) for c in found.finalists}
    assert found.winner.key == max(means, key=means.get)


def test_the_last_runs_of_a_schedule_go_to_workers_that_have_nothing_to_do(searched):
    """What cannot fill the lanes of both workers once more is left to who trains nothing."""
    taken = []

    class Asking(FakeExecutor):
        def run(self, supervisor):
            if supervisor._plan.unit == "run" and not taken:
                lanes = supervisor._plan.lanes
                total = 3 * 2  # seeds of the winner and of one baseline
                while isinstance(spec := supervisor.take({("other",): 1} if taken else {}, block=not taken), RunSpec):
                    taken.append(spec)
                assert total - len(taken) == 2 * lanes
                assert isinstance(supervisor.take({}, block=True), RunSpec)
                raise KeyboardInterrupt

            super().run(supervisor)

    with pytest.raises(KeyboardInterrupt):
        run(executor=Asking(), workers=2, lanes=2, confirm=1, confirm_seeds=3, confirm_budget=0.2)
