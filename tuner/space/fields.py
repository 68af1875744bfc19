"""Tables of hyperparameters for the README and for ``tune spaces``, generated from their declarations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuner.hyperparameters import algorithm_class, field_infos


@dataclass(frozen=True)
class FieldRow:
    """One hyperparameter as text.

    Attributes:
        name: Field name.
        default: Its default.
        valid: Its valid range in words.
        unit: Its unit, or an empty string.
        sb3: Whether Stable-Baselines3 has it.
        help: One sentence.
    """

    name: str
    default: str
    valid: str
    unit: str
    sb3: bool
    help: str


def field_table(algorithm: str) -> list[FieldRow]:
    """Return one row per hyperparameter, in order of declaration."""
    infos = field_infos(algorithm_class(algorithm)).values()
    return [FieldRow(i.name, default_text(i.default), i.valid_range, i.unit, i.sb3, i.help) for i in infos]


def markdown_table(algorithm: str) -> str:
    """Return the table in Markdown, with a final newline; fields that only the native agent has are marked."""
    lines = ["| field | default | valid | unit | what it does |", "|---|---|---|---|---|"]
    for row in field_table(algorithm):
        mark = "" if row.sb3 else " (native only)"
        lines.append(f"| `{row.name}`{mark} | {row.default} | {row.valid} | {row.unit} | {row.help} |")
    return "\n".join(lines) + "\n"


def default_text(value: Any) -> str:
    """Return a value as YAML would show it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return f"{value:_}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
