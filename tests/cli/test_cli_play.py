"""``tune export --model`` and ``tune enjoy``: what they say, and that bad input writes nothing."""

from pathlib import Path

import pytest
from cli_shell import tune

from tuner.cli import play_commands

OLD = Path(__file__).parents[1] / "data" / "v0_1_0" / "models"


@pytest.fixture
def dqn(in_tmp):
    """A small model."""
    shell = tune(
        "train", "--env", "CartPole-v1", "--steps", "200", "--evaluations", "1", "--eval-episodes", "1", "--quiet",
        "--set", "net_arch=8", "-o", "run",
    )  # fmt: skip
    assert "For Stable-Baselines3: run/model.zip (stable_baselines3.DQN.load reads it)" in shell.out
    return Path("run")


def test_an_agent_goes_to_stable_baselines3_and_comes_back(dqn):
    shell = tune("export", "--model", "run", "-o", "out/model.zip")
    assert (shell.code, shell.out) == (0, "out/model.zip: stable_baselines3.DQN.load reads it\n")
    assert shell.err.count("\n") == 1
    assert [p.name for p in Path("out").iterdir()] == ["model.zip"]
    played = tune("evaluate", "out/model.zip", "--episodes", "3")
    assert (played.code, played.out) == (0, tune("evaluate", "run", "--episodes", "3").out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "takes a STUDY, or --model DIR"),
        (("study", "--model", "run"), "takes a STUDY, or --model DIR"),
        (("--model", "run", "--trial", "3"), "--trial and --storage belong to a study"),
        (("--model", "nowhere"), "nowhere"),
        (("--model", str(OLD / "q_learning")), "has no q_learning"),
    ],
)
def test_an_export_that_cannot_be_is_one_line(arguments, words, in_tmp):
    shell = tune("export", *arguments)
    assert (shell.code, shell.out, shell.err.count("\n")) == (2, "", 1)
    assert words in shell.err
    assert not list(in_tmp.iterdir())


def test_enjoy_opens_a_window_where_there_is_a_display(dqn, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("DISPLAY", ":0")
    shell = tune("enjoy", "run", "--episodes", "2", "--seed", "4")
    assert shell.code == 0, shell.err
    assert shell.out.count("Return ") == 2
    assert "Film" not in shell.out


def test_enjoy_films_where_there_is_none(dqn, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(play_commands.sys, "platform", "linux")
    shell = tune("enjoy", "run", "--episodes", "1")
    assert shell.code == 0, shell.err
    assert "There is no display" in shell.err
    assert Path("run/video.mp4").exists()
