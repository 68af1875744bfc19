"""The library's files: one YAML for each entry, all of RL Zoo's form in one, and the evidence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from tuner.durable import replace_file
from tuner.errors import InputError
from tuner.library.catalog import EVIDENCE, SCHEMA
from tuner.library.entry import Entry
from tuner.library.names import entry_file
from tuner.library.words import entry_yaml, zoo_yaml

#: All of RL Zoo's form in one.
ZOO = "dqn.yml"


def write_library(entries: list[Entry], folder: Path) -> list[Entry]:
    """Write all files of the library; those that are as they should be stay.

    Args:
        entries: All entries.
        folder: Where the library lies.

    Returns:
        The entries in the order of the evidence, with the checksums of their files.

    Raises:
        InputError: Two entries would share a file.
    """
    files: dict[str, bytes] = {}
    written = []
    for entry in sorted(entries, key=lambda e: (e.algorithm, e.name)):
        path, content = f"{entry.algorithm}/{entry_file(entry.name)}", entry_yaml(entry).encode()
        if path.lower() in {other.lower() for other in files}:
            raise InputError(f"Two entries of the library would share the file {path}.")
        files[path] = content
        written.append(dataclasses.replace(entry, sha256=hashlib.sha256(content).hexdigest()))
    files[ZOO] = zoo_yaml(written).encode()
    files[EVIDENCE] = evidence_json(written).encode()
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_bytes() != content:
            replace_file(place, content)
    return written


def evidence_json(entries: list[Entry]) -> str:
    """Return the evidence as JSON with a line for each run, so that a change shows as what it is."""
    return json.dumps({"schema": SCHEMA, "entries": []})[:-2] + ",".join(map(_entry_json, entries)) + "\n]}\n"


def _entry_json(entry: Entry) -> str:
    stored = entry.to_mapping()
    settings = stored.pop("settings")
    head = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in stored.items())
    return f'\n{{{head},\n "settings": [{",".join(map(_setting_json, settings))}\n ]}}'


def _setting_json(setting: dict[str, Any]) -> str:
    runs = ",".join(f"\n   {json.dumps(run)}" for run in setting.pop("runs"))
    return f'\n  {json.dumps(setting)[:-1]}, "runs": [{runs}\n  ]}}'
