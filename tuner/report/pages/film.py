"""The film of the exported setting's agent, where ``--record`` has left one beside the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_film(folder: Path) -> Mapping[str, Any] | None:
    """Return what is known of the film in ``folder/agent``: env, returns, lengths, median_of; None without one."""
    try:
        film = json.loads((folder / "agent" / "video.json").read_text(encoding="utf-8"))
        there = (folder / "agent" / "video.mp4").is_file()
        returns = [float(r) for r in film["returns"]]
        known = {
            "env": str(film["env"]),
            "returns": returns,
            "lengths": [int(n) for n in film["lengths"]],
            "median_of": int(film.get("median_of", 1)),
        }
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    fits = there and returns and known["lengths"] and all(math.isfinite(r) for r in returns)
    return known if fits else None
