"""The table's files: a line for each run as it ends, and an archive for each environment that goes into the repository.

Lines are appended to ``RUNS/<environment>.jsonl`` one run at a time and forced to disk; a line cut short by a kill is
passed over, and its run made again. ``pack`` folds them into ``TABLE/<environment>.npz``, which holds, for S settings,
R seeds and C checkpoints:

R is more than three where some settings have further seeds, which no search draws.

| array | shape | what |
|---|---|---|
| steps | [C] | environment steps of the checkpoints |
| returns | [S, R, C] | mean return of an evaluation; NaN from where a run diverged, and where nothing was measured |
| spread | [S, R, C] | standard deviation over its episodes |
| seconds | [S, R] | processor seconds of the run, evaluations included; NaN where nothing was measured |
| taken | [S, R] | environment steps taken: fewer than the budget where a run diverged |
| made_by | [S, R] | which entry of ``provenance`` made it; -1 where nothing was measured |
| provenance | text | JSON: commit, numeric path, versions of each maker |
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Seeds of each setting that searches draw from, and evaluations of each run.
SEEDS, CHECKPOINTS = 3, 20


@dataclass(frozen=True)
class Measured:
    """One run as it was measured.

    Attributes:
        setting: Its place in the design.
        seed: Which of the setting's seeds, from 0.
        returns: Mean return of each evaluation, as far as it came.
        spread: Standard deviation over the episodes of each.
        seconds: Processor seconds.
        taken: Environment steps.
        maker: Commit, numeric path and versions.
    """

    setting: int
    seed: int
    returns: tuple[float, ...]
    spread: tuple[float, ...]
    seconds: float
    taken: int
    maker: str


def file_name(env_id: str) -> str:
    """Return an environment's file name without its ending."""
    return env_id.replace("/", "-")


def append(path: Path, run: Measured) -> None:
    """Add a run to a file of lines, and force it to disk."""
    row = {name: getattr(run, name) for name in Measured.__dataclass_fields__}
    with path.open("a+b") as file:
        torn = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write((b"\n" if torn else b"") + json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[Measured]:
    """Return the runs of a file of lines; a line that is not whole is passed over."""
    runs = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        runs.append(Measured(**{**row, "returns": tuple(row["returns"]), "spread": tuple(row["spread"])}))
    return runs


def read_archive(path: Path) -> list[Measured]:
    """Return the runs of an archive, none where there is no such file."""
    if not path.exists():
        return []
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    makers: list[str] = json.loads(str(arrays["provenance"]))
    runs = []
    for s, r in zip(*np.nonzero(arrays["made_by"] >= 0), strict=True):
        returns = arrays["returns"][s, r]
        reached = int(np.isfinite(returns).sum())
        runs.append(
            Measured(
                int(s),
                int(r),
                tuple(returns[:reached].tolist()),
                tuple(arrays["spread"][s, r, :reached].tolist()),
                float(arrays["seconds"][s, r]),
                int(arrays["taken"][s, r]),
                makers[arrays["made_by"][s, r]],
            )
        )
    return runs


def write_archive(path: Path, runs: list[Measured], settings: int, steps: tuple[int, ...]) -> None:
    """Write an archive; of runs measured twice the first stays."""
    seeds = max([SEEDS, *(run.seed + 1 for run in runs)])
    arrays: dict[str, Any] = {
        "steps": np.array(steps),
        "returns": np.full((settings, seeds, len(steps)), np.nan, np.float32),
        "spread": np.full((settings, seeds, len(steps)), np.nan, np.float32),
        "seconds": np.full((settings, seeds), np.nan, np.float32),
        "taken": np.zeros((settings, seeds), np.int32),
        "made_by": np.full((settings, seeds), -1, np.int16),
    }
    makers: list[str] = []
    for run in runs:
        at = (run.setting, run.seed)
        if arrays["made_by"][at] >= 0:
            continue
        if run.maker not in makers:
            makers.append(run.maker)
        arrays["made_by"][at] = makers.index(run.maker)
        arrays["returns"][at][: len(run.returns)] = run.returns
        arrays["spread"][at][: len(run.spread)] = run.spread
        arrays["seconds"][at], arrays["taken"][at] = run.seconds, run.taken
    arrays["provenance"] = np.array(json.dumps(makers))
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    partial.replace(path)
