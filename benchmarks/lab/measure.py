"""Measure the table: the design's settings in every environment of the lab, three seeds, twenty checkpoints.

    python benchmarks/lab/measure.py --space default [--hours 2] [--only ENV ...] [--runs benchmarks/lab/runs]
    python benchmarks/lab/measure.py --only ENV --further-seeds 7 --of-best 40
    python benchmarks/lab/measure.py --pack        # folds finished runs into benchmarks/lab/table/

One process, one thread. Stop it whenever you like, by Ctrl-C or a kill: a finished run is never lost, and the same
command goes on, also from the packed table alone. Settings come in the design's order and environments take turns, so
that any prefix of the work is a smaller table. First members of the families come first. The first call draws the
design and stores it in ``table/design.json``. Further seeds are for the choice between finalists and for the truth:
where runs of a setting differ much, three tell neither.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import itertools
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import design
import numpy as np
import table
from environments import MEMBERS, MODULE, Member

from tuner import seeding
from tuner.agents.dqn.stack import NumericPath
from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import late
from tuner.contract.outcome import Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.training.stack.trainer import NativeTrainer
from tuner.training.versions import package_versions

HERE = Path(__file__).parent
TABLE, RUNS = HERE / "table", HERE / "runs"

#: The design's file in a table's folder.
DESIGN = "design.json"

#: Source of all seeds of the table; studies' own are small numbers.
SOURCE = 21_000

#: Points of the space in the design.
POINTS = 155


@dataclass
class Desk:
    """Hands out the runs of one setting in one environment and keeps what they earn."""

    specs: list[RunSpec]
    points: dict[RunId, list] = field(default_factory=lambda: defaultdict(list))
    outcomes: dict[RunId, Outcome] = field(default_factory=dict)

    def take(self, open_shapes, *, block):
        """Return the next run."""
        return self.specs.pop(0) if self.specs else DONE

    def report(self, points):
        """Keep the points; nothing is stopped."""
        for point in points:
            self.points[point.run_id].append(point)
        return frozenset()

    def finish(self, outcome):
        """Keep how a run ended; one that failed is said, and goes again when the script is started anew."""
        if outcome.kind in ("completed", "diverged"):
            self.outcomes[outcome.run_id] = outcome
        else:
            print(f"{outcome.run_id}: {outcome.kind}: {outcome.reason}\n{outcome.detail}", flush=True)


def specs(m: Member, number: int, setting: design.Setting, seeds: list[int], cap: int) -> list[RunSpec]:
    """Return the runs of one setting in one environment."""
    evaluation = EvaluationSpec(m.episodes, seeding.evaluation_seed(SOURCE, "search", 1), cap)
    return [
        RunSpec(
            RunId(number, seed),
            EnvSpec(m.id, module=MODULE),
            "native",
            setting.hyperparameters,
            seeding.run_seed(SOURCE, "search", number, seed),
            evaluation_grid(m.steps, table.CHECKPOINTS),
            evaluation,
        )
        for seed in seeds
    ]


def measure(wanted: list[RunSpec], maker: str, path: NumericPath = "numpy") -> list[table.Measured]:
    """Train the seeds of one setting as a stack; its processor seconds are shared as their own clocks say."""
    desk, started = Desk(list(wanted)), time.process_time()
    NativeTrainer(len(wanted), numeric_path=path).train(desk)
    spent = time.process_time() - started
    whole = sum(outcome.elapsed_s for outcome in desk.outcomes.values())
    return [
        table.Measured(
            run_id.trial,
            run_id.replicate,
            tuple(point.mean_return for point in desk.points[run_id]),
            tuple(float(np.std(point.returns)) for point in desk.points[run_id]),
            spent * outcome.elapsed_s / whole,
            outcome.steps,
            maker,
        )
        for run_id, outcome in desk.outcomes.items()
    ]


def order(members: list[Member], settings: int) -> Iterator[tuple[Member, int]]:
    """Yield (environment, setting): all first members of families, then all second ones, settings in order.

    The few settings of dear environments are spread evenly over the others' many.
    """
    place = {m.id: [o.id for o in MEMBERS if o.family == m.family].index(m.id) for m in members}
    for rank in sorted(set(place.values())):
        turn = [m for m in members if place[m.id] == rank]
        for number in range(settings):
            for m in turn:
                count = min(m.settings or settings, settings)
                yield from ((m, own) for own in range(count) if own * settings // count == number)


def maker_text(folder: Path, path: str) -> str:
    """Return who measures: commit, numeric path and versions, as JSON."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()
    versions = {k: v for k, v in package_versions().items() if k in ("numpy", "torch", "gymnasium", "tune-dqn")}
    return json.dumps(
        {"commit": commit, "design": design.design_hash(folder / DESIGN), "path": path, "versions": versions}
    )


def finished(m: Member, folder: Path, runs: Path) -> list[table.Measured]:
    """Return an environment's runs, packed ones first."""
    name = table.file_name(m.id)
    return table.read_archive(folder / f"{name}.npz") + table.read_lines(runs / f"{name}.jsonl")


def pack(folder: Path, runs: Path, settings: int) -> None:
    """Fold the lines into the archives, and write the page that says what they hold."""
    rows, makers = [], []
    for m in MEMBERS:
        found = {(r.setting, r.seed): r for r in reversed(finished(m, folder, runs))}
        if not found:
            continue
        path = folder / f"{table.file_name(m.id)}.npz"
        table.write_archive(path, finished(m, folder, runs), settings, evaluation_grid(m.steps, table.CHECKPOINTS))
        whole = sum(all((n, s) in found for s in range(table.SEEDS)) for n in range(settings))
        hours = sum(run.seconds for run in found.values()) / 3600
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(f"| {m.id} | {m.family} | {m.steps:,} | {whole} | {len(found)} | {hours:.2f} | `{digest}` |")
        makers = list(dict.fromkeys([*makers, *(run.maker for run in found.values())]))
    head = "| environment | family | steps | whole settings | runs | processor hours | SHA-256 of its archive |"
    lines = [
        "# What the table holds",
        "",
        f"Curves of the settings of `design.json` (`{design.design_hash(folder / DESIGN)}`), {table.SEEDS} seeds each, "
        f"{table.CHECKPOINTS} checkpoints. Written by `python benchmarks/lab/measure.py --pack`; the arrays are "
        "described in `../table.py`.",
        "",
        head,
        "|---|---|---:|---:|---:|---:|---|",
        *rows,
        "",
        "Made by:",
        "",
        *(f"- `{maker}`" for maker in makers),
    ]
    (folder / "CONTENTS.md").write_text("\n".join(lines) + "\n")
    print("\n".join([head, *rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="default", help="drawn from when there is no design yet")
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin nothing after so many hours")
    parser.add_argument("--only", nargs="*", help="environments")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument(
        "--path", default="numpy", choices=get_args(NumericPath), help="numeric path, kept with each run"
    )
    parser.add_argument(
        "--dear-last",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="so large a share of the settings, the dearest, after the others; a fifth of them takes half of the time",
    )
    parser.add_argument("--further-seeds", type=int, default=0, help="beside the three that every setting has")
    parser.add_argument("--of-best", type=int, default=40, help="settings with the highest single runs, that get them")
    parser.add_argument("--pack", action="store_true")
    options = parser.parse_args()
    options.table.mkdir(parents=True, exist_ok=True)
    drawn = options.table / DESIGN
    if not drawn.exists():
        space = design.wide_space(options.space)
        design.save(design.draw(space, POINTS), space, drawn)
    settings = design.load(drawn)
    if options.pack:
        pack(options.table, options.runs, len(settings))
        return
    options.runs.mkdir(parents=True, exist_ok=True)
    lock = (options.runs / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    members = [m for m in MEMBERS if not options.only or m.id in options.only]
    work(
        members,
        settings,
        options.table,
        options.runs,
        time.monotonic() + 3600 * options.hours,
        options.path,
        dearest(settings, options.dear_last),
        {m.id: best_runs(m, finished(m, options.table, options.runs), options.of_best) for m in members},
        options.further_seeds,
    )


def dearest(settings: list[design.Setting], share: float) -> set[int]:
    """Return places in the design of so large a share of the settings, those with the most computing."""
    sizes = [4 * sum(a * b for a, b in itertools.pairwise((4, *s.hyperparameters.net_arch, 4))) for s in settings]
    work = [s.hyperparameters.work(size, 10_000) for s, size in zip(settings, sizes, strict=True)]
    return set(np.argsort(work)[::-1][: int(share * len(settings))].tolist())


def best_runs(m: Member, runs: list[table.Measured], count: int) -> set[int]:
    """Return places in the design of the settings whose best single run scores highest."""
    grid, best = evaluation_grid(m.steps, table.CHECKPOINTS), defaultdict[int, float](lambda: -np.inf)
    for run in runs:
        if len(run.returns) == len(grid) and run.seed < table.SEEDS:
            best[run.setting] = max(best[run.setting], late(grid, run.returns))
    return set(sorted(best, key=lambda setting: -best[setting])[:count])


def work(
    members: list[Member],
    settings: list[design.Setting],
    folder: Path,
    runs: Path,
    until: float,
    path: NumericPath = "numpy",
    last: Container[int] = (),
    best: Mapping[str, Container[int]] = MappingProxyType({}),
    further: int = 0,
) -> None:
    """Measure what is missing, and print how long the rest will take."""
    done = {m.id: {(r.setting, r.seed) for r in finished(m, folder, runs)} for m in members}
    todo = [
        (m, n, [s for s in range(seeds) if (n, s) not in done[m.id]])
        for m, n in order(members, len(settings))
        if (seeds := table.SEEDS + further * (n in best.get(m.id, ())))
    ]
    todo = sorted((item for item in todo if item[2]), key=lambda item: item[1] in last)
    caps: dict[str, int] = {}
    spent: dict[str, list[float]] = defaultdict(list)
    maker, began = maker_text(folder, path), time.monotonic()
    print(f"{sum(map(len, done.values()))} runs are there, {sum(len(s) for *_, s in todo)} to go", flush=True)
    for at, (m, number, seeds) in enumerate(todo):
        if time.monotonic() > until:
            break
        if m.id not in caps:
            caps[m.id] = inspect(EnvSpec(m.id, module=MODULE), "dqn").eval_max_steps
        found = measure(specs(m, number, settings[number], seeds, caps[m.id]), maker, path)
        for run in found:
            table.append(runs / f"{table.file_name(m.id)}.jsonl", run)
        if not found:
            continue
        spent[m.id].append(sum(run.seconds for run in found) / len(found))
        mean = float(np.mean([np.mean(rows) for rows in spent.values()]))
        rest = [(spent.get(o.id, [mean]), len(s)) for o, _, s in todo[at + 1 :]]
        left = sum(count * float(np.mean(each)) for each, count in rest)
        best = max((float(np.mean(run.returns[-7:])) for run in found if run.returns), default=float("nan"))
        print(
            f"{time.strftime('%H:%M:%S')} {m.id} {settings[number].name}: {spent[m.id][-1]:.1f} s a run, late at best "
            f"{m.normalised(best):.2f} of its range; {(time.monotonic() - began) / 3600:.2f} h so far, processor left "
            f"{left / 3600:.1f} h",
            flush=True,
        )


if __name__ == "__main__":
    main()
