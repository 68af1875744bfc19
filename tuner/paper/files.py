"""All files of a paper, the same bytes for the same data."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tuner import durable
from tuner.errors import InputError
from tuner.paper.bibliography import bibtex
from tuner.paper.content import Paper
from tuner.paper.figures import figure_files
from tuner.paper.methods import cited, methods_markdown, methods_tex, titled
from tuner.paper.tables import hyperparameters_tex, latex, results_csv, results_tex, scores_csv

#: What a figure shows, under it.
CAPTIONS = {
    "curves": "Learning curves: interquartile means over seeds with 95 % intervals; thin lines, where there are any, "
    "are single seeds.",
    "scores": "Score of each run (dots), and what the table gives of them with its intervals.",
    "values": "Scores against values of the hyperparameter; the line joins interquartile means with 95 % intervals.",
    "history": "Scores in the search, {} each: the highest of many flatters, and is no result.",
}

_MAIN = r"""%% pdflatex main && bibtex main && pdflatex main && pdflatex main
\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{graphicx,booktabs,natbib,url}
\begin{document}
\sloppy
\section*{%s}
\input{methods}
\input{table}
%s\input{hyperparameters}
\bibliographystyle{plainnat}
\bibliography{references}
\end{document}
"""

_FIGURE = r"""\begin{figure}
  \centering
  \includegraphics[width=\linewidth]{%s.pdf}
  \caption{%s}
  \label{fig:%s}
\end{figure}
"""


def paper_files(paper: Paper, raw: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return file name to content.

    Args:
        paper: What is shown.
        raw: The data behind it, file name to content, for the archive (which has the methods, too).
    """
    figures = figure_files(paper)
    shown = [name for name in CAPTIONS if f"{name}.pdf" in figures]
    runs = "one run" if paper.search_runs == 1 else f"the mean of {paper.search_runs} runs"
    drawn = "".join(_FIGURE % (name, latex(CAPTIONS[name].format(runs)), name) for name in shown)
    texts = {
        "table.tex": results_tex(paper),
        "table.csv": results_csv(paper),
        "scores.csv": scores_csv(paper),
        "hyperparameters.tex": hyperparameters_tex(paper),
        "methods.tex": methods_tex(paper),
        "methods.md": methods_markdown(paper),
        "references.bib": bibtex([*cited(paper), "tune"], (paper.provenance.get("versions") or {}).get("tune-dqn")),
        "main.tex": _MAIN % (latex(titled(paper)), drawn),
    }
    return {
        **figures,
        **{name: text.encode() for name, text in texts.items()},
        "data.zip": archive({**raw, "methods.md": texts["methods.md"].encode()}),
    }


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of files, without times of its own."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, files[name])
    return content.getvalue()


def write_paper(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder, each at once.

    Raises:
        InputError: The folder cannot be written to.
    """
    durable.check_writable(folder, f"-o {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            durable.replace_file(folder / name, content)
    except OSError as error:
        raise InputError(
            f"the files cannot be written to '{folder}': {error.strerror or error}. Choose a folder with -o."
        ) from error
