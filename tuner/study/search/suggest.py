"""A search space asks, an Optuna trial answers (define by run: conditions need no declaration in advance)."""

from __future__ import annotations

from typing import Any

from optuna.trial import Trial


class TrialSuggest:
    """Implements :class:`tuner.space.ranges.Suggest` on an Optuna trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """Return a float in ``[low, high]``."""
        return self._trial.suggest_float(name, low, high, log=log, step=step)

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        """Return an integer in ``[low, high]``."""
        return self._trial.suggest_int(name, low, high, log=log, step=step)

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        """Return one of the options."""
        return self._trial.suggest_categorical(name, options)
