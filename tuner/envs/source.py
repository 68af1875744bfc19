"""What the files say that a user's environment comes from, so that a study notices when they have changed."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

from tuner.envs.nearby import package_of
from tuner.envs.spec import EnvSpec
from tuner.envs.wrapper_names import parts, unknown_wrapper

#: An entry point as Gymnasium's registry takes it.
_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def source_digest(spec: EnvSpec) -> str | None:
    """Return a checksum of the files of ``--env-module``, ``module:Id`` or wrappers, and of all that these import here.

    Read, never imported. None where no module is named, or it lies in none of the user's folders: an installed
    package is told by its version.
    """
    wrappers = [parts(w)[0] for w in spec.wrapper if unknown_wrapper([w], None)]
    named = [name for name in (spec.module, spec.id.rpartition(":")[0], *wrappers) if name]
    found: dict[Path, bytes] = {}
    for name in named:
        path = Path(name)
        if name.endswith(".py") or "/" in name or "\\" in name:
            package = package_of(path.resolve())
            if package is not None:
                _follow(package[1], package[0], found)
            else:
                _read(path.resolve(), path.resolve().parent, found)
        else:
            _follow(name, Path.cwd(), found)
    if not found:
        return None
    whole = hashlib.sha256()
    for path, content in sorted(found.items()):
        whole.update(f"{path.name} {len(content)}\n".encode("utf-8", "surrogateescape") + content)
    return whole.hexdigest()


def _follow(name: str, root: Path, found: dict[Path, bytes]) -> None:
    """Read the file of a module's dotted name, and those of the packages around it."""
    words = name.split(".")
    for n in range(1, len(words) + 1):
        stem = root.joinpath(*words[:n])
        for path in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
            _read(path, root, found)


def _read(path: Path, root: Path, found: dict[Path, bytes]) -> None:
    if path in found or not path.is_file():
        return
    try:
        found[path] = content = path.read_bytes()
        tree = ast.parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _follow(alias.name, root, found)
        elif isinstance(node, ast.ImportFrom):
            here = path.parent if node.level else root
            for _ in range(node.level - 1):
                here = here.parent
            for alias in node.names:
                _follow(".".join(filter(None, (node.module, alias.name))), here, found)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _ENTRY_POINT.fullmatch(node.value):
            _follow(node.value.partition(":")[0], root, found)
