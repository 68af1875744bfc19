"""What the database holds beside Optuna's own columns: the names of user attributes, in one place.

Every value is plain JSON. A trial's ``outcome`` is written last, just before Optuna is told: a trial that has one is
finished even if the process died before Optuna knew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from tuner.contract.outcome import EvalPoint

# Of a study.
ID: Final = "id"
RECIPE: Final = "recipe"
SPACE: Final = "space"
SPACE_HASH: Final = "space_hash"
GRID: Final = "grid"
EVALUATION: Final = "evaluation"
REWARD_THRESHOLD: Final = "reward_threshold"
PROVENANCE: Final = "provenance"
KNOWN: Final = "known_beforehand"
RANDOM_PLAY: Final = "random_play"

# Of a trial.
HYPERPARAMETERS: Final = "hyperparameters"
SEEDS: Final = "seeds"
OUTCOME: Final = "outcome"
SCORE: Final = "score"
STEPS: Final = "steps"
DURATION: Final = "duration_s"
EVALUATING: Final = "evaluation_s"
REASON: Final = "reason"
SPARED: Final = "spared_at"
RETRY_OF: Final = "retry_of"
ROOT: Final = "root"
POINT: Final = "point"
SOURCE: Final = "source"
OWNER: Final = "owner"
CURVE_PREFIX: Final = "curve:"

# Of a confirm stage's study, and of its trials.
CONFIRM: Final = "confirm"
PARENT: Final = "parent"
JOB: Final = "job"
CONTESTANT: Final = "contestant"
FINGERPRINT: Final = "fingerprint"
REUSED: Final = "reused"

#: Outcomes that count towards ``--trials``.
COUNTED: Final = ("completed", "pruned", "diverged", "timed_out", "failed")

LOST: Final = "lost"


def curve_key(replicate: int) -> str:
    """Return the attribute that holds one seed's evaluations."""
    return f"{CURVE_PREFIX}{replicate}"


def curve_to_json(points: Iterable[EvalPoint]) -> list[list[Any]]:
    """Return evaluations as ``[step, returns, lengths, metrics]`` rows; numbers that are not finite become None."""
    return [
        [p.step, [_finite(r) for r in p.returns], list(p.lengths), {k: _finite(v) for k, v in p.metrics.items()}]
        for p in points
    ]


def curve_from_json(rows: Any) -> list[tuple[int, tuple[float, ...], Mapping[str, float], int]]:
    """Return (step, returns, metrics, steps of all episodes) rows from the database, None read as NaN."""
    return [
        (
            int(row[0]),
            tuple(map(float, row[1])) if None not in row[1] else tuple(map(_number, row[1])),
            {str(k): _number(v) for k, v in row[3].items()},
            sum(map(int, row[2])),
        )
        for row in rows
    ]


def curve_mean(stored: Mapping[str, Any]) -> float:
    """Return the mean return over all evaluations of all seeds that a trial stores; minus infinity without any."""
    curves = [curve_from_json(rows) for key, rows in stored.items() if key.startswith(CURVE_PREFIX)]
    means = [sum(returns) / len(returns) for curve in curves for _, returns, *_ in curve if returns]
    return sum(means) / len(means) if means else -math.inf


def outcome_of(trial: FrozenTrial) -> str:
    """Return our outcome of a trial: its attribute, else what Optuna's state says."""
    return outcome_in(trial.state.name, trial.user_attrs.get(OUTCOME))


def outcome_in(state: str, stored: Any) -> str:
    """Return our outcome of a trial in a state of Optuna's (``COMPLETE`` ...), given its stored attribute or None."""
    states = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    return states[state] if stored is None else str(stored)


def is_companion(stored: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    """Whether a study of the name, given its attributes, is the confirm study of one with those of ``parent``."""
    return CONFIRM in stored and stored.get(PARENT) == parent.get(ID)


def score_in(stored: Any) -> float | None:
    """Return a stored score, or None where it is no finite number."""
    return float(stored) if type(stored) in (int, float) and math.isfinite(stored) else None


def _finite(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
