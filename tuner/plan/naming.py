"""What a study is called when nobody says so."""

from __future__ import annotations

import hashlib
import json
import re

from tuner.plan.recipe import NAME_PATTERN, StudyRecipe

#: These make up the readable part of the name; every other pinned setting goes into the suffix.
_SPELLED_OUT = ("env", "algo", "backend")


def study_name(recipe: StudyRecipe) -> str:
    """Return ``--study``, else ``<algo>-<backend>-<env>``, plus six hex digits of the pinned settings not at default.

    Two commands that pin different settings never share a study; the same command always finds its own again.
    """
    if recipe.study is not None:
        return recipe.study
    defaults = StudyRecipe()
    changed = {
        name: value
        for name, value in recipe.pinned().items()
        if name not in _SPELLED_OUT and value != getattr(defaults, name)
    }
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{recipe.algo}-{recipe.backend}-{recipe.env}")
    if changed:
        text = json.dumps(changed, sort_keys=True, default=str)
        name = f"{name[:121]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    name = name[:128]
    assert NAME_PATTERN.match(name)
    return name


def confirm_name(study: str) -> str:
    """Return the name of a study's confirm study."""
    return f"{study}.confirm"
