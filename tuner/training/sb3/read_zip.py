"""A DQN that Stable-Baselines3 saved as a zip, read as plain data: nothing in it is run.

A zip holds ``data`` (JSON: plain values as they are, all else as pickles in base64, which are never looked at) and
``policy.pth`` (tensors by name, read by torch's unpickler that makes tensors and nothing else). Files are read from the
zip by name and never unpacked.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuner.contract.rules import CURRENT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, field_infos, from_mapping
from tuner.named_pipes import refuse_named_pipe
from tuner.training.saved.model_files import MAX_BYTES, MODEL, WEIGHTS, SavedModel, in_a_line, spec_from_plain
from tuner.training.saved.model_zip import HUB_VECNORMALIZE, VECNORMALIZE
from tuner.training.saved.network_policy import STATISTICS, network_policy

Array = NDArray[Any]

DATA, POLICY, VERSION, ABOUT = "data", "policy.pth", "_stable_baselines3_version", "tune.json"

#: Prefix of the Q-network's arrays among the policy's; those of its target network have another.
ONLINE = "q_net."

#: What makes a value of ``data`` a pickle.
PICKLED = ":serialized:"

#: What ``policy_kwargs`` may say; anything else makes a network that is not ours. How it was trained is no matter.
KNOWN_POLICY = {"net_arch", "optimizer_class", "optimizer_kwargs", ":type:", PICKLED}


def read_zip(path: Path, env: EnvSpec | None = None, evaluation: EvaluationSpec | None = None) -> SavedModel:
    """Return the agent that plays as the zip's Q-network does.

    Args:
        path: The zip: of Stable-Baselines3's ``DQN.save``, RL Zoo, the Hub, or ``tune export --model``.
        env: Its environment, which only a zip of tune's own names.
        evaluation: How its episodes are played, where the zip does not say.

    Raises:
        InputError: It is no such zip, damaged, too large, or of an agent that cannot be told from it; one line says
            which.
    """
    try:
        refuse_named_pipe(path)
        with zipfile.ZipFile(path) as archive:
            arrays = _tensors(_member(archive, POLICY, MAX_BYTES[WEIGHTS]))
            data = json.loads(_member(archive, DATA, MAX_BYTES[MODEL]))
            about = json.loads(_member(archive, ABOUT, MAX_BYTES[MODEL])) if ABOUT in archive.namelist() else None
            version = _member(archive, VERSION, 100).decode() if VERSION in archive.namelist() else "unknown"
        if about is not None and about["algorithm"] != "dqn":
            raise _OtherAlgorithmError(str(about["algorithm"]))
        online = {name.removeprefix(ONLINE): array for name, array in arrays.items() if name.startswith(ONLINE)}
        if not any(name.startswith(ONLINE) for name in online):
            raise _OtherAlgorithmError("another algorithm, without a Q-network")
        if about is not None:
            spec = spec_from_plain(about)
            seen = {name: np.array(values, np.float64) for name, values in about["statistics"].items()}
            if any(not name.startswith(STATISTICS) for name in seen):
                raise ValueError("it has statistics of no known name")
            left_out: tuple[str, ...] = ()
        else:
            _refuse_normalized(path, env)
            spec, left_out = _spec(data, online, env, evaluation)
            seen = {}
        if env is not None:
            spec = replace(spec, env=env)
        assert isinstance(spec.hyperparameters, DQNHyperparameters)
        policy = network_policy(online | seen, spec.hyperparameters, spec.seed)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _MissingEnvError:
        raise InputError(f"{path} does not say which environment it plays. Add --env ID.") from None
    except _OtherAlgorithmError as error:
        raise InputError(
            f"{path} is of {error}, and only DQN's zip is read. Give the folder with {MODEL} that tune train left, or "
            "load the zip with the class of Stable-Baselines3 that saved it."
        ) from None
    except Exception as error:  # whatever zip, JSON and torch parsers raise on hostile bytes
        raise InputError(f"{path} is no DQN of Stable-Baselines3 that can be read: {in_a_line(error)}.") from error
    return SavedModel(spec, policy, (), {"stable-baselines3": version}, left_out)


class _MissingEnvError(Exception):
    """Nothing names the environment."""


class _OtherAlgorithmError(Exception):
    """It is no DQN; says what it is."""


def _refuse_normalized(path: Path, env: EnvSpec | None) -> None:
    """Refuse a zip beside a VecNormalize: without its statistics the network sees nothing.

    The Hub has it beside the zip, RL Zoo in a folder that is called as the zip of the last step is: as the environment.
    """
    folders = [path.parent, path.with_suffix("")]
    if env is not None:
        folders.append(path.parent / env.id.rpartition(":")[2].replace("/", "-"))
    for file in (folder / name for folder in folders for name in (VECNORMALIZE, HUB_VECNORMALIZE)):
        if file.exists():
            raise ValueError(f"it was trained with the statistics in {file}, a pickle, which is not read")


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return a file of the zip; one of more bytes than ``limit`` when unpacked is refused before."""
    entry = archive.getinfo(name)
    if entry.file_size > limit:
        raise ValueError(f"'{name}' has {entry.file_size / 1e9:.1f} GB")
    with archive.open(entry) as file:  # reads no more than it says
        return file.read(limit)


def _tensors(raw: bytes) -> dict[str, Array]:
    """Return the arrays of a ``.pth`` file, which is a zip as well."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > len(raw):
            raise ValueError("its tensors are compressed, which torch does not do")
    loaded = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    arrays = {}
    for name, tensor in loaded.items():
        # One number may stand for many in a tensor that is not contiguous: those are not ours.
        if not (isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.is_contiguous()):
            raise ValueError(f"'{name}' is no plain tensor")
        arrays[str(name)] = tensor.detach().numpy()
    return arrays


def _spec(
    data: Mapping[str, Any], online: Mapping[str, Array], env: EnvSpec | None, evaluation: EvaluationSpec | None
) -> tuple[RunSpec, tuple[str, ...]]:
    """Return the run that the zip tells of, as far as it does so in plain values, and what is left out."""
    if env is None or evaluation is None:
        raise _MissingEnvError
    policy = data.get("policy_kwargs") or {}
    if foreign := sorted(policy.keys() - KNOWN_POLICY):
        raise ValueError(f"its network has {foreign[0]}={policy[foreign[0]]}, which is not read")
    values, left_out = {"net_arch": _hidden(online)}, ["optimizer", "statistics of VecNormalize if it had any"]
    for name, info in field_infos(DQNHyperparameters).items():
        if not info.sb3 or name not in data or name == "net_arch":
            continue
        if isinstance(data[name], int | float):
            values[name] = data[name]
        else:
            left_out.append(name)  # pickled: TrainFreq, a schedule
    seed, steps = data.get("seed"), data.get("num_timesteps")
    steps = steps if type(steps) is int and steps >= 1 else 1
    return (
        RunSpec(
            run_id=RunId(0),
            env=env,
            backend="sb3",
            hyperparameters=from_mapping("dqn", values),
            seed=seed if type(seed) is int else 0,
            grid=(steps,),
            evaluation=evaluation,
            rules=CURRENT,
        ),
        tuple(left_out),
    )


def _hidden(online: Mapping[str, Array]) -> list[int]:
    """Return the widths of the hidden layers."""
    widths: list[int] = []
    while f"q_net.{2 * len(widths)}.bias" in online:
        widths.append(int(online[f"q_net.{2 * len(widths)}.bias"].shape[0]))
    return widths[:-1]
