"""Importing what registers an environment: user modules and the Atari package."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from tuner.envs.nearby import package_of
from tuner.errors import InputError, UnusableEnvironmentError

#: Files of modules by the names they were given.
_FILES: dict[str, Path] = {}

#: Characters of an exception's line that are kept.
MAX_LINE = 1_000


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what making an environment says to developers: Gymnasium's own notes and deprecations in libraries.

    Box2D's SWIG module even crashes the interpreter when its deprecation warning is turned into an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", r"(\x1b\[\d+m)?WARN: ")  # gymnasium.logger's prefix, in colour
        yield


@contextlib.contextmanager
def importable(module: str | None) -> Iterator[None]:
    """Put the working directory (for a file, its folder) in front of the import path for a while.

    The block must also make the environment: Gymnasium imports textual entry points only then.
    """
    if module is None:
        yield
        return
    folder = str(Path.cwd())
    if _is_file(module):
        package = package_of(_file(module))
        folder = str(package[0] if package is not None else _file(module).parent)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


#: Whether this thread imports a module for its environments; others may search meanwhile.
_IMPORTING = ContextVar("importing", default=False)


def import_module(module: str) -> None:
    """Import a module by name or by file, once per process.

    Args:
        module: ``package.module``, or the path of a ``.py`` file or of a package's folder.

    Raises:
        UnusableEnvironmentError: There is no such module, or importing it raises.
    """
    importing = _IMPORTING.set(True)
    try:
        if _is_file(module):
            package = package_of(_file(module))
            if package is not None:
                importlib.import_module(package[1])
            else:
                _import_file(_file(module))
        else:
            importlib.import_module(module)
    except UnusableEnvironmentError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] == error.name.split(".")[0]:
            raise UnusableEnvironmentError(
                f"No module named '{module}' can be imported. Give a module that Python finds, "
                "or the path of a .py file."
            ) from error
        raise UnusableEnvironmentError(
            f"The module '{module}' needs '{error.name}', which is not installed."
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's code does on import
        raise UnusableEnvironmentError(f"Importing '{module}' failed: {one_line(error)}") from error
    finally:
        _IMPORTING.reset(importing)


def refuse_while_importing(what: str) -> None:
    """Refuse what a module calls while it is imported for its environments: each import would begin the next.

    Raises:
        InputError: A module is being imported.
    """
    if _IMPORTING.get():
        raise InputError(f"it calls {what} when it is imported. Put that under: if __name__ == '__main__':")


def register_atari() -> bool:
    """Register ale_py's environments; return whether the package is there."""
    try:
        with quiet():
            ale = importlib.import_module("ale_py")
    except ImportError:
        return False
    ale.ALEInterface.setLoggerMode(ale.LoggerMode.Error)  # every game would greet on stderr
    return True


def draw_without_a_display() -> None:
    """Tell pygame, which draws most environments, to look for neither screen nor loudspeaker."""
    for name, value in (
        ("SDL_VIDEODRIVER", "dummy"),
        ("SDL_AUDIODRIVER", "dummy"),
        ("PYGAME_HIDE_SUPPORT_PROMPT", "1"),
    ):
        os.environ.setdefault(name, value)


def one_line(error: BaseException) -> str:
    """Return ``Class: first line of the message``."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:MAX_LINE]}" if lines else type(error).__name__


def _is_file(module: str) -> bool:
    return module.endswith(".py") or "/" in module or "\\" in module


def _file(module: str) -> Path:
    """Return where a module's file lies, or lay when it was first asked for: environments change the directory."""
    path = Path(module).resolve()
    if path.exists():
        _FILES[module] = path
    return _FILES.get(module, path)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnusableEnvironmentError(f"There is no file {path} to import environments from.")
    # The file's own name when it is free, so that its textual entry points ("my_env:MyEnv") find the same module.
    name = path.stem
    taken = sys.modules.get(name)
    if taken is not None and not _same_file(taken, path):
        name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
        taken = sys.modules.get(name)
    if taken is not None:
        return taken
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UnusableEnvironmentError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _same_file(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path
