"""One seed per study, and from it every random stream of every run.

A run owns its streams: they depend on the run's seed and the stream's name only, never on which lane, worker or
order the run was trained in. ``SeedSequence`` spawning (O'Neill's hash) keeps neighbouring seeds independent.
"""

from __future__ import annotations

import zlib

import numpy as np

#: Disjoint families of run seeds: what the search may use, what picks the finalist, what says how good it is.
SEED_SETS = ("search", "select", "verdict")


def _entropy(*parts: int | str) -> list[int]:
    """Turn a key into non-negative integers; words by their CRC-32, which is stable between processes."""
    return [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]


def run_seed(study_seed: int, seed_set: str, trial: int, replicate: int) -> int:
    """Return the seed of one run: a function of its place in the study alone, so a resume repeats nothing.

    Args:
        study_seed: The study's ``--seed``, >= 0.
        seed_set: One of :data:`SEED_SETS`.
        trial: Trial number, >= 0.
        replicate: Which of the trial's seeds, >= 0.

    Returns:
        An integer in ``[0, 2**31)``, small enough for every library that takes a seed.
    """
    if seed_set not in SEED_SETS:
        raise ValueError(f"seed_set must be one of {SEED_SETS}, got {seed_set!r}.")
    words = np.random.SeedSequence(_entropy(study_seed, seed_set, trial, replicate)).generate_state(1)
    return int(words[0] >> 1)


def evaluation_seed(study_seed: int, seed_set: str, version: int, replicate: int = 0) -> int:
    """Return the first episode seed of a run's evaluations: a study's ``evaluation_seeds`` decides.

    ==========  ==================================================================================================
    version 1   the same for every run of the set, at every grid point (version 0.1.0)
    version 2   one for each replicate, shared by all settings that train it (common random numbers), and others at
                each late grid point (:func:`late_evaluation_seed`): the luck of episodes is then part of what
                differs between runs, so that an interval over runs holds it
    ==========  ==================================================================================================

    Args:
        study_seed: The study's ``--seed``, >= 0.
        seed_set: One of :data:`SEED_SETS`.
        version: The study's ``evaluation_seeds``.
        replicate: Which of the set's seeds trains; a search has the same episodes for all of its runs, replicate 0.
    """
    if version not in (1, 2):
        raise ValueError(f"evaluation_seeds must be 1 or 2, got {version}.")
    return run_seed(study_seed, seed_set, 2**31 - 1, 0 if version == 1 else replicate)


def late_evaluation_seed(first: int, late_point: int) -> int:
    """Return the first episode seed at a late grid point.

    Args:
        first: The run's :func:`evaluation_seed`.
        late_point: Which of the late grid points, >= 0.
    """
    words = np.random.SeedSequence(_entropy(first, "late evaluation", late_point)).generate_state(1)
    return int(words[0] >> 1)


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the run's own generator for one purpose: ``environment``, ``exploration``, ``replay`` or ``network``."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(_entropy(seed, name))))


def sampler_seed(study_seed: int, trial: int) -> int:
    """Return the seed the sampler uses for one trial, so that a resumed study never repeats its startup points."""
    return run_seed(study_seed, "search", trial, 2**31 - 1)
