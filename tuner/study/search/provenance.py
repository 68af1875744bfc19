"""Where a study's numbers come from: versions, command, hardware, source. Passwords are masked."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tuner.envs.source import source_digest
from tuner.plan.resolve import StudyPlan
from tuner.storage_url import mask_arguments
from tuner.training.versions import package_versions

#: Noted of a study besides what training depends on.
_PACKAGES = ("optuna", "rl-zoo3", "ale-py")


def provenance(*, numeric_path: str) -> dict[str, Any]:
    """Return plain data that says with what and on what a study was made.

    Args:
        numeric_path: Which arithmetic trains: one choice per study, never swapped inside it.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": mask_arguments([*_program(Path(sys.argv[0])), *sys.argv[1:]]),
        "git_commit": _git_commit(),
        "numeric_path": numeric_path,
        "threads": 1,  # of every run: how matrix products are split among threads shows in the bits
        "versions": {"python": platform.python_version(), **package_versions(*_PACKAGES)},
        "hardware": hardware(),
    }


def of_study(plan: StudyPlan) -> dict[str, Any]:
    """Return :func:`provenance` of a study: with what is done to observations, and the environment's own source."""
    found = provenance(numeric_path=plan.numeric_path)
    if plan.facts.preprocessing:
        found["preprocessing"] = dict(plan.facts.preprocessing)
    source = source_digest(plan.env)
    return found if source is None else {**found, "env_source": source}


def _program(path: Path) -> list[str]:
    """Return the words that start this program: ``tune``, or ``python -m tuner``."""
    return ["python", "-m", path.parent.name] if path.name == "__main__.py" else [path.name or "python"]


def hardware() -> dict[str, Any]:
    """Return processor, cores and memory of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        **machine(),
        "cores": cores,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
    }


@functools.cache
def machine() -> Mapping[str, str]:
    """Return ``system`` and ``cpu``, which are the same for as long as this process lives."""
    return {"system": f"{platform.system()} {platform.machine()}", "cpu": _cpu_model()}


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """Return the commit of the working directory, with ``+`` when files differ from it; None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
