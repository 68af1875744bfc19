"""One row of a board for each study: environment, setting, verdict with its interval, what it beats, what it cost.

A row is made from the mappings of ``report.json``, so that a study of a database and a report from elsewhere are read
alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuner.result.verdict import rounded

#: What an estimate can be.
_KINDS = ("interval", "tie", "constant", "single", "sequential")

#: Integers from here on are nobody's, and floats cannot hold them.
_TOO_LARGE = 2**63

#: Settings of a recipe that change how an environment is met -> what a board calls them beside its arguments.
_CHANGES = {"discretize": "--discretize", "frame_stack": "--frame-stack"}

#: Baselines that a board has a column for.
BASELINES = ("defaults", "zoo")


def board_row(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return a study's row as plain data.

    Keys: ``environment``, ``arguments`` (of the environment), ``study``, ``algorithm``, ``backend``, ``source``,
    ``steps`` (of a run), ``objective``, ``trial`` (the exported one, or None) and its ``setting`` (what was sampled),
    ``search_score`` (one run's, or None), ``verdict`` (an estimate on seeds that no choice has seen, or None),
    ``against`` (each of :data:`BASELINES` that took part to ``score`` and ``result``), ``reached`` (share of the
    verdict's seeds that reach the environment's threshold, or None), ``steps_spent`` (search and verdict),
    ``training_s`` (processor seconds of the search's runs).

    Args:
        document: ``study``, ``summary`` and ``evidence`` of a ``report.json``.
        source: Where it is from, for the reader.

    Raises:
        LookupError, TypeError, ValueError: It is no such document.
    """
    row: dict[str, Any] = _checked(_row_of(document, source))
    return row


def _row_of(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    study, summary, found = document["study"], document["summary"], document["evidence"]
    recipe, grid, best = study["recipe"], study["grid"], summary["best"]
    row: dict[str, Any] = {
        "environment": _text(recipe["env"]),
        "arguments": {str(name): value for name, value in dict(recipe.get("env_arg") or {}).items()} | _changes(recipe),
        "study": _text(study["name"]),
        "algorithm": _text(recipe["algo"]),
        "backend": _text(recipe["backend"]),
        "source": source,
        "steps": _count(grid[-1]) if grid else None,
        "objective": _text(recipe.get("objective") or "late"),
        "trial": _trial(summary["chosen"]),
        "setting": {} if best is None else dict(best["params"]),
        "search_score": None if best is None else _finite(best["score"]),
        "verdict": None,
        "against": {},
        "reached": None,
        "steps_spent": _count(summary["steps_spent"]),
        "training_s": _finite(summary["training_s"]),
    }
    if found is None:
        return row
    contestants = {c["key"]: c for c in found["contestants"]}
    row["steps_spent"] = _count(found["steps"]["searched"]) + _count(found["steps"]["confirmed"])
    winner = contestants.get(found["winner"])
    if winner is None:
        return row
    objective = _text(found["objective"])
    row |= {"objective": objective, "trial": _trial(winner["trial"]), "search_score": _maybe(winner["search_score"])}
    row["setting"] = _setting(document, winner, row["setting"])
    row["verdict"] = _estimate(winner["verdict"]["estimates"].get(objective))
    reliability = winner["verdict"].get("reliability")  # the first reports have none
    if reliability is not None and reliability["reached"] is not None:
        row["reached"] = _finite(reliability["reached"]["share"])
    for comparison in found["comparisons"]:
        other = contestants[comparison["with"]]
        scores = comparison["scores"].get(objective)
        estimate = _estimate(other["verdict"]["estimates"].get(objective))
        if other["role"] in BASELINES and scores is not None and estimate is not None:
            row["against"][other["role"]] = {"score": estimate["value"], "result": _text(scores["result"])}
    return row


def ranked(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by environment, the best verdict first, with their ``rank`` among those of one environment.

    Equal verdicts have equal ranks, of two firsts the next one's is 3: a name is no reason to be ahead.
    The same environment is the same id and arguments, met in the same way. Only verdicts by one objective are ranked: a
    run's best evaluation is above its last ones. A study without a verdict comes after those that have one, and has no
    rank: the highest score of a search is luck as well.
    """
    ordered = sorted(rows, key=lambda row: (*_place(row), _order(row), row["study"], row["source"]))
    found: list[dict[str, Any]] = []
    for row in ordered:
        before = [other for other in found if _place(other) == _place(row)]
        level = (
            before and row["verdict"] is not None and _level(before[-1]["verdict"]["value"], row["verdict"]["value"])
        )
        rank = before[-1]["rank"] if level else len(before) + 1
        found.append({**row, "rank": rank if row["verdict"] is not None else None})
    return found


def _level(one: float, other: float) -> bool:
    """Whether two scores are equal, the arithmetic of means aside."""
    left, right = rounded([one], [other])
    return left == right


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["environment"], str(sorted(row["arguments"].items())), row["objective"]


def _changes(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an environment is met other than it is."""
    counts: dict[str, Any] = {
        flag: _count(recipe[name]) for name, flag in _CHANGES.items() if recipe.get(name) is not None
    }
    counts |= {"--pixels": True} if recipe.get("pixels") is True else {}
    return counts | ({"--wrapper": " ".join(map(_text, wrappers))} if (wrappers := recipe.get("wrapper")) else {})


def _order(row: Mapping[str, Any]) -> tuple[bool, float]:
    score = row["search_score"] if row["verdict"] is None else row["verdict"]["value"]
    return row["verdict"] is None, math.inf if score is None else -score


def _setting(document: Mapping[str, Any], winner: Mapping[str, Any], fallback: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was sampled for the winner: its trial's, where the document lists trials."""
    trials: Sequence[Mapping[str, Any]] = document.get("trials") or ()
    return next((dict(t["params"]) for t in trials if t["number"] == winner["trial"]), dict(fallback))


def _estimate(estimate: Any) -> dict[str, Any] | None:
    if estimate is None:
        return None
    low, high = _maybe(estimate["low"]), _maybe(estimate["high"])
    if estimate["kind"] not in _KINDS:
        raise ValueError(f"{estimate['kind']!r} is no kind of estimate")
    return {"value": _finite(estimate["value"]), "low": low, "high": high, "kind": estimate["kind"],
            "n": _count(estimate["n"])}  # fmt: skip


def _checked(value: Any) -> Any:
    """Return plain data; an integer that no float holds is an error."""
    if isinstance(value, dict):
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_checked(item) for item in value]
    return _count(value, least=-_TOO_LARGE) if isinstance(value, int) and not isinstance(value, bool) else value


def _count(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _TOO_LARGE:
        raise ValueError("there is no such count")
    return value


def _trial(value: Any) -> int | None:
    return None if value is None else _count(value)


def _maybe(value: Any) -> float | None:
    return None if value is None else _finite(value)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not -math.inf < value < math.inf or (isinstance(value, int) and abs(value) >= _TOO_LARGE):
        raise ValueError("a number is not finite")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
