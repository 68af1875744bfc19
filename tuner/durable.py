"""Files that are there whole or not at all, and files that grow by whole lines."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tuner.errors import InputError
from tuner.file_lock import take_lock

#: Whether an open file may be renamed and replaced, and a folder opened: everywhere but on Windows.
_POSIX = os.name == "posix"

#: Windows would write a line's end as two bytes.
_BINARY = getattr(os, "O_BINARY", 0)

#: Stands in the name of a file in writing: what a user has named otherwise is never taken for one.
_MARK = "tune-"

#: Times that a folder is tried which others make and remove at the same moment.
_TRIES = 10

#: What a file of SQLite begins with.
_DATABASE = b"SQLite format 3\x00"


def check_writable(folder: Path, flag: str) -> None:
    """Find out before any work that nothing could be written into a folder, which need not be there yet.

    It is tried, as permissions say nothing to root, nor of a full disk; folders that are made for it go again.

    Raises:
        InputError: It cannot be made or written; ``flag`` is who asked for it.
    """
    try:
        for _ in range(_TRIES - 1):
            # Another command that tries it, too, has just made a folder, or removed one of its own.
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                _try_to_write(folder.absolute(), flag)
                return
        _try_to_write(folder.absolute(), flag)
    except OSError as error:
        raise InputError(
            f"{flag} cannot be used: no file can be made there ({error.strerror or error}). Choose another."
        ) from None


def _try_to_write(folder: Path, flag: str) -> None:
    there = next(p for p in (folder, *folder.parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        there.lstat()  # or it has just been removed
        raise InputError(f"{flag} cannot be used: {there} is no folder.")
    if not os.access(there, os.W_OK):
        there.lstat()
        raise InputError(f"{flag} cannot be used: {there} may not be written.")
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # without a name: whoever is killed now leaves none
            file.write(bytes(4096))
            file.flush()
    finally:
        for made in missing:
            with contextlib.suppress(OSError):  # another command may use it by now
                made.rmdir()


@contextlib.contextmanager
def said_of(place: Path, then: str = "") -> Iterator[None]:
    """Make a failure to write inside the block one line.

    Args:
        place: The file or folder that is written.
        then: What to do, a sentence.

    Raises:
        InputError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{place} cannot be written: {error.strerror or error}. {then}".rstrip()) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where they are missing.

    Raises:
        InputError: It cannot be made.
    """
    with said_of(folder):
        folder.mkdir(parents=True, exist_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step; see :func:`replace_with`."""
    replace_with(path, lambda file: file.write(content))


def replace_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file in one step, and onto the disk: a crash leaves the old one, or the new one.

    A link stays one: what it leads to is replaced. A pipe or a device, such as ``/dev/stdout``, is written into.
    A SQLite database is never replaced: all studies may lie in one that was named by mistake.

    Args:
        path: The file.
        write: Writes what is to be in it.

    Raises:
        OSError: It cannot be written, or is a database.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            write(stream)
        return
    if path.is_symlink():
        path = path.resolve()
    if _is_database(path):
        raise FileExistsError(errno.EEXIST, "it is a SQLite database, which no other file replaces", str(path))
    _remove_stale(path)
    handle, name = _temporary(path)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(handle)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)  # mkstemp makes the file for its owner alone
            if _POSIX:  # open, and so locked, until it has its final name
                os.replace(name, path)
        if not _POSIX:
            os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def final_name(name: str) -> str:
    """Return the name that a file is to have: of one in writing, or left by a writer that died, and else its own."""
    found = re.fullmatch(rf"\.(.+)\.{_MARK}[a-z0-9_]{{8}}", name, re.DOTALL)  # as mkstemp names it
    return found[1] if found else name


def _is_database(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_DATABASE)) == _DATABASE
    return False


def _temporary(path: Path) -> tuple[int, str]:
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{_MARK}")
        with contextlib.suppress(OSError):
            take_lock(handle)
        if same_file(handle, Path(name)):
            return handle, name
        os.close(handle)  # taken for a dead writer's before it was locked


def _remove_stale(path: Path) -> None:
    """Remove what writers of a file that died have left beside it; that of a living one is locked."""
    for name in os.listdir(path.parent):
        if name == path.name or final_name(name) != path.name:
            continue
        with contextlib.suppress(OSError):
            handle = os.open(path.with_name(name), os.O_RDONLY)
            try:
                take_lock(handle, wait=False)
                os.unlink(path.with_name(name))
            finally:
                os.close(handle)


@contextlib.contextmanager
def locked(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    """Open a file under the lock that :func:`append_line` takes; it is the one at ``path`` all the while.

    Raises:
        OSError: It cannot be opened.
    """
    while True:
        handle = os.open(path, flags | _BINARY, mode)
        try:
            with contextlib.suppress(OSError):  # a file system without locks has no other machine's writer either
                take_lock(handle)
            if same_file(handle, path):
                yield handle
                return
        finally:
            os.close(handle)


def read_at(handle: int, position: int, count: int) -> bytes:
    """Read up to ``count`` bytes from a position on, which becomes the file's own (Windows has no ``pread``)."""
    os.lseek(handle, position, os.SEEK_SET)
    return os.read(handle, count)


def same_file(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at ``path``."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def append_line(path: Path, line: bytes, mode: int = 0o600) -> int:
    """Append a line, whole or not at all, and onto the disk. One that a crash has torn before it stays by itself.

    Args:
        path: The file; made when it is not there.
        line: Without its end.
        mode: Permissions of a new file.

    Returns:
        The file's size in bytes.

    Raises:
        OSError: It cannot be written.
    """
    with locked(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, mode) as handle:
        size = os.fstat(handle).st_size
        torn = size > 0 and read_at(handle, size - 1, 1) != b"\n"
        text = (b"\n" if torn else b"") + line + b"\n"
        try:
            if os.write(handle, text) != len(text):
                raise OSError("the disk is full")
            os.fsync(handle)
            if size == 0 and _POSIX:  # the folder's entry as well
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError:
            os.ftruncate(handle, size)
            raise
        return size + len(text)
