"""Rewrites the tables of ``hyperparameters.md``: ``python docs/tables.py``. A test checks that they are up to date."""

from __future__ import annotations

from pathlib import Path

from tuner.hyperparameters import ALGORITHMS
from tuner.space.fields import markdown_table

PAGE = Path(__file__).parent / "hyperparameters.md"
BEGIN, END = "<!-- hyperparameters: begin -->\n", "<!-- hyperparameters: end -->\n"


def with_tables(text: str) -> str:
    """Return the page with its generated parts as they should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(f"`--algo {name}`:\n\n{markdown_table(name)}" for name in ALGORITHMS)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
