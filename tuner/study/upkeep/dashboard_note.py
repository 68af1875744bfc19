"""What optuna-dashboard shows of a study beside its own plots: the verdict as its note, our figures as saved plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from optuna.storages import BaseStorage

from tuner.study.store.connect import open_storage, storage_errors

#: Last line of a note of ours: one without it was written by somebody else, and stays.
MARK = "*Written by tune; the next run writes it again.*"

#: Characters of a figure's JSON above which it is left out.
LARGEST_FIGURE = 400_000

#: Where optuna-dashboard looks: keys of a study's system attributes, and the characters of one.
NOTE, NOTE_VERSION, FIGURE, PIECE = "dashboard:note_str:", "dashboard:note_ver", "dashboard:plot_data:", 2045


class Figure(Protocol):
    """A Plotly figure."""

    def to_json(self) -> str:
        """Return its JSON."""
        ...


def save_to_dashboard(study: str, storage: str, note: str, figures: Mapping[str, Figure]) -> None:
    """Save a note and figures with a study; the same names replace what was saved before.

    They are written as optuna-dashboard's ``save_note`` and ``save_plotly_graph_object`` write them: importing it takes
    seconds, as it brings scikit-learn.

    Args:
        study: Study name.
        storage: Storage URL.
        note: Markdown.
        figures: Name (letters, digits, ``-`` and ``_``) to figure.

    Raises:
        InputError: The storage cannot be used.
        StorageLostError: The database does not answer.
    """
    opened = open_storage(storage, create=False)
    with storage_errors(storage):
        study_id = opened.get_study_id_from_name(study)
        stored = opened.get_study_system_attrs(study_id)
        text, before = f"{note.rstrip()}\n\n{MARK}\n", "".join(_pieces(stored, NOTE))
        if text != before and (not before.strip() or MARK in before):
            opened.set_study_system_attr(study_id, NOTE_VERSION, stored.get(NOTE_VERSION, 0) + 1)
            _save(opened, study_id, NOTE, text)
        for name, figure in figures.items():
            drawn = figure.to_json()
            if len(drawn) <= LARGEST_FIGURE:
                _save(opened, study_id, f"{FIGURE}{name}:", drawn)


def _pieces(stored: Mapping[str, Any], prefix: str) -> list[str]:
    """Return a text's pieces in their order; those that a shorter text has left are empty."""
    count = sum(key.startswith(prefix) for key in stored)
    return [str(stored.get(f"{prefix}{i}", "")) for i in range(count)]


def _save(storage: BaseStorage, study_id: int, prefix: str, text: str) -> None:
    """Save a text in pieces, and empty those of a longer one before it."""
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    before = len(_pieces(storage.get_study_system_attrs(study_id), prefix))
    for i in range(max(len(pieces), before)):
        storage.set_study_system_attr(study_id, f"{prefix}{i}", pieces[i] if i < len(pieces) else "")
