"""Files that are there whole or not at all, and files that grow by whole lines."""

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tuner import durable
from tuner.durable import append_line, check_writable, locked, replace_file, replace_with, said_of
from tuner.errors import InputError


def test_a_line_that_a_crash_has_torn_takes_nothing_with_it(tmp_path):
    path = tmp_path / "f"
    append_line(path, b"one")
    with path.open("ab") as file:
        file.write(b"tor")
    size = append_line(path, b"two")
    assert path.read_bytes() == b"one\ntor\ntwo\n"
    assert size == path.stat().st_size


def test_a_line_that_cannot_be_written_whole_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "f"
    append_line(path, b"one")
    write = os.write
    monkeypatch.setattr(durable.os, "write", lambda handle, text: write(handle, text[:2]))
    with pytest.raises(OSError, match="disk is full"):
        append_line(path, b"two")
    assert path.read_bytes() == b"one\n"


def test_what_cannot_be_written_is_a_line_with_the_place_and_what_to_do(tmp_path):
    with (
        pytest.raises(
            InputError, match=r"x cannot be written: No space left on device\. The same command carries on\.$"
        ),
        said_of(tmp_path / "x", "The same command carries on."),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^-o x cannot be used: .*file is no folder\.$"):
        check_writable(tmp_path / "file" / "x", "-o x")
    (tmp_path / "nowhere").symlink_to("nowhere")
    with pytest.raises(InputError, match="nowhere is no folder"):
        check_writable(tmp_path / "nowhere" / "x", "-o x")


def test_a_folder_is_tried_before_any_work_and_nothing_of_that_is_left(tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "a" / "b", tmp_path / "a" / ".." / ".." / "c"):
        check_writable(folder, "-o x")
    with pytest.raises(InputError, match=r"^-o x cannot be used: no file can be made there \(File name too long\)\."):
        check_writable(tmp_path / "a" / ("x" * 300), "-o x")

    def refuse(*arguments, **named):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(durable.tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match="Read-only file system"):
        check_writable(tmp_path / "a", "-o x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["TemporaryFile", "access", "is_dir", "mkdir"])
def test_a_folder_that_two_commands_try_at_once_is_no_bad_folder(tmp_path, monkeypatch, call):
    """Each removes what it has made; the other then finds it gone in the middle of its own try."""
    folder, tried = tmp_path / "reports" / "s", []
    owner = {"TemporaryFile": durable.tempfile, "access": durable.os}.get(call, Path)
    real = getattr(owner, call)

    def beside_another(*arguments, **named):
        tried.append(call)
        if len(tried) == 1:
            for made in (folder, folder.parent):
                with contextlib.suppress(OSError):
                    made.rmdir()
            if call == "mkdir":
                raise FileExistsError(errno.EEXIST, "File exists")
        return real(*arguments, **named)

    folder.parent.mkdir()  # by the other
    monkeypatch.setattr(owner, call, beside_another)
    check_writable(folder, "-o x")
    assert len(tried) > 1
    monkeypatch.undo()
    assert not folder.exists()


def test_a_link_stays_one_and_a_pipe_is_written_into(tmp_path):
    (tmp_path / "to").write_bytes(b"old")
    (tmp_path / "link").symlink_to("to")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "to").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    read: list[bytes] = []
    reader.start()
    replace_file(tmp_path / "pipe", b"content")
    reader.join(10)
    assert read == [b"content"] and (tmp_path / "pipe").is_fifo()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path, b"")


def test_a_database_is_never_replaced(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "tuner.db")) as connection:
        connection.execute("CREATE TABLE studies (name TEXT)")
        connection.commit()
    (tmp_path / "link").symlink_to("tuner.db")
    before = (tmp_path / "tuner.db").read_bytes()
    for name in ("tuner.db", "link"):
        with pytest.raises(FileExistsError, match="a SQLite database, which no other file replaces"):
            replace_file(tmp_path / name, b"best: {}")
    assert (tmp_path / "tuner.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "tuner.db"]


def test_a_line_goes_to_the_file_that_is_there_when_the_lock_is_had(tmp_path):
    path = tmp_path / "f"
    append_line(path, b"old")
    with locked(path, os.O_RDONLY):
        writer = threading.Thread(target=append_line, args=(path, b"new"))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        path.unlink()
    writer.join()
    assert path.read_bytes() == b"new\n"


def test_what_a_dead_writer_left_is_removed_by_the_next_and_a_living_ones_stays(tmp_path):
    path = tmp_path / "f"
    script = "import os, sys; from pathlib import Path; from tuner.durable import replace_with\n"
    script += "replace_with(Path(sys.argv[1]), lambda file: (file.write(b'half'), file.flush(), os._exit(1)))"
    subprocess.run([sys.executable, "-c", script, path], check=False)
    (left,) = tmp_path.iterdir()

    def write(file):
        (mine,) = tmp_path.iterdir()
        assert mine != left
        replace_file(path, b"meanwhile")  # by somebody else: this one's file is locked
        assert mine.exists()
        file.write(b"whole")

    replace_with(path, write)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"whole"]


def test_a_file_of_the_users_is_no_dead_writers_however_it_is_named(tmp_path):
    for name in (".cfg.yaml.20261130", ".cfg.yaml.original", ".cfg.yaml.tune-old", ".cfg.yaml.tune-20261130.bak"):
        (tmp_path / name).write_bytes(b"mine")
    before = sorted(tmp_path.iterdir())
    replace_file(tmp_path / "cfg.yaml", b"best: {}")
    assert sorted(tmp_path.iterdir()) == [*before, tmp_path / "cfg.yaml"]


@pytest.mark.parametrize("name", ["model.json", ".hidden", "a.npz", ".a.npz.12345678", ".a.npz.tune-12345678"])
def test_a_file_in_writing_tells_the_name_that_it_is_to_have(tmp_path, name):
    handle, made = durable._temporary(tmp_path / name)
    os.close(handle)
    assert durable.final_name(Path(made).name) == name
    assert durable.final_name("model.json") == "model.json" and durable.final_name(".hidden") == ".hidden"
