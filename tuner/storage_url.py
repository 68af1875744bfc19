"""Where studies are stored, and how to say so without giving a password away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus

#: Environment variable that names the storage when no flag does.
STORAGE_VARIABLE = "TUNE_STORAGE"

DEFAULT_STORAGE = "sqlite:///studies/tuner.db"

MASK = "***"

# Everything between the first ":" and the last "@" is taken for the password: rather too much hidden than too little.
# A user's name may hold "@" and spaces; a file's begins with "/".
_USERINFO = re.compile(r"://(?!/)[^:]*:")
_WORD = re.compile(r"\S+")
_KEY = r"(?:password|passwd|pwd|token|secret)="
_PARAMETER = re.compile(rf"{_KEY}([^&]+)", re.IGNORECASE)
_PARAMETER_IN_TEXT = re.compile(rf"{_KEY}([^&\s'\"]+)", re.IGNORECASE)


def default_storage() -> str:
    """Return the storage URL that is used when none is given."""
    return os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE


def mask(url: str) -> str:
    """Return a URL, or a whole argument that holds one, with passwords replaced by ``***``."""
    return _hidden(url, _PARAMETER)


def passwords(url: str) -> list[str]:
    """Return the passwords inside a URL, as written and decoded, longest first."""
    raw = [word[start:end] for word in {url, *url.split()} for start, end in _places(word, _PARAMETER)]
    # SQLAlchemy ends a password at its first "@": the rest stands before the host in what a driver says.
    raw += [part for word in raw if "@" in word for part in (word.partition("@")[0], word.partition("@")[2] + "@")]
    forms = {form for word in raw for form in (word, unquote(word), unquote_plus(word))}
    return sorted(forms - {"", "@"}, key=len, reverse=True)


def _places(word: str, parameter: re.Pattern[str]) -> list[tuple[int, int]]:
    """Return where the passwords of one URL begin and end, which may overlap; in linear time, of any text."""
    found = [m.span(1) for m in parameter.finditer(word)]
    start, at = _USERINFO.search(word), word.rfind("@")
    return found if start is None or at <= start.end() else [*found, (start.end(), at)]


def _hidden(word: str, parameter: re.Pattern[str]) -> str:
    parts, done = [], 0
    for start, end in sorted(_places(word, parameter)):
        if start >= done:
            parts += [word[done:start], MASK]
        done = max(done, end)
    return "".join([*parts, word[done:]])


def scrub(text: str, url: str) -> str:
    """Return ``text`` without the passwords of ``url``, wherever they stand: for messages of other libraries.

    Of any other URL in it, spaces are taken for the end.
    """
    for password in passwords(url):
        text = text.replace(password, MASK)
    return _WORD.sub(lambda word: _hidden(word.group(), _PARAMETER_IN_TEXT), text)


def mask_arguments(arguments: Iterable[str]) -> list[str]:
    """Return command-line arguments with passwords masked."""
    return [mask(argument) for argument in arguments]
