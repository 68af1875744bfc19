"""The live view of a study in a notebook: a widget of ipywidgets, redrawn in place, or plain lines without it."""

from __future__ import annotations

import importlib.util
import io
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tuner.cli.console import one_line, say
from tuner.cli.progress import REDRAW_S, PlainProgress, live_view, progress_view
from tuner.study.search.progress import ProgressListener, Snapshot

#: Columns of the view, and lines of it that are trials in training: a page scrolls, too many would hide the rest.
WIDTH, LINES = 110, 12

#: Notes that stay in sight above the view.
NOTES = 20

_PAGE = '<pre style="white-space:pre;overflow-x:auto;line-height:1.3;font-family:monospace">{code}</pre>'


def progress() -> ProgressListener:
    """Return what shows a study while it runs: ``tuner.run(recipe, progress=tuner.progress())``.

    A widget in a notebook, a live view on a terminal, plain lines elsewhere.
    """
    return notebook_progress() if in_notebook() else progress_view(quiet=False)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this code; imports nothing to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def notebook_progress() -> ProgressListener:
    """Return a widget where ipywidgets is installed, else plain lines on stdout: stderr is shown as if it failed."""
    if importlib.util.find_spec("ipywidgets") is None:
        return PlainProgress(say)
    return WidgetProgress(_shown_widget)


def _shown_widget() -> Any:
    display = importlib.import_module("IPython.display").display
    widget = importlib.import_module("ipywidgets").HTML()
    display(widget)
    return widget


class WidgetProgress:
    """Draws into a widget whose ``value`` is HTML.

    Args:
        make: Makes and shows it.
        clock: Seconds.
    """

    def __init__(self, make: Callable[[], Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._clock = clock
        self._widget: Any = None
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._last: Snapshot | None = None
        self._drawn_at = -float("inf")

    def start(self, snapshot: Snapshot) -> None:
        """Show it; the confirm stage of a study goes on in the search's."""
        self._draw(snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Draw the study as it is."""
        if self._clock() - self._drawn_at >= REDRAW_S:
            self._draw(snapshot)

    def note(self, line: str) -> None:
        """Show a line above the view."""
        self._notes.append(one_line(line))
        self._draw(self._last)

    def finish(self, snapshot: Snapshot) -> None:
        """Draw the end."""
        self._draw(snapshot)

    def _draw(self, snapshot: Snapshot | None) -> None:
        from rich.console import Console
        from rich.text import Text

        page = Console(
            file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, force_jupyter=False,
            color_system="truecolor", markup=False, emoji=False, highlight=False, legacy_windows=False,
        )  # fmt: skip
        for line in self._notes:
            page.print(Text(line, style="dim"))
        if snapshot is not None:
            page.print(live_view(snapshot, WIDTH, LINES))
        if self._widget is None:
            self._widget = self._make()
        self._widget.value = page.export_html(inline_styles=True, code_format=_PAGE)
        self._last, self._drawn_at = snapshot, self._clock()
