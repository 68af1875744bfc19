"""``tune`` and ``python -m tuner``. Ctrl-C is a line as soon as this runs: most of a command's start is imports."""

import sys


def main() -> int:
    """Run the command of this process and return its exit code."""
    try:
        from tuner.cli.app import main as run

        return run()
    except KeyboardInterrupt:
        print("tune: interrupted", file=sys.stderr)
        return 130  # what is interrupted later ends with it, too


# Worker processes that are spawned import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
