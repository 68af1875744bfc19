"""Named pipes where a file is asked for: whoever opens one waits until somebody writes, which may be never."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

#: What a process already has open, by name: ``/dev/stdin``, and the pipe that a shell makes of ``<(command)``.
_OPENED = (Path("/dev/fd"), Path("/dev/stdin"), Path("/proc"))


def refuse_named_pipe(path: Path | str) -> None:
    """Refuse a file to be read that is a named pipe.

    Raises:
        OSError: It is one, or is not there.
    """
    path = Path(path)
    if stat.S_ISFIFO(path.stat().st_mode) and not any(path.absolute().is_relative_to(place) for place in _OPENED):
        raise OSError(errno.EINVAL, "it is a named pipe; give a file", str(path))
