"""Let a small study die, or its disk be full, at every place where that could matter, and see that nothing is lost.

``make sweep``. The places are every commit, rename, open for writing, remove, mkdir, flock and fsync of a study with
its confirm stage, report and export; at each the process exits, is killed, or finds the disk full, before or after the
call. Then the same command runs once more, undisturbed: the study must hold exactly N trials, no point twice, nothing
running, and the verdict and export must be those of a study that was never disturbed.

Each point is a forked child of one warm process, so that no time goes into imports; its study trains inline. Points
that are done are lines of a file, and are not swept again.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

from crash_points import KINDS, SIDES, STRUCK, CrashPoints, Strike  # noqa: E402
from postgres_server import PostgresServer, server_binaries  # noqa: E402

from tuner.cli.app import main as tune  # noqa: E402
from tuner.study.reading.study import load  # noqa: E402
from tuner.study.store.catalog import trial_lines  # noqa: E402
from tuner.study.store.connect import open_storage  # noqa: E402

#: Seconds after which a study that does not end is a failure.
LIMIT_S = 120.0

COUNTED = ("completed", "pruned", "diverged", "timed_out", "failed")

_TABULAR = ("--env", "FrozenLake-v1", "--algo", "q_learning", "--steps", "200")
_DQN = ("--env", "CartPole-v1", "--steps", "100", "--set", "learning_starts=50", "--set", "train_freq=25")
_SMALL = (
    "--trials", "3", "--evaluations", "2", "--eval-episodes", "2", "--confirm", "2", "--confirm-seeds", "2",
    "--confirm-budget", "4", "--seed", "3", "--study", "s", "--executor", "inline", "--workers", "1", "--lanes", "1",
    "--quiet",
)  # fmt: skip

#: Name of a study -> what it trains, and on which kind of database.
STUDIES: dict[str, tuple[tuple[str, ...], str]] = {
    "tabular": (_TABULAR, "sqlite"),
    "postgres": (_TABULAR, "postgres"),
    "native": ((*_DQN, "--backend", "native"), "sqlite"),
    "sb3": ((*_DQN, "--backend", "sb3"), "sqlite"),
}

#: Points of each study: None means every one; ``double`` is tabular, struck again while it is mended.
POINTS: dict[str, int | None] = {"tabular": None, "double": 120, "postgres": 60, "native": 60, "sb3": 60}


@dataclass(frozen=True)
class Point:
    """One line of the table.

    Attributes:
        study: Of ``STUDIES``.
        strikes: What happens in the first run, and in the second where there is another.
    """

    study: str
    strikes: tuple[Strike, ...]

    @property
    def key(self) -> str:
        """Name it in the file of results."""
        return " ".join([self.study, *(f"{s.index}-{s.side}-{s.kind}" for s in self.strikes)])


def make_small() -> None:
    """Take time out of a study, for this process and its children, and nothing of what it calls.

    Late evaluations play two episodes, intervals take few resamples, pages draw one figure; Optuna's newest table
    version, templates and statements are compiled once. What is due by the clock is due always, so that every run calls
    the same.
    """
    import jinja2
    import sqlalchemy
    from optuna.storages import RDBStorage

    from tuner.core import statistics
    from tuner.report.pages import dashboard, study
    from tuner.study.confirm import ledger as confirm_ledger
    from tuner.study.search import ledger

    manager = RDBStorage("sqlite://")._version_manager
    newest = manager.get_head_version()
    type(manager).get_head_version = lambda self: newest
    confirm_ledger.LATE_EPISODES = 2
    first, *others = study.FIGURES
    study.FIGURES = (first, *(replace(figure, draw=lambda data, found: None) for figure in others))
    dashboard.dashboard_figures = lambda data: {"learning-curves": dashboard.learning_curves(data)}
    ledger.FLUSH_S = 0.0
    statistics.RESAMPLES = 200
    made: dict[str, Any] = {}
    new_environment, new_engine = jinja2.Environment, sqlalchemy.engine.create_engine
    jinja2.Environment = lambda **options: (
        made.get("templates") or made.setdefault("templates", new_environment(**options))
    )

    def create_engine(url, **options):
        engine = new_engine(url, **options)
        first = made.setdefault(engine.name, engine)
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    sqlalchemy.engine.create_engine = create_engine


class Sweep:
    """Runs points.

    Args:
        folder: Where studies live while they are swept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: PostgresServer | None = None
        self._databases = 0
        self._undisturbed: dict[str, tuple[list[str], dict[str, Any]]] = {}

    def close(self) -> None:
        """Remove the server."""
        if self._server is not None:
            self._server.remove()

    def places(self, study: str) -> list[str]:
        """Return what a study calls that is never disturbed, in order."""
        return self._whole(study)[0]

    def _whole(self, study: str) -> tuple[list[str], dict[str, Any]]:
        if study not in self._undisturbed:
            self._warm(study)
            folder, url = self._new(study)
            told = _in_child(folder, lambda: _run(study, url, folder))
            assert told.get("code") == 0, told
            assert not told["found"]["wrong"], told["found"]["wrong"]
            self._undisturbed[study] = told["seen"], told["found"]
            shutil.rmtree(folder)
        return self._undisturbed[study]

    def _warm(self, study: str) -> None:
        """Load and compile what the study needs, for every child: the whole of it in this process, on SQLite."""
        own = Path.cwd()
        with tempfile.TemporaryDirectory(dir=self._folder) as folder, contextlib.redirect_stdout(None):
            os.chdir(folder)
            try:
                assert tune([*STUDIES[study][0], *_SMALL, "--storage", "sqlite:///s.db"]) == 0
            finally:
                os.chdir(own)
        gc.collect()
        gc.freeze()

    def _new(self, study: str) -> tuple[Path, str]:
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{study}-"))
        if STUDIES[study][1] == "sqlite":
            return folder, f"sqlite:///{folder}/s.db"
        if self._server is None:
            self._server = PostgresServer()
        self._databases += 1
        return folder, self._server.new_database(f"sweep{self._databases}")

    def run(self, point: Point) -> list[str]:
        """Strike, run once more, and return what is wrong then; nothing where all is well."""
        whole = self._whole(point.study)[1]
        folder, url = self._new(point.study)
        wrong = []
        for strike in point.strikes:
            told = _in_child(folder, lambda strike=strike: _run(point.study, url, folder, strike))
            if strike.kind == "full":
                wrong += _ended_in_order(told)
            elif told["status"] not in (STRUCK, -signal.SIGKILL, 0) or (told["status"] == 0 and told.get("struck")):
                wrong.append(f"the first run ended with {told['status']}: {_tail(folder)}")
        told = _in_child(folder, lambda: _run(point.study, url, folder))
        if told.get("code") != 0:
            return [*wrong, f"one more run ended with {told.get('code')}: {_tail(folder)}"]
        found = told["found"]
        wrong += found["wrong"]
        wrong += [f"{key} is another one" for key in whole if key != "wrong" and whole[key] != found[key]]
        if not wrong:
            shutil.rmtree(folder, ignore_errors=True)
        return wrong


def _ended_in_order(told: dict[str, Any]) -> list[str]:
    """Return what is wrong with how a study ended whose disk was full: with one line, and an exit code of ours."""
    if told.get("code") not in (0, 2, 4):
        return [f"a full disk ended it with {told.get('code', told['status'])}: {told['said'][-300:]}"]
    if "Traceback" in told["said"]:
        return [f"a full disk is a traceback: {told['said'][-300:]}"]
    return []


def _tail(folder: Path) -> str:
    return (folder / "said").read_text(errors="replace")[-400:]


def _in_child(folder: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something in a forked child; return what it has told, if it came that far, and its status."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        gc.disable()  # a short life
        os.close(reading)
        os.chdir(folder)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        signal.alarm(int(LIMIT_S))
        status = 1
        try:
            told = json.dumps(work()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(told)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"said": _tail(folder), **(json.loads(text) if text else {}), "status": status}


def _run(study: str, url: str, folder: Path, strike: Strike | None = None) -> dict[str, Any]:
    """Search, confirm, report and export, in this process."""
    points = CrashPoints(folder, strike)
    points.install()
    words = [*STUDIES[study][0], *_SMALL, "--storage", url]
    code = tune(words) or tune(["export", "s", "--storage", url, "-o", "exported.yaml"])
    sys.stdout.flush()
    sys.stderr.flush()
    told = {"code": code, "seen": points.seen, "struck": points.struck}
    return told if strike is not None or code else {**told, "found": _found(url)}


def _found(url: str) -> dict[str, Any]:
    """Return what must be equal whatever happened, and what is wrong in itself."""
    wrong = []
    data = load("s", url)
    lines = list(trial_lines(open_storage(url, create=False)))
    if rest := {line.state for line in lines} - {"COMPLETE", "PRUNED", "FAIL"}:
        wrong.append(f"there are trials that are {', '.join(sorted(rest))}")
    if [t.number for t in data.trials] != list(range(len(data.trials))):
        wrong.append("there are numbers that do not follow each other")
    counted = [t for t in data.trials if t.outcome in COUNTED]
    asked = int(data.recipe["trials"])
    if len(counted) != asked:
        wrong.append(f"{len(counted)} trials count, {asked} were asked for")
    points = Counter(json.dumps(dict(t.params), sort_keys=True) for t in counted)
    if max(points.values()) > 1:
        wrong.append("a point was trained twice")
    runs = data.confirmation.contestants if data.confirmation is not None else ()
    report = Path("reports/s")
    if left := [p.name for p in (*Path().iterdir(), *report.iterdir()) if p.name.startswith(".")]:
        wrong.append(f"left behind: {', '.join(left)}")
    return {
        "trials": sorted([json.dumps(dict(t.params), sort_keys=True), t.outcome, t.score] for t in counted),
        "verdict": [
            [c.role, c.backend, dict(c.hyperparameters), c.search_score, [[r.phase, r.replicate, r.seed, r.outcome,
            [[p.step, list(p.returns)] for p in r.curve]] for r in c.runs]]
            for c in runs
        ],
        "runs": sum(line.study == "s.confirm" and line.outcome in COUNTED for line in lines),
        "winner": data.confirmation is not None and data.confirmation.complete and dict(data.chosen.hyperparameters),
        "export": [Path("exported.yaml").read_text(), (report / "best.yaml").read_text()],
        "files": sorted(p.name for p in report.iterdir()),
        "wrong": wrong,
    }  # fmt: skip


def points_of(sweep: Sweep, what: str, wanted: int | None) -> Iterator[Point]:
    """Return the points of one row of ``POINTS``, in the same order always."""
    luck = random.Random(what)
    study = "tabular" if what == "double" else what
    places = len(sweep.places(study))
    every = [Strike(i, kind, side) for i in range(places) for kind in KINDS for side in SIDES]
    if wanted is not None and wanted < len(every):
        every = luck.sample(every, wanted)
    for strike in every:
        second = Strike(luck.randrange(places), luck.choice(KINDS), luck.choice(SIDES))
        yield Point(study, (strike, second) if what == "double" else (strike,))


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep, print a table, and return 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=POINTS, default=list(POINTS), help="rows of the table")
    parser.add_argument("--points", type=int, help="that many of each row, drawn at random, the same always")
    parser.add_argument("--results", type=Path, default=Path("build/sweep.jsonl"), help="points that are done")
    args = parser.parse_args(arguments)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if args.results.exists():
        done = {row["point"]: row for row in map(json.loads, args.results.read_text().splitlines())}
    rows, failures = [], []
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder, args.results.open("a") as results:
        make_small()
        sweep = Sweep(Path(folder))
        try:
            for what in args.only:
                if what == "postgres" and server_binaries() is None:
                    rows.append(f"| {what} | no PostgreSQL server is installed | |")
                    continue
                began, good = time.monotonic(), 0
                points = list(points_of(sweep, what, args.points or POINTS[what]))
                for number, point in enumerate(points, 1):
                    if not done.get(point.key, {"wrong": True})["wrong"]:
                        good += 1
                        continue
                    wrong = sweep.run(point)
                    row = {"point": point.key, "strikes": list(map(asdict, point.strikes)), "wrong": wrong}
                    results.write(json.dumps(row) + "\n")
                    results.flush()
                    good += not wrong
                    if wrong:
                        place = sweep.places(point.study)[point.strikes[0].index]
                        failures.append(f"{point.key} ({place}): {'; '.join(wrong)}")
                        print(failures[-1], flush=True)
                    if number % 20 == 0:
                        print(f"{what}: {number} of {len(points)}, {time.monotonic() - began:.0f} s", flush=True)
                places = Counter(sweep.places(point.study))
                shown = ", ".join(f"{count} {label}" for label, count in sorted(places.items()))
                rows.append(f"| {what} | {shown} | {good} of {len(points)} |")
        finally:
            sweep.close()
    print("| study | its calls | points after which all is as undisturbed |\n|---|---|---:|")
    print(*rows, sep="\n")
    print(f"{len(failures)} points fail.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
