"""Standard streams whose reader may go, as ``tee`` does at Ctrl-C: what is said then is lost, and nothing else is."""

from __future__ import annotations

import contextlib
import io
import sys


class Unheard(io.TextIOWrapper):
    """Writes as the stream does whose place it takes, and passes over what the system refuses.

    Args:
        stream: Stays open, and shares its buffer.
        lost: Which errors mean that something may stay unsaid.
    """

    def __init__(self, stream: io.TextIOWrapper, lost: type[OSError]) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._stream, self._lost = stream, lost  # where it went its buffer would be closed

    def write(self, text: str, /) -> int:
        """Write, or leave it."""
        with contextlib.suppress(self._lost):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or leave it."""
        with contextlib.suppress(self._lost):
            super().flush()


def outlive_readers() -> None:
    """Let nothing end because nobody reads standard output or error.

    On standard error a full disk or a terminal that is gone is likewise no reason; what standard output, the answer,
    has no room for is an error.
    """
    for name, lost in (("stdout", BrokenPipeError), ("stderr", OSError)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, Unheard(stream, lost))
