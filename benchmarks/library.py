"""Makes and refreshes the library in studies/library: each entry by one search, with a verdict on fresh seeds.

    python benchmarks/library.py [--only NAME ...] [--algo ALGO] [--missing] [--list] [--cache DIR]

The searches stand in benchmarks/library.yaml: each is `tune` with these flags, as anybody may run it; the command
stands in the entry's file. `--only` makes those of the names that `tune settings` lists (FrozenLake-v1,
FrozenLake-v1,is_slippery=false), `--algo` those of one algorithm, `--missing` those that the library lacks. A search
that ends is written at once: the entry's file, dqn.yml, evidence.json and the table of docs/library.md. Interrupted,
the same command carries on: studies lie in the folder of `--cache`, and what is finished there trains no more. An entry
takes part with a complete verdict of at least ten seeds; else the library stays as it is. Of those that the list names
for it the best run of the verdict is filmed.

The cost of an entry is the processor time of `tune` and its workers, all sittings together.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tuner.cli.app import build_parser
from tuner.cli.run_command import recipe_of
from tuner.library.catalog import library_entries, library_folder
from tuner.library.entry import Entry
from tuner.library.files import write_library
from tuner.library.made import entry_of
from tuner.library.names import changes_of, entry_file, entry_name
from tuner.plan.command_lines import recipe_command
from tuner.plan.recipe import StudyRecipe
from tuner.storage_url import DEFAULT_STORAGE
from tuner.study.reading.study import load

HERE = Path(__file__).parent

#: What is made.
LIST = HERE / "library.yaml"

#: Where films lie.
FILMS = HERE.parent / "reports" / "examples" / "library"

#: What makes a study repeatable bit for bit.
ONE_WORKER = ("--workers", "1")


@dataclasses.dataclass(frozen=True)
class Search:
    """One entry to be made.

    Attributes:
        words: Flags of the search.
        recipe: What they ask for.
    """

    words: tuple[str, ...]
    recipe: StudyRecipe

    @property
    def name(self) -> str:
        """What the entry is called."""
        return entry_name(self.recipe.env, self.recipe.env_arg, changes_of(self.recipe.to_mapping()))

    @property
    def command(self) -> str:
        """The command that stands in the entry."""
        return f"{recipe_command(self.recipe, '', DEFAULT_STORAGE)} {' '.join(ONE_WORKER)}"


def searches(path: Path = LIST) -> list[Search]:
    """Return the searches of the list."""
    found = []
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        for line in group["entries"]:
            words = (*shlex.split(group["flags"]), *shlex.split(line))
            found.append(Search(words, recipe_of(build_parser().parse_args(list(words)))))
    return found


def folder_of(search: Search, cache: Path) -> Path:
    """Return where a search's study lies."""
    return (cache / search.recipe.algo / entry_file(search.name)).with_suffix("")


def make(search: Search, folder: Path) -> Entry:
    """Search, or carry on with it, and return the entry."""
    folder.mkdir(parents=True, exist_ok=True)
    storage, study = f"sqlite:///{folder}/study.db", "library"
    own = ["--storage", storage, "--study", study, "--report-dir", str(folder), *ONE_WORKER, "--quiet"]
    costs = folder / "costs.jsonl"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run([sys.executable, "-m", "tuner", *search.words, *own], check=False)
    finally:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with costs.open("a") as file:
            file.write(json.dumps(seconds) + "\n")
    if done.returncode:
        raise SystemExit(done.returncode)
    total = sum(map(float, costs.read_text().split()))
    day = folder / "made"
    if not day.exists():
        day.write_text(datetime.now(UTC).date().isoformat())
    return entry_of(load(study, storage), command=search.command, made=day.read_text(), processor_s=total)


def film(entry: Entry, study: Path) -> None:
    """Film the best run of an entry's verdict, where the list names it."""
    if entry.algorithm != "dqn" or entry.name not in filmed():
        return
    made = study / "film"
    command = [sys.executable, "-m", "tuner", "record", str(study / "library" / "agents" / "best"), "-o", str(made)]
    subprocess.run(command, check=True)
    FILMS.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / "video.gif", (FILMS / entry_file(entry.name)).with_suffix(".gif"))


def filmed(path: Path = LIST) -> list[str]:
    """Return the names of the entries that are filmed."""
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["films"])


def refresh(entry: Entry, folder: Path) -> None:
    """Put an entry into the library, in the place of one of its name, and write all that shows it."""
    others = [e for e in library_entries() if (e.name, e.algorithm) != (entry.name, entry.algorithm)]
    write_library([*others, entry], folder)
    runpy.run_path(str(HERE.parent / "docs" / "tables.py"), run_name="__main__")


def main(argv: Sequence[str] | None = None) -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="entries to make, by name")
    parser.add_argument("--algo", help="those of this algorithm")
    parser.add_argument("--missing", action="store_true", help="what the library lacks")
    parser.add_argument("--list", action="store_true", help="show the entries and their commands, make none")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "build" / "library", help="folder of the studies")
    asked = parser.parse_args(argv)
    every = searches()
    if unknown := set(asked.only or ()) - {search.name for search in every}:
        parser.error(f"{sorted(unknown)[0]} is not in benchmarks/library.yaml: {', '.join(s.name for s in every)}")
    there = {(entry.name, entry.algorithm) for entry in library_entries()}
    wanted = [s for s in every if asked.only is None or s.name in asked.only]
    wanted = [s for s in wanted if asked.algo in (None, s.recipe.algo)]
    if asked.missing:
        wanted = [s for s in wanted if (s.name, s.recipe.algo) not in there]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for search in wanted:
        print(f"{search.name}: {search.command}", flush=True)
        if not asked.list:
            folder = folder_of(search, asked.cache.absolute())
            entry = make(search, folder)
            film(entry, folder)
            refresh(entry, library_folder())


if __name__ == "__main__":
    main()
