"""Optimizer steps on one lane's parameters part by part: for networks too large to be copied into one row each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from tuner.agents.dqn.optimizers import BETA1, BETA2, RMS_ALPHA, RMS_EPS

Parts = Sequence[torch.Tensor]


class LaneParts(NamedTuple):
    """What a step changes, as views of one lane's rows, part by part."""

    parameters: Parts
    first_moment: Parts
    second_moment: Parts


def clip(gradients: Parts, most: float) -> None:
    """Scale gradients so that their common Euclidean norm is at most ``most``, as ``clip_grad_norm_`` does."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = most / (float(norm) + 1e-6)
    if scale < 1.0:
        for gradient in gradients:
            gradient.mul_(scale)


def adam(lane: LaneParts, gradients: Parts, step_size: float, epsilon: float) -> None:
    """Take one step of Adam; ``step_size`` and ``epsilon`` as :func:`adam_step` of ``optimizers`` has them."""
    for parameter, first, second, gradient in zip(*lane, gradients, strict=True):
        first.mul_(BETA1).add_(gradient)
        second.mul_(BETA2).addcmul_(gradient, gradient)
        parameter.addcdiv_(first, torch.sqrt(second, out=gradient).add_(epsilon), value=-step_size)


def rmsprop(lane: LaneParts, gradients: Parts, learning_rate: float) -> None:
    """Take one step of RMSprop."""
    for parameter, _, second, gradient in zip(*lane, gradients, strict=True):
        second.mul_(RMS_ALPHA).addcmul_(gradient, gradient, value=1 - RMS_ALPHA)
        parameter.addcdiv_(gradient, second.sqrt().add_(RMS_EPS), value=-learning_rate)
