"""``tune`` and ``python -m tuner``. Ctrl-C is a line as soon as this runs: most of a command's start is imports.

So is SIGTERM, which interrupts as Ctrl-C does, in whatever a command is doing; a search ends gently by both.
"""

import signal
import sys


def main() -> int:
    """Run the command of this process and return its exit code."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from tuner.cli.app import main as run

        return run()
    except KeyboardInterrupt:
        print("tune: interrupted", file=sys.stderr)
        return 130  # what is interrupted later ends with it, too


# Worker processes that are spawned import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
