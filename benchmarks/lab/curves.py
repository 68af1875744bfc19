"""Measured curves of one environment, ready to be played back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import design
import numpy as np
import table
from environments import MEMBERS, Member, family_of

from tuner.contract.objective import late
from tuner.space.model import SearchSpace
from tuner.space.nearest import nearest_params
from tuner.space.parse import parse_space


@dataclass(frozen=True)
class Curves:
    """Curves of S settings, R seeds and C checkpoints in one environment.

    Attributes:
        member: The environment.
        settings: Place in the design of each row, [S].
        steps: Environment steps of the checkpoints.
        returns: Mean return of each evaluation, [S, R, C]; NaN from where a run diverged.
        seconds: Processor seconds of each run, [S, R].
        late: The score `late` of each run, [S, R], no less than random play earns: how much worse than that a useless
            policy is depends on the environment's fines alone. A run that diverged has the lowest return of the table.
        fresh: The same of further seeds, which no search trains, [S, F]; NaN where a setting has fewer.
    """

    member: Member
    settings: np.ndarray
    steps: tuple[int, ...]
    returns: np.ndarray
    seconds: np.ndarray
    late: np.ndarray
    fresh: np.ndarray

    @classmethod
    def of(cls, member: Member, steps: Sequence[int], returns: np.ndarray, seconds: np.ndarray, rows: np.ndarray):
        """Return curves of the settings whose first seeds are all measured.

        Args:
            member: The environment.
            steps: Of the checkpoints.
            returns: [S', R + F, C].
            seconds: [S', R + F]; NaN where nothing was measured.
            rows: Place in the design, [S'].
        """
        first = slice(table.SEEDS)
        whole = ~np.isnan(seconds[:, first]).any(axis=1)
        returns, seconds, rows = returns[whole].astype(float), seconds[whole].astype(float), rows[whole]
        floor = np.nanmin(returns) if np.isfinite(returns).any() else 0.0
        finite = np.where(np.isnan(returns), floor, returns)
        scores = np.array([[late(steps, curve) for curve in seeds] for seeds in finite]).reshape(returns.shape[:2])
        scores = np.where(np.isnan(seconds), np.nan, np.maximum(scores, member.floor))
        late_, fresh = scores[:, first], scores[:, table.SEEDS :]
        return cls(member, rows, tuple(int(step) for step in steps), returns[:, first], seconds[:, first], late_, fresh)

    @property
    def truth(self) -> np.ndarray:
        """Mean `late` of each setting as a share of the environment's range, [S]."""
        return self.member.normalised(np.nanmean(np.hstack([self.late, self.fresh]), axis=1))

    def of_rows(self, rows: np.ndarray) -> Curves:
        """Return the curves of some places in the design, each as often as it is named and if it is measured."""
        at = {int(row): i for i, row in enumerate(self.settings)}
        chosen = np.array([at[int(row)] for row in rows if int(row) in at], int)
        parts = {name: getattr(self, name)[chosen] for name in ("settings", "returns", "seconds", "late", "fresh")}
        return dataclasses.replace(self, **parts)


def load_curves(folder: Path, settings: Sequence[design.Setting], least: int = 2) -> list[Curves]:
    """Return the curves of every environment of a table that has at least ``least`` settings.

    Values that were tuned for an environment are left out of its family: a study may not stumble upon them.

    Args:
        folder: The table.
        settings: Its design.
        least: Environments with fewer settings are left out.
    """
    found = []
    for member in MEMBERS:
        own = [any(family_of(env) == member.family for env in s.tuned_for) for s in settings]
        path = folder / f"{table.file_name(member.id)}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                rows = np.arange(len(file["returns"]))
                seconds = np.where(np.array(own)[: len(rows), None], np.nan, file["seconds"])
                curves = Curves.of(member, file["steps"].tolist(), file["returns"], seconds, rows)
            if len(curves.settings) >= least:
                found.append(curves)
    return found


def load_design(path: Path) -> tuple[SearchSpace, list[design.Setting]]:
    """Return the space a design was drawn from, and its settings, each with a place in that space."""
    space = parse_space(json.loads(path.read_text())["space"])
    return space, [placed(setting, space) for setting in design.load(path)]


def placed(setting: design.Setting, space: SearchSpace) -> design.Setting:
    """Return a setting with what a study would store for the point of the space nearest to it."""
    if setting.params:
        return setting
    return dataclasses.replace(setting, params=nearest_params(space, setting.hyperparameters))
