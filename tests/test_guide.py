"""The guide's commands are run, each with a small budget, in the order in which they stand."""

import re
import shlex
from pathlib import Path

import pytest
from cli.cli_shell import tune

GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")

COMMANDS = re.findall(r"^tune [^\n]+", GUIDE, re.M)

#: What makes a command short: the last of equal flags counts.
SHORT = {
    "search": ("--steps", "200", "--trials", "4", "--evaluations", "2", "--eval-episodes", "1", "--confirm", "0",
               "--executor", "inline", "--quiet"),
    "train": ("--steps", "300", "--evaluations", "2", "--eval-episodes", "1", "--quiet"),
    "confirm": ("--confirm-seeds", "3", "--confirm-budget", "9", "--executor", "inline", "--quiet"),
    "compare": ("--steps", "200", "--evaluations", "1", "--eval-episodes", "1", "--seeds", "2", "--executor", "inline",
                "--quiet"),
    "sweep": ("--steps", "300", "--evaluations", "2", "--eval-episodes", "1", "--seeds", "2", "--executor", "inline",
              "--quiet"),
    "replay": (),
    "evaluate": ("--episodes", "2"),
    "paper": (),
}  # fmt: skip

#: Fitted Q-iteration counts iterations, each a regression.
FITTED = ("--steps", "2", "--evaluations", "2", "--set", "n_transitions=200")


def test_every_idea_of_the_course_has_its_command():
    for word in ("q_learning", "fqi", "buffer_size", "target_update_interval", "double_q", "dueling", "prioritized",
                 "n_steps", "exploration_initial_eps", "tune sweep", "tune confirm", "tune compare",
                 "tune replay", "tune evaluate", "tune paper"):  # fmt: skip
        assert any(word in command for command in COMMANDS), word


@pytest.mark.slow
def test_the_guide_s_commands_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        kind = words[0] if not words[0].startswith("-") else "search"
        short = [*SHORT[kind], *(FITTED if "fqi" in words else ())]
        shell = tune(*words, *short)
        assert shell.code == 0, (command, shell.err)
        if kind == "train":
            assert (Path(words[words.index("-o") + 1]) / "training.html").is_file(), command
        if kind == "paper":
            assert "curves.pdf" in shell.out, command
        if kind == "sweep":
            assert "sweep.html" in shell.out, command
