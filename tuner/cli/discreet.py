"""A password on the command line is for everybody on the machine to read: in ``ps``, for as long as the process lives.

A command that was given one starts itself again with the password masked, and hands the URL over in the environment,
which only the same user can read. What follows sees the URL as it was given.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

from tuner.storage_url import mask, mask_arguments

#: Holds the arguments as they were given, as JSON.
_VARIABLE = "TUNE_GIVEN_ARGUMENTS"


def given_arguments() -> list[str]:
    """Return the process's own arguments; start it again with masked ones first where they hold a password."""
    shown = sys.argv[1:]
    with contextlib.suppress(ValueError):
        handed: list[str] = json.loads(os.environ.pop(_VARIABLE, ""))
        if mask_arguments(handed) == shown:
            return handed
    if os.name == "posix" and _tells(shown):
        os.environ[_VARIABLE] = json.dumps(shown)
        sys.stdout.flush()
        sys.stderr.flush()
        # -P, or the working folder would come first in the import path: its yaml.py would run.
        os.execv(sys.executable, [sys.executable, *_safe_path(), "-m", "tuner", *mask_arguments(shown)])
    return shown


def _safe_path() -> list[str]:
    """Return the flag that keeps the working folder from being imported from, unless it was before: ``python -m``."""
    return [] if sys.path[:1] in ([""], [os.getcwd()]) else ["-P"]


def _tells(words: Sequence[str]) -> bool:
    """Whether the process's own command line shows a password (a caller that only calls us has another one)."""
    if not any(mask(word) != word for word in words):
        return False
    try:
        with open("/proc/self/cmdline", "rb") as file:
            own = file.read().decode(errors="replace").split("\0")
    except OSError:
        return False
    return all(word in own for word in words)
