"""``--audit-pruning``: a tenth of what would be pruned is finished, always the same trials, and says so."""

from study_fakes import FakeExecutor, make_plan, supervise

from tuner.study.reading.study import load
from tuner.study.search.pruners import PruningRule


def searched(folder, **settings):
    folder.mkdir()
    plan = make_plan(f"sqlite:///{folder}/s.db", trials=80, startup_trials=5, sampler="random", **settings)
    supervisor = supervise(plan)
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "done"
    return load(plan.name, plan.storage)


def test_audited_trials_are_finished_and_keep_the_step_at_which_they_would_have_been_pruned(tmp_path):
    audited, plain = searched(tmp_path / "a", audit_pruning=True), searched(tmp_path / "p")
    assert all(t.spared_at is None for t in plain.trials)
    rule = PruningRule("median", plain.grid, audit=0.1, seed=0)
    spared = [t for t in audited.trials if t.spared_at is not None]
    assert spared
    for trial in spared:
        assert rule.spares(trial.number)
        assert (trial.outcome, trial.steps) == ("completed", audited.grid[-1])
        assert trial.score is not None
        assert trial.spared_at in audited.grid[1:-1]
    assert not any(rule.spares(t.number) for t in audited.trials if t.outcome == "pruned")
    # Up to the first that was spared, both studies are the same.
    first = spared[0]
    assert plain.trials[first.number].outcome == "pruned"
    assert plain.trials[first.number].steps == first.spared_at
    before = [(t.params, t.outcome, t.steps) for t in audited.trials[: first.number]]
    assert before == [(t.params, t.outcome, t.steps) for t in plain.trials[: first.number]]


def test_a_tenth_is_audited_and_another_seed_audits_others():
    rules = [PruningRule("median", (1, 2, 3), audit=0.1, seed=seed) for seed in (0, 1)]
    chosen = [{n for n in range(3000) if rule.spares(n)} for rule in rules]
    for numbers in chosen:
        assert 0.08 < len(numbers) / 3000 < 0.12
    assert len(chosen[0] & chosen[1]) < 80
    assert not any(PruningRule("median", (1, 2, 3)).spares(n) for n in range(100))
