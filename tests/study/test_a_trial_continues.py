"""Long runs of a study go on where they were saved, whoever died, and the study is none the worse for it."""

from __future__ import annotations

import dataclasses
import functools
import io
from pathlib import Path

import pytest
import rich.console
from saving_trainer import DeathError, SavingTrainer, kill_this_process

import tuner
from tuner.cli.trial_table import trial_tables
from tuner.execution.inline import InlineExecutor
from tuner.execution.processes import ProcessExecutor
from tuner.plan.resolve import plan_study
from tuner.report.words.search import lead
from tuner.study.search.progress import NoProgress
from tuner.training.run_checkpoint import RunCheckpoints
from tuner.training.stack import runner as stack_runner

RECIPE = tuner.StudyRecipe(
    env="CartPole-v1", steps=900, evaluations=6, eval_episodes=2, pruner="none", trials=4, confirm=0, workers=1,
    lanes=4, set={"learning_starts": 100}, space="classic",
)  # fmt: skip


def curves(result):
    """Return the evaluations of each completed trial, by its values and in order of steps."""
    return {
        tuple(sorted(trial.params.items())): {
            replicate: [(point.step, point.returns, dict(point.metrics)) for point in points]
            for replicate, points in trial.curves.items()
        }
        for trial in result.data.trials
        if trial.outcome == "completed"
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    recipe = dataclasses.replace(
        RECIPE, storage=f"sqlite:///{folder / 'tuner.db'}", report_dir=str(folder / "reports"), study="whole"
    )
    return curves(tuner.run(recipe))


@pytest.fixture
def recipe(tmp_path):
    return dataclasses.replace(
        RECIPE, storage=f"sqlite:///{tmp_path / 'tuner.db'}", report_dir=str(tmp_path / "reports"), study="cut"
    )


@pytest.mark.slow
def test_trials_of_a_killed_worker_go_on_from_their_files(recipe, undisturbed, tmp_path):
    folder = plan_study(recipe).checkpoints
    trainer = functools.partial(SavingTrainer, folder, 4, 4, kill_this_process)
    result = tuner.run(recipe, executor=ProcessExecutor(trainer, 1))
    assert (folder.parent / "died").exists()
    assert curves(result) == undisturbed
    assert result.data.count("completed") == 4
    assert not folder.exists(), "nothing is left of them at the end"


@pytest.mark.slow
def test_trials_of_a_killed_supervisor_go_on_from_their_files(recipe, undisturbed, tmp_path, monkeypatch):
    folder = plan_study(recipe).checkpoints
    with pytest.raises(DeathError):
        tuner.run(recipe, executor=InlineExecutor(functools.partial(SavingTrainer, folder, 4, 4)))
    assert len(list(folder.glob("*.npz"))) >= 2
    saved = RunCheckpoints(folder).steps()
    assert saved and set(saved) <= set(plan_study(recipe).grid)
    answers, said = [], []
    restore = stack_runner.restore_run
    monkeypatch.setattr(stack_runner, "restore_run", lambda *args: answers.append(restore(*args)) or answers[-1])
    watch = NoProgress()
    watch.note = said.append
    result = tuner.run(recipe, executor=InlineExecutor(functools.partial(SavingTrainer, folder, 4)), progress=watch)
    assert answers.count(True) == len(answers) >= 2, "its trials have new numbers and the same values and seeds"
    assert any(line.startswith(f"Going on from step {saved[0]:,}") and f" {len(saved)} runs" in line for line in said)
    gone_on = {t.number: t.continued_as for t in result.data.trials if t.outcome == "lost"}
    assert gone_on and set(gone_on.values()) <= {t.number for t in result.data.trials if t.outcome == "completed"}
    listed = rich.console.Console(file=io.StringIO(), width=200)
    listed.print(*trial_tables(result.data, everything=True, width=200))
    assert "lost" not in listed.file.getvalue() and "lost" not in " ".join(lead(result.data))
    assert f"{len(gone_on)} interrupted, going on under another number" in " ".join(lead(result.data))
    assert curves(result) == undisturbed
    assert result.data.count("completed") == 4
    assert not folder.exists()


@pytest.mark.slow
def test_studies_of_one_name_in_two_databases_leave_each_others_files(recipe, undisturbed, tmp_path, monkeypatch):
    """They share the folder of their reports, and here even the values of their runs."""
    dies_at = 4

    def executor(plan, files, models=None):
        return InlineExecutor(functools.partial(SavingTrainer, files, 4, dies_at))

    monkeypatch.setattr(tuner.api, "make_executor", executor)
    with pytest.raises(DeathError):
        tuner.run(recipe)
    kept = {path: path.read_bytes() for path in tmp_path.glob("reports/cut/**/*.npz")}
    assert len(kept) >= 2
    dies_at = 0
    tuner.run(dataclasses.replace(recipe, storage=f"sqlite:///{tmp_path / 'other.db'}"))
    assert {path: path.read_bytes() for path in tmp_path.glob("reports/cut/**/*.npz")} == kept
    answers = []
    restore = stack_runner.restore_run
    monkeypatch.setattr(stack_runner, "restore_run", lambda *args: answers.append(restore(*args)) or answers[-1])
    assert curves(tuner.run(recipe)) == undisturbed
    assert answers.count(True) == len(answers) == len(kept)
    assert not list(tmp_path.glob("reports/cut/**/*.npz"))


def test_a_trial_that_has_ended_leaves_no_file(recipe, tmp_path, monkeypatch):
    """Also one that the pruner stopped: its trainer keeps the file, for the study may only be interrupted."""
    recipe = dataclasses.replace(recipe, pruner="halving", startup_trials=1, trials=6, lanes=1)
    folder = plan_study(recipe).checkpoints
    most = []
    save = RunCheckpoints.save

    def counting(self, spec, arrays):
        save(self, spec, arrays)
        most.append(len(list(Path(folder).glob("*.npz"))))

    monkeypatch.setattr(RunCheckpoints, "save", counting)
    result = tuner.run(recipe, executor=InlineExecutor(functools.partial(SavingTrainer, folder, 1)))
    assert result.data.count("pruned") >= 1
    assert max(most) == 1, "one lane, one file"


def test_the_workers_of_a_study_save_where_the_study_looks(recipe, monkeypatch):
    """What `tune` itself runs: the folder reaches the trainers, but not those on other machines."""
    from tuner.execution.choose import make_executor

    plan = plan_study(recipe)
    assert plan.checkpoints == Path(recipe.report_dir).absolute() / "cut" / "checkpoints"
    assert make_executor(plan, plan.checkpoints)._host._make_trainer.keywords == {"checkpoints": plan.checkpoints}
    away = dataclasses.replace(plan, recipe=dataclasses.replace(recipe, executor="inline"))
    assert make_executor(away)._make_trainer.keywords == {"checkpoints": None}
