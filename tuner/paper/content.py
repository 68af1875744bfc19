"""What a paper shows, from the documents that the pages are made of: nothing is computed anew, so the numbers agree."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.errors import InputError
from tuner.report.pages.comparison import TITLES
from tuner.report.tables.evidence import judged, ordered, titled_curves
from tuner.report.words.evidence import contestant_title
from tuner.text import env_title, typed_text

Kind = Literal["study", "backends", "settings"]

#: What is drawn and tabulated of a curve that is not there.
NO_CURVE: Mapping[str, Any] = {"runs": (), "step": (), "iqm": (), "low": (), "high": (), "n": ()}


@dataclass(frozen=True)
class Group:
    """Runs of one setting on all seeds.

    Attributes:
        title: What figures and tables call it.
        values: The hyperparameters that tell it apart, where a comparison names them.
        hyperparameters: All of them.
        seeds: Of each run.
        outcomes: Of each run.
        scores: Score to that of each run that has one.
        estimate: Of the deciding score: its interquartile mean with interval (:attr:`Paper.until`: its mean), or None
            where no run completed.
        curve: Learning curves: ``runs``, and ``step``, ``iqm``, ``low``, ``high``.
        compared: ``difference``, ``probability``, ``result`` (``p_holm`` where there are several comparisons) of the
            deciding score, or None.
    """

    title: str
    values: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    seeds: Sequence[int]
    outcomes: Sequence[str]
    scores: Mapping[str, Sequence[float]]
    estimate: Mapping[str, Any] | None
    curve: Mapping[str, Any]
    compared: Mapping[str, Any] | None


@dataclass(frozen=True)
class Paper:
    """All that is shown.

    Attributes:
        kind: What the document is of.
        env: Environment id.
        algorithm: As ``--algo`` takes it.
        backends: Who trained.
        objective: The deciding score.
        n_timesteps: Budget of a run.
        clock: What it counts.
        grid: Steps of evaluation.
        evaluation: ``episodes``, and ``late_episodes`` (over the last third of the grid), ``max_steps`` and ``epsilon``
            where they are known.
        threshold: Return at which the environment counts as solved, or None.
        groups: The first is the one that matters: the winner, or what the others are compared with.
        differences: What a difference is, in words.
        vary: Field to its values, where a sweep varies one or two.
        provenance: Versions and hardware.
        study: The report's ``study``, ``summary``, ``evidence`` and ``figures``, for a study alone.
        until: The report's ``evidence.until`` where results decided how many seeds there are: then estimates are means
            of runs, and differences of means, with confidence sequences.
        floor: What a run that diverged counts as at most; None where nothing is stored of it.
    """

    kind: Kind
    env: str
    algorithm: str
    backends: Sequence[str]
    objective: str
    n_timesteps: int
    clock: str
    grid: Sequence[int]
    evaluation: Mapping[str, Any]
    threshold: float | None
    groups: Sequence[Group]
    differences: str
    provenance: Mapping[str, Any]
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    until: Mapping[str, Any] | None = None
    floor: float | None = None

    @property
    def middle(self) -> str:
        """What estimates are."""
        return "interquartile mean" if self.until is None else "mean"

    @property
    def search_runs(self) -> int:
        """How many runs a score of the search is the mean of."""
        return int(self.study["study"]["recipe"].get("seeds_per_trial") or 1) if self.study else 1

    @property
    def corrected(self) -> bool:
        """Whether p-values are corrected for several comparisons."""
        return any(g.compared is not None and "p_holm" in g.compared for g in self.groups) and len(self.groups) > 2


def paper_of(document: Mapping[str, Any]) -> Paper:
    """Return what a document gives for a paper.

    Args:
        document: What ``report.json``, ``comparison.json`` or ``sweep.json`` holds.

    Raises:
        InputError: It is of another kind, or nothing in it has been judged on fresh seeds.
    """
    try:
        paper = _of_study(document) if "study" in document else _of_comparison(document)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"it is no document of this version ({type(error).__name__}: {error}). Write it again."
        ) from error
    if not any(group.estimate for group in paper.groups):
        raise InputError("no run has completed on fresh seeds, so there is nothing to publish.")
    return paper


def _of_study(document: Mapping[str, Any]) -> Paper:
    study, found = document["study"], document["evidence"]
    if found is None or found["winner"] is None:
        raise InputError(
            "it has no verdict yet, and scores of a search, one run or a few each, are no result. "
            f"tune confirm {shlex.quote(study['name'])} gives one, or says what it takes."
        )
    curves = {curve["key"]: curve for curve in titled_curves(found) if curve["phase"] == "verdict"}
    compared = {row["with"]: _compared(row, found) for row in found["comparisons"]}
    recipe, budget = study["recipe"], study["space"]["budget"]
    groups = [
        Group(
            title=contestant_title(row),
            values={},
            hyperparameters=row["hyperparameters"],
            seeds=row["verdict"]["seeds"],
            outcomes=row["verdict"]["outcomes"],
            scores=row["verdict"]["scores"],
            estimate=_with_kind(row["verdict"]["mean"])
            if found.get("until")
            else row["verdict"]["estimates"].get(found["objective"]),
            curve=curves.get(row["key"], NO_CURVE),
            compared=compared.get(row["key"]),
        )
        for row in judged(found)
    ]
    return Paper(
        kind="study",
        env=env_title(recipe),
        algorithm=recipe["algo"],
        backends=list(dict.fromkeys(row["backend"] for row in ordered(found))),
        objective=found["objective"],
        n_timesteps=study["grid"][-1],
        clock="environment steps" if recipe["algo"] != "fqi" else "iterations",
        grid=study["grid"],
        evaluation={
            "episodes": recipe.get("eval_episodes") or budget["eval_episodes"],
            **(found.get("evaluation") or {}),  # of the verdict's runs, which play more for a score
        },
        threshold=study["reward_threshold"],
        groups=groups,
        differences="the winner minus it",
        provenance=study["provenance"],
        study={key: document[key] for key in ("study", "summary", "evidence", "figures")},
        until=found.get("until"),
        floor=found.get("floor"),
    )


def _compared(row: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a comparison says of the deciding score; after ``--until`` the sequence of mean differences."""
    scores, sequence = row["scores"].get(found["objective"]), row.get("sequence")
    if scores is None or sequence is None:
        return None if found.get("until") else scores
    return {**scores, "difference": _with_kind({**sequence, "value": sequence["mean"]})}


def _with_kind(mean: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return mean and {**mean, "kind": "sequential" if mean["low"] is None else "interval"}


def _of_comparison(document: Mapping[str, Any]) -> Paper:
    run = document["run"]
    objective = "late"
    if "backends" in document:
        difference = document["differences"].get(objective)
        groups = [
            _group(TITLES.get(name, name), {}, run["hyperparameters"], of, difference if name == "sb3" else None)
            for name, of in document["backends"].items()
        ]
        kind, backends, differences = "backends", list(document["backends"]), "native minus Stable-Baselines3"
    else:
        compared = {row["label"]: row["scores"].get(objective) for row in document["comparisons"]}
        groups = [
            _group(
                setting["label"],
                setting["values"],
                {**run["hyperparameters"], **setting["values"]},
                setting,
                compared.get(setting["label"]),
            )
            for setting in document["settings"]
        ]
        kind, backends, differences = "settings", [run["backend"]], f"its own minus that of {groups[0].title}"
    return Paper(
        kind=kind,  # type: ignore[arg-type]  # one of the two above
        env=env_title(run),
        algorithm=run["algorithm"],
        backends=backends,
        objective=objective,
        n_timesteps=run["n_timesteps"],
        clock=run.get("clock", "environment steps"),
        grid=run["evaluation"]["grid"],
        evaluation={key: run["evaluation"].get(key) for key in ("episodes", "max_steps", "epsilon")},
        threshold=run.get("reward_threshold"),
        groups=groups,
        differences=differences,
        provenance=document["provenance"],
        vary=document.get("vary", {}),
        floor=document.get("floor"),
    )


def _group(
    title: str, values: Mapping[str, Any], hyperparameters: Mapping[str, Any], of: Mapping[str, Any], compared: Any
) -> Group:
    return Group(
        title, values, hyperparameters, of["seeds"], of["outcomes"], of["scores"], of["estimates"].get("late"),
        of["curves"], compared,
    )  # fmt: skip


def panels(paper: Paper) -> list[tuple[str, list[Group]]]:
    """Return (title, groups) of the figures of learning curves: one, or one for each value of a second field."""
    if len(paper.vary) < 2:
        return [("", list(paper.groups))]
    _, second = paper.vary
    return [
        (f"{second} {typed_text(value)}", [g for g in paper.groups if g.values[second] == value])
        for value in paper.vary[second]
    ]
