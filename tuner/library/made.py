"""An entry from a study: its winner, and every run of its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.errors import InputError
from tuner.library.entry import Entry, Judged, LibraryRun
from tuner.library.names import changes_of
from tuner.result.confirmation import Confirmation, Contestant
from tuner.result.study import StudyData

#: Fewest verdict seeds of an entry.
FEWEST_SEEDS = 10


def entry_of(data: StudyData, *, command: str, made: str, processor_s: float) -> Entry:
    """Return a study's winner as an entry.

    Args:
        data: The study, its verdict complete.
        command: The command that made it.
        made: The day, as 2026-01-31.
        processor_s: Seconds of processor time that it took.

    Raises:
        InputError: The verdict is not complete, or rests on fewer seeds than an entry needs.
    """
    confirmation = data.confirmation
    winner = confirmation.winner if confirmation is not None else None
    if confirmation is None or winner is None or not confirmation.complete:
        raise InputError(f"The study '{data.name}' has no complete verdict yet; the same command carries on.")
    own = _judged(confirmation, winner, "library", data.name)
    if len(own.runs) < FEWEST_SEEDS:
        raise InputError(
            f"The verdict of '{data.name}' rests on {len(own.runs)} seeds; an entry needs at least {FEWEST_SEEDS}. "
            "Use --confirm-seeds and --confirm-budget."
        )
    others = [c for c in confirmation.baselines if c.phase("verdict")]
    recipe, provenance = data.recipe, data.provenance
    return Entry(
        algorithm=str(recipe["algo"]),
        backend=winner.backend,
        env=str(recipe["env"]),
        env_kwargs=dict(recipe.get("env_arg") or {}),
        changes=changes_of(recipe),
        preprocessing=dict(provenance.get("preprocessing") or {}),
        n_timesteps=data.grid[-1],
        evaluations=len(data.grid),
        eval_episodes=int(data.space["budget"]["eval_episodes"]),
        objective=confirmation.objective,
        seed=int(recipe.get("seed", 0)),
        random_play=data.random_mean,
        command=command,
        made=made,
        versions=_versions(provenance),
        processor=str((provenance.get("hardware") or {}).get("cpu", "")),
        processor_s=round(processor_s, 1),
        settings=(own, *(_judged(confirmation, c, c.role, data.name) for c in others)),
    )


def _judged(confirmation: Confirmation, contestant: Contestant, role: str, study: str) -> Judged:
    scores = confirmation.scores_by_replicate(contestant, "verdict")
    runs = [
        LibraryRun(run.seed, run.outcome, scores[run.replicate], run.steps)
        for run in contestant.phase("verdict")
        if run.replicate in scores
    ]
    if not runs:
        raise InputError(f"No verdict run of {contestant.title} in '{study}' has a score.")
    values = dict(contestant.hyperparameters)
    return Judged(contestant.key, role, contestant.title, contestant.tuned_for, values, tuple(runs))


def _versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(version) for name, version in (provenance.get("versions") or {}).items()}
