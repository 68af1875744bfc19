"""``tune`` and ``python -m tuner``. Ctrl-C is a line as soon as this runs: most of a command's start is imports.

So is SIGTERM, which interrupts as Ctrl-C does, in whatever a command is doing; a search ends gently by both.
"""

import io
import os
import signal
import sys

from tuner.streams import outlive_readers


def main() -> int:
    """Run the command of this process and return its exit code."""
    _make_streams_sayable()
    outlive_readers()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from tuner.cli.app import main as run
        from tuner.cli.console import keep_answers_apart

        keep_answers_apart()
        return run()
    except KeyboardInterrupt:
        print("tune: interrupted", file=sys.stderr)
        return 130  # what is interrupted later ends with it, too


def _make_streams_sayable() -> None:
    """Let nothing be said where a stream was closed (``>&-``), and a letter's code where the encoding lacks it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # what is opened later would take its place
            handle = os.open(os.devnull, os.O_WRONLY)
            os.set_inheritable(handle, True)
            setattr(sys, name, os.fdopen(handle, "w", encoding="utf-8", closefd=False))
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


# Worker processes that are spawned import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
