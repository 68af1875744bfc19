"""One setting of the library: what it is for, and every verdict run that speaks for it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.core.prediction import predicted_mean
from tuner.core.statistics import Estimate, iqm_interval
from tuner.hyperparameters import Hyperparameters, from_mapping
from tuner.library.names import entry_name
from tuner.result.verdict import Comparison, compare_with_each


@dataclass(frozen=True)
class LibraryRun:
    """One run of a verdict.

    Attributes:
        seed: Run seed.
        outcome: completed, diverged or timed_out.
        score: As it counts: of a run that did not complete, the worst of the verdict.
        steps: Environment steps taken.
    """

    seed: int
    outcome: str
    score: float
    steps: int


@dataclass(frozen=True)
class Judged:
    """A setting in a verdict.

    Attributes:
        key: Stands for the setting and who trains it.
        role: ``library`` for the entry's own, else the baseline's, such as ``defaults`` or ``zoo``.
        title: What it is called in texts.
        tuned_for: Steps that whoever tuned it trains it for; None where nobody says so.
        hyperparameters: Complete, plain data.
        runs: Its verdict runs, at least one.
    """

    key: str
    role: str
    title: str
    tuned_for: int | None
    hyperparameters: Mapping[str, Any]
    runs: tuple[LibraryRun, ...]

    @property
    def scores(self) -> list[float]:
        """Scores of its runs."""
        return [run.score for run in self.runs]

    @functools.cached_property
    def estimate(self) -> Estimate:
        """Interquartile mean over its seeds, with its 95 % interval."""
        return iqm_interval(self.scores)


@dataclass(frozen=True)
class Entry:
    """A setting of the library.

    Attributes:
        algorithm: As ``--algo`` takes it.
        backend: Who trained it.
        env: Environment id.
        env_kwargs: Keyword arguments of the environment.
        changes: How it is met other than it is, such as ``pixels`` (:data:`~tuner.library.names.CHANGES`).
        preprocessing: What is done to the environment, as exports need it.
        n_timesteps: Environment steps of a run.
        evaluations: Evaluations of a run.
        eval_episodes: Episodes of each evaluation in the search.
        objective: The score.
        seed: Study seed.
        random_play: Mean return of random play; None where nobody has played.
        command: The command that made it.
        made: The day, as 2026-01-31.
        versions: Version by package.
        processor: Model of the processor.
        processor_s: Seconds of processor time that the command took, all its workers together.
        settings: Its own first, then its baselines.
        sha256: Of the file that holds it; empty for one that is not written yet.
    """

    algorithm: str
    backend: str
    env: str
    env_kwargs: Mapping[str, Any]
    changes: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    n_timesteps: int
    evaluations: int
    eval_episodes: int
    objective: str
    seed: int
    random_play: float | None
    command: str
    made: str
    versions: Mapping[str, str]
    processor: str
    processor_s: float
    settings: tuple[Judged, ...]
    sha256: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return entry_name(self.env, self.env_kwargs, self.changes)

    @property
    def own(self) -> Judged:
        """The setting itself."""
        return self.settings[0]

    @property
    def baselines(self) -> tuple[Judged, ...]:
        """What its verdict stands beside."""
        return self.settings[1:]

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The setting's values."""
        return from_mapping(self.algorithm, self.own.hyperparameters)

    @property
    def verdict(self) -> Estimate:
        """The setting's interquartile mean over seeds that no choice has seen, with its 95 % interval."""
        return self.own.estimate

    def beside(self, baseline: Judged) -> Comparison:
        """Return the setting beside a baseline, as one of all that it stands beside."""
        return self._compared[baseline.key]

    @functools.cached_property
    def _compared(self) -> Mapping[str, Comparison]:
        return compare_with_each(self.own.scores, {each.key: each.scores for each in self.baselines})

    def predicted(self, runs: int) -> tuple[float, float]:
        """Return where the mean score of so many further runs lies with 95 %.

        What runs there score lies between the worst and the best of the whole verdict, baselines included.
        """
        seen = [score for judged in self.settings for score in judged.scores]
        return predicted_mean(self.own.scores, runs, (min(seen), max(seen)))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data for ``evidence.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Entry:
        """Read what :meth:`to_mapping` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        settings = []
        for row in stored["settings"]:
            runs = tuple(
                LibraryRun(int(r["seed"]), str(r["outcome"]), float(r["score"]), int(r["steps"])) for r in row["runs"]
            )
            settings.append(Judged(**{**row, "runs": runs}))
        if not settings or not all(judged.runs for judged in settings):
            raise ValueError("a setting has no run")
        return cls(**{**stored, "settings": tuple(settings)})
