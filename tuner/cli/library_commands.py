"""``tune settings``: the library's tuned settings, each with its verdict."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner.cli.console import print_table, say, table
from tuner.cli.parser import OneLineParser, add_command

if TYPE_CHECKING:
    from tuner.library.entry import Entry


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "settings", command, "list the library's tuned settings with their verdicts, or show one as YAML"
    )
    add_entry_name(parser, "Show this one, such as FrozenLake-v1 or FrozenLake-v1,is_slippery=false", needed=False)
    parser.add_argument("--json", action="store_true", help="As data, every verdict run included")


def add_entry_name(parser: OneLineParser, help: str, *, needed: bool) -> None:
    """Add the name of an entry and its algorithm."""
    parser.add_argument("env", nargs=None if needed else "?", metavar="ENV", help=help)
    whose = "dqn" if needed else "dqn; of the list, all of them"
    parser.add_argument("--algo", metavar="ALGO", help=f"Whose setting (default: {whose})")


def command(parsed: argparse.Namespace) -> int:
    """Print what was asked for."""
    from tuner.hyperparameters import algorithm_class
    from tuner.library.catalog import library_entries, library_file, named_entry

    if parsed.algo is not None:
        algorithm_class(parsed.algo)
    if parsed.env is not None:
        entry = named_entry(parsed.env, parsed.algo or "dqn")
        text = json.dumps(as_data(entry), indent=2) if parsed.json else library_file(entry).read_text(encoding="utf-8")
        say(text.rstrip("\n"))
        return 0
    every = library_entries(parsed.algo)
    if parsed.json:
        say(json.dumps([as_data(entry) for entry in every], indent=2))
    elif every:
        _print_list(every)
        say("tune settings ENV shows one, tune train --env ID trains it, tune verify ENV holds it to its verdict.")
    else:
        say("The library has no setting" + (f" of {parsed.algo}." if parsed.algo else "."))
    return 0


def as_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain data, with the numbers that its runs give."""
    beside = [
        {"key": b.key, "role": b.role, "estimate": dataclasses.asdict(b.estimate), "result": entry.beside(b).result}
        for b in entry.baselines
    ]
    return {
        "name": entry.name,
        "verdict": dataclasses.asdict(entry.verdict),
        "beside": beside,
        "hyperparameters": dict(entry.own.hyperparameters),
        **entry.to_mapping(),
    }


def _print_list(every: Sequence[Entry]) -> None:
    from tuner.library.words import LIST_COLUMNS, list_row

    rows = table(*LIST_COLUMNS, right=("seeds", "core-hours"))
    for entry in every:
        rows.add_row(*list_row(entry))
    print_table(rows)
