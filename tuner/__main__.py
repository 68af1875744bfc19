"""``python -m tuner`` is ``tune``."""

import sys

from tuner.cli.app import main

# Worker processes that are spawned import this module under another name.
if __name__ == "__main__":
    sys.exit(main())
