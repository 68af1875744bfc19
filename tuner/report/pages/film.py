"""The film of the exported setting's agent, where ``--record`` has left one beside the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_film(folder: Path) -> Mapping[str, Any] | None:
    """Return what is known of the film in ``folder/agent``: env, returns, lengths; None where there is none."""
    try:
        film = json.loads((folder / "agent" / "video.json").read_text(encoding="utf-8"))
        there = (folder / "agent" / "video.mp4").is_file()
        known = {
            "env": str(film["env"]),
            "returns": [float(r) for r in film["returns"]],
            "lengths": [int(n) for n in film["lengths"]],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if there and known["returns"] and known["lengths"] else None
