"""Runs the command line inside the test's process and returns what a shell would see."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from tuner.cli.app import main

#: A study of seconds, in the space of what both backends have, so that exports are in RL Zoo's form.
TINY = (
    "--space", "classic", "--steps", "600", "--trials", "3", "--evaluations", "3", "--eval-episodes", "2",
    "--set", "learning_starts=50",
)  # fmt: skip

#: A setting that both backends train in a moment, in RL Zoo's format.
VALUES = """CartPole-v1:
  n_timesteps: 300
  policy: MlpPolicy
  learning_rate: 0.001
  batch_size: 16
  learning_starts: 50
"""


@dataclass(frozen=True)
class Shell:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def tune(*arguments: str) -> Shell:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return Shell(code, out.getvalue(), err.getvalue())
