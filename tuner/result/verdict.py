"""What the verdict seeds say: how good, how sure, how lucky the search was, how far from the baselines."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.core.statistics import Estimate, iqm_difference, iqm_interval, probability_of_improvement
from tuner.result.confirmation import Confirmation, Contestant


@dataclass(frozen=True)
class Comparison:
    """The winner beside one baseline, on the verdict seeds.

    Attributes:
        baseline: What it is compared with.
        score: The baseline's own score.
        difference: Winner minus baseline, interquartile means.
        probability: That a run of the winner does better than a run of the baseline; ties count half.
    """

    baseline: Contestant
    score: Estimate
    difference: Estimate
    probability: Estimate


@dataclass(frozen=True)
class Judgement:
    """What may be claimed.

    Attributes:
        winner: The selected finalist.
        score: Interquartile mean of its verdict scores.
        luck: Its search score minus the mean of its verdict scores: what the search had promised too much.
        comparisons: With each baseline.
    """

    winner: Contestant
    score: Estimate
    luck: float | None
    comparisons: tuple[Comparison, ...]


def judge(confirmation: Confirmation, objective: str | None = None) -> Judgement | None:
    """Return what the verdict says; None while it is incomplete or the winner has no score there.

    Args:
        confirmation: The confirm stage.
        objective: ``late``, ``final``, ``best`` or ``auc``; None takes the study's.
    """
    winner = confirmation.winner
    if winner is None or not confirmation.complete:
        return None
    scores = confirmation.scores(winner, "verdict", objective)
    if not scores:
        return None
    comparisons = []
    for baseline in confirmation.baselines:
        theirs = confirmation.scores(baseline, "verdict", objective)
        if theirs:
            comparisons.append(
                Comparison(
                    baseline,
                    iqm_interval(theirs),
                    iqm_difference(scores, theirs),
                    probability_of_improvement(scores, theirs),
                )
            )
    promised = winner.search_score if objective in (None, confirmation.objective) else None
    luck = None if promised is None else promised - sum(scores) / len(scores)
    return Judgement(winner, iqm_interval(scores), luck, tuple(comparisons))
