"""The complete description of a study: what the command line, a YAML file or Python code asks for.

Every field declares its flag, whether it is pinned when a study is resumed, and its help; the command line, recipe
files and the resume check are generated from these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def _declare(default: Any, help: str, *, pinned: bool = False, choices: tuple[str, ...] = ()) -> Any:
    metadata = {"help": help, "pinned": pinned, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class StudyRecipe:
    """One study. ``None`` means 'decide for me': the search space, the environment or the machine gives the value.

    Durations are in seconds. Pinned settings define the study and cannot change on resume; the others may.
    """

    env: str = _declare("", "Gymnasium environment id, or module:Id.", pinned=True)
    trials: int = _declare(100, "Trials the study shall have in all.")
    algo: str = _declare("dqn", "Algorithm to tune.", pinned=True)
    backend: str = _declare("native", "Who trains.", pinned=True, choices=("native", "sb3"))
    space: str = _declare("default", "Search space: a name or the path of a YAML.", pinned=True)
    set: Mapping[str, Any] = _declare({}, "Fix a hyperparameter and take it out of the search.", pinned=True)
    steps: int | None = _declare(None, "Environment steps of each run.", pinned=True)
    evaluations: int | None = _declare(None, "Evaluations of each run, evenly spaced.", pinned=True)
    eval_episodes: int | None = _declare(None, "Episodes of each evaluation.", pinned=True)
    seeds_per_trial: int = _declare(1, "Seeds each trial is trained with.", pinned=True)
    objective: str = _declare(
        "late", "From a run's evaluations to its score.", pinned=True, choices=("late", "final", "best", "auc")
    )
    sampler: str = _declare("tpe", "Who proposes.", pinned=True, choices=("tpe", "random", "gp", "qmc"))
    pruner: str = _declare(
        "median", "Who stops hopeless trials.", pinned=True, choices=("median", "halving", "hyperband", "none")
    )
    startup_trials: int = _declare(10, "Random trials before the sampler and the pruner start.", pinned=True)
    seed: int = _declare(0, "Source of all randomness of the study.", pinned=True)
    env_arg: Mapping[str, Any] = _declare({}, "Keyword argument of the environment.", pinned=True)
    env_module: str | None = _declare(None, "File or module that registers the environment.", pinned=True)
    pixels: bool = _declare(False, "Observe rendered frames instead of the state.", pinned=True)
    study: str | None = _declare(None, "Name of the study.")
    storage: str | None = _declare(None, "URL of the study's database.")
    workers: int | None = _declare(None, "Worker processes (default: one for each core).")
    lanes: int | None = _declare(None, "Trials trained together in each worker.")
    timeout: float | None = _declare(None, "Stop the search after this long; the same command carries on.")
    trial_timeout: float | None = _declare(None, "Give up a run after this much training time.")
    device: str = _declare("cpu", "Where networks are trained.", choices=("cpu", "cuda", "auto"))
    confirm: int = _declare(5, "Finalists to train again on fresh seeds.")
    confirm_seeds: int = _declare(10, "Fresh seeds of each finalist.")
    executor: str = _declare("processes", "Where workers live.", choices=("processes", "inline"))
    report_dir: str = _declare("reports", "Folder the reports go to.")
    quiet: bool = _declare(False, "No progress on stderr.")

    def pinned(self) -> dict[str, Any]:
        """Return the settings that define the study."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["pinned"]}
