"""Settings of studies made elsewhere, for ``--start-with``: any Optuna study by a small YAML, and our own report.json.

The YAML says where the study is and what its parameters are called here::

    optuna: sqlite:///old.db                  # its storage
    study: cartpole                           # its name
    trials: 3                                 # the best so many (default 3)
    parameters: {lr: learning_rate, seed: null}     # theirs: ours; null leaves one out
    values: {net: {small: [64, 64]}}          # theirs: {their value: ours}
    fixed: {gamma: 0.98}                      # what that study never drew

Parameters that are called like a field need no entry, nor do those of RL Zoo's own searches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tuner.errors import InputError, nearest
from tuner.hyperparameters import Hyperparameters, algorithm_class, field_infos, from_mapping
from tuner.named_pipes import refuse_named_pipe
from tuner.space.text import read_text


class ForeignTrial(NamedTuple):
    """A completed trial of a study.

    Attributes:
        number: Its number.
        params: What was drawn, by that study's names.
        hyperparameters: Where ``tune`` made the study: the complete resolved values; else empty.
    """

    number: int
    params: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]


#: From a storage's URL and a study's name to its completed trials, the best first.
TrialsOf = Callable[[str, str], Sequence[ForeignTrial]]

#: Best trials that are taken where the file does not say.
TRIALS = 3

#: Most that may be asked for.
MOST_TRIALS = 100

#: Bytes of the largest report.json that is read.
MAX_REPORT = 1 << 28

_KEYS = ("optuna", "study", "trials", "parameters", "values", "fixed")

#: What RL Zoo's searches call networks (``rl_zoo3.hyperparams_opt``).
_ZOO_NETWORKS = {
    "tiny": [64], "small": [64, 64], "medium": [256, 256], "big": [400, 300], "large": [256, 256, 256],
    "verybig": [512, 512, 512],
}  # fmt: skip


def of_optuna(
    content: Mapping[str, Any], algorithm: str, trials_of: TrialsOf, *, images: bool = False
) -> dict[str, Hyperparameters]:
    """Return the settings that a file of the above form names, by ``trial N``, the best first.

    Args:
        content: What the file holds.
        algorithm: Whose fields the parameters are.
        trials_of: Reads the study.
        images: As for :func:`tuner.hyperparameters.from_mapping`.

    Raises:
        InputError: The file, the study or one of its values breaks a rule.
    """
    for key in content:
        if key not in _KEYS:
            raise InputError(
                f"{key}: is not a key of such a file.{nearest(str(key), _KEYS)} Known: {', '.join(_KEYS)}."
            )
    url, study, count = content["optuna"], content.get("study"), content.get("trials", TRIALS)
    if not isinstance(url, str) or not isinstance(study, str):
        raise InputError("optuna and study must be the storage's URL and the study's name, such as sqlite:///old.db.")
    if type(count) is not int or not 1 <= count <= MOST_TRIALS:
        raise InputError(f"trials: must be a whole number from 1 to {MOST_TRIALS}, got {count!r}.")
    names, values, fixed = (_mapping(content, key) for key in ("parameters", "values", "fixed"))
    found = trials_of(url, study)[:count]
    if not found:
        raise InputError(f"the study '{study}' has no completed trial.")
    settings = {}
    for trial in found:
        try:
            given = trial.hyperparameters or {**fixed, **_fields(trial.params, algorithm, names, values)}
            settings[f"trial {trial.number}"] = from_mapping(algorithm, given, images=images)
        except InputError as error:
            raise InputError(f"trial {trial.number}: {error}") from error
    return settings


def read_report(path: Path) -> Any:
    """Return what a ``report.json`` holds: JSON, and nothing else is known of it.

    Raises:
        InputError: The file cannot be read, is too large, or is no JSON.
    """
    try:
        refuse_named_pipe(path)
        with path.open("rb") as file:
            content = file.read(MAX_REPORT + 1)
        if len(content) > MAX_REPORT:
            raise InputError(f"{path}: is larger than {MAX_REPORT >> 20} MiB.")
        return json.loads(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise no_report(path) from error


def no_report(path: Path) -> InputError:
    """Return what is wrong with a file that is no ``report.json``."""
    return InputError(f"{path}: is not a report.json of tune.")


def of_report(path: Path, algorithm: str) -> dict[str, Hyperparameters]:
    """Return the setting that a study's report.json recommends, then the best others, by ``trial N``.

    Raises:
        InputError: The file cannot be read, is no such report, or of another algorithm, or nothing had completed.
    """
    report = read_report(path)
    try:
        recipe, summary = report["study"]["recipe"], report["summary"]
        trained, chosen = str(recipe["algo"]), summary["chosen"]
        rows = [(t["score"], t["number"], t["hyperparameters"]) for t in report["trials"] if t["score"] is not None]
        rows.sort(key=lambda row: (row[1] != chosen, -float(row[0]), row[1]))
    except (ValueError, LookupError, TypeError) as error:
        raise no_report(path) from error
    if trained != algorithm:
        raise InputError(f"{path}: is of {trained}, and --algo is {algorithm}.")
    if not rows:
        raise InputError(f"{path}: no trial of its study had completed.")
    found = {}
    for _, number, values in rows[:TRIALS]:
        if not isinstance(values, dict):
            raise InputError(f"{path}: trial {number}: hyperparameters must be a mapping.")
        try:
            found[f"trial {number}"] = from_mapping(algorithm, values)
        except InputError as error:
            raise InputError(f"{path}: trial {number}: {error}") from error
    return found


def _fields(
    params: Mapping[str, Any], algorithm: str, names: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    infos = field_infos(algorithm_class(algorithm))
    found: dict[str, Any] = {}
    for name, value in params.items():
        known = _mapping(values, name)
        # Keys of a YAML may be numbers, and what Optuna stores may be text: they meet as text.
        value = {str(key): ours for key, ours in known.items()}.get(str(value), value)
        if name in names:
            if names[name] is None:
                continue
            field = str(names[name])
        elif name in infos:
            field = name
        elif (zoo := _of_zoo(name, value, params)) is not None:
            field, value = zoo
        else:
            raise InputError(
                f"its parameter '{name}' is no hyperparameter of {algorithm}.{nearest(name, infos)} "
                f"Say parameters: {{{name}: FIELD}}, or {{{name}: null}} to leave it out."
            )
        if field not in infos:
            raise InputError(f"parameters: {name}: {algorithm} has no hyperparameter '{field}'.{nearest(field, infos)}")
        if field == "net_arch" and isinstance(value, str) and value in _ZOO_NETWORKS:
            value = _ZOO_NETWORKS[value]
        found[field] = read_text(infos[field], value) if isinstance(value, str) else value
    return found


def _of_zoo(name: str, value: Any, params: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the field and value that a parameter of RL Zoo's searches stands for, or None."""
    try:
        if name in ("one_minus_gamma", "one_minus_gae_lambda"):
            return name.removeprefix("one_minus_"), 1.0 - float(value)
        if name.endswith("_pow") and 0 <= int(value) < 63:
            return name.removesuffix("_pow"), 2 ** int(value)
        if name == "subsample_steps":
            return "gradient_steps", max(int(params["train_freq"]) // int(value), 1)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
    return None


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{key}: must be a mapping, got {value!r}.")
    return dict(value or {})
