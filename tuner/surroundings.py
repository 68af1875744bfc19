"""A process's working directory, umask and streams, kept from user code that runs in the same process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO


@dataclass
class Surroundings:
    """What user code may change of its process, and others in it rest on.

    Attributes:
        folder: The working directory; None where it has been removed.
        umask: What files are made without.
        streams: Standard output and error.
    """

    folder: str | None
    umask: int
    streams: tuple[TextIO, TextIO]

    @classmethod
    def of_this_process(cls) -> Surroundings:
        """Return those of now."""
        umask = os.umask(0o077)
        os.umask(umask)
        folder = None
        with contextlib.suppress(FileNotFoundError):
            folder = os.getcwd()
        return cls(folder, umask, (sys.stdout, sys.stderr))

    @classmethod
    @contextlib.contextmanager
    def kept(cls) -> Iterator[None]:
        """Be in them again after the block, whatever the user's code does there."""
        own = cls.of_this_process()
        try:
            yield
        finally:
            own.restore()

    def restore(self) -> None:
        """Put the process back into them; into a folder that has been removed meanwhile nobody gets back."""
        if self.folder is not None:
            with contextlib.suppress(FileNotFoundError):
                os.chdir(self.folder)
        os.umask(self.umask)
        sys.stdout, sys.stderr = self.streams

    @contextlib.contextmanager
    def back(self) -> Iterator[None]:
        """Be as before inside the block, and as the user's code has left it after."""
        theirs = self.of_this_process()
        self.restore()
        try:
            yield
        finally:
            theirs.restore()
