"""Systems without POSIX's modules: what reads works, locks are what the system has, names are names there too."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from cli.cli_shell import tune

from tuner import file_lock
from tuner.file_lock import take_lock
from tuner.plan.naming import file_name

#: What Windows has in no name of a file.
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')

WITHOUT = """
import sys, psutil  # the one that a system has is psutil's own affair
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
from tuner.cli.app import main
for command in sys.stdin.read().splitlines():
    try:
        code = main(command.split())
    except SystemExit as left:
        code = left.code
    print(command, "->", code, flush=True)
"""

LAKES = """
import gymnasium
gymnasium.register("My/Lake-v0", "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv", max_episode_steps=20)
"""

TABULAR = "--algo q_learning --steps 100 --evaluations 2 --eval-episodes 1 --quiet"
STUDY = f"--env FrozenLake-v1 {TABULAR} --trials 2 --confirm 0 --executor inline"


@pytest.mark.slow
def test_what_reads_and_what_plays_need_no_module_of_posixs(in_tmp):
    (in_tmp / "lakes.py").write_text(LAKES, encoding="utf-8")
    shell = tune(*STUDY.split(), "--study", "lake")
    assert shell.code == 0, shell.err
    expected = {
        "--version": 0,
        "list": 0,
        "show lake": 0,
        "report lake": 0,
        "export lake -o best.yaml": 0,
        "board": 0,
        f"train --env lakes:My/Lake-v0 {TABULAR}": 0,
        f"{STUDY} --study other": 2,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT],
        input="\n".join(expected), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.findall(r"^(.*) -> (\d)$", done.stdout, re.M) == [(c, str(e)) for c, e in expected.items()], done.stderr
    assert done.stderr.strip().endswith("keep the SQLite file on a local disk, or use PostgreSQL.")
    written = {path.name for path in in_tmp.rglob("*")}
    assert {"lake", "index.html", "best.yaml", "board.html", "model.json", "tuner.db"} <= written
    assert any("My-Lake-v0" in name for name in written)
    assert [name for name in written if FORBIDDEN.search(name)] == []


def test_a_study_of_any_name_has_files_whose_names_are_allowed_everywhere():
    for text in [*map(chr, range(0x250)), *(f"a{chr(code)}b" for code in range(0x250)), "a:b/c\\d|e", "../x", "\ud800"]:
        assert not FORBIDDEN.search(file_name(text))


def opened(path):
    return os.open(path, os.O_RDWR | os.O_CREAT)


@pytest.fixture(params=["posix", "windows"])
def handles(request, tmp_path, monkeypatch):
    """Two handles of a file; locks are the system's, or those of a ``msvcrt`` that locks bytes as Windows does."""
    if request.param == "windows":
        held = {}

        def locking(handle, mode, count):
            where = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
            assert (mode, count) == (2, 1) and where[1] > 10**9
            if held.setdefault(where, handle) != handle:
                raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(file_lock, "sys", SimpleNamespace(platform="win32"))
        monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    one, two = opened(tmp_path / "f"), opened(tmp_path / "f")
    os.write(one, b"owner")
    yield SimpleNamespace(
        one=one, two=two, let_go=lambda: held.clear() if request.param == "windows" else fcntl.flock(one, fcntl.LOCK_UN)
    )
    os.close(one)
    os.close(two)


def test_a_lock_is_one_handles_alone_until_it_lets_go(handles):
    take_lock(handles.one)
    with pytest.raises(BlockingIOError):
        take_lock(handles.two, wait=False)
    assert os.lseek(handles.one, 0, os.SEEK_CUR) == len(b"owner"), "the next write goes on where it was"
    waiting = threading.Thread(target=take_lock, args=(handles.two,))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    handles.let_go()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_system_without_locks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "fcntl", None)
    handle = opened(tmp_path / "f")
    with pytest.raises(OSError, match="no file locks on this system"):
        take_lock(handle)
    os.close(handle)
