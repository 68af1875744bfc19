"""Joining a Ray cluster, or starting one on this machine for the time of a study; quietly, and with plain errors.

Ray is imported in here alone. Everything that it prints of its own accord is turned off: standard error belongs to
the progress view, standard output to the answer.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tuner
from tuner.errors import InputError, MissingExtraError
from tuner.execution.parcel import Parcel, pack
from tuner.optional import require

logger = logging.getLogger(__name__)

#: Seconds to wait for HOST:PORT to answer at all, before Ray tries for much longer.
ANSWER_S = 5.0

#: Bytes of shared memory for objects in a cluster of our own: messages are small and hardly use it.
OBJECT_STORE_BYTES = 100 * 2**20

#: Read by Ray when it is imported and started.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


@dataclass(frozen=True)
class Place:
    """Where trainers go, and what each asks for.

    Attributes:
        address: ``auto`` (the cluster that this machine is part of), ``local`` (one of our own on this machine) or the
            ``HOST:PORT`` of a cluster that this machine is part of.
        cpus: Cores of each trainer, >= 0.
        gpus: GPUs of each trainer, >= 0; a fraction shares one.
    """

    address: str = "auto"
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def request(self) -> str:
        """In words."""
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


@dataclass(frozen=True)
class Cluster:
    """An open connection.

    Attributes:
        ray: The module.
        parcel: The user's code that trainers find in their working directory.
    """

    ray: Any
    parcel: Parcel


@contextlib.contextmanager
def join(
    place: Place,
    workers: int,
    *,
    env_id: str = "",
    env_module: str | None = None,
    wrapper: Sequence[str] = (),
    modules: Sequence[Path] = (),
) -> Iterator[Cluster]:
    """Connect for the time of the block. A connection that the caller has made is used as it is, and kept.

    This package, the environment's own module and what ``modules`` names travel to the nodes.

    Args:
        place: Where to.
        workers: Trainers; a cluster of our own gets room for them.
        env_id: The environment, ``Id`` or ``module:Id``.
        env_module: What ``--env-module`` says.
        wrapper: What ``--wrapper`` says.
        modules: Folders of further packages to send.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: No cluster answers there, or none of its nodes could ever hold a trainer.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield Cluster(ray, Parcel(None, env_module))
        return
    with _quiet(ray), tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as folder:
        code = Path(folder) / "code"
        code.mkdir()
        parcel = pack(env_id, env_module, code, wrapper=wrapper)
        environment: dict[str, Any] = {
            "py_modules": [str(Path(tuner.__file__).parent), *map(str, modules)],
            "excludes": ["__pycache__", "*.pyc"],
        }
        if parcel.folder is not None:
            environment["working_dir"] = str(parcel.folder)
        try:
            _connect(ray, place, workers, environment, Path(folder) / "ray")
            _check_room(ray, place)
            yield Cluster(ray, parcel)
        finally:
            with _signals_kept():
                ray.shutdown()


def room(place: Place) -> int:
    """Return how many trainers a running cluster could hold were nothing else running there, >= 1.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: No cluster answers there.
    """
    with join(place, 1) as cluster:
        return max(sum(_fit(node, place) for node in _nodes(cluster.ray)), 1)


def load_ray() -> Any:
    """Import Ray.

    Raises:
        MissingExtraError: It is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return require("ray", purpose="--executor ray", extra="ray")
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{error} (Ray's own command 'tune' may take the place of ours: then say tune-dqn.)"
        ) from None


def _connect(ray: Any, place: Place, workers: int, environment: dict[str, Any], folder: Path) -> None:
    arguments: dict[str, Any] = {
        "address": place.address,
        "namespace": "tune",
        "runtime_env": environment,
        "log_to_driver": False,
        "configure_logging": False,
        "logging_level": logging.CRITICAL,
    }
    if place.address == "local":
        arguments |= {
            "num_cpus": max(math.ceil(workers * place.cpus), 1),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": str(folder),  # its logs and sockets go when it goes
        }
    elif place.address != "auto":
        _check_answers(place.address)
    try:
        with _signals_kept():
            ray.init(**arguments)
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        raise InputError(f"--ray-address {place.address} cannot be used: {_advice(place.address, error)}") from error


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise InputError(f"--ray-address {address} cannot be used: {_advice(address, error)}") from None


def _advice(address: str, error: BaseException) -> str:
    reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    if address == "local":
        return f"Ray does not start here ({reason})."
    return (
        f"no Ray cluster answers ({reason}). Run this on a node of a cluster (ray start --head makes one), "
        "or say --ray-address local."
    )


def _check_room(ray: Any, place: Place) -> None:
    """Find out whether any node can hold a trainer; one that can may still join a cluster, but never our own."""
    if any(_fit(node, place) for node in _nodes(ray)):
        return
    if place.address == "local":
        raise InputError(f"This machine has no room for a trainer that asks for {place.request}. Ask for less.")
    logger.warning("No node of the cluster has room for a trainer of %s: waiting for one to join.", place.request)


def _nodes(ray: Any) -> list[dict[str, float]]:
    """Return the resources of the nodes that are alive."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _fit(node: dict[str, float], place: Place) -> int:
    """Return how many trainers an empty node holds."""
    asked = [(node.get("CPU", 0.0), place.cpus), (node.get("GPU", 0.0), place.gpus)]
    counts = [math.floor(there / each + 1e-9) for there, each in asked if each > 0]
    return min(counts, default=1)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give Ctrl-C and SIGTERM back to whoever had them: Ray takes SIGTERM when it is started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Silence Ray's logger, and the thread that prints what happens to workers, which we report ourselves."""
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.CRITICAL)
    worker = getattr(getattr(ray, "_private", None), "worker", None)
    try:
        with _replaced(worker, "listen_error_messages", lambda *_: None):
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, by: Callable[..., Any]) -> Iterator[None]:
    """Put something else in an attribute's place; where there is no such attribute, do nothing."""
    if not hasattr(owner, name):
        yield
        return
    was = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, was)
