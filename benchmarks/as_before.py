"""``tune`` with the search of version 0.1: its pruning, its finalists, proposals by the score alone.

    python benchmarks/as_before.py --env lab/Catch-v0 --prior none --trials 100 ...

Everything else is today's: trainer, default space, confirm stage. Versions of rules are kept with each study
(``tuner/contract/rules.py``); here new studies begin with the oldest of the search's.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from tuner.contract import rules

# Worker processes that are spawned import this module under another name.
if __name__ == "__main__":
    rules.CURRENT = replace(rules.CURRENT, pruning=1, finalists=1, proposals=1)  # before anything takes it
    from tuner.cli.app import main

    sys.exit(main())
