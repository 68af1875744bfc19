"""``tune doctor``: whether this machine can run a study, and what to do where it cannot."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Literal

from tuner import __version__
from tuner.cli.console import one_line, say
from tuner.cli.parser import add_command, add_storage
from tuner.errors import TunerError
from tuner.storage_url import default_storage, mask, scrub
from tuner.text import counted

PACKAGES = (
    "torch",
    "numpy",
    "gymnasium",
    "stable-baselines3",
    "rl-zoo3",
    "optuna",
    "optuna-dashboard",
    "plotly",
    "rich",
)

#: Extra -> the module it brings, and what needs it.
EXTRAS = {
    "box2d": ("Box2D", "LunarLander-v3, BipedalWalker-v3 and CarRacing-v3"),
    "postgres": ("psycopg", "studies in PostgreSQL"),
    "ray": ("ray", "--executor ray: trials on a cluster"),
    "minatar": ("minatar", "MinAtar's games"),
    "flappy": ("flappy_bird_gymnasium", "FlappyBird-v0"),
    "minigrid": ("minigrid", "MiniGrid-Empty-5x5-v0 and other grid worlds"),
    "highway": ("highway_env", "highway-fast-v0 and other roads"),
    "video": ("imageio_ffmpeg", "videos of trained agents"),
    "paper": ("matplotlib", "tune paper: vector figures"),
    "fqi": ("sklearn", "--algo fqi: fitted Q-iteration"),
    "hub": ("huggingface_hub", "tune publish --push"),
    "contrib": ("sb3_contrib", "--algo qrdqn, tqc and recurrent_ppo"),
    "tensorboard": ("tensorboard", "--tensorboard: event files"),
}

#: Free space below which a study may not fit: a database, its report and torch's temporary files.
LOW_DISK_GB, LOW_MEMORY_GB = 1.0, 2.0

Level = Literal["ok", "note", "bad"]


#: Who runs the running trials of a study -> what to make of it.
OWNERS: dict[str, tuple[Level, str]] = {
    "live": ("ok", "running now"),
    "none": ("note", "cut short, and another program made the study"),
    "unknown": ("note", "marked as running, here or elsewhere"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``bad`` makes the exit code 1."""

    level: Level
    what: str
    text: str


def add_to(commands: Any) -> None:
    """Add the command."""
    add_storage(add_command(commands, "doctor", command, "check versions, storage, disk, memory and threads"))


def command(parsed: argparse.Namespace) -> int:
    """Print the findings; 0 when a study can run, 1 otherwise."""
    url = parsed.storage or default_storage()
    findings = [found for check in checks(url) for found in check()]
    signs = {"ok": "ok  ", "note": "note", "bad": "BAD "}
    width = max(len(f.what) for f in findings)
    for found in findings:
        say(f"{signs[found.level]}  {found.what:<{width}}  {one_line(found.text)}")
    bad = sum(f.level == "bad" for f in findings)
    say(f"{counted(bad, 'problem')} to solve." if bad else "All is well.")
    return 1 if bad else 0


def checks(url: str) -> list[Callable[[], Iterator[Finding]]]:
    """Return what is looked at, in order."""
    return [_versions, _extras, _command_name, lambda: _storage(url), _disk, _memory, _threads]


def _versions() -> Iterator[Finding]:
    from importlib import metadata

    yield Finding("ok", "tune", f"{__version__}, Python {platform.python_version()} on {platform.system()}")
    for package in PACKAGES:
        try:
            yield Finding("ok", package, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding("bad", package, f"is missing. Install it with: pip install '{package}'")


def _extras() -> Iterator[Finding]:
    for extra, (module, purpose) in EXTRAS.items():
        if util.find_spec(module) is not None:
            yield Finding("ok", f"extra {extra}", f"{module} is there: {purpose}")
        else:
            yield Finding("note", f"extra {extra}", f"for {purpose}. Install it with: pip install 'tune-dqn[{extra}]'")


def _command_name() -> Iterator[Finding]:
    """Find out whether ``tune`` beside this interpreter is another package's: Ray has a command of that name."""
    script = Path(sys.executable).with_name("tune")
    try:
        text = script.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    if "from tuner." not in text:
        whose = "Ray's" if "ray.tune" in text else "another package's"
        yield Finding("note", "command tune", f"is {whose} here: say tune-dqn, or python -m tuner")


def _storage(url: str) -> Iterator[Finding]:
    from tuner.study.store.connect import NoTablesError
    from tuner.study.store.database import sqlite_path
    from tuner.study.store.health import unfinished_studies

    shown = mask(url)
    try:
        path = sqlite_path(url)
        if path is not None and not path.exists():
            place = next(p for p in path.absolute().parents if p.exists())
            if os.access(place, os.W_OK):
                yield Finding("ok", "storage", f"{shown} will be made by the first study")
            else:
                yield Finding("bad", "storage", f"{shown}: {place} may not be written. Choose another --storage.")
            return
        unfinished = unfinished_studies(url)
    except NoTablesError:
        yield Finding("ok", "storage", f"{shown} is empty: the first study makes its tables")
        return
    except TunerError as error:
        yield Finding("bad", "storage", scrub(str(error), url))
        return
    yield Finding("ok", "storage", f"{shown} answers")
    for study in unfinished:
        what = f"study {one_line(study.study)}"
        if study.owner == "none" and study.ours:
            yield _mend(study.study, url, what)
        else:
            level, text = OWNERS[study.owner]
            yield Finding(level, what, f"{counted(study.trials, 'trial')} {text}")


def _mend(name: str, url: str, what: str) -> Finding:
    from tuner.study.upkeep.repair import mend_study

    try:
        mended = mend_study(name, url)
    except TunerError as error:
        return Finding("note", what, scrub(str(error), url))
    told = f"told {counted(mended.told, 'result')} that had waited; " if mended.told else ""
    return Finding("ok", what, f"{told}{counted(mended.lost, 'trial')} cut short: the same tune command carries on")


def _disk() -> Iterator[Finding]:
    import shutil

    free = shutil.disk_usage(Path.cwd()).free / 2**30
    level: Level = "bad" if free < LOW_DISK_GB else "ok"
    yield Finding(level, "disk", f"{free:.1f} GiB free here" + ("; make room" if level == "bad" else ""))


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    low = free < LOW_MEMORY_GB
    advice = "; with little memory use --workers 1 and a smaller buffer_size" if low else ""
    yield Finding("note" if low else "ok", "memory", f"{free:.1f} of {total:.1f} GiB available{advice}")


def _threads() -> Iterator[Finding]:
    from tuner.training.cost.cores import available_cores

    text = f"{available_cores()} cores: as many workers by default, one thread each"
    asked = os.environ.get("OMP_NUM_THREADS")
    yield Finding("ok", "threads", text + (f" (OMP_NUM_THREADS={asked})" if asked else ""))
