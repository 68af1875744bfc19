"""What ``tuner.run`` returns: a study's result that shows itself, and hands its numbers on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.hyperparameters import Hyperparameters
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.text import counted, number, value_text

if TYPE_CHECKING:
    import pandas as pd

    from tuner.study.search.supervisor import Ending

#: Trials and values that a result shows of itself.
SHOWN = 8


@dataclass(frozen=True, repr=False)
class StudyResult:
    """What a study has found. In a notebook it shows itself as a small page, elsewhere in a few lines.

    Attributes:
        name: Study name.
        data: Everything in it.
        best: The chosen trial's hyperparameters: the confirm stage's winner, else the search's best; None when no trial
            has completed.
        report: Path of the report's ``index.html``.
        export: Path of ``best.yaml``; None when no trial has completed.
        agents: Of the runs that the verdict rests on, the agent of the ``best`` seed and that of the ``median`` one, in
            folders that :func:`tuner.load_agent` takes. Empty before the verdict is complete, without a confirm stage,
            and where they trained on a Ray cluster's machines.
        ending: ``done``; or ``timeout`` or ``interrupted``, and the same recipe carries on.
    """

    name: str
    data: StudyData
    best: Hyperparameters | None
    report: Path
    export: Path | None
    agents: Mapping[Place, KeptAgent]
    ending: Ending

    def trials_frame(self) -> pd.DataFrame:
        """Return all trials, one row each, as ``trials.csv`` has them."""
        from tuner.report.tables.trials import trials_frame

        return trials_frame(self.data)

    def curves_frame(self) -> pd.DataFrame:
        """Return every evaluation of the search; see :func:`tuner.report.tables.frames.curves_frame`."""
        from tuner.report.tables.frames import curves_frame

        return curves_frame(self.data)

    def confirm_frame(self) -> pd.DataFrame:
        """Return every training of the confirm stage; see :func:`tuner.report.tables.frames.confirm_frame`."""
        from tuner.report.tables.frames import confirm_frame

        return confirm_frame(self.data)

    def figures(self) -> dict[str, Any]:
        """Return the report's figures by key, such as ``history``: Plotly figures, which a notebook draws."""
        from tuner.report.numbers.evidence import evidence
        from tuner.report.pages.sections import FIGURES

        found = evidence(self.data)
        return {key: figure for each in FIGURES for key, (figure, _) in each.drawn(self.data, found).items()}

    def __repr__(self) -> str:
        return "\n".join([self._title(), *self._in_short(), *self._next()])

    def _repr_html_(self) -> str:
        """Return a small page: the result in short, the values to use, the best trials, and where the report is."""
        values = "".join(_row(name, value_text(value)) for name, value in self.values().items())
        trials = "".join(
            _row(f"{t.number}", number(t.score), f"{t.steps:,}", t.source or "sampler")
            for t in self.data.ranked[:SHOWN]
        )
        head = "<tr><th>trial</th><th>score</th><th>steps</th><th>from</th></tr>"
        said = "".join(f"<p>{escape(line)}</p>" for line in self._in_short())
        side = f"<table>{values}</table><table>{head}{trials}</table>"
        return (
            f"<div><h4>{escape(self._title())}</h4>{said}<div style='display:flex;gap:2em'>{side}</div>"
            f"<p>{'<br>'.join(map(escape, self._next()))}</p></div>"
        )

    def _title(self) -> str:
        why = {"timeout": ", time up", "interrupted": ", interrupted"}.get(self.ending, "")
        how = f"{why}: the same recipe carries on" if why else ""
        return f"{self.name}: {counted(len(self.data.trials), 'trial')}{how}"

    def _in_short(self) -> list[str]:
        from tuner.report.words.in_short import in_short

        if self.data.confirmation is None:
            return in_short(self.data, None)
        from tuner.report.numbers.evidence import evidence  # brings SciPy

        return in_short(self.data, evidence(self.data))

    def values(self) -> dict[str, Any]:
        """Return the chosen trial's value of each field that was searched or derived, as it is used."""
        chosen = self.data.chosen
        if chosen is None:
            return {}
        space = self.data.space
        searched = [n for n in (*space.get("search", {}), *space.get("derived", {})) if n in chosen.hyperparameters]
        return {name: chosen.hyperparameters[name] for name in searched} or dict(chosen.params)

    def _next(self) -> list[str]:
        lines = [f"{name}: {path}" for name, path in (("export", self.export), ("report", self.report)) if path]
        values = ", ".join(f"{name}={value_text(value)}" for name, value in list(self.values().items())[:SHOWN])
        return [f"values: {values}", *lines] if values else lines


def _row(*texts: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
