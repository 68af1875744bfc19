"""The guide's commands are run, each with a small budget, in the order in which they stand."""

import re
import shlex
from pathlib import Path

import pytest
from cli.cli_shell import tune
from cli.short_commands import shortened

GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")

COMMANDS = re.findall(r"^tune [^\n]+", GUIDE, re.M)


def test_every_idea_of_the_course_has_its_command():
    for word in ("q_learning", "fqi", "buffer_size", "target_update_interval", "double_q", "dueling", "prioritized",
                 "n_steps", "exploration_initial_eps", "tune sweep", "tune confirm", "tune compare",
                 "tune replay", "tune evaluate", "tune publish", "tune paper"):  # fmt: skip
        assert any(word in command for command in COMMANDS), word


@pytest.mark.slow
def test_the_guide_s_commands_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        kind = words[0]
        shell = tune(*shortened(words))
        assert shell.code == 0, (command, shell.err)
        if kind == "train":
            assert (Path(words[words.index("-o") + 1]) / "training.html").is_file(), command
        if kind == "paper":
            assert "curves.pdf" in shell.out, command
        if kind == "sweep":
            assert "sweep.html" in shell.out, command
