"""What is said on stdout and stderr: one place for widths, for untrusted text and for numbers. Rich comes late."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from tuner.storage_url import default_storage, scrub
from tuner.text import number, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Exit code where Ctrl-C ended a command, as shells have it (128 + SIGINT).
INTERRUPTED = 130

#: Columns of a table that goes into a pipe or a file: nothing is cut there.
PIPED_WIDTH = 220

#: Columns that a table leaves free between two of its own, and where room is short.
GAP, NARROW_GAP = 3, 2

#: Columns of the narrowest table of trials: a narrower terminal breaks its lines by itself.
NARROWEST = 40

#: Characters that a column of a table keeps together at least.
TOGETHER = 12

#: Characters of an error's line that are shown.
MAX_LINE = 2_000


#: Where answers go after :func:`keep_answers_apart`.
_answers: TextIO | None = None


def keep_answers_apart() -> None:
    """Let what others in this process print, environments above all, go to standard error from now on."""
    global _answers
    _answers, sys.stdout = sys.stdout, sys.stderr


def answers() -> TextIO:
    """Return the stream of the command's answer: standard output."""
    return sys.stdout if _answers is None else _answers


def one_line(text: str) -> str:
    """Return text without line breaks and without characters that would steer a terminal."""
    return " ".join(printable(text).replace("\ufffd", " ").split())


def say(text: object, *, stderr: bool = False, end: str = "\n") -> None:
    """Print: every line of the command line that rich does not draw."""
    print(printable(str(text)), file=sys.stderr if stderr else answers(), end=end, flush=True)


def fail_line(message: str, arguments: Iterable[str]) -> str:
    """Return the one line of an error, without any password that the arguments or the environment hold."""
    for url in (*arguments, default_storage()):
        message = scrub(message, url)
    text = one_line(message)
    cut = len(text) - MAX_LINE
    if cut > 0:  # what to do stands at the end
        text = f"{text[: MAX_LINE - 500]} ... ({cut:_} more characters) ... {text[-500:]}"
    return f"tune: error: {text}"


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as it is: names out of a database are no markup."""
    from rich.console import Console

    stream, asked = sys.stderr if stderr else answers(), os.environ.get("COLUMNS", "")
    given = int(asked) if re.fullmatch("[0-9]{1,6}", asked) else 0  # of 0 columns nobody sees anything
    return Console(
        file=stream, width=given or (None if stream.isatty() else PIPED_WIDTH), markup=False, emoji=False,
        highlight=False, soft_wrap=False, _environ={**os.environ, "COLUMNS": ""},
    )  # fmt: skip


def table(*columns: str, right: Iterable[str] = (), title: str | None = None) -> Table:
    """Return an empty table with a rule under its heads."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def print_table(rows: Table) -> None:
    """Print a table; where its columns would be too narrow for words, each row as lines of head and value."""
    out, columns = console(), rows.columns
    texts = [[str(column.header), *map(str, column.cells)] for column in columns]
    needed, gaps = sum(min(max(map(len, column)), TOGETHER) for column in texts), len(columns) - 1
    if needed + NARROW_GAP * gaps <= out.width:
        if needed + GAP * gaps > out.width:
            rows.padding = (0, 1, 0, 0)
        out.print(rows)
        return
    heads, *lines = zip(*texts, strict=True)
    say("\n\n".join("\n".join(aligned(dict(zip(heads, line, strict=True)), indent="")) for line in lines))


def decimal(value: float | None) -> str:
    """Return a score or a return with as many digits as matter, without the noise of floating point; a dash for none.

    Three decimals below one, and three digits of what they would show as nothing: 0.0004 is not 0.000.
    """
    if value is None or not math.isfinite(value):
        return "-"
    value = round(value, 9) or 0.0  # neither -0.000 nor what is left over of a sum
    size = abs(value)
    if size >= 1e15:
        return number(value)
    if 0 < size < 0.01:
        return number(value, 3)
    return f"{value:,.{0 if size >= 10_000 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def setting(value: object) -> str:
    """Return a hyperparameter's value in a few characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return number(value, 3)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting, value))}]"
    return one_line(str(value))


def aligned(pairs: Mapping[str, Any], indent: str = "  ") -> list[str]:
    """Return ``name  value`` lines with the values under each other."""
    width = max(map(len, pairs), default=0)
    return [f"{indent}{name:<{width}}  {setting(value)}" for name, value in pairs.items()]
