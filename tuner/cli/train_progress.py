"""What ``tune train`` shows while it trains, and what it keeps for the plot and the model."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import console, decimal, say

if TYPE_CHECKING:
    import numpy as np

    from tuner.cli.train_events import TrainingEvents
    from tuner.contract.outcome import EvalPoint
    from tuner.contract.spec import RunId, RunSpec

#: Seconds between two redraws of the bar.
REDRAW_S = 0.1


class TrainingWatch:
    """Keeps a run's log, evaluations and weights, and passes its progress on.

    Attributes:
        log: Episodes and training calls.
        points: The evaluations so far.
        weights: Those of the last step, or, while it trains, of the last evaluation; empty before the first.
        best: The best evaluation and the weights of that.
        tables: What a Q-table says at each evaluation; empty of other agents.
        begun: Step up to which it was trained before, and is known.
        events: Writes it for TensorBoard, or None.
    """

    def __init__(self, spec: RunSpec, show: Callable[[int, str], None], say: Callable[[EvalPoint], None]) -> None:
        from tuner.training.log import TrainingLog
        from tuner.training.lone.table_log import TableLog

        self.log, self.tables = TrainingLog(), TableLog()
        self.points: list[EvalPoint] = []
        self.weights: Mapping[str, np.ndarray] = {}
        self.best: tuple[EvalPoint, Mapping[str, np.ndarray]] | None = None
        self.begun = 0
        self.events: TrainingEvents | None = None
        self._spec = spec
        self._show = show
        self._say = say
        self._shown_at = 0.0
        self._epsilon: float | None = None

    def on_episode(self, run_id: RunId, step: int, episode_return: float, length: int) -> None:
        """Log an episode."""
        self.log.on_episode(run_id, step, episode_return, length)
        if self.events is not None:
            self.events.episode(step, episode_return, length)
        self._step(step)

    def on_update(self, run_id: RunId, step: int, loss: float, q_value: float, epsilon: float) -> None:
        """Log a training call."""
        self.log.on_update(run_id, step, loss, q_value, epsilon)
        if self.events is not None:
            self.events.update(step, loss, q_value, epsilon)
        self._epsilon = None if math.isnan(epsilon) else epsilon
        self._step(step)

    def on_evaluated(self, point: EvalPoint, weights: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Keep what was evaluated, for who interrupts, and the best of it: of equals the later, which has seen more."""
        self.weights = {name: array.copy() for name, array in weights().items()}
        if self._spec.algorithm == "q_learning" and len(self.weights) == 1:  # bins have no names in the environment
            self.tables.add(point.step, *self.weights.values())
        if self.best is None or point.mean_return >= self.best[0].mean_return:
            self.best = point, self.weights

    def on_end(self, run_id: RunId, weights: Mapping[str, np.ndarray]) -> None:
        """Keep the weights."""
        self.log.on_end(run_id, weights)
        self.weights = dict(weights)

    def on_point(self, point: EvalPoint) -> None:
        """Keep and show an evaluation."""
        self.points.append(point)
        if self.events is not None:
            self.events.evaluation(point)
        if point.step <= self.begun:
            return  # told again by a run that goes on
        self._say(point)
        self._shown_at = 0.0
        self._step(point.step)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return all that was watched up to the last evaluation, as plain arrays; there was one."""
        import numpy as np

        from tuner.contract.outcome import points_to_plain
        from tuner.core.named_arrays import joined

        assert self.best is not None
        point, weights = self.best
        about = {"step": self.points[-1].step, "best": points_to_plain([point])}
        parts = {"log": self.log.snapshot(), "best": weights, "tables": self.tables.snapshot()}
        return {**joined(parts), "watched": np.array(json.dumps(about))}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Go on from a snapshot."""
        from tuner.contract.outcome import points_from_plain
        from tuner.core.named_arrays import part_of

        about = json.loads(str(saved["watched"]))
        (point,) = points_from_plain(self._spec.run_id, about["best"])
        self.best = point, part_of("best", saved)
        self.log.restore(part_of("log", saved))
        if tables := part_of("tables", saved):  # of version 0.2 and later
            self.tables.restore(tables)
        self.begun = int(about["step"])

    def write_events(self, folder: Path | None) -> None:
        """Write what comes, and what has been restored where it is not there, as event files into a folder, if any."""
        if folder is not None:
            from tuner.cli.train_events import TrainingEvents

            self.events = TrainingEvents(folder, self._spec, self.log, self.begun)

    def end_events(self) -> None:
        """Write the end of it into the event files."""
        if self.events is not None:
            self.events.end(self.points)

    def write_plot(self, folder: Path, reward_threshold: float | None, random_mean: float | None) -> Path:
        """Write the training plot into an existing folder and return its path."""
        from tuner.report.pages.training import write_training_page

        points = [(p.step, p.returns) for p in self.points]
        return write_training_page(
            self._spec.describe(),
            self.log.to_mapping(),
            points,
            folder,
            reward_threshold=reward_threshold,
            random_mean=random_mean,
            table=self.tables.beside_truth(self._spec.env, getattr(self._spec.hyperparameters, "gamma", 1.0)),
        )

    def _step(self, step: int) -> None:
        now = time.monotonic()
        if now - self._shown_at < REDRAW_S:
            return
        self._shown_at = now
        parts = [f"return {decimal(self.points[-1].mean_return)}"] if self.points else []
        parts += [f"epsilon {self._epsilon:.3f}"] if self._epsilon is not None else []
        self._show(step, "  ".join(parts))


@contextlib.contextmanager
def watch_training(spec: RunSpec, *, quiet: bool) -> Iterator[TrainingWatch]:
    """Show a bar on a terminal, a line for each evaluation elsewhere, nothing when quiet."""
    if quiet:
        yield TrainingWatch(spec, _nothing, _nothing)
    elif not sys.stderr.isatty():
        yield TrainingWatch(spec, _nothing, lambda point: say(_line(spec, point), stderr=True))
    else:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.fields[name]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        with Progress(*columns, console=console(stderr=True), auto_refresh=False) as bar:
            task = bar.add_task("", total=spec.n_timesteps, name=spec.env.id, state="")

            def show(step: int, state: str) -> None:
                bar.update(task, completed=step, state=state, refresh=True)

            yield TrainingWatch(spec, show, _nothing)


def _nothing(*_: Any) -> None:
    """Show nothing."""


def _line(spec: RunSpec, point: EvalPoint) -> str:
    return f"step {point.step:,}/{spec.n_timesteps:,}: mean return {decimal(point.mean_return)}"
