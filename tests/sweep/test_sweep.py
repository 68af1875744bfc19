"""A dozen points of ``make sweep``, and the means it strikes by."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crash_points import KINDS, SIDES, STRUCK, CrashPoints, Strike

SWEEP = Path(__file__).with_name("sweep.py")


@pytest.mark.slow
def test_a_study_that_dies_or_finds_no_room_at_any_of_a_dozen_places_ends_as_if_it_had_not(tmp_path):
    words = [sys.executable, SWEEP, "--only", "tabular", "--points", "12", "--results", tmp_path / "results.jsonl"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 12 of 12 |" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_strike_comes_before_or_after_the_call_it_is_meant_for(tmp_path, kind, side):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            points = CrashPoints(tmp_path, Strike(1, kind, side))
            points.install()
            os.mkdir(tmp_path / "a")
            try:
                os.mkdir(tmp_path / "b")
            except OSError as error:
                status = 2 if error.errno == errno.ENOSPC and points.seen == ["mkdir", "mkdir"] else 3
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended == {"exit": STRUCK, "kill": -signal.SIGKILL, "full": 2}[kind]
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists() == (side == "after")
