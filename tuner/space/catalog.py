"""Where search spaces are found: an explicit path, ``./search_spaces``, the installed package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tuner
from tuner.errors import InputError, SpaceError, nearest
from tuner.space.model import SearchSpace
from tuner.space.parse import load_space

FOLDER = "search_spaces"


@dataclass(frozen=True)
class SpaceListing:
    """One search space that can be asked for by name.

    Attributes:
        algorithm: Its algorithm.
        name: What ``--space`` takes.
        path: Its file.
        description: First comment line of the file, or an empty string.
    """

    algorithm: str
    name: str
    path: Path
    description: str


def find_space(name: str, algorithm: str = "dqn") -> Path:
    """Return the file of a search space.

    Args:
        name: A path (it ends with ``.yaml`` or ``.yml``, or has a folder in it), or a name.
        algorithm: Whose space.

    Raises:
        InputError: There is none; the message names the nearest.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        path = Path(name)
        if not path.is_file():
            raise InputError(
                f"There is no search space file {name}. --space takes a path or a name: {_known(algorithm)}."
            )
        return path
    for folder in _folders():
        path = folder / algorithm / f"{name}.yaml"
        if path.is_file():
            return path
    names = [listing.name for listing in list_spaces(algorithm)]
    raise InputError(f"{algorithm} has no search space '{name}'.{nearest(name, names)} Known: {_known(algorithm)}.")


def is_packaged(name: str, algorithm: str = "dqn") -> bool:
    """Whether a search space came with the package, so that another version of it may have another space of that name.

    Raises:
        InputError: There is none.
    """
    return find_space(name, algorithm).resolve().is_relative_to(packaged_folder().resolve())


def load_by_name(name: str, algorithm: str = "dqn") -> SearchSpace:
    """Return the validated search space with this name or path.

    Raises:
        InputError: There is none.
        SpaceError: It breaks a rule, or is for another algorithm.
    """
    path = find_space(name, algorithm)
    space = load_space(path)
    if space.algorithm != algorithm:
        raise SpaceError(f"{path}: algorithm: is {space.algorithm}, but --algo is {algorithm}.")
    return space


def list_spaces(algorithm: str | None = None) -> list[SpaceListing]:
    """Return all spaces that have a name, by algorithm and name; the working directory's hide packaged ones."""
    found: dict[tuple[str, str], SpaceListing] = {}
    for folder in _folders():
        for path in sorted(folder.glob(f"{algorithm or '*'}/*.yaml")):
            key = (path.parent.name, path.stem)
            if key not in found and path.is_file():
                found[key] = SpaceListing(*key, path, _description(path))
    return [found[key] for key in sorted(found)]


def packaged_folder() -> Path:
    """Return the folder of search spaces that came with the package: inside it, or beside it in a checkout."""
    package = Path(tuner.__file__).parent
    inside = package / FOLDER
    return inside if inside.is_dir() else package.parent / FOLDER


def _folders() -> list[Path]:
    return [Path(FOLDER), packaged_folder()]


def _known(algorithm: str) -> str:
    return ", ".join(listing.name for listing in list_spaces(algorithm)) or "none"


def _description(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    return first.lstrip("# ").strip() if first.startswith("#") else ""
