"""Trained policies as files: ``weights.npz`` (plain arrays) and ``model.json`` (their story). Loading runs no code."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.contract.outcome import EvalPoint
from tuner.contract.rules import CURRENT, rules_of
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.durable import replace_file
from tuner.envs.spec import EnvSpec, bare_module, frozen
from tuner.envs.wrapper_names import canonicals
from tuner.errors import InputError
from tuner.hyperparameters import BACKENDS, from_mapping
from tuner.named_pipes import refuse_named_pipe
from tuner.training.registry import GreedyPolicy, registered
from tuner.training.saved.network_policy import STATISTICS
from tuner.training.versions import package_versions

Array = NDArray[Any]

SCHEMA = 1
WEIGHTS, MODEL = "weights.npz", "model.json"

#: What version 0.1.0 wrote, which had no checksum of it.
WITHOUT_CHECKSUM = {
    "schema", "weights_sha256", "algorithm", "backend", "env", "hyperparameters", "seed", "grid", "n_timesteps",
    "evaluation", "versions", "evaluations",
}  # fmt: skip

#: Before the names of the two files that hold what did best where another model, that of the last step, is there too.
BEST = "best_"

#: Larger files are not ours: the widest network allowed has far fewer bytes.
MAX_BYTES = {WEIGHTS: 1 << 30, MODEL: 1 << 26}


@dataclass(frozen=True)
class SavedModel:
    """A trained policy and where it comes from.

    Attributes:
        spec: The run that trained it. Its environment may name a module: importing that is the caller's decision.
        policy: What it learned.
        evaluations: Its learning curve.
        versions: Version by package at the time.
        left_out: What the file holds besides and was not read.
    """

    spec: RunSpec
    policy: GreedyPolicy
    evaluations: tuple[EvalPoint, ...]
    versions: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def save_model(
    folder: Path,
    spec: RunSpec,
    weights: Mapping[str, Array],
    evaluations: Sequence[EvalPoint] = (),
    *,
    best: bool = False,
) -> None:
    """Write a trained policy into a folder, whole or not at all.

    Each file is replaced in one step; ``model.json`` comes last and names the weights' checksum, so that a crash in
    between cannot pass for a model.

    Args:
        folder: Made if it does not exist; other files in it stay.
        spec: The run.
        weights: Named and shaped as in Stable-Baselines3's Q-network (``q_net.0.weight`` ``[out, in]``), or a table's
            arrays.
        evaluations: The run's learning curve.
        best: Whether it is that of the best evaluation, which lies beside the run's own.

    Raises:
        InputError: The folder cannot be written.
    """
    buffer = io.BytesIO()
    dtype = registered(spec.algorithm).precision
    arrays: dict[str, Any] = {
        name: np.asarray(value, np.float64 if name.startswith(STATISTICS) else dtype) for name, value in weights.items()
    }
    np.savez(buffer, **arrays)
    model = {
        "schema": SCHEMA,
        "weights_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        **spec_to_plain(spec),
        "versions": dict(package_versions()),
        "evaluations": [{"step": p.step, "returns": p.returns, "lengths": p.lengths} for p in evaluations],
    }
    try:
        model["sha256"] = _checksum(json.loads(json.dumps(model)))
        text = json.dumps(model, indent=2) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"The environment's arguments must be plain data to be saved: {error}.") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(_path(folder, WEIGHTS, best), buffer.getvalue())
        replace_file(_path(folder, MODEL, best), text.encode())
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from error


def load_model(folder: Path, *, best: bool = False) -> SavedModel:
    """Return what :func:`save_model` wrote. No code of the files is run, no module they name is imported.

    Args:
        folder: Where.
        best: Which of its models, see :func:`save_model`.

    Raises:
        InputError: A file is missing, cut short, altered or of another kind; one line says which and why.
    """
    about, arrays = _path(folder, MODEL, best), _path(folder, WEIGHTS, best)
    raw_model, raw_weights = _read(about, MODEL), _read(arrays, WEIGHTS)
    try:
        model = json.loads(raw_model)
        if model["schema"] != SCHEMA:
            raise InputError(f"schema {SCHEMA} is expected, found {model['schema']!r}")
        if model.get("sha256") != _checksum(model) and model.keys() != WITHOUT_CHECKSUM:
            raise InputError("it is damaged or was edited: its content does not have its checksum")
        spec = spec_from_plain(model)
        evaluations = tuple(
            EvalPoint(spec.run_id, int(p["step"]), tuple(map(float, p["returns"])), tuple(map(int, p["lengths"])))
            for p in model["evaluations"]
        )
        versions = {str(name): str(version) for name, version in model["versions"].items()}
        checksum = str(model["weights_sha256"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise InputError(f"{about} does not describe a model: {in_a_line(error)}.") from error
    if hashlib.sha256(raw_weights).hexdigest() != checksum:
        raise InputError(f"{arrays} is damaged or belongs to another model: its checksum is not {about.name}'s.")
    try:
        policy = registered(spec.algorithm).policy(_arrays(raw_weights), spec.hyperparameters, spec.seed)
    except Exception as error:  # whatever NumPy's and the zip reader's parsers raise on hostile bytes
        raise InputError(f"{arrays} does not hold a network: {in_a_line(error)}.") from error
    return SavedModel(spec, policy, evaluations, versions)


def load_weights(folder: Path, *, best: bool = False) -> dict[str, Array]:
    """Return the arrays of a model that :func:`load_model` has accepted, by name.

    Args:
        folder: Where.
        best: Which of its models, see :func:`save_model`.
    """
    return _arrays(_read(_path(folder, WEIGHTS, best), WEIGHTS))


def copy_model(source: Path, target: Path, *, best: bool = False) -> None:
    """Copy a model that :func:`load_model` has accepted for others to have: without where it lies on this machine.

    Args:
        source: The model's folder.
        target: Another folder, which is there.
        best: Which of its models, see :func:`save_model`.
    """
    (target / WEIGHTS).write_bytes(_read(_path(source, WEIGHTS, best), WEIGHTS))
    raw = _read(_path(source, MODEL, best), MODEL)
    model = json.loads(raw)
    if (module := bare_module(model["env"]["module"])) != model["env"]["module"]:
        model["env"]["module"] = module
        raw = json.dumps({**model, "sha256": _checksum(model)}, indent=2).encode() + b"\n"
    (target / MODEL).write_bytes(raw)


def _checksum(model: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that ``model.json`` says but this number itself, whatever its layout."""
    rest = {name: value for name, value in model.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def spec_to_plain(spec: RunSpec) -> dict[str, Any]:
    """Return a run's spec as ``model.json`` has it."""
    longer = {} if spec.schedule_steps is None else {"schedule_steps": spec.schedule_steps}
    return {
        "algorithm": spec.algorithm,
        "backend": spec.backend,
        "env": {**spec.env.to_mapping(), "kwargs": spec.env.arguments()},
        "hyperparameters": spec.hyperparameters.to_mapping(),
        "seed": spec.seed,
        "grid": list(spec.grid),
        "n_timesteps": spec.n_timesteps,
        "evaluation": asdict(spec.evaluation),
        "picture_scale": spec.rules.picture_scale,
        **longer,
    }


def spec_from_plain(model: Mapping[str, Any]) -> RunSpec:
    """Return the spec that :func:`spec_to_plain` was given, by today's rules but for how pictures are scaled.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, InputError: It is none.
    """
    env, evaluation = model["env"], model["evaluation"]
    kwargs = frozen(env["kwargs"])
    module = None if env["module"] is None else str(env["module"])
    if model["backend"] not in BACKENDS:
        raise ValueError(f"unknown backend {model['backend']!r}")
    episodes, max_steps = int(evaluation["episodes"]), int(evaluation["max_steps"])
    late = None if evaluation.get("late_episodes") is None else int(evaluation["late_episodes"])
    grid = tuple(int(step) for step in model["grid"])
    if not grid or min(episodes, max_steps, 1 if late is None else late) < 1:
        raise ValueError("grid, episodes and max_steps must not be empty")
    schedule = model.get("schedule_steps")
    if schedule is not None and not (type(schedule) is int and schedule >= 1):
        raise ValueError(f"schedule_steps must be a whole number of at least 1, got {schedule!r}")
    return RunSpec(
        run_id=RunId(0),
        env=EnvSpec(
            str(env["id"]),
            kwargs,
            module,
            bool(env["pixels"]),
            _count(env, "discretize"),
            _count(env, "frame_stack"),
            canonicals(env.get("wrapper", [])),
        ),
        backend=model["backend"],
        hyperparameters=from_mapping(str(model["algorithm"]), model["hyperparameters"]),
        seed=int(model["seed"]),
        grid=grid,
        evaluation=EvaluationSpec(episodes, int(evaluation["seed"]), max_steps, float(evaluation["epsilon"]), late),
        rules=replace(CURRENT, picture_scale=rules_of(model).picture_scale),
        schedule_steps=schedule,
    )


def _count(env: Mapping[str, Any], name: str) -> int | None:
    value = env.get(name)
    if value is not None and not (type(value) is int and value >= 2):
        raise ValueError(f"{name} must be a whole number of at least 2, got {value!r}")
    return value


def _arrays(raw: bytes) -> dict[str, Array]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES[WEIGHTS]:
            raise ValueError("its arrays are too large")
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _path(folder: Path, name: str, best: bool) -> Path:
    return folder / (BEST + name if best else name)


def _read(path: Path, kind: str) -> bytes:
    try:
        refuse_named_pipe(path)
        if path.stat().st_size > MAX_BYTES[kind]:
            raise InputError(f"{path} is too large to be a model.")
        return path.read_bytes()
    except ValueError as error:  # a NUL
        raise InputError(f"{path} cannot be read: {error}.") from error
    except OSError as error:
        # Of a folder of agents, of a report's, and of a study by its name.
        near = [path.parent / "best", path.parent / "agents/best", "reports" / path.parent / "agents/best"]
        below = [folder for folder in near if (folder / MODEL).is_file()]
        hint = f" There is one in {below[0]}." if below else ""
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}. A model folder holds {MODEL} and {WEIGHTS}.{hint}"
        ) from error


def in_a_line(error: Exception) -> str:
    """Return what a damaged file made a parser say, and the error's class."""
    text = " ".join(str(error).split())[:200].rstrip(".")
    return f"{text or 'malformed'} ({type(error).__name__})"
