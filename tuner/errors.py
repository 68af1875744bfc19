"""Every error the toolkit raises on purpose.

TunerError                 something the user can act on; the command line prints it as one line
|- InputError              bad flag, file or value: exit code 2, nothing written
|  |- UnusableEnvironmentError    the environment cannot be made or does not fit the algorithm (Unknown...: no such id)
|  |- SpaceError           a search space file breaks a rule
|  '- ResumeError          the stored study differs in a pinned setting
|- MissingExtraError       an optional package is not installed: exit code 2
|- StudyLockedError        another process owns the study: exit code 2
|- StudyFailedError        every trial failed, or ten equal failures in a row: exit code 3
|- StorageLostError        the storage is gone, results are kept in a spool: exit code 4
'- DivergedError           a non-finite number inside a run (an outcome, never a crash)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TunerError(Exception):
    """Root of all errors that carry a message for the user.

    Attributes:
        exit_code: What the command line exits with.
    """

    exit_code = 2


class InputError(TunerError):
    """A value from the user breaks a rule. The message says what, the rule, the value and what to do next."""


class UnusableEnvironmentError(InputError):
    """The environment cannot be made, or its spaces do not fit the algorithm."""


class UnknownEnvironmentError(UnusableEnvironmentError):
    """No environment is registered under this id."""


class SpaceError(InputError):
    """A search space breaks the grammar or a field's valid range."""


class ResumeError(InputError):
    """The stored study differs from the command in a setting that is pinned."""


class MissingExtraError(TunerError):
    """An optional package is needed and not installed. The message names the extra to install."""


class StudyLockedError(TunerError):
    """Another live process owns the study."""


class StudyFailedError(TunerError):
    """No trial can succeed: all failed, or ten equal failures in a row."""

    exit_code = 3


class StorageLostError(TunerError):
    """The storage does not answer any more. Finished results wait in a spool beside the study.

    Args:
        message: What failed, and what to do.
        passes: Whether it may answer again by itself (a full disk does not).
    """

    exit_code = 4

    def __init__(self, message: str, *, passes: bool = True) -> None:
        super().__init__(message)
        self.passes = passes


class DivergedError(TunerError):
    """A loss, Q-value, reward or score stopped being finite. The message names the field and the step."""


def wrong(name: str, rule: str, value: object) -> InputError:
    """Return the error of an argument that breaks its rule.

    Args:
        name: What the argument is called.
        rule: What it must be.
        value: What was given.
    """
    return InputError(f"{name} must be {rule}, got {value!r}.")


#: What papers, courses and other packages call it -> what it may be here, where its letters do not tell.
ALSO_CALLED = {
    "lr": "learning_rate",
    "step_size": "learning_rate",
    "discount": "gamma",
    "discount_factor": "gamma",
    "start_e": "exploration_initial_eps",
    "epsilon_start": "exploration_initial_eps",
    "eps_start": "exploration_initial_eps",
    "end_e": "exploration_final_eps",
    "epsilon": "exploration_final_eps",
    "epsilon_end": "exploration_final_eps",
    "eps_end": "exploration_final_eps",
    "epsilon_decay": "exploration_fraction",
    "eps_decay": "exploration_fraction",
    "target_network_frequency": "target_update_interval",
    "target_network_update_freq": "target_update_interval",
    "memory_size": "buffer_size",
    "replay_size": "buffer_size",
    "capacity": "buffer_size",
    "hidden": "net_arch",
    "hidden_sizes": "net_arch",
    "layers": "net_arch",
    "gpu": "cuda device",
    "n_jobs": "workers",
    "eval_freq": "evaluations",
}


def meant(word: str) -> list[str]:
    """Return what a name from elsewhere, written with ``_`` or ``-``, is called here; itself where nothing is known."""
    bare = word.lstrip("-").lower().replace("-", "_")
    return ALSO_CALLED.get(bare, bare).split()


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known word that it names elsewhere, or is closest, or an empty string."""
    known = list(known)
    same = [each for name in meant(word) for each in (name, f"--{name.replace('_', '-')}") if each in known]
    close = same or difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
