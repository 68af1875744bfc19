"""Files of the working folder that may register an environment nobody has imported: read, never imported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

#: Files looked at, at most, and bytes of each.
MOST_FILES, MOST_BYTES = 200, 200_000


def package_of(path: Path) -> tuple[Path, str] | None:
    """Return (folder to import from, dotted name) of a package, given as its folder or ``__init__.py``; else None."""
    folder = path.parent if path.name == "__init__.py" else path
    words: list[str] = []
    while (folder / "__init__.py").is_file():
        words.insert(0, folder.name)
        folder = folder.parent
    return (folder, ".".join(words)) if words else None


def who_registers(env_id: str, folder: Path) -> str:
    """Return a hint that names a file or package below ``folder`` that speaks of the environment, or an empty string.

    Args:
        env_id: As it was asked for, without ``module:``.
        folder: The working folder; its files and those of packages in it are read.
    """
    name = env_id.rpartition("/")[2].rpartition("-v")[0] or env_id
    likely = ""
    for path in _files(folder):
        try:
            text = path.read_bytes()[:MOST_BYTES].decode("utf-8", "replace")
        except OSError:
            continue
        if "register(" not in text or not ("gymnasium" in text or "gym." in text):
            continue
        found = package_of(path) if path.name == "__init__.py" else None
        module = found[1] if found is not None else path.relative_to(folder).as_posix()
        if f'"{env_id}"' in text or f"'{env_id}'" in text:
            return f"{path.relative_to(folder)} registers it: add --env-module {module}."
        if f"{name}-v" in text:
            likely = likely or f"{path.relative_to(folder)} registers one of that name: add --env-module {module}."
    return likely


def _files(folder: Path) -> Iterator[Path]:
    """Yield Python files of a folder, and of the packages right in it."""
    with contextlib.suppress(OSError):
        found = [path for path in (*sorted(folder.glob("*.py")), *sorted(folder.glob("*/*.py"))) if path.is_file()]
        yield from [p for p in found if p.parent == folder or (p.parent / "__init__.py").is_file()][:MOST_FILES]
