"""``tune train --tensorboard``: both backends, resumed trainings, and folders of others."""

import json

import pytest
from cli_shell import tune
from event_files import Events

SMALL = ("--env", "CartPole-v1", "--steps", "600", "--evaluations", "3", "--eval-episodes", "1", "--quiet",
         "--set", "learning_starts=100", "--set", "batch_size=16")  # fmt: skip

TAGS = {
    "rollout/ep_rew", "rollout/ep_rew_mean", "rollout/ep_len", "rollout/exploration_rate", "train/loss",
    "train/q_value", "eval/mean_reward", "eval/mean_ep_length", "score",
}  # fmt: skip


def train(*arguments):
    shell = tune("train", *arguments)
    assert shell.code == 0, shell.err
    return shell


def log(folder):
    return json.loads((folder / "training.json").read_text())


@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_training_shows_what_its_page_shows(backend, in_tmp):
    train(*SMALL, "--backend", backend, "-o", "one", "--tensorboard", "events")
    events, kept = Events(in_tmp / "events/one"), log(in_tmp / "one")
    assert events.tags == TAGS
    assert events.curve("rollout/ep_rew") == list(
        zip(kept["episodes"]["step"], kept["episodes"]["return"], strict=True)
    )
    assert events.steps("eval/mean_reward") == [200, 400, 600]
    assert events.hyperparameters == ("one", events.hyperparameters[1])
    assert events.hyperparameters[1]["batch_size"] == 16
    steps = events.steps("train/loss")
    assert steps == sorted(set(steps)) and steps[0] >= 100 and steps[-1] <= 600
    updates = kept["updates"]
    assert events.curve("train/loss")[0][1] == pytest.approx(updates["loss"][0], rel=1e-5)


def test_a_training_that_goes_on_goes_on_in_its_folder(in_tmp):
    train(*SMALL, "-o", "one", "--tensorboard", "events")
    train("--continue", "one", "--steps", "1000", "--quiet", "--tensorboard", "events")
    events, kept = Events(in_tmp / "events/one"), log(in_tmp / "one")
    assert events.curve("rollout/ep_rew") == list(
        zip(kept["episodes"]["step"], kept["episodes"]["return"], strict=True)
    )
    assert events.steps("eval/mean_reward") == [200, 400, 600, 800, 1000]
    assert events.steps("score") == [600, 1000]
    assert events.steps("train/loss") == sorted(set(events.steps("train/loss")))


def test_what_was_written_after_the_place_it_goes_on_from_is_gone(in_tmp):
    """A training that was killed has written more than its last checkpoint knows."""
    from tuner.training.tensorboard import EventFolder

    train(*SMALL, "-o", "one", "--tensorboard", "events")
    EventFolder(in_tmp / "events/one", begun=600).scalars(650, {"rollout/ep_rew": -1.0})
    train("--continue", "one", "--steps", "1000", "--quiet", "--tensorboard", "events")
    assert -1.0 not in [value for _, value in Events(in_tmp / "events/one").curve("rollout/ep_rew")]


def test_a_training_that_began_without_it_shows_its_past(in_tmp):
    train(*SMALL, "-o", "one")
    train("--continue", "one", "--steps", "1000", "--quiet", "--tensorboard", "events")
    events, kept = Events(in_tmp / "events/one"), log(in_tmp / "one")
    assert events.curve("rollout/ep_rew") == list(
        zip(kept["episodes"]["step"], kept["episodes"]["return"], strict=True)
    )
    assert events.steps("eval/mean_reward") == [200, 400, 600, 800, 1000]


def test_training_anew_replaces_what_was_there_but_no_file_of_others(in_tmp):
    other = in_tmp / "events/one/events.out.tfevents.1.elsewhere"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    train(*SMALL, "-o", "one", "--tensorboard", "events")
    train(*SMALL, "-o", "one", "--tensorboard", "events", "--seed", "1")
    assert other.exists()
    assert len(list(other.parent.iterdir())) == 2
    assert Events(in_tmp / "events/one").steps("eval/mean_reward") == [200, 400, 600]


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--env", "Acrobot-v1"), ("--env", "Acrobot-v1", "--dry-run")])
@pytest.mark.parametrize("flag", ["--tensorboard", "--report-dir"])
def test_a_folder_that_cannot_be_made_ends_a_search_and_its_dry_run_before_anything_is_written(flag, more, in_tmp):
    for folder in ("/proc/none", "x" * 300):
        shell = tune("--env", "CartPole-v1", "--trials", "1", "--steps", "100", flag, folder, *more)
        assert (shell.code, shell.out) == (2, "")
        assert f"tune: error: {flag} {folder} cannot be used: " in shell.err
    assert not list(in_tmp.iterdir())


@pytest.mark.parametrize("command", [("train", *SMALL), ("--env", "CartPole-v1", "--trials", "1", "--steps", "100")])
def test_a_folder_that_is_a_file_ends_it_before_anything_is_written(command, in_tmp):
    (in_tmp / "events").write_text("a file")
    shell = tune(*command, "--tensorboard", "events")
    assert shell.code == 2
    last = shell.err.splitlines()[-1]
    assert last.startswith("tune: error: --tensorboard events cannot be used: ")
    assert last.endswith("/events is no folder.")
    assert [path.name for path in in_tmp.iterdir()] == ["events"]
