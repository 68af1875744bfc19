"""All that a training has become, beside its model: what ``tune train --continue`` goes on from.

``checkpoint.npz`` holds the replay memory, networks, optimizer, random streams and the way to the environment's state
(the arrays of :mod:`tuner.training.run_checkpoint`), what was watched (log, best evaluation), and the run's spec. It
stands for itself: a training that was killed before it had a model goes on from it too.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.contract.rules import rules_of
from tuner.contract.spec import RunSpec
from tuner.core.named_arrays import joined, part_of
from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, from_mapping
from tuner.hyperparameters.schedules import fallen
from tuner.training.run_checkpoint import COST_FACTOR, MAX_BYTES, read_arrays, write_arrays
from tuner.training.saved.model_files import MODEL, in_a_line, spec_from_plain, spec_to_plain

Array = NDArray[Any]

CHECKPOINT = "checkpoint.npz"

#: The array that says what was trained, as JSON.
ABOUT = "about"

#: Fields that a run may be given anew while it goes on: nothing that it keeps was made with them.
CHANGEABLE = frozenset({
    "learning_rate", "final_learning_rate", "learning_rate_schedule", "exploration_initial_eps",
    "exploration_final_eps", "exploration_fraction", "exploration_schedule", "target_update_interval", "tau",
    "train_freq", "gradient_steps", "max_grad_norm", "priority_beta", "weight_averaging",
})  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """A training that can go on.

    Attributes:
        spec: The run, as it was asked for.
        step: Where it stands.
        state: What its trainer goes on from.
        watched: What had been watched of it.
    """

    spec: RunSpec
    step: int
    state: Mapping[str, Array]
    watched: Mapping[str, Array]

    def until(self, total: int, given: Mapping[str, Any]) -> RunSpec:
        """Return the run with another budget.

        Its evaluations go on in their old interval. Schedules stay what they were: shares of the steps it was first
        given. A new ``exploration_fraction`` is a share of ``total``, and so are all schedules then. A step size that
        has fallen to 0 by then would learn nothing more: that is refused.

        Args:
            total: Environment steps in all, those before included.
            given: Hyperparameters to change.

        Raises:
            InputError: It has come that far already, or a field cannot change.
        """
        spec = self.spec
        if total <= self.step:
            raise InputError(
                f"The training has {self.step:,} of {spec.n_timesteps:,} steps. Give --steps N, the steps in all, "
                f"above {self.step:,}."
            )
        grid = [step for step in spec.grid if step < total]
        while grid[-1] + spec.grid[0] < total:
            grid.append(grid[-1] + spec.grid[0])
        over = total if "exploration_fraction" in given else spec.schedules_over
        hyperparameters = _changed(spec.hyperparameters, given)
        if over < total and (ended := fallen(hyperparameters)):
            raise InputError(
                f"{ended[0]}={getattr(hyperparameters, ended[0])} is 0 from step {over:,} on. Add --set {ended[0]}="
                f"constant, or --set exploration_fraction=F: all schedules are then shares of the {total:,} steps."
            )
        return replace(
            spec,
            grid=(*grid, total),
            schedule_steps=None if over == total else over,
            hyperparameters=hyperparameters,
        )


def _changed(before: Hyperparameters, given: Mapping[str, Any]) -> Hyperparameters:
    values = before.to_mapping()
    after = from_mapping(before.algorithm, {**values, **given})
    kept = [name for name, value in after.to_mapping().items() if value != values[name] and name not in CHANGEABLE]
    if kept:
        may = ", ".join(sorted(CHANGEABLE & values.keys())) or "nothing"
        raise InputError(f"--set {kept[0]}: a training that goes on keeps it. What may change: {may}.")
    return after


def load_checkpoint(folder: Path) -> Begun:
    """Return the training that a folder holds. No code of the file is run, no module it names is imported.

    Raises:
        InputError: It holds none that can go on; one line says why.
    """
    path = folder / CHECKPOINT
    try:
        arrays = read_arrays(path, MAX_BYTES)
        about = json.loads(str(arrays[ABOUT]))
        spec = spec_from_plain(about)
        spec = replace(spec, device=str(about["device"]), rules=rules_of(about["rules"]))
        watched = part_of("watched", arrays)
        step = int(json.loads(str(watched["watched"]))["step"])
        if step not in spec.grid:
            raise ValueError(f"step {step} is no evaluation of it")
        return Begun(spec, step, part_of("state", arrays), watched)
    except FileNotFoundError:
        why = (
            "a search's agents, tune before this version, Stable-Baselines3 and memories of more than 1 GB have none"
            if (folder / MODEL).exists()
            else "tune train leaves it beside its model"
        )
        raise InputError(f"{folder} has no {CHECKPOINT} to go on from: {why}.") from None
    except Exception as error:  # whatever NumPy's, the zip reader's and JSON's parsers raise on damaged bytes
        raise InputError(
            f"{path} cannot be gone on from: {in_a_line(error)}. Train again without --continue."
        ) from error


class TrainingCheckpoint:
    """Implements :class:`~tuner.training.run_checkpoint.Checkpoints` for one training.

    Args:
        folder: The model's.
        watched: Returns what has been watched so far.
        begun: What it goes on from; None where it starts.

    Attributes:
        size: Bytes of the last state that was written; None where there is none.
        problem: Why a state could not be written; empty where all were.
        refusal: Why it cannot go on; empty where it can, or starts.
    """

    keeps_ended = True

    def __init__(self, folder: Path, watched: Callable[[], Mapping[str, Array]], begun: Begun | None = None) -> None:
        self._path = folder / CHECKPOINT
        self._watched = watched
        self._begun = begun
        self._cost_s = 0.0
        self.size: int | None = None
        self.problem = self.refusal = ""

    def due(self, since: float) -> bool:
        """Whether writing keeps to two percent of the time; at the first evaluation in any case."""
        return time.monotonic() - since >= COST_FACTOR * self._cost_s

    def save(self, spec: RunSpec, arrays: Mapping[str, Array]) -> None:
        """Replace the file."""
        started = time.monotonic()
        about = {**spec_to_plain(spec), "device": spec.device, "rules": asdict(spec.rules)}
        try:
            whole = joined({"state": arrays, "watched": self._watched()})
            self.size = write_arrays(self._path, {**whole, ABOUT: np.array(json.dumps(about))}, MAX_BYTES)
            self.problem = ""
        except OSError as error:
            self.problem = error.strerror or str(error)
        self._cost_s = time.monotonic() - started

    def load(self, spec: RunSpec) -> Mapping[str, Array] | None:
        """Return what it goes on from."""
        return None if self._begun is None else self._begun.state

    def refused(self, spec: RunSpec) -> None:
        """End the run: who asked to go on does not want to begin anew.

        Raises:
            InputError: Always.
        """
        self.refusal = (
            f"{self._path.parent} cannot go on: its environment does not come to the same place again, or the file "
            "belongs to another version of tune. Train again without --continue."
        )
        raise InputError(self.refusal)

    def discard(self, specs: Iterable[RunSpec]) -> None:
        """Let go of a run that has failed: one that began here leaves nothing, an older one its last state."""
        if self._begun is None and self.size is not None:
            self._path.unlink(missing_ok=True)
            self.size = None
            with contextlib.suppress(OSError):  # where there was nothing else
                self._path.parent.rmdir()

    def drop_another(self) -> None:
        """Remove the file of an earlier training that this one has taken the place of, without one of its own."""
        if self._begun is None and self.size is None:
            self._path.unlink(missing_ok=True)
