"""Reading settings from YAML: what ``tune train --config`` takes.

RL Zoo's files and our own. Nothing is evaluated: the Zoo's ``"dict(net_arch=[64, 64])"`` is parsed as a literal, and
whatever else it would evaluate is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tuner.envs.family_names import ATARI, family
from tuner.errors import InputError, nearest
from tuner.hyperparameters import ALGORITHMS, FieldInfo, algorithm_class, field_infos, from_mapping, spelled_out
from tuner.hyperparameters.schedules import contradiction
from tuner.plain_yaml import load
from tuner.zoo.environments import STACKED_AND_NORMALIZED, from_zoo, named_values, whole_number_from_2, wrappers_of
from tuner.zoo.literal import zoo_literal
from tuner.zoo.write import NORMALIZE, OWN, SCHEMA, clock_key

#: Keys of RL Zoo that stand for more than plain DQN on the plain environment. Their harmless values are let through.
_UNSUPPORTED = {
    "n_envs": (1,),
    "frame_stack": (None, 1),
    "vec_env_wrapper": (None,),
    "callback": (None,),
    "replay_buffer_class": (None,),
    "replay_buffer_kwargs": (None,),
    "monitor_kwargs": (None,),
    "optimize_memory_usage": (False,),
}


#: Keys of our own form that need not be there.
_SURROUNDINGS = ("env_kwargs", "pixels", "discretize", "frame_stack", "wrapper")


class Config(NamedTuple):
    """Settings from a file.

    Attributes:
        env: Environment id.
        n_timesteps: Environment steps.
        algorithm: Algorithm name.
        hyperparameters: Plain data, checked.
        env_kwargs: Keyword arguments of the environment.
        key: Under which name RL Zoo's file holds the settings: the environment's, or ``default``.
        pixels: Whether it is seen through its rendered frames.
        discretize: Steps that each dimension of continuous actions is cut into, or None.
        frame_stack: Last observations that are seen as one, or None.
        wrapper: Wrappers around it, innermost first, as ``--wrapper`` takes them.
        policy: ``MlpPolicy`` or ``CnnPolicy`` where the file names one, without the suffix of an algorithm; else None.
        unnamed: Hyperparameters that the file leaves out, and whose defaults are others where images are seen; none
            where it names a policy, which decides.
    """

    env: str
    n_timesteps: int
    algorithm: str
    hyperparameters: dict[str, Any]
    env_kwargs: dict[str, Any]
    key: str = ""
    pixels: bool = False
    discretize: int | None = None
    frame_stack: int | None = None
    wrapper: tuple[str, ...] = ()
    policy: str | None = None
    unnamed: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, Any]:
        """The hyperparameters without the unnamed ones: ``from_mapping`` fills these for images or vectors."""
        return {name: value for name, value in self.hyperparameters.items() if name not in self.unnamed}


def read_config(path: Path | str, env: str | None = None, algorithm: str = "dqn", steps: int | None = None) -> Config:
    """Read settings.

    Args:
        path: A YAML in RL Zoo's format or in our own.
        env: Which environment of a file that holds several; None where there is one.
        algorithm: Whose settings they are where the file does not say, as RL Zoo's do not.
        steps: For how long to train where a file in RL Zoo's format does not say; None: it has to.

    Raises:
        InputError: The file cannot be read, lacks something, or holds what cannot be trained; one line says which.
    """
    content = load(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected a mapping from an environment id to its settings.")
    try:
        return _read_own(content, env) if "schema" in content else _read_zoo(content, env, algorithm, steps)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_own(content: Mapping[str, Any], env: str | None) -> Config:
    if content["schema"] != SCHEMA:
        raise InputError(f"schema: must be {SCHEMA}, got {content['schema']!r}.")
    named = str(content.get("algorithm"))
    steps_key = clock_key(named) if named in ALGORITHMS else "n_timesteps"
    needed = ("algorithm", "env", steps_key, "hyperparameters")
    for key in needed:
        if key not in content:
            raise InputError(f"{key}: is missing.")
    known = ("schema", *needed, *_SURROUNDINGS)
    for key in content:
        if key not in known:
            raise InputError(
                f"{key}: is not a key of such a file.{nearest(str(key), known)} Known: {', '.join(known)}."
            )
    algorithm, values = named, content["hyperparameters"]
    if not isinstance(values, dict):
        raise InputError("hyperparameters: must be a mapping.")
    checked = from_mapping(algorithm, values).to_mapping()
    steps = _steps(content[steps_key])
    pixels = content.get("pixels", False)
    if not isinstance(pixels, bool):
        raise InputError(f"pixels: must be true or false, got {pixels!r}.")
    discretize, frame_stack = (
        None if content.get(name) is None else whole_number_from_2(name, content[name])
        for name in ("discretize", "frame_stack")
    )
    kwargs, env = named_values("env_kwargs", content.get("env_kwargs") or {}), env or str(content["env"])
    wrapper = wrappers_of("wrapper", content.get("wrapper") or [])
    unnamed = tuple(name for name in algorithm_class(algorithm).image_defaults if name not in values)
    met = discretize, frame_stack, wrapper
    return Config(env, steps, algorithm, checked, kwargs, "", pixels, *met, None, unnamed)


def _read_zoo(content: Mapping[str, Any], env: str | None, algorithm: str, otherwise: int | None) -> Config:
    theirs = {name: value for name, value in content.items() if not str(name).startswith(OWN)}
    env, settings, key = _choose(theirs, env, algorithm)
    if not isinstance(settings, dict):
        raise InputError(f"{env}: must be a mapping of settings.")
    kept_key = f"{OWN}{key}"
    settings, kept = dict(settings), named_values(kept_key, content.get(kept_key) or {})
    if "n_timesteps" not in settings and otherwise is None:
        raise InputError(f"{env}: n_timesteps is missing; write for example n_timesteps: 50000.")
    steps = _steps(settings.pop("n_timesteps", otherwise))
    if isinstance(policy := settings.get("policy"), str):
        settings["policy"] = policy.replace(algorithm_class(algorithm).policy_suffix, "Policy")
    settings, env_kwargs, discretize, frame_stack, wrapper, policy = from_zoo(env, settings)
    infos = field_infos(algorithm_class(algorithm))
    for name, harmless in _UNSUPPORTED.items():
        if name in infos:
            continue
        if name in settings and settings[name] not in harmless:
            raise InputError(f"{env}: {name}: {settings[name]!r} is not supported; take it out.")
        settings.pop(name, None)
    asked = _normalization(env, settings.pop("normalize", None))
    wrapped = algorithm_class(algorithm).wrapped
    words = {name: info.unset for name, info in infos.items() if info.unset}
    settings = {name: None if words.get(name) == value else value for name, value in settings.items()}
    if why := contradiction(settings):
        raise InputError(f"{env}: {why}")
    settings = spelled_out(algorithm_class(algorithm), settings)
    normalization = {name: on for name, on in asked.items() if on or name in wrapped}
    values = {n: _plain(env, n, value) for n, value in settings.items() if n != "policy_kwargs"} | normalization
    values |= _policy_kwargs(env, settings.get("policy_kwargs"), infos)
    others = algorithm_class(algorithm).image_defaults
    if policy == "CnnPolicy":
        values = {name: list(layers) for name, layers in others.items()} | values
    unnamed = tuple(name for name in others if name not in values) if policy is None else ()
    checked = from_mapping(algorithm, values | kept).to_mapping()
    if frame_stack is not None and asked.get("normalize_observations"):
        raise InputError(f"{env}: {STACKED_AND_NORMALIZED} Take one of them out.")
    met = discretize, frame_stack, wrapper
    return Config(env, steps, algorithm, checked, env_kwargs, key, False, *met, policy, unnamed)


def _choose(content: Mapping[str, Any], env: str | None, algorithm: str) -> tuple[str, Any, str]:
    if env is None:
        if len(content) == 1:
            only = str(next(iter(content)))
            return only, next(iter(content.values())), only
        raise InputError(f"holds several environments ({', '.join(map(str, content))}); name one with --env.")
    bare = env.rpartition(":")[2]
    for key in (env, bare, *(["atari"] if family(env) == ATARI else []), "default"):
        if key in content:
            return env, content[key], key
    if field_infos(algorithm_class(algorithm)).keys() & content.keys():
        return env, content, ""  # of one environment, as in the config.yml of an agent that RL Zoo has trained
    raise InputError(
        f"has no settings for {env}.{nearest(env, map(str, content))} They are written as "
        f"{env}: {{n_timesteps: 50000, learning_rate: 0.001}}, with any of the hyperparameters."
    )


def _plain(env: str, key: str, value: Any) -> Any:
    if key == "train_freq" and isinstance(value, list | tuple):
        if len(value) == 2 and value[1] == "step":
            return value[0]
        raise InputError(f"{env}: train_freq must be a number of steps, got {list(value)!r}.")
    if isinstance(value, str) and value.startswith(("lin_", "func_")):
        raise InputError(f"{env}: {key}: the schedule '{value}' is not supported; write a number.")
    return value


def _normalization(env: str, value: Any) -> dict[str, Any]:
    """Read ``normalize``: true, or what ``VecNormalize`` is to be given, as a mapping or as the Zoo's text of one."""
    if isinstance(value, str):
        try:
            value = zoo_literal(value)
        except ValueError:
            raise InputError(
                f"{env}: normalize: {value!r} is not supported; nothing in a file is run as code."
            ) from None
    if value is None or isinstance(value, bool):
        value = {"norm_obs": bool(value), "norm_reward": bool(value)}
    names = {key: name for name, key in NORMALIZE.items()}
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise InputError(f"{env}: normalize: {value!r} is not supported; only norm_obs and norm_reward are.")
    return {name: value.get(key, True) for key, name in names.items()}


def _policy_kwargs(env: str, value: Any, infos: Mapping[str, FieldInfo]) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        value = _parse_dict_call(env, value)
    if not isinstance(value, dict):
        raise InputError(f"{env}: policy_kwargs must be a mapping, such as {{net_arch: [64, 64]}}; got {value!r}.")
    known = [name for name, info in infos.items() if info.sb3 and info.place == "policy"]
    for key in value:
        if key not in known:
            only = f"only {', '.join(known)} {'is' if len(known) == 1 else 'are'}"
            raise InputError(f"{env}: policy_kwargs: {key} is not supported; {only}.")
    found = dict(value)
    net = found.get("net_arch")
    if isinstance(net, dict):  # of the actor and of the critic
        widths = list(net.values())
        if not widths or any(each != widths[0] for each in widths):
            raise InputError(f"{env}: net_arch: actor and critic must have the same layers here, got {net!r}.")
        found["net_arch"] = widths[0]
    return found


def _parse_dict_call(env: str, text: str) -> dict[str, Any]:
    """Read ``dict(key=literal, ...)`` without evaluating it."""
    problem = InputError(
        f"{env}: policy_kwargs: text is read only in the form dict(net_arch=[64, 64]), got {text!r}. "
        "Nothing in a file is run as code."
    )
    try:
        found = zoo_literal(text)
    except ValueError:
        raise problem from None
    if not isinstance(found, dict) or not text.strip().startswith("dict"):
        raise problem
    return found


def _steps(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 2**63 or int(value) != value:
        raise InputError(f"n_timesteps must be a whole number of at least 1, got {value!r}.")
    return int(value)
