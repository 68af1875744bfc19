"""``tune train --tensorboard DIR``: one training's episodes, training calls and evaluations, ``DIR/RUN``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.cli.console import say
from tuner.contract.objective import OBJECTIVES
from tuner.training.tensorboard import EVALUATION, FILES, LENGTH, TAGS, EventFolder, GiveUpOnce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.contract.outcome import EvalPoint
    from tuner.contract.spec import RunSpec
    from tuner.training.log import TrainingLog

#: Points of a curve over training calls, about; each is the mean over the calls since the one before.
POINTS = 2000

#: Training episodes that ``rollout/ep_rew_mean`` is over, as Stable-Baselines3's.
EPISODES = 100

_UPDATES = (TAGS["loss"], TAGS["q_value"], TAGS["epsilon"])


class TrainingEvents:
    """Writes one run's event files.

    Args:
        folder: The run's own.
        spec: The run.
        log: Its episodes and training calls; already holds those up to ``begun``, which are written where the folder
            has none of them.
        begun: Step that it goes on from; 0: it begins anew.
    """

    def __init__(self, folder: Path, spec: RunSpec, log: TrainingLog, begun: int = 0) -> None:
        self._log = log
        self._known = begun if any(folder.glob(FILES)) else 0
        self._stride = max(1, spec.n_timesteps // POINTS)
        self._sums, self._calls, self._since = [0.0] * len(_UPDATES), 0, begun
        self._returns: list[float] = []
        self._try = GiveUpOnce(folder, lambda line: say(line, stderr=True))
        self._files: EventFolder | None = None
        self._try(lambda: self._begin(folder, spec))

    def _begin(self, folder: Path, spec: RunSpec) -> None:
        self._files = EventFolder(folder, self._known)
        if self._known:
            self._returns = self._log.episode_returns[-EPISODES:]
            return
        self._files.begin(spec.hyperparameters.to_mapping(), folder.name)
        log = self._log
        for step, value, length in zip(log.episode_steps, log.episode_returns, log.episode_lengths, strict=True):
            self.episode(step, value, length)
        updates = log.updates.columns()
        for step, *means in zip(*(updates[name] for name in ("step", "loss", "q_value", "epsilon")), strict=True):
            self._write(round(step), dict(zip(_UPDATES, means, strict=True)))

    def episode(self, step: int, episode_return: float, length: int) -> None:
        """Write a training episode."""
        self._returns = [*self._returns[1 - EPISODES :], episode_return]
        mean = sum(self._returns) / len(self._returns)
        self._write(step, {"rollout/ep_rew": episode_return, TAGS["train_return"]: mean, "rollout/ep_len": length})

    def update(self, step: int, loss: float, q_value: float, epsilon: float) -> None:
        """Write training calls, once there are enough of them."""
        self._sums = [total + value for total, value in zip(self._sums, (loss, q_value, epsilon), strict=True)]
        self._calls += 1
        if step - self._since >= self._stride:
            means = [total / self._calls for total in self._sums]
            self._write(step, dict(zip(_UPDATES, means, strict=True)))
            self._sums, self._calls, self._since = [0.0] * len(_UPDATES), 0, step

    def evaluation(self, point: EvalPoint) -> None:
        """Write an evaluation, unless an earlier part of the training has."""
        if point.step > self._known:
            length = sum(point.lengths) / len(point.lengths)
            self._write(point.step, {EVALUATION: point.mean_return, LENGTH: length})

    def end(self, points: Sequence[EvalPoint]) -> None:
        """Write the score, as a search would give it: the mean return over the last third of the evaluations."""
        score = OBJECTIVES["late"]([p.step for p in points], [p.mean_return for p in points])
        files = self._files
        if files is not None:
            self._try(lambda: files.end(points[-1].step, score, good=True))

    def _write(self, step: int, values: dict[str, float]) -> None:
        files = self._files
        if files is not None:
            known = {tag: value for tag, value in values.items() if not math.isnan(value)}
            self._try(lambda: files.scalars(step, known))
