"""``tune delete``: a study goes, with all that belongs to it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tuner.cli.console import one_line
from tuner.cli.parser import add_command, add_storage
from tuner.errors import InputError
from tuner.storage_url import default_storage, mask
from tuner.text import counted


def add_to(commands: Any) -> None:
    """Add the command."""
    delete = add_command(commands, "delete", command, "delete a study and its confirm stage")
    delete.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    add_storage(delete)
    delete.add_argument("--yes", action="store_true", help="Do not ask")


def command(parsed: argparse.Namespace) -> int:
    """Ask, delete, and say what stays."""
    from tuner.study.upkeep.delete import belongings, delete_study

    url, name = parsed.storage or default_storage(), one_line(parsed.study)
    found = belongings(parsed.study, url)
    runs = "" if found.runs is None else f" and {counted(found.runs, 'run')} of its confirm stage"
    what = f"the study '{name}' with {counted(found.trials, 'trial')}{runs} from {mask(url)}"
    if not parsed.yes:
        if not sys.stdin.isatty():
            raise InputError(f"tune delete would delete {what}. Say --yes to do it without being asked.")
        print(f"Delete {what}? It cannot be undone. [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return 0
    delete_study(parsed.study, url)
    stays = "Its report and its agents stay" if found.agents else "Its report stays"
    report = "" if found.report is None else f" {stays} in {found.report}."
    print(f"Deleted {what}.{report}")
    return 0
