"""What is known of good hyperparameters before a study has results of its own: a portfolio and a prior, as YAML.

    algorithm: dqn
    provenance: {...}                       # what it was made from; read by people alone
    portfolio: [NAME, ...]                  # complementary settings, the most valuable first
    good: {NAME: share, ...}                # settings that were good somewhere, and their shares of the prior
    settings: {NAME: {learning_rate: ..., ...}, ...}

Made by ``benchmarks/lab/portfolio.py`` from curves of many settings in many environments; ``--prior PATH`` takes
another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tuner import plain_yaml
from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, from_mapping
from tuner.space.catalog import packaged_folder

#: Raises InputError with the file's name and a problem.
Fail = Callable[[str], NoReturn]

_KEYS = {"algorithm", "provenance", "portfolio", "good", "settings"}


@dataclass(frozen=True)
class Prior:
    """Known settings.

    Attributes:
        portfolio: Name to setting, to be trained first in this order.
        good: Good settings with their shares, which sum to 1; empty for none.
    """

    portfolio: Mapping[str, Hyperparameters]
    good: tuple[tuple[Hyperparameters, float], ...]


def packaged_prior(algorithm: str) -> Path | None:
    """Return the file that came with the package for an algorithm, or None."""
    path = packaged_folder() / algorithm / "priors" / "packaged.yaml"
    return path if path.is_file() else None


def load_prior(path: Path, algorithm: str, *, images: bool = False) -> Prior:
    """Read the known settings that ``--prior`` names.

    Args:
        path: The file.
        algorithm: Whose settings it has to hold.
        images: As for :func:`tuner.hyperparameters.from_mapping`.

    Raises:
        InputError: The file cannot be read, breaks the form above, or is for another algorithm.
    """
    try:
        return _read(path, algorithm, plain_yaml.file_state(path), images)
    except InputError as error:
        raise InputError(f"--prior {error} It takes packaged, none or the path of a YAML.") from error


@functools.lru_cache(maxsize=8)
def _read(path: Path, algorithm: str, state: tuple[int, ...], images: bool) -> Prior:
    """Read a file once for each of its states: PyYAML takes half a second for the packaged one."""

    def fail(problem: str) -> NoReturn:
        raise InputError(f"{path}: {problem}")

    data = plain_yaml.load(path)
    if not isinstance(data, dict) or not {"settings", "algorithm"} <= set(data) <= _KEYS:
        fail(f"a prior has the keys {', '.join(sorted(_KEYS))}; see search_spaces/dqn/priors/packaged.yaml.")
    if data["algorithm"] != algorithm:
        fail(f"algorithm: is {data['algorithm']}, but --algo is {algorithm}.")
    settings: dict[str, Hyperparameters] = {}
    for name, values in _mapping(data["settings"], "settings", fail).items():
        try:
            settings[name] = from_mapping(algorithm, _mapping(values, f"settings: {name}", fail), images=images)
        except InputError as error:
            fail(f"settings: {name}: {error}")
    portfolio, good = data.get("portfolio") or [], _mapping(data.get("good") or {}, "good", fail)
    if not isinstance(portfolio, list):
        fail("portfolio: must be a list of names.")
    for name in (*portfolio, *good):
        if not isinstance(name, str) or name not in settings:
            fail(f"the setting {name!r} is named, and is not among the settings.")
    shares = list(good.values())
    if not all(isinstance(s, int | float) and not isinstance(s, bool) and 0 < s < float("inf") for s in shares):
        fail("good: shares must be positive numbers.")
    whole = sum(shares)
    if whole == float("inf"):
        fail("good: shares must have a sum.")
    return Prior(
        {name: settings[name] for name in portfolio},
        tuple((settings[name], share / whole) for name, share in good.items()),
    )


def _mapping(value: Any, key: str, fail: Fail) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        fail(f"{key}: must be a mapping by names.")
    return dict(value)
