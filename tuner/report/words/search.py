"""What was searched and what was found, in plain words; and why a figure is missing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.hyperparameters import ALGORITHMS
from tuner.report.numbers.axes import parameter_axes
from tuner.report.numbers.regions import worth_tuning_next
from tuner.report.numbers.trials import wall_seconds
from tuner.report.words.caution import caution
from tuner.report.words.evidence import BACKEND_NAMES, range_text
from tuner.result.sampled import field_of
from tuner.result.study import StudyData
from tuner.result.threshold import reaches
from tuner.text import counted, duration, env_title, large, listed, number, percent, score_text, sentence

ALGORITHM_NAMES = {name: cls.title for name, cls in ALGORITHMS.items()}
#: What the budgets of an algorithm count.
CLOCKS = {name: cls.clock for name, cls in ALGORITHMS.items()}
OBJECTIVE_NAMES = {
    "late": "the mean return over the last third of a run's evaluations",
    "final": "the mean return of a run's last evaluation",
    "best": "the mean return of a run's best evaluation",
    "auc": "the mean return over all of a run's evaluations (area under the learning curve)",
    "worst": "the mean return over the last third of a run's evaluations; fresh seeds choose by their worst quarter",
}
#: Outcome to what happened to its trials.
ENDINGS = {
    "completed": "ran to the end",
    "pruned": "pruned (stopped early for falling behind)",
    "diverged": "diverged",
    "timed_out": "timed out",
    "failed": "failed",
    "lost": "lost with a worker",
    "running": "still running",
    "waiting": "waiting",
}


@dataclass(frozen=True)
class Notice:
    """A remark the reader must not miss.

    Attributes:
        kind: ``note`` or ``warning``.
        title: A few words.
        text: A sentence or two.
    """

    kind: str
    title: str
    text: str


@dataclass(frozen=True)
class KeyNumber:
    """One cell of the summary strip: a label, its value, and a remark below."""

    label: str
    value: str
    remark: str


def headline(data: StudyData) -> str:
    """Return ``DQN on CartPole-v1``."""
    algorithm = str(data.recipe.get("algo", ""))
    return f"{ALGORITHM_NAMES.get(algorithm, algorithm) or 'Study'} on {data.recipe.get('env') or data.name}"


def lead(data: StudyData) -> list[str]:
    """Return the opening sentences: what was searched, how it went, what was found, how far to trust it."""
    sentences = [_searched(data)]
    if data.trials:
        sentences.append(_went(data))
    if data.best is not None:
        objective = OBJECTIVE_NAMES.get(str(data.recipe.get("objective", "late")), "the study's objective")
        what = "highest score of the search" if _confirmed(data) else "best score"
        sentences.append(
            f"The {what} is {score_text(data.best.score, 4)}, by trial {data.best.number}; a score is {objective}."
        )
        if not _confirmed(data):
            sentences.append(caution(data))
    return sentences


def _confirmed(data: StudyData) -> bool:
    return data.confirmation is not None and data.confirmation.winner is not None


def notices(data: StudyData) -> list[Notice]:
    """Return remarks on studies that are unfinished, or that say less than they seem to."""
    remarks = []
    running = data.count("running")
    if running:
        text = f"{counted(running, 'trial')} in training; this page shows the study as it was when it was written."
        remarks.append(Notice("note", "The study is still running.", text))
    scored = [t for t in data.trials if t.score is not None]
    if not data.trials:
        remarks.append(Notice("note", "No trial yet.", "The study exists, but nothing has been trained in it."))
    elif not scored:
        remarks.extend(_without_scores(data))
    elif len(scored) == 1:
        one = "One trial only." if len(data.trials) == 1 else "One score only."
        text = "There is nothing to compare it with, so nothing can be said about which hyperparameters matter."
        remarks.append(Notice("note", one, text))
    elif len({t.score for t in scored}) == 1:
        text = (
            f"Each of the {len(scored)} completed trials scored {score_text(scored[0].score, 4)}: these scores do not "
            "say which hyperparameters are better." + _why_shown(data)
        )
        remarks.append(Notice("warning", "All scores are equal.", text))
    return remarks


def _why_shown(data: StudyData) -> str:
    if data.chosen is None or _confirmed(data):
        return ""
    return f" Trial {data.chosen.number} is shown because its learning curve was the highest on average."


def key_numbers(data: StudyData, found: Mapping[str, Any] | None = None) -> list[KeyNumber]:
    """Return the summary strip; ``found`` is what :func:`tuner.report.numbers.evidence.evidence` gives."""
    best, scored = data.best, sorted(t.score for t in data.trials if t.score is not None)
    cells = [
        _confirmed_number(found)
        or (
            KeyNumber("Best score", score_text(best.score, 4), f"trial {best.number}, unconfirmed")
            if best is not None
            else KeyNumber("Best score", number(None), "no completed trial")
        ),
        KeyNumber(
            "Trials", f"{len(data.trials):,}", f"{data.count('completed')} completed, {data.count('pruned')} pruned"
        ),
    ]
    if data.reward_threshold is not None:
        solved = sum(reaches(score, data.reward_threshold) for score in scored)
        text = f"of {len(scored)} completed, at {number(data.reward_threshold)}"
        cells.append(KeyNumber("Solved", f"{solved:,}", text))
    else:
        median = statistics.median(scored) if scored else None
        cells.append(KeyNumber("Median score", score_text(median, 4), f"of {counted(len(scored), 'completed trial')}"))
    spent, saved = data.steps_spent, _steps_saved(data)
    cells.append(KeyNumber(sentence(data.clock), large(spent), "spent by all trials"))
    share = percent(saved / (spent + saved)) if spent + saved else number(None)
    cells.append(KeyNumber("Saved", share, f"{large(saved)} {data.clock.split()[-1]}, by ending trials early"))
    training = sum(t.duration_s for t in data.trials)
    cells.append(KeyNumber("Time", duration(wall_seconds(data)), f"{duration(training)} of training"))
    return cells


def _confirmed_number(found: Mapping[str, Any] | None) -> KeyNumber | None:
    """Return the winner's score on the verdict's seeds; None before there is one."""
    winner = next((c for c in found["contestants"] if c["key"] == found["winner"]), None) if found else None
    estimate = winner["verdict"]["estimates"].get(found["objective"]) if winner is not None and found else None
    if winner is None or estimate is None:
        return None
    sure = f"{range_text(estimate)} (95 %)" if estimate["kind"] == "interval" else range_text(estimate)
    return KeyNumber("Confirmed score", score_text(estimate["value"]), f"{winner['name']}, {sure}")


def effort_sentence(data: StudyData) -> str:
    """Return what ending trials early has saved."""
    spent, saved = data.steps_spent, _steps_saved(data)
    if not spent:
        return f"No {data.clock} have been taken yet."
    if not saved:
        return f"{large(spent)} {data.clock} were spent; no trial was ended early."
    early = sum(t.outcome in ("pruned", "diverged", "timed_out") and bool(t.curves) for t in data.trials)
    return (
        f"{large(spent)} {data.clock} were spent. Ending {counted(early, 'trial')} early saved "
        f"{large(saved)} more, {percent(saved / (spent + saved))} of what full runs would have cost."
    )


def what_is_missing(data: StudyData, *, of_scores: bool) -> str:
    """Return what no figure can be drawn without; empty where it is there. ``of_scores``: scores and parameters too."""
    scored = [t for t in data.trials if t.score is not None]
    if not data.trials:
        return "Nothing to draw: the study has no trial yet."
    if of_scores and not scored:
        return "Nothing to draw: no trial has run to the end, so there is no score yet."
    if of_scores and not any(t.params for t in scored):
        return "Nothing to draw: the search space samples no parameter."
    return ""


def importance_sentence(data: StudyData) -> str:
    """Return which parameters' importance is more than noise; empty without any importance."""
    if not data.importances:
        return ""
    named = [field_of(name) for name, found in data.importances.items() if found.share > found.noise]
    if not named:
        return "None is told apart from noise: with these trials, parameters without any effect would reach as much."
    return f"More than noise: {listed(named)}."


def next_sentence(data: StudyData) -> str:
    """Return which hyperparameters are worth tuning further; empty where no importance says so."""
    names = [field_of(name) for name in worth_tuning_next(data)]
    return f"Worth tuning further: {listed(names)}." if names else ""


def why_no_importance(data: StudyData) -> str:
    """Return why scores give no importance."""
    scores = [t.score for t in data.trials if t.score is not None]
    if len(set(scores)) == 1:
        return (
            f"Importance needs scores that differ: {'there is only one' if len(scores) == 1 else 'all are equal here'}."
        )
    return (
        f"Importance could not be estimated from {counted(len(scores), 'completed trial')}: it takes ten, the best "
        "tenth of which scores higher than the rest."
    )


def _searched(data: StudyData) -> str:
    recipe = data.recipe
    backend = BACKEND_NAMES.get(str(recipe.get("backend")), str(recipe.get("backend") or "an unnamed backend"))
    names = [field_of(name) for name in parameter_axes(data)]
    each = "" if len(data.trials) == 1 else "each "
    over = f", {each}with its own values of {listed(names)}" if names else ""
    budget = ""
    if data.grid:
        budget = f" Each run takes {data.grid[-1]:,} {data.clock} and is evaluated {counted(len(data.grid), 'time')}."
    algorithm = ALGORITHM_NAMES.get(str(recipe.get("algo")), str(recipe.get("algo") or "the algorithm"))
    trials = counted(len(data.trials), "trial") if data.trials else "A search"
    return f"{trials} of {algorithm} on {env_title(recipe) or data.name}{over}, trained by {backend}.{budget}"


def _went(data: StudyData) -> str:
    outcomes = [*ENDINGS, *(t.outcome for t in data.trials if t.outcome not in ENDINGS)]
    gone_on = sum(t.continued_as is not None for t in data.trials)
    counts = [(data.count(o) - (gone_on if o == "lost" else 0), ENDINGS.get(o, o)) for o in dict.fromkeys(outcomes)]
    counts.append((gone_on, "interrupted, going on under another number"))
    return (
        f"How {'it' if len(data.trials) == 1 else 'they'} ended: "
        + listed([f"{count} {what}" for count, what in counts if count])
        + "."
    )


def _without_scores(data: StudyData) -> list[Notice]:
    ended = [t for t in data.trials if t.outcome not in ("running", "waiting")]
    if ended and all(t.outcome in ("failed", "lost") for t in ended):
        text = f"None of {len(ended)} trials gave a result; the reasons are grouped below."
        title = "Every trial failed."
        if len(ended) == 1:
            title, text = "The only trial failed.", "It gave no result; the reason is below."
        return [Notice("warning", title, text)]
    if ended and all(t.outcome == "pruned" for t in ended):
        whose = "its last evaluation is" if len(ended) == 1 else "their last evaluations are"
        text = (
            f"{counted(len(ended), 'trial')} ended early by the pruner; {whose} shown, but a pruned trial has no score "
            "and none is best."
        )
        return [Notice("warning", "Only pruned trials.", text)]
    if ended:
        return [Notice("warning", "No score yet.", "No trial has run to the end, so none can be called best.")]
    return []


def _steps_saved(data: StudyData) -> int:
    return data.steps_saved if data.grid else 0
