"""How far the search's own score can be trusted."""

from __future__ import annotations

from tuner.result.study import StudyData


def caution(data: StudyData) -> str:
    """Return how far the best score can be trusted."""
    best = data.best
    if best is None:
        return ""
    runs = len(best.curves)
    completed = sum(t.score is not None for t in data.trials)
    source = "one training run" if runs <= 1 else f"the mean of {runs} training runs"
    if completed == 1:
        return f"That is {source}; not yet confirmed on fresh seeds."
    return (
        f"That is {source}; not yet confirmed on fresh seeds. "
        f"The highest of {completed} noisy scores is optimistic: expect less from a new run."
    )
