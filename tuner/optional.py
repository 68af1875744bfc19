"""The gate for optional packages: fail before the work starts, naming the extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from tuner.errors import MissingExtraError


def require(module: str, *, purpose: str, extra: str) -> ModuleType:
    """Import ``module`` or say what to install.

    Args:
        module: Import name, such as ``"Box2D"``.
        purpose: What needs it, in the user's words: ``"LunarLander-v3"``.
        extra: The extra of this package that brings it.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"{purpose} needs the package '{module}', which is not installed. "
            f"Install it with: pip install 'tune-dqn[{extra}]'"
        ) from error
