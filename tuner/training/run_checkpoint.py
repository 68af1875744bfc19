"""Where long runs leave what they have become, so that a run whose worker dies goes on instead of starting over.

A file belongs to a run's value (its spec, the arithmetic and the versions of the packages), not to its trial number:
whoever trains that run next goes on from it, and ends with the bits of an undisturbed run. It is replaced in one
step. One that is missing, damaged, of another version or led to another place is no loss: the run starts over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.contract.rules import VERSION_0_1_0
from tuner.contract.spec import RunSpec
from tuner.durable import final_name, replace_with
from tuner.hyperparameters import Hyperparameters, field_infos
from tuner.named_pipes import refuse_named_pipe
from tuner.training.versions import package_versions

Array = NDArray[Any]

logger = logging.getLogger(__name__)

#: The array that names the others. Each has its zip entry's checksum; this one tells when an entry is gone.
NAMES = "names"

#: Bytes of the largest file. A run with a larger memory starts over.
MAX_BYTES = 1 << 30

#: What :func:`fingerprint` gives.
FINGERPRINT = re.compile(r"[0-9a-f]{40}")

#: What a study's own folder is called.
_ID = re.compile(r"[0-9a-f]{32}")

#: A run's file.
_FILE = re.compile(rf"{FINGERPRINT.pattern}\.npz")

#: Seconds of a worker's time between two files of a run: what a death may cost.
EVERY_S = 30.0

#: ... and at least this many times as long as writing the last one took.
COST_FACTOR = 50


class Checkpoints(Protocol):
    """Where a trainer saves its runs, and what it goes on from."""

    @property
    def keeps_ended(self) -> bool:
        """Whether a run is saved at its end too, so that it can go on with more steps."""
        ...

    def due(self, since: float) -> bool:
        """Whether a run is to be saved that was saved, or begun, at ``since`` (monotonic seconds)."""
        ...

    def save(self, spec: RunSpec, arrays: Mapping[str, Array]) -> None:
        """Save all that a run has become; what cannot be saved is no failure of the run."""
        ...

    def load(self, spec: RunSpec) -> Mapping[str, Array] | None:
        """Return what a run goes on from, or None."""
        ...

    def refused(self, spec: RunSpec) -> None:
        """Learn that a run cannot go on from what was loaded: it starts over, unless this raises."""
        ...

    def discard(self, specs: Iterable[RunSpec]) -> None:
        """Let go of runs that have ended."""
        ...


class RunCheckpoints:
    """The files of a study's runs.

    Args:
        folder: Where they lie; made when the first is written. Where it is a study's own, named by its id, files that
            earlier versions left in the one around it are gone on from, too.
        every_s: Least seconds between two files of a run.
        cost_factor: ... and as a multiple of the time that the last one took.
        max_bytes: Largest file.
    """

    keeps_ended = False

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float = EVERY_S,
        cost_factor: float = COST_FACTOR,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._folder = folder
        self._around = folder.parent if _ID.fullmatch(folder.name) else None
        self._every_s = every_s
        self._cost_factor = cost_factor
        self._max_bytes = max_bytes
        self._cost_s = 0.0

    def due(self, since: float) -> bool:
        """Whether a run is to be saved that was saved, or begun, at ``since`` (monotonic seconds)."""
        return time.monotonic() - since >= max(self._every_s, self._cost_factor * self._cost_s)

    def save(self, spec: RunSpec, arrays: Mapping[str, Array]) -> None:
        """Write a run's file. What cannot be written, or is too large, costs the file and nothing else."""
        started = time.monotonic()
        with contextlib.suppress(OSError):
            write_arrays(self._path(spec), arrays, self._max_bytes)
        self._cost_s = time.monotonic() - started

    def load(self, spec: RunSpec) -> dict[str, Array] | None:
        """Return what the file of a run holds, or None where there is none that can be read."""
        for path in self._paths(spec):
            try:
                return read_arrays(path, self._max_bytes)
            except FileNotFoundError:
                continue
            except Exception as error:  # whatever NumPy's and the zip reader's parsers raise on damaged bytes
                logger.info("%s cannot be read (%s): the run starts over.", path, error)
                return None
        return None

    def refused(self, spec: RunSpec) -> None:
        """Let it start over."""

    def discard(self, specs: Iterable[RunSpec]) -> None:
        """Remove the files of runs that have ended."""
        if not (self._around or self._folder).is_dir():
            return  # as for every study of short runs
        for spec in specs:
            for path in self._paths(spec):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def steps(self) -> list[int]:
        """Return the step of each saved run, in rising order; of a file, only that is read."""
        found = []
        own = {path.name: path for path in self._folder.glob("*.npz")}
        around = {path.name: path for path in self._around.glob("*.npz")} if self._around is not None else {}
        for path in (around | own).values():
            # Whatever parsers raise on damaged bytes: that run starts over.
            with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as arrays:
                if "run" in arrays.files:
                    found.append(int(json.loads(str(arrays["run"]))["clock"]))
                else:
                    found.append(int(json.loads(str(arrays["points"]))[-1][0]))
        return sorted(found)

    def clear(self) -> None:
        """Remove all files of runs: nothing of the study is left to train. What others have put there stays."""
        for path in self._folder.glob("*"):
            if _FILE.fullmatch(final_name(path.name)):
                with contextlib.suppress(OSError):
                    path.unlink()
        with contextlib.suppress(OSError):  # where nothing else lies in them
            if self._folder.is_dir():
                self._folder.rmdir()
            if self._around is not None:
                self._around.rmdir()
            (self._around or self._folder).parent.rmdir()

    def _paths(self, spec: RunSpec) -> list[Path]:
        """Return where a run's file may lie, its own place first."""
        path = self._path(spec)
        return [path] if self._around is None else [path, self._around / path.name]

    def _path(self, spec: RunSpec) -> Path:
        return self._folder / f"{fingerprint(spec)}.npz"


def write_arrays(path: Path, arrays: Mapping[str, Array], max_bytes: int = MAX_BYTES) -> int:
    """Write arrays by name in one step, and return their bytes.

    Args:
        path: The file; its folder is made.
        arrays: By name, :data:`NAMES` excepted.
        max_bytes: Nothing is written of more.

    Raises:
        OSError: It cannot be written; is too large; or would take more than half of the disk's free room.
    """
    size = sum(array.nbytes for array in arrays.values())
    if size > max_bytes:
        raise OSError(f"{size / 1e9:.1f} GB are more than the {max_bytes / 1e9:.1f} GB that are kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free <= 2 * size:
        raise OSError(f"the disk has less than twice {size / 1e9:.1f} GB left")
    named = {**arrays, NAMES: np.array(sorted(arrays), np.str_)}
    # Straight to the disk: a copy of a memory of frames might be more than there is room for.
    replace_with(path, lambda file: np.savez(file, allow_pickle=False, **named))
    return size


def read_arrays(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """Return what :func:`write_arrays` was given. No code of the file is run.

    Raises:
        FileNotFoundError: There is none.
        Exception: Whatever NumPy's and the zip reader's parsers raise on damaged bytes.
    """
    refuse_named_pipe(path)
    if path.stat().st_size > 2 * max_bytes:
        raise ValueError("it is too large")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        read = {name: arrays[name] for name in arrays.files}
    names = read.pop(NAMES, None)  # version 0.1.0 wrote none
    if names is not None and sorted(read) != names.tolist():
        raise ValueError("arrays are missing")
    return read


def fingerprint(spec: RunSpec) -> str:
    """Return a name for all that a run's numbers depend on, its place in the study left out."""
    value = {
        "env": spec.env.to_mapping(),
        "backend": spec.backend,
        "algorithm": spec.algorithm,
        "hyperparameters": _told(spec.hyperparameters),
        "seed": spec.seed,
        "grid": spec.grid,
        "evaluation": asdict(spec.evaluation),
        "device": spec.device,
        "versions": dict(package_versions()),
    }
    rules = spec.rules_of_run()
    if rules != VERSION_0_1_0.of_runs():  # its files have names without them
        value["rules"] = rules
    if spec.schedule_steps is not None:
        value["schedule_steps"] = spec.schedule_steps
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:40]


def _told(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return plain data, without fields younger than version 0.1.0 at their defaults: its files have names without."""
    infos, values = field_infos(type(hyperparameters)), hyperparameters.named_mapping()
    younger = {*hyperparameters.wrapped, *(info.name for info in infos.values() if not info.learned)}
    return {name: value for name, value in values.items() if name not in younger or value != infos[name].default}
