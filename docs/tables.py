"""Rewrites the generated parts of pages: ``python docs/tables.py``. A test checks that they are up to date."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tuner import errors
from tuner.fields import FieldInfo
from tuner.hyperparameters import ALGORITHMS, algorithm_class, field_infos
from tuner.library.catalog import library_entries
from tuner.library.names import entry_file
from tuner.library.words import markdown_list
from tuner.plan.recipe import SETTINGS
from tuner.result.study import StudyData, TrialRow
from tuner.study_result import StudyResult
from tuner.text import number

HERE = Path(__file__).parent

#: What a duration in Python is; a recipe file takes ``10m``, too.
_UNITS = {"duration": "seconds"}


def hyperparameters() -> str:
    """Return a table for each algorithm."""
    return "\n".join(f"`--algo {name}`:\n\n{fields_of(name)}" for name in ALGORITHMS)


def fields_of(algorithm: str) -> str:
    """Return one row per hyperparameter; what only the native agent has is marked."""
    lines = ["| field | default | valid | unit | what it does |", "|---|---|---|---|---|"]
    for info in field_infos(algorithm_class(algorithm)).values():
        mark = "" if info.sb3 else " (native only)"
        lines.append(f"| `{info.name}`{mark} | {info.default_text} | {info.valid_range} | {info.unit} | {info.help} |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Return the fields of StudyRecipe."""
    lines = ["| field | default | valid | unit | pinned | what it does |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_setting(info))} |" for info in SETTINGS.values()]
    return "\n".join(lines) + "\n"


def _setting(info: FieldInfo) -> tuple[str, ...]:
    unit = info.unit or _UNITS.get(info.kind, "")
    pinned = "yes" if info.pinned else ""
    default = "`None`" if info.default is None else f"`{info.default_text}`" if info.default != "" else "required"
    return f"`{info.name}`", default, info.valid_range, unit, pinned, info.help


def attributes(cls: type) -> str:
    """Return the attributes of a dataclass, as its docstring describes them."""
    said = dict(_described(inspect.getdoc(cls) or ""))
    missing = [f.name for f in dataclasses.fields(cls) if f.name not in said]
    if missing:
        raise ValueError(f"{cls.__name__} does not say what {missing[0]} is.")
    lines = ["| attribute | what it is |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in said.items())]
    return "\n".join(lines) + "\n"


def _described(text: str) -> Iterator[tuple[str, str]]:
    body = text.partition("Attributes:\n")[2]
    for name, said in re.findall(r"^    (\w+): (.*(?:\n        .*)*)", body, re.MULTILINE):
        yield name, " ".join(re.sub(r":\w+:`([^`]*)`", r"`\1`", said.replace("``", "`")).split())


def error_tree() -> str:
    """Return the errors as ``tuner/errors.py`` lists them."""
    return f"```\n{(errors.__doc__ or '').partition(chr(10) * 2)[2].strip()}\n```\n"


def library() -> str:
    """Return the library's table."""
    return markdown_list(library_entries())


def films() -> str:
    """Return the films of entries, side by side, each above its name and score."""
    shown = [e for e in library_entries("dqn") if film_of(e.name).is_file()]
    rows = (
        [f"![{e.name} at play](../{film_of(e.name).relative_to(HERE.parent).as_posix()})" for e in shown],
        ["---"] * len(shown),
        [f"{e.name}: {number(e.verdict.value, 3)}" for e in shown],
    )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) if shown else ""


def film_of(name: str) -> Path:
    """Return where the film of an entry would lie."""
    return (HERE.parent / "reports" / "examples" / "library" / entry_file(name)).with_suffix(".gif")


#: Page -> its generated parts, by the names of their marks.
PAGES: Mapping[str, Mapping[str, str]] = {
    "hyperparameters.md": {"hyperparameters": hyperparameters()},
    "library.md": {"library": library(), "films": films()},
    "api.md": {
        "settings": settings(),
        "result": attributes(StudyResult),
        "data": attributes(StudyData),
        "trial": attributes(TrialRow),
        "errors": error_tree(),
    },
}


def with_tables(text: str, parts: Mapping[str, str]) -> str:
    """Return a page with its generated parts as they should be."""
    for name, table in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    for page, parts in PAGES.items():
        path = HERE / page
        path.write_text(with_tables(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
