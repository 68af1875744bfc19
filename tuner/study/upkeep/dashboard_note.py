"""What optuna-dashboard shows of a study beside its own plots: the verdict as its note, our figures as saved plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import optuna

from tuner.study.store.connect import open_storage, storage_errors

#: Last line of a note of ours: one without it was written by somebody else, and stays.
MARK = "*Written by tune; the next run writes it again.*"

#: Characters of a figure's JSON above which it is left out: it is stored in pieces of two thousand.
LARGEST_FIGURE = 400_000


class Figure(Protocol):
    """A Plotly figure."""

    def to_json(self) -> str:
        """Return its JSON."""
        ...


def save_to_dashboard(study: str, storage: str, note: str, figures: Mapping[str, Figure]) -> None:
    """Save a note and figures with a study; the same names replace what was saved before.

    Args:
        study: Study name.
        storage: Storage URL.
        note: Markdown.
        figures: Name (letters, digits, ``-`` and ``_``) to figure.

    Raises:
        InputError: The storage cannot be used.
        StorageLostError: The database does not answer.
    """
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object

    opened = open_storage(storage, create=False)
    with storage_errors(storage):
        loaded = optuna.load_study(study_name=study, storage=opened)
        text, before = f"{note.rstrip()}\n\n{MARK}\n", get_note(loaded)
        if text != before and (not before.strip() or MARK in before):
            save_note(loaded, text)
        for name, figure in figures.items():
            if len(figure.to_json()) <= LARGEST_FIGURE:
                save_plotly_graph_object(loaded, figure, graph_object_id=name)
