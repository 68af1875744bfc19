"""Tables of hyperparameters for the README and for ``tune spaces``, generated from their declarations."""

from __future__ import annotations

from typing import Any

from tuner.hyperparameters import algorithm_class, field_infos


def markdown_table(algorithm: str) -> str:
    """Return one row per hyperparameter in Markdown, with a final newline; what only the native agent has is marked."""
    lines = ["| field | default | valid | unit | what it does |", "|---|---|---|---|---|"]
    for info in field_infos(algorithm_class(algorithm)).values():
        mark = "" if info.sb3 else " (native only)"
        row = (
            f"`{info.name}`{mark}",
            "null" if info.default is None else default_text(info.default),
            info.valid_range,
            info.unit,
            info.help,
        )
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def default_text(value: Any) -> str:
    """Return a value as YAML would show it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return f"{value:_}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
