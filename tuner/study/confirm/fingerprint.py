"""What a run's numbers depend on, as one short text: runs of equal fingerprints are equal bit for bit.

A run is a pure function of its spec, given the arithmetic, the packages and the processor that train it. All of that is
in here. What else differs between two studies (space, sampler, trials) does not matter.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import platform
from importlib import metadata

from tuner.contract.spec import RunSpec
from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec
from tuner.envs.wrapper_names import unknown_wrapper
from tuner.plan.resolve import StudyPlan
from tuner.study.search.provenance import machine
from tuner.training.versions import package_versions

#: Beside :data:`tuner.training.versions.PACKAGES`: what compiles, fits or plays.
_PACKAGES = (
    "numba", "llvmlite", "scipy", "scikit-learn", "sb3-contrib", "ale-py", "minatar", "flappy-bird-gymnasium", "Box2D",
    "minigrid", "highway-env", "box2d-py", "pygame", "mujoco", "opencv-python", "opencv-python-headless",
)  # fmt: skip


def fingerprint(plan: StudyPlan, spec: RunSpec) -> str | None:
    """Return a run's fingerprint, 64 hexadecimal digits.

    None where equal bits are not promised: on a GPU, or on machines other than this one.

    Args:
        plan: The study that trains it.
        spec: The run.
    """
    return circumstances(plan, spec) if plan.trains_here and spec.device == "cpu" else None


def circumstances(plan: StudyPlan, spec: RunSpec) -> str:
    """Return what a run is and all that is known here of who trains it, 64 hexadecimal digits.

    What is equal was trained alike; where :func:`fingerprint` has none, not bit for bit.

    Args:
        plan: The study that trains it.
        spec: The run.
    """
    here = machine()
    parts = {
        "algorithm": spec.algorithm,
        "spec": spec.signature(),
        "numeric_path": dataclasses.replace(plan, backend=spec.backend).numeric_path,
        "source": source_digest(spec.env),
        "versions": _versions(spec.env),
        "machine": [here["system"], here["cpu"]],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _versions(env: EnvSpec) -> dict[str, str]:
    """Return the versions that count: of every installed package where the environment is not of a known one."""
    zoo = ["rl_zoo3"] if any(wrapper.startswith("rl_zoo3.") for wrapper in env.wrapper) else []  # else it only writes
    known = {"python": platform.python_version(), **package_versions(*_PACKAGES, *zoo)}
    unknown = env.module or ":" in env.id or unknown_wrapper(env.wrapper, None)
    return known | (_everything() if unknown else _registering())


@functools.cache
def _everything() -> dict[str, str]:
    return {str(found.metadata["Name"]): found.version for found in metadata.distributions()}


@functools.cache
def _registering() -> dict[str, str]:
    """Return the version of each package that registers environments as soon as Gymnasium is imported."""
    points = metadata.entry_points(group="gymnasium.envs")
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}
