"""The trials of ``tune show``: a line for each where that fits, else a column for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.cli.console import GAP, decimal, one_line, setting, table
from tuner.report.numbers.trials import last_evaluation
from tuner.result.sampled import field_of, value_of
from tuner.text import counted

if TYPE_CHECKING:
    from rich.table import Table

    from tuner.result.study import StudyData, TrialRow

#: Trials that are listed unless all are asked for.
SHOWN_TRIALS = 10

#: Columns of text; all others are numbers.
_TEXTS = ("outcome", "from")


def trial_tables(data: StudyData, *, everything: bool, width: int) -> Iterator[Table]:
    """Yield the trials as one table, or as several that fit below each other.

    Args:
        data: The study; it has trials.
        everything: All trials by number, not the best :data:`SHOWN_TRIALS`.
        width: Columns of the terminal.
    """
    there = [trial for trial in data.trials if trial.continued_as is None]  # what goes on stands under its new number
    rest = [trial for trial in there if trial.score is None]
    shown = there if everything else [*data.ranked, *rest][:SHOWN_TRIALS]
    title = "all trials" if everything else f"best of {counted(len(there), 'trial')}"
    heads, rows = _texts(data, shown)
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) <= width:
        whole = table(*heads, right=[head for head in heads if head not in _TEXTS], title=title)
        for row in rows:
            whole.add_row(*row)
        yield whole
        return
    names = max(map(len, heads))
    for part in _parts([max(map(len, row)) for row in rows], width - names):
        columns = rows[part]
        block = table(heads[0], *(row[0] for row in columns), right=[row[0] for row in columns], title=title)
        for i, head in enumerate(heads[1:], 1):
            block.add_row(head, *(row[i] for row in columns))
        yield block
        title = ""


def _parts(widths: Sequence[int], room: int) -> Iterator[slice]:
    """Yield stretches of columns that fit side by side, at least one each."""
    begin, used = 0, 0
    for i, width in enumerate(widths):
        used += width + GAP
        if i > begin and used > room:
            yield slice(begin, i)
            begin, used = i, width + GAP
    yield slice(begin, len(widths))


def _texts(data: StudyData, shown: Sequence[TrialRow]) -> tuple[list[str], list[list[str]]]:
    """Return what is shown of each trial: the heads, and a row of texts for each."""
    names = list(dict.fromkeys(name for trial in shown for name in trial.params))
    source = ["from"] if data.knew_beforehand else []
    best = data.chosen.number if data.chosen is not None else None
    heads = ["trial", "outcome", "score", "last", "steps", *source, *(one_line(field_of(name)) for name in names)]
    rows = [
        [
            str(trial.number),
            "best" if trial.number == best else one_line(trial.outcome).replace("_", " "),
            decimal(trial.score),
            decimal(last_evaluation(trial)),
            f"{trial.steps:,}",
            *([one_line(trial.source) or "sampler"] if source else []),
            *(setting(value_of(name, trial.params[name])) if name in trial.params else "" for name in names),
        ]
        for trial in shown
    ]
    return heads, rows
