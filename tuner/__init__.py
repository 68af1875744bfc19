"""Hyperparameter optimization for Deep Q-learning: fast, honest, unkillable.

``tuner.run(tuner.StudyRecipe(env="CartPole-v1", trials=100))`` searches, saves, reports and exports;
``tuner.load_agent(FOLDER).act(observation)`` plays what ``tune train`` saved.
"""

from typing import TYPE_CHECKING, Any

from tuner import errors

if TYPE_CHECKING:
    from tuner.api import run
    from tuner.cli.notebook import progress
    from tuner.library.catalog import load_setting
    from tuner.plan.recipe import StudyRecipe
    from tuner.study_result import StudyResult
    from tuner.training.saved.agent import Agent, load_agent

__all__ = [
    "Agent",
    "StudyRecipe",
    "StudyResult",
    "__version__",
    "errors",
    "load_agent",
    "load_setting",
    "progress",
    "run",
]

__version__ = "0.1.0"

_HOMES = {
    "run": "tuner.api",
    "StudyResult": "tuner.study_result",
    "StudyRecipe": "tuner.plan.recipe",
    "Agent": "tuner.training.saved.agent",
    "load_agent": "tuner.training.saved.agent",
    "load_setting": "tuner.library.catalog",
    "progress": "tuner.cli.notebook",
}


def __getattr__(name: str) -> Any:
    """Import the API on first use, so that ``import tuner`` loads neither torch nor optuna."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tuner' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Name the API, too, for completion, though nothing of it is imported yet."""
    return sorted({*globals(), *__all__})
