"""Recipes as YAML: ``--recipe NAME|PATH``.

A recipe file holds settings of :class:`~tuner.plan.recipe.StudyRecipe` by field name; durations may be written
``10m``. Looked up as a path, then in ``./studies/``, then among the recipes that come with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuner.errors import InputError, nearest
from tuner.plain_yaml import load
from tuner.plan.recipe import check_setting, from_mapping

_PACKAGE = Path(__file__).resolve().parent.parent


def recipe_folders() -> list[Path]:
    """Return the folders that are searched for a recipe's name, first match wins."""
    return [Path("studies"), _PACKAGE / "studies", _PACKAGE.parent / "studies"]


def list_recipes() -> dict[str, Path]:
    """Return all recipes that can be named, by name."""
    found: dict[str, Path] = {}
    for folder in recipe_folders():
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def find_recipe(name: str) -> Path:
    """Return the file of a recipe.

    Args:
        name: A path, or the name of a recipe without ``.yaml``.

    Raises:
        InputError: There is no such recipe; the nearest name is given.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise InputError(f"--recipe: there is no file '{name}'.")
    known = list_recipes()
    if name not in known:
        listed = f" Known: {', '.join(known)}." if known else " Give the path of a YAML file."
        raise InputError(f"--recipe: there is no recipe '{name}'.{nearest(name, known)}{listed}")
    return known[name]


def read_recipe(name: str) -> dict[str, Any]:
    """Return the settings that a recipe file gives, checked one by one. Flags are laid over them by the caller.

    Raises:
        InputError: No such file, not YAML, not a mapping, or a setting breaks its rule; the message names the file.
    """
    path = find_recipe(name)
    values = load(path)
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"{path}: a recipe is a mapping of settings, such as 'env: CartPole-v1'.")
    try:
        from_mapping(values)
        return {key: check_setting(key, value) for key, value in values.items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
