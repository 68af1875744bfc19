"""Where studies are stored, and how to say so without giving a password away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

#: Environment variable that names the storage when no flag does.
STORAGE_VARIABLE = "TUNE_STORAGE"

DEFAULT_STORAGE = "sqlite:///studies/tuner.db"

MASK = "***"

# Everything between "user:" and the last "@" is taken for the password: rather too much hidden than too little.
_USERINFO = re.compile(r"[A-Za-z][\w+.-]{0,40}://[^:/@\s]*:")
_WORD = re.compile(r"\S+")
_PARAMETER = re.compile(r"((?:password|passwd|pwd|sslpassword|token|secret)=)([^&\s'\"]+)", re.IGNORECASE)


def default_storage() -> str:
    """Return the storage URL that is used when none is given."""
    return os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE


def mask(text: str) -> str:
    """Return ``text`` (a URL, or anything that holds one) with passwords replaced by ``***``."""
    hidden = _WORD.sub(lambda word: MASK.join(_around_password(word.group()) or (word.group(),)), text)
    return _PARAMETER.sub(rf"\1{MASK}", hidden)


def passwords(url: str) -> list[str]:
    """Return the passwords inside a URL, as written and decoded, longest first."""
    around = [(word, parts) for word in url.split() if (parts := _around_password(word))]
    raw = [word[len(before) : len(word) - len(after)] for word, (before, after) in around]
    raw += [m.group(2) for m in _PARAMETER.finditer(url)]
    return sorted({form for word in raw for form in (word, unquote(word))}, key=len, reverse=True)


def _around_password(word: str) -> tuple[str, str] | None:
    """Return what stands before and after a URL's password in a word without spaces; in linear time, of any text."""
    start, at = _USERINFO.search(word) if "://" in word else None, word.rfind("@")
    return None if start is None or at <= start.end() else (word[: start.end()], word[at:])


def scrub(text: str, url: str) -> str:
    """Return ``text`` without the passwords of ``url``, wherever they stand: for messages of other libraries."""
    for password in passwords(url):
        text = text.replace(password, MASK)
    return mask(text)


def mask_arguments(arguments: Iterable[str]) -> list[str]:
    """Return command-line arguments with passwords masked."""
    return [mask(argument) for argument in arguments]
