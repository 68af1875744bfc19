"""``tune copy``: a study moves to another database."""

from __future__ import annotations

import argparse
from typing import Any

from tuner.cli.console import say
from tuner.cli.parser import add_command
from tuner.errors import InputError
from tuner.storage_url import STORAGE_VARIABLE, default_storage, mask
from tuner.text import counted


def add_to(commands: Any) -> None:
    """Add the command."""
    copy = add_command(commands, "copy", command, "copy a study to another database")
    copy.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    default = f"default: ${STORAGE_VARIABLE}, else the local one"
    copy.add_argument("--from", dest="source", metavar="URL", help=f"Database it is in ({default})")
    copy.add_argument("--to", dest="target", metavar="URL", help="Database it goes to")


def command(parsed: argparse.Namespace) -> int:
    """Copy and say what was copied."""
    from tuner.study.upkeep.copy import copy_study

    source = parsed.source or default_storage()
    if parsed.target is None:
        raise InputError("tune copy needs --to URL: the database the study goes to.")
    if parsed.target == source:
        raise InputError("--from and --to are the same database.")
    trials = copy_study(parsed.study, source, parsed.target)
    where = f"{counted(trials, 'trial')} to {mask(parsed.target)}"
    say(f"Copied the study '{parsed.study}' with {where}. Its report and agents stay where they are.")
    return 0
