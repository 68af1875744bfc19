"""The numbers of the evidence: confirmed scores, comparisons with the baselines, luck, curves by seed.

Everything is plain data under the key ``evidence`` of ``report.json``; words and figures are made from it alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tuner.core.reliability import worst_quarter
from tuner.core.statistics import Estimate, interquartile_mean, iqm_interval, mean_interval
from tuner.report.numbers.reliability import evaluations_by_step, reliability, worst_quarter_by_step
from tuner.report.numbers.sequential import mean_in_range, standing_numbers, unfixed, until
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant, Phase
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData
from tuner.result.verdict import compare, compare_with_each, rounded

#: Scores that the verdict is given for, beside the study's own objective.
OBJECTIVES = ("late", "final", "best")


def evidence(data: StudyData, *, brief: bool = False) -> dict[str, Any] | None:
    """Return what training the finalists again has shown; None while there is no confirm stage.

    Keys: see ``docs/report-schema.md``.

    Args:
        data: The study.
        brief: Leave out what a row of a board does not say: scores by other objectives, ``luck`` and ``curves``.
    """
    confirmation = data.confirmation
    if confirmation is None or not confirmation.contestants:
        return None
    winner = confirmation.winner
    by_search = _by_search(data, confirmation)
    objectives = tuple(dict.fromkeys((confirmation.objective, *(() if brief else OBJECTIVES))))
    rows = [_contestant(confirmation, c, objectives, data.reward_threshold) for c in confirmation.contestants]
    found = {
        "stage": stage(confirmation),
        "clock": data.clock,
        "objective": confirmation.objective,
        "chosen_by": confirmation.chosen_by,
        "floor": confirmation.floor,
        "seeds": confirmation.seeds,
        "steps": {"searched": confirmation.searched_steps, "confirmed": confirmation.steps_spent},
        "settings": dict(confirmation.settings),
        "evaluation": _evaluation(confirmation, data.eval_epsilon),
        "until": until(confirmation),
        "looked": list(confirmation.looked),
        "winner": None if winner is None else winner.key,
        "favourite": by_search[0].key if by_search else None,
        "tied": list(confirmation.tied),
        "contestants": rows,
        "comparisons": _comparisons(confirmation, objectives),
    }
    return found if brief else {**found, "luck": _luck(confirmation, by_search), "curves": _curves(confirmation)}


def _evaluation(confirmation: Confirmation, epsilon: float) -> dict[str, float] | None:
    """Return how a verdict's runs are evaluated: episodes at first and at last, where scores take more; and epsilon."""
    phases: tuple[Phase, ...] = ("verdict", "select")
    everyone = (
        [run.curve for c in confirmation.contestants for run in c.phase(phase) if run.curve] for phase in phases
    )
    longest = max(next(filter(None, everyone), ()), key=len, default=())
    if not longest:
        return None
    return {"episodes": len(longest[0].returns), "late_episodes": len(longest[-1].returns), "epsilon": epsilon}


def stage(confirmation: Confirmation) -> str:
    """Return ``select`` while the winner is open, ``verdict`` while its verdict is open, ``done`` after that."""
    return "select" if confirmation.winner is None else "done" if confirmation.complete else "verdict"


def _contestant(
    confirmation: Confirmation, contestant: Contestant, objectives: Sequence[str], threshold: float | None
) -> dict[str, Any]:
    select = confirmation.scores(contestant, "select")
    verdict = {o: confirmation.scores(contestant, "verdict", o) for o in objectives}
    return {
        "key": contestant.key,
        "role": contestant.role,
        "name": contestant.name,
        "trial": contestant.trial,
        "backend": contestant.backend,
        "hyperparameters": dict(contestant.hyperparameters),
        "n_timesteps": confirmation.steps_of(contestant),
        "own_steps": contestant.n_timesteps is not None,
        "tuned_for": contestant.tuned_for,
        "search_score": contestant.search_score,
        "searched": list(contestant.searched),
        "dropped_after": contestant.dropped_after,
        "select": {
            "seeds": [run.seed for run in contestant.phase("select")],
            "outcomes": [run.outcome for run in contestant.phase("select")],
            "scores": list(select),
            "mean": sum(select) / len(select) if select else None,
            "worst_quarter": worst_quarter(select) if select else None,
        },
        "verdict": {
            "seeds": [run.seed for run in contestant.phase("verdict")],
            "outcomes": [run.outcome for run in contestant.phase("verdict")],
            "reused": [_origin(run) for run in contestant.phase("verdict")],
            "scores": {o: list(scores) for o, scores in verdict.items()},
            "estimates": {o: _estimate(iqm_interval(scores), confirmation) for o, scores in verdict.items() if scores},
            "mean": None if confirmation.until is None else mean_in_range(confirmation, contestant),
            "reliability": reliability(confirmation, contestant, threshold),
        },
    }


def _origin(run: ConfirmRun) -> dict[str, Any] | None:
    """Return which study has trained a run, and as which of its trials; None where this one did."""
    return None if run.reused is None else {"study": run.reused[0], "trial": run.reused[1]}


def _estimate(found: Estimate, confirmation: Confirmation) -> dict[str, Any]:
    """Return an estimate; without an interval where results decided how many seeds there are."""
    plain = dataclasses.asdict(found)
    return plain if confirmation.until is None else unfixed(plain)


def _comparisons(confirmation: Confirmation, objectives: Sequence[str]) -> list[dict[str, Any]]:
    """Compare the winner with each baseline on the verdict seeds."""
    winner = confirmation.winner
    if winner is None:
        return []
    # What ended the verdict is sure by that score alone.
    judged = objectives if confirmation.until is None else (confirmation.objective,)
    compared = {objective: _with_baselines(confirmation, winner, objective) for objective in judged}
    found = []
    plans = () if confirmation.until is None else confirmation.until.looks_of
    for baseline in confirmation.baselines:
        sequence = confirmation.standings.get(baseline.key)
        scores = {o: beside[baseline.key] for o, beside in compared.items() if baseline.key in beside}
        if confirmation.until is not None:
            for objective, plain in scores.items():
                scores[objective] = {
                    **{name: unfixed(plain[name]) for name in ("difference", "probability")},
                    "result": "undecided" if sequence is None else sequence.result,
                }
        if scores:
            row = {"with": baseline.key, "role": baseline.role, "name": baseline.name, "scores": scores}
            found.append({**row, "sequence": None if sequence is None else standing_numbers(sequence, plans)})
    return found


def _with_baselines(confirmation: Confirmation, winner: Contestant, objective: str) -> dict[str, dict[str, Any]]:
    """Compare the winner with each baseline that has a score on the verdict seeds, by its key."""
    ours = confirmation.scores(winner, "verdict", objective)
    theirs = {b.key: confirmation.scores(b, "verdict", objective) for b in confirmation.baselines}
    found = compare_with_each(ours, {key: scores for key, scores in theirs.items() if scores}) if ours else {}
    return {key: dataclasses.asdict(comparison) for key, comparison in found.items()}


def compare_samples(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Return :func:`tuner.result.verdict.compare` as plain data: ``difference``, ``probability``, ``result``."""
    return dataclasses.asdict(compare(ours, theirs))


def _by_search(data: StudyData, confirmation: Confirmation) -> list[Contestant]:
    """Return the finalists that the search has scored, its favourite first."""
    places = {trial.number: place for place, trial in enumerate(data.ranked)}
    found = [c for c in confirmation.finalists if c.search_score is not None]
    return sorted(found, key=lambda c: places.get(c.trial, len(places)) if c.trial is not None else len(places))


def _luck(confirmation: Confirmation, finalists: Sequence[Contestant]) -> dict[str, Any] | None:
    """Compare search scores with those on the first select seeds, as many as every finalist has.

    Only those: a finalist that does badly is dropped and keeps its bad mean, so that over all its seeds it would look
    more lucky than it was (``python benchmarks/selection.py``).
    """
    scores = [confirmation.scores(c, "select") for c in finalists]
    first = min((len(s) for s in scores), default=0)
    if not first:
        return None
    search = [float(c.search_score or 0.0) for c in finalists]
    confirmed = [sum(sample[:first]) / first for sample in scores]
    plain = rounded(search, confirmed)  # equal scores stay equal
    rows: list[dict[str, Any]] = [
        {"key": c.key, "name": c.name, "search_score": before, "confirmed": after, "shrinkage": gap}
        for c, before, after, gap in zip(finalists, search, confirmed, map(float.__sub__, *plain), strict=True)
    ]
    fresh = mean_interval(*(s[:first] for s in scores))
    searched = sum(search) / len(rows)
    order = sorted(range(len(rows)), key=lambda i: -plain[1][i])
    return {
        "seeds": first,
        "finalists": rows,
        "mean_shrinkage": {
            "value": _gap(searched, fresh.value),
            "low": None if fresh.high is None else searched - fresh.high,
            "high": None if fresh.low is None else searched - fresh.low,
            "kind": fresh.kind,
            "n": fresh.n,
        },
        "order_changed": order != list(range(len(rows))),
        "winner_changed": confirmation.winner is not None and confirmation.winner.key != rows[0]["key"],
        "winner": _winners_luck(confirmation),
    }


def _winners_luck(confirmation: Confirmation) -> dict[str, float] | None:
    """Return the winner's search score beside the mean of its verdict scores, which chose nothing."""
    winner = confirmation.winner
    scores = confirmation.scores(winner, "verdict") if winner is not None else ()
    if winner is None or winner.search_score is None or not scores:
        return None
    mean = sum(scores) / len(scores)
    return {"search_score": winner.search_score, "verdict": mean, "shrinkage": _gap(winner.search_score, mean)}


def _gap(one: float, other: float) -> float:
    """Return a difference: 0 where it is no more than the rounding of means."""
    (left,), (right,) = rounded([one], [other])
    return left - right


def _curves(confirmation: Confirmation) -> list[dict[str, Any]]:
    """Return the verdict's learning curves; those of the select seeds while there is no verdict yet."""
    phase: Phase = "verdict" if any(c.phase("verdict") for c in confirmation.contestants) else "select"
    curves = []
    for contestant in confirmation.contestants:
        runs = contestant.phase(phase)
        if any(run.curve for run in runs):
            row = {"key": contestant.key, "name": contestant.name, "role": contestant.role, "phase": phase}
            drawn = seed_curves(runs, confirmation.floor)
            drawn["worst_quarter"] = worst_quarter_by_step(runs, confirmation.floor)
            if confirmation.until is not None and phase == "verdict":
                drawn |= {end: [None] * len(drawn["step"]) for end in ("low", "high")}
            curves.append({**row, "backend": contestant.backend, **drawn})
    return curves


def seed_curves(runs: Sequence[ConfirmRun], floor: float | None) -> dict[str, Any]:
    """Return ``runs`` (one curve for each seed) and their interquartile mean with its interval at each step.

    Args:
        runs: Of one setting; which of them count at a step, see :func:`evaluations_by_step`.
        floor: As there.
    """
    by_step = evaluations_by_step(runs, floor)
    estimates = [iqm_interval(means) for means in by_step.values()]
    return {
        "runs": [
            {
                "seed": run.seed,
                "outcome": run.outcome,
                "step": [p.step for p in _finite(run)],
                "mean": [p.mean for p in _finite(run)],
            }
            for run in runs
            if run.curve
        ],
        "step": list(by_step),
        "iqm": [interquartile_mean(means) for means in by_step.values()],
        "low": [e.low for e in estimates],
        "high": [e.high for e in estimates],
        "n": [e.n for e in estimates],
    }


def _finite(run: ConfirmRun) -> list[CurvePoint]:
    """Return the evaluations of a run up to where it diverged."""
    return [point for point in run.curve if math.isfinite(point.mean)]
