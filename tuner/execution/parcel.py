"""The code that a run needs on another machine: the user's own environment modules, gathered in one folder.

Only code travels. Of a folder that holds an environment's module these are its ``.py`` files and the packages beside
it; whatever else lies there (databases, keys, reports) stays where it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import InputError

#: Bytes of user code that are sent at most.
MAX_BYTES = 100 * 2**20

_NEVER = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class Parcel:
    """What to send.

    Attributes:
        folder: Becomes the working directory of trainers; None when there is nothing to send.
        module: The environment's module, as trainers find it from there.
    """

    folder: Path | None
    module: str | None


def pack(
    env_id: str, module: str | None, into: Path, *, wrapper: Sequence[str] = (), here: Path | None = None
) -> Parcel:
    """Copy an environment's own code into an empty folder.

    Args:
        env_id: ``Id`` or ``module:Id``.
        module: What ``--env-module`` says: the path of a file, a module, or None.
        into: The empty folder.
        wrapper: What ``--wrapper`` says, in one text each: their modules count as the environment's own.
        here: Where modules are looked for beside the installed ones; None is the working directory.

    Raises:
        InputError: There is more than :data:`MAX_BYTES` of it.
    """
    here = here or Path.cwd()
    sources: list[Path] = []
    name = module
    if module is not None and _is_file(module):
        file = (here / module).resolve()
        sources.append(file.parent)
        name = file.name
    words = [env_id.rpartition(":")[0], "" if module is None or _is_file(module) else module, *wrapper]
    if any(_is_here(word.split(".")[0], here) for word in words if word):
        sources.append(here)
    room = MAX_BYTES
    for source in sources:
        for path in _code(source):
            room -= _copy(path, into / path.name)
            if room < 0:
                raise InputError(
                    f"The code in {source} cannot be sent to the cluster: it is larger than {MAX_BYTES >> 20} MiB. "
                    "Put the environment's module into a folder of its own."
                )
    return Parcel(into if sources else None, name)


def _is_file(module: str) -> bool:
    return module.endswith(".py") or "/" in module or "\\" in module


def _is_here(top: str, here: Path) -> bool:
    return (here / f"{top}.py").is_file() or (here / top / "__init__.py").is_file()


def _code(folder: Path) -> Iterator[Path]:
    """Yield a folder's Python files and packages, in order of their names."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if (path.suffix == ".py" and path.is_file()) or (path / "__init__.py").is_file():
            yield path


def _copy(source: Path, target: Path) -> int:
    """Copy a file or a package unless its place is taken, and return its bytes."""
    if target.exists():
        return 0
    if source.is_file():
        shutil.copyfile(source, target)
        return target.stat().st_size
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    if size <= MAX_BYTES:
        shutil.copytree(source, target, ignore=_NEVER, ignore_dangling_symlinks=True)
    return size
