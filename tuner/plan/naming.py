"""What a study is called when nobody says so."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import quote

from tuner.plan.recipe import NAME_PATTERN, StudyRecipe

#: These make up the readable part of the name; every other pinned setting goes into the suffix.
_SPELLED_OUT = ("env", "algo", "backend")

#: What a name of ours, or of its confirm study, looks like: no path, and no hidden file.
_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,139}\Z")

#: A study's random id.
_ID = re.compile(r"[0-9a-f]{32}")

#: Ends the name of a study's confirm study, and of no other.
CONFIRM_SUFFIX = ".confirm"


def study_name(recipe: StudyRecipe) -> str:
    """Return ``--study``, else ``<algo>-<backend>-<env>``, plus six hex digits of the pinned settings not at default.

    ``--within`` counts as one of these. Two commands that pin different settings never share a study; the same command
    always finds its own again.
    """
    if recipe.study is not None:
        return recipe.study
    defaults = StudyRecipe()
    changed = {
        name: value
        for name, value in recipe.pinned().items()
        if name not in _SPELLED_OUT and value != getattr(defaults, name)
    }
    name = safe_name(f"{recipe.algo}-{recipe.backend}-{recipe.env}")
    if recipe.within is not None:  # it decides the steps, which are pinned
        changed["within"] = recipe.within
    if changed:
        text = json.dumps(changed, sort_keys=True, default=str)
        name = f"{name[:121]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    name = name[:128]
    assert NAME_PATTERN.match(name)
    return name


def file_name(study: str) -> str:
    """Return what a study's files and folders are called: its name, unless another program gave it one that is a path.

    Such a name is quoted, so that it stays inside whatever folder it is joined to, and no two names share a file.
    """
    if _FILE_NAME.match(study):
        return study
    digest = hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"%{quote(study, safe='', errors='replace')[:100]}-{digest}"


def checkpoint_folder(report: Path, study_id: object) -> Path:
    """Return where a study's long runs are saved while they train.

    Studies of one name in two databases may share a report's folder, and each has its own in there. The one around
    these is that of studies without an id, and of versions that had no other.

    Args:
        report: Folder of its report.
        study_id: Its random id as the database has it, whatever that is.
    """
    folder = report / "checkpoints"
    return folder / study_id if isinstance(study_id, str) and _ID.fullmatch(study_id) else folder


def safe_name(text: str) -> str:
    """Return text as it may name a file or a folder."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def member_suffix(env: str) -> str:
    """Return what ends the name of an environment's study among several that one setting is searched for."""
    return f".{safe_name(env)}"


def confirm_name(study: str) -> str:
    """Return the name of a study's confirm study."""
    return study + CONFIRM_SUFFIX
