"""What to say when an environment id is not registered: which one was probably meant."""

from __future__ import annotations

import difflib
from pathlib import Path

from gymnasium.envs import registration as gym_registration
from gymnasium.error import Error as GymnasiumError

from tuner.envs.nearby import who_registers
from tuner.envs.registration import register_atari

#: Ids of the Gym era whose successor has another name, or none (versions are looked up in the registry).
SUCCESSORS = {
    "CartPole-v2": "CartPole-v1",
    "LunarLanderContinuous-v2": "LunarLander-v3",
    "FrozenLakeNotSlippery-v0": "FrozenLake-v1 with --env-arg is_slippery=false",
    "FrozenLakeNotSlippery-v1": "FrozenLake-v1 with --env-arg is_slippery=false",
    "CliffWalkingSlippery-v0": "CliffWalkingSlippery-v1",
}


def explain_unknown(env_id: str) -> str:
    """Return one line that says why ``env_id`` (without ``module:``) is unknown and which id to use instead."""
    if env_id in SUCCESSORS:
        return f"{env_id} does not exist (any more). Use {SUCCESSORS[env_id]}."
    try:
        namespace, name, version = gym_registration.parse_env_id(env_id)
    except GymnasiumError:
        return f"'{env_id}' is not an environment id. Ids look like CartPole-v1, ALE/Pong-v5 or module:MyEnv-v0."
    versions = _versions(namespace, name)
    if versions and version in _versions("ALE", name):
        return _unknown_name(env_id, namespace)
    if versions:
        newest = gym_registration.get_env_id(namespace, name, versions[-1])
        if version is None:
            return f"'{env_id}' has no version. Use {newest}."
        if version < versions[-1]:
            return f"{env_id} was replaced by {newest}. Use {newest}."
        known = ", ".join(gym_registration.get_env_id(namespace, name, v) for v in versions)
        return f"{env_id} does not exist; installed: {known}."
    return _unknown_name(env_id, namespace)


def _unknown_name(env_id: str, namespace: str | None) -> str:
    atari = register_atari()  # Atari ids are worth suggesting, and only an error pays for the import
    if namespace == "ALE" and not atari:
        return f"{env_id} needs the package ale-py, which is not installed. Install it with: pip install ale-py"
    if namespace is None and (versions := _versions("ALE", env_id.rpartition("-v")[0] or env_id)):
        return f"There is no environment '{env_id}'. Use ALE/{env_id.rpartition('-v')[0] or env_id}-v{versions[-1]}."
    if namespace is not None and not any(spec.namespace == namespace for spec in gym_registration.registry.values()):
        if nearby := who_registers(env_id, Path.cwd()):
            return f"There is no environment '{env_id}' yet. {nearby}"
        return (
            f"There is no environment '{env_id}': nothing registers the namespace '{namespace}'. "
            "Name the module that does with --env-module."
        )
    if nearby := who_registers(env_id, Path.cwd()):
        return f"There is no environment '{env_id}' yet. {nearby}"
    close = _nearest_ids(env_id)
    own = "Name the file or module that registers it with --env-module."
    hint = f"Did you mean {' or '.join(close)}?" if close else own
    return f"There is no environment '{env_id}'. {hint}"


def _versions(namespace: str | None, name: str) -> list[int]:
    specs = gym_registration.registry.values()
    return sorted(s.version for s in specs if s.namespace == namespace and s.name == name and s.version is not None)


def _nearest_ids(env_id: str) -> list[str]:
    by_folded = {known.lower(): known for known in sorted(gym_registration.registry)}
    close = difflib.get_close_matches(env_id.lower(), by_folded, n=3, cutoff=0.75)
    ids = [by_folded[folded] for folded in close]
    # A twin of the best match in another namespace, or another version of it, says nothing new.
    best: dict[str, str] = {}
    for known in ids:
        best.setdefault(known.rpartition("/")[2].rpartition("-v")[0], known)
    return list(best.values())
