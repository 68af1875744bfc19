"""Versions of what decides a study's numbers beside its settings: a study keeps those that it began with.

Each version is an attribute of the study. A study that stores none was made by version 0.1.0, and follows the rules
that are called 1 here. A new rule gets the next number, the function that maps a version to what it means a branch, and
:data:`CURRENT` the number, so that new studies follow it and stored ones still resume and replay to the last bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from tuner.errors import InputError


@dataclasses.dataclass(frozen=True)
class Rules:
    """The versions; those of 0.1.0 by default. A field's name is the attribute of the study.

    The numbers of a run depend on the first four alone, see :meth:`of_runs`; the others choose among runs.

    Attributes:
        evaluation_seeds: Which episodes evaluations play, see :func:`tuner.seeding.evaluation_seed`.
        update_path: Which arithmetic trains native networks, see :func:`native_path`.
        picture_scale: What pictures are divided by, see :func:`tuner.envs.image_encoder.largest`.
        reward_clip: How native n-step returns of normalised rewards are clipped: 1 as one reward, 2 each reward by
            itself, see ``tuner/replay/step_rewards.py``.
        pruning: 1 for the median rule alone, 2 for gated rungs, 3 for these from a tenth of the grid on, see
            ``tuner/study/search/median_pruner.py``, 4 with repeats that go to their end, see
            ``tuner/study/search/pruners.py``.
        finalists: 1 for the best scores, 2 for the best by a model, 3 for these with the best known beforehand, see
            ``tuner/study/confirm/contestants.py``, 4 with the search's runs counted where the winner is chosen, 5 with
            what differs by the rounding of means alone taken for equal there, see ``tuner/study/confirm/choice.py``, 6
            with runs that diverged counted among the search's runs, and as lower than all others where a setting for
            several environments is chosen, see ``tuner/report/numbers/several.py``.
        proposals: 1 for the score alone, 2 in view of the cost, see ``tuner/plan/proposal_cost.py``, 3 with repeats of
            what is level at the top, see ``tuner/study/sampling/repeats.py``.
    """

    evaluation_seeds: int = 1
    update_path: int = 1
    picture_scale: int = 1
    reward_clip: int = 1
    pruning: int = 1
    finalists: int = 1
    proposals: int = 1

    def of_runs(self, sums_normalized_rewards: bool = False) -> dict[str, int]:
        """Return the versions that a run's own numbers depend on: studies that differ in the others share runs.

        Args:
            sums_normalized_rewards: Whether the run does; ``reward_clip`` means nothing to others. Its version 1 is
                left out, too: such runs had names before there was a second.
        """
        names = ["evaluation_seeds", "update_path", "picture_scale"]
        names += ["reward_clip"] * (sums_normalized_rewards and self.reward_clip > 1)
        return {name: getattr(self, name) for name in names}


#: What studies that store none follow.
VERSION_0_1_0 = Rules()

#: What new studies follow.
CURRENT = Rules(evaluation_seeds=2, update_path=3, picture_scale=2, reward_clip=2, pruning=4, finalists=6, proposals=3)


def rules_of(attributes: Mapping[str, Any]) -> Rules:
    """Return the rules that a stored study follows.

    Args:
        attributes: The study's.

    Raises:
        InputError: A version that this program does not know.
    """
    found = {}
    for field in dataclasses.fields(Rules):
        version, newest = attributes.get(field.name, 1), getattr(CURRENT, field.name)
        if type(version) is not int or not 1 <= version <= newest:
            raise InputError(
                f"The study follows version {version!r} of {field.name}, and this tune knows 1 to {newest}. "
                "Use the version of tune that made it, or a later one."
            )
        found[field.name] = version
    return Rules(**found)


def native_path(version: int, device: str, image: tuple[int, int, int] | None) -> Literal["numpy", "torch", "compiled"]:
    """Return what computes the gradient steps of native networks: a study's ``update_path`` decides.

    ==========  ==========================================================================
    version 1   NumPy for multilayer perceptrons on the CPU, else torch (version 0.1.0)
    version 2   compiled code on the CPU for multilayer perceptrons (NumPy where a field is on that this lacks, such as
                prioritised replay) and for images below 36 x 36 (torch likewise), else torch
    version 3   as 2, and compiled code knows quantiles and noisy networks (a field's ``compiled`` is the first version)
    ==========  ==========================================================================

    Args:
        version: The study's ``update_path``.
        device: ``cpu`` or ``cuda``.
        image: (channels, height, width) of what networks see; None where that is a vector.
    """
    from tuner.networks.conv import NATURE_MIN_SIZE  # brings NumPy, which a list can do without

    if version not in (1, 2, 3):
        raise ValueError(f"update_path must be 1, 2 or 3, got {version}.")
    large = image is not None and (version == 1 or min(image[1:]) >= NATURE_MIN_SIZE)
    if device != "cpu" or large:
        return "torch"
    return "numpy" if version == 1 else "compiled"
