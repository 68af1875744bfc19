"""``--tensorboard``: what TensorBoard's own reader finds of a study's runs."""

import dataclasses
import errno
import sys
import tempfile

import pytest
from cli.cli_shell import tune
from event_files import Events
from study_fakes import FakeExecutor
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS

import tuner
from tuner.errors import InputError, MissingExtraError
from tuner.study.search.progress import NoProgress
from tuner.training.tensorboard import EventFolder

RECIPE = tuner.StudyRecipe(
    env="CartPole-v1", steps=300, evaluations=3, eval_episodes=1, pruner="none", trials=4, confirm=0, study="s",
    tensorboard="events",
)  # fmt: skip

TABULAR = dataclasses.replace(
    RECIPE, env="FrozenLake-v1", algo="q_learning", space="default", executor="inline", confirm=2, confirm_seeds=2,
    confirm_budget=20.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(in_tmp):
    """Studies, reports and event files go there."""


def folders(at):
    return sorted(path.relative_to(at).as_posix() for path in at.rglob("*") if list(path.glob("events.*")))


def assert_shows(folder, curve):
    """The folder shows exactly these evaluations, each once."""
    events = Events(folder)
    assert events.steps("eval/mean_reward") == [point.step for point in curve]
    for (_, value), point in zip(events.curve("eval/mean_reward"), curve, strict=True):
        assert value == pytest.approx(point.mean, rel=1e-6)
    return events


def test_every_run_shows_its_evaluations_its_settings_and_its_trials_score(in_tmp):
    data = tuner.run(dataclasses.replace(RECIPE, seeds_per_trial=2), executor=FakeExecutor()).data
    assert len(data.trials) == 4
    for trial in data.trials:
        for replicate, curve in trial.curves.items():
            events = assert_shows(in_tmp / f"events/s/trial-{trial.number:04d}-seed-{replicate}", curve)
            assert events.curve("train/loss") == [(point.step, 0.5) for point in curve]
            ((step, score),) = events.curve("score")
            assert step == 300 and score == pytest.approx(trial.score, rel=1e-6)
            group, values = events.hyperparameters
            assert group == f"s/trial-{trial.number:04d}", "seeds of a trial share a row"
            assert values["learning_rate"] == trial.hyperparameters["learning_rate"]
            assert values["net_arch"] == str(list(trial.hyperparameters["net_arch"]))
            assert values["double_q"] is trial.hyperparameters["double_q"]
            assert values["trial"] == trial.number
            assert events.status == STATUS_SUCCESS


@pytest.mark.parametrize("fate", ["diverged", "failed", "nan"])
def test_a_run_that_ends_badly_shows_what_there_was_and_that_it_failed(fate, in_tmp):
    executor = FakeExecutor(behave=lambda spec: fate if spec.run_id.trial == 2 else "completed")
    tuner.run(RECIPE, executor=executor)
    events = Events(in_tmp / "events/s/trial-0002")
    assert events.steps("eval/mean_reward") == ([100, 200, 300] if fate == "nan" else [100])
    assert events.status == STATUS_FAILURE
    assert "score" not in events.tags


def test_a_run_that_goes_again_and_a_study_that_goes_on_show_no_point_twice(in_tmp):
    first = tuner.run(RECIPE, executor=FakeExecutor(lanes=2, stop_after_reports=7))
    assert first.ending == "interrupted"
    again = tuner.run(RECIPE, executor=FakeExecutor(lanes=2))
    moved = {trial.number: trial.continued_as for trial in again.data.trials if trial.continued_as is not None}
    assert moved, "a trial that was cut goes on as another number"
    ended = [trial for trial in again.data.trials if trial.outcome == "completed"]
    assert len(ended) == 4
    former = {later: number for number, later in moved.items()}
    for trial in ended:
        folder = in_tmp / f"events/s/trial-{former.get(trial.number, trial.number):04d}"
        assert_shows(folder, trial.curves[0])
        assert Events(folder).hyperparameters[1]["trial"] == trial.number
    assert len(folders(in_tmp / "events")) == 4


def test_a_run_whose_worker_died_begins_its_folder_anew(in_tmp):
    seen = []

    def behave(spec):
        seen.append(spec.run_id.trial)
        return "die" if seen.count(1) == 2 and spec.run_id.trial == 1 else "completed"

    data = tuner.run(RECIPE, executor=FakeExecutor(behave=behave)).data
    assert seen.count(1) == 2 + 3
    assert_shows(in_tmp / "events/s/trial-0001", data.trials[1].curves[0])


def test_what_ended_before_the_flag_was_given_is_filled_in(in_tmp):
    tuner.run(dataclasses.replace(RECIPE, tensorboard=None, trials=2), executor=FakeExecutor())
    assert not (in_tmp / "events").exists()
    data = tuner.run(RECIPE, executor=FakeExecutor()).data
    assert folders(in_tmp / "events/s") == [f"trial-000{i}" for i in range(4)]
    for trial in data.trials:
        assert_shows(in_tmp / f"events/s/trial-000{trial.number}", trial.curves[0])


def test_a_folder_that_was_cut_before_its_end_is_written_again(in_tmp):
    data = tuner.run(RECIPE, executor=FakeExecutor()).data
    (file,) = (in_tmp / "events/s/trial-0001").iterdir()
    file.write_bytes(file.read_bytes()[:-200])
    kept = {path: path.read_bytes() for path in (in_tmp / "events/s/trial-0000").iterdir()}
    tuner.run(RECIPE, executor=FakeExecutor())
    events = assert_shows(in_tmp / "events/s/trial-0001", data.trials[1].curves[0])
    assert events.curve("score")
    assert kept == {path: path.read_bytes() for path in (in_tmp / "events/s/trial-0000").iterdir()}


@pytest.mark.slow
def test_the_confirm_stages_runs_have_folders_by_setting_and_seed(in_tmp):
    data = tuner.run(TABULAR).data
    runs = [(c, run) for c in data.confirmation.contestants for run in c.runs]
    assert runs
    for contestant, run in runs:
        name = contestant.name.replace(" ", "-").replace("'", "-")
        events = assert_shows(in_tmp / f"events/s/confirm/{name}/{run.phase}-seed-{run.replicate}", run.curve)
        assert events.curve("score")[0][1] == pytest.approx(run.score("late"), rel=1e-6)
        assert events.hyperparameters[1]["learning_rate"] == contestant.hyperparameters["learning_rate"]
    assert {"train/loss", "train/q_value", "rollout/ep_rew_mean", "rollout/exploration_rate"} <= events.tags


@pytest.mark.slow
def test_confirm_fills_in_what_there_is_and_goes_on(in_tmp):
    tuner.run(dataclasses.replace(TABULAR, tensorboard=None, confirm=0))
    tuner.api.confirm("s", settings={"tensorboard": "events", "confirm": 2, "confirm_seeds": 2, "confirm_budget": 20.0})
    found = folders(in_tmp / "events/s")
    assert [name for name in found if name.startswith("trial")] == [f"trial-000{i}" for i in range(4)]
    assert any(name.startswith("confirm/") for name in found)


def test_without_the_package_nothing_is_written(in_tmp, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"--tensorboard needs .* pip install 'tune-dqn\[tensorboard\]'"):
        tuner.run(RECIPE, executor=FakeExecutor())
    assert list(in_tmp.iterdir()) == []


def test_a_folder_that_cannot_be_one_is_found_before_anything_is_written(in_tmp):
    (in_tmp / "events").write_text("a file")
    with pytest.raises(InputError, match="--tensorboard events cannot be used"):
        tuner.run(RECIPE, executor=FakeExecutor())
    assert [path.name for path in in_tmp.iterdir()] == ["events"]


@pytest.fixture
def full_after_five(monkeypatch):
    """The disk takes five records and no more; returns a list with an item for each attempt."""
    write, count = EventFolder._write, []

    def full(self, event):
        count.append(1)
        if len(count) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, event)

    monkeypatch.setattr(EventFolder, "_write", full)
    return count


REFUSED = "--tensorboard events: No space left on device. No more is written there; the training goes on."


def test_a_full_disk_is_said_once_and_the_study_goes_on(full_after_five):
    said, listener = [], NoProgress()
    listener.note = said.append
    result = tuner.run(RECIPE, executor=FakeExecutor(), progress=listener)
    assert result.data.count("completed") == 4
    refused = [line for line in said if "No space left" in line]
    assert refused == [REFUSED]
    assert len(full_after_five) == 6


def test_a_full_disk_is_said_where_nothing_else_is(full_after_five, caplog):
    assert tuner.run(RECIPE, executor=FakeExecutor()).ending == "done"
    assert [line for line in caplog.messages if "No space left" in line] == [REFUSED]


@pytest.mark.parametrize("command", [("train", "--steps", "100"), ("--trials", "1", "--steps", "100")])
def test_a_folder_that_takes_no_file_ends_it_before_anything_is_written(command, in_tmp, monkeypatch):
    made = tempfile.TemporaryFile

    def full(dir):
        if "events" in dir.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        return made(dir=dir)

    monkeypatch.setattr("tuner.durable.tempfile.TemporaryFile", full)
    shell = tune(*command, "--env", "CartPole-v1", "--tensorboard", "events", "--quiet")
    assert shell.code == 2
    assert shell.err.startswith("tune: error: --tensorboard events cannot be used: ") and shell.err.count("\n") == 1
    assert "no file can be made there (No space left on device)" in shell.err
    assert not list(in_tmp.iterdir())


def test_where_event_files_go_is_free_on_resume(in_tmp):
    tuner.run(RECIPE, executor=FakeExecutor())
    tuner.run(dataclasses.replace(RECIPE, tensorboard="elsewhere"), executor=FakeExecutor())
    assert folders(in_tmp / "elsewhere") == folders(in_tmp / "events")
