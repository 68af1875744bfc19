"""Versions of the packages that training's numbers depend on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import metadata

#: Noted beside what was trained.
PACKAGES = ("tune-dqn", "torch", "numpy", "gymnasium", "stable-baselines3")


@functools.cache
def package_versions(*others: str) -> Mapping[str, str]:
    """Return the version of each of :data:`PACKAGES`, and of the others named, that is installed."""
    found = {}
    for package in (*PACKAGES, *others):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
