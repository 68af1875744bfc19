"""What to train next: the supervisor's ledger makes a trial, an asker fills it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from optuna.trial import FrozenTrial, Trial

from tuner.errors import InputError
from tuner.seeding import run_seed
from tuner.space.model import SearchSpace
from tuner.study.sampling.samplers import point_of, root_of
from tuner.study.search.progress import SecondsLeft
from tuner.study.search.run_events import trial_folder
from tuner.study.search.trial import AskedTrial, TrialEnd
from tuner.study.store import keys as attr


class Asker(Protocol):
    """Decides what a study trains."""

    def left(self) -> int | None:
        """Return how many runs may be asked for now; None: there is no end to them."""
        ...

    def waits(self) -> bool:
        """Return whether nothing may be asked for before another trial has ended, here or elsewhere."""
        ...

    def fill(self, trial: Trial) -> AskedTrial:
        """Write into a new trial what it trains, and return it."""
        ...

    def ended(self, number: int, end: TrialEnd | None) -> None:
        """Take note of how a trial ended; None: it was given up."""
        ...

    def standing(self) -> str:
        """Return where a schedule's settings stand, in a line; empty where trials are searched."""
        ...

    def seconds_left(self, elapsed: Mapping[int, Sequence[float]]) -> SecondsLeft | None:
        """Return how long a schedule still takes; None where there is none."""
        ...


class SpaceAsker:
    """Asks what the study's sampler proposes in a search space.

    Args:
        space: What to sample from.
        seed: The study's seed.
        replicates: Seeds of each trial.
    """

    def __init__(self, space: SearchSpace, *, seed: int, replicates: int) -> None:
        self._space = space
        self._seed = seed
        self._replicates = replicates

    def left(self) -> None:
        """Return None: how many trials there shall be is the supervisor's business."""
        return

    def waits(self) -> bool:
        """Return False: the sampler proposes at any time."""
        return False

    def fill(self, trial: Trial) -> AskedTrial:
        """Sample a trial. A lost trial's successor has its predecessor's values and seeds."""
        trials = trial.study.get_trials(deepcopy=False)
        point = point_of(trials, trial.number)
        trial.set_user_attr(attr.POINT, point)
        seeds = tuple(run_seed(self._seed, "search", point, r) for r in range(self._replicates))
        trial.set_user_attr(attr.SEEDS, list(seeds))
        if source := _source(trial, trials):
            trial.set_user_attr(attr.SOURCE, source)
        try:
            params: Mapping[str, Any] = self._space.sample(TrialSuggest(trial))
        except (ValueError, TypeError, KeyError) as error:  # somebody has enqueued what the space does not have
            problem = f"{type(error).__name__}: {error}"
            return AskedTrial(trial.number, {}, None, seeds, problem=problem)
        try:
            hyperparameters = self._space.resolve(params)
        except InputError as error:
            return AskedTrial(trial.number, params, None, seeds, problem=f"InputError: {error}")
        trial.set_user_attr(attr.HYPERPARAMETERS, hyperparameters.to_mapping())
        folder = trial_folder(trial.user_attrs.get(attr.ROOT, trial.number))
        return AskedTrial(trial.number, params, hyperparameters, seeds, folder=folder)

    def ended(self, number: int, end: TrialEnd | None) -> None:
        """Do nothing: the sampler reads the study."""

    def standing(self) -> str:
        """Return nothing: the best trial says it."""
        return ""

    def seconds_left(self, elapsed: Mapping[int, Sequence[float]]) -> None:
        """Return None: trials so far say how long the others take."""
        return


def _source(trial: Trial, trials: Sequence[FrozenTrial]) -> str:
    """Return what a trial comes from; empty for the sampler. A lost trial's successor comes from the same."""
    proposal = getattr(trial.study.sampler, "proposal", None)
    if proposal is None and (root := root_of(trials[trial.number])) < trial.number:
        return str(trials[root].user_attrs.get(attr.SOURCE, ""))
    return "" if proposal is None else proposal.source


class TrialSuggest:
    """Implements :class:`tuner.space.ranges.Suggest` on an Optuna trial (define by run: conditions need no list)."""

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
