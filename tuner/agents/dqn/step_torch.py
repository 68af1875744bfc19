"""Optimizer steps on one lane's parameters part by part: for networks too large to be copied into one row each time."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from tuner.agents.dqn.optimizers import BETA1, BETA2, RMS_ALPHA

Parts = Sequence[torch.Tensor]


@functools.cache
def _no_bias_left(device: torch.device) -> torch.Tensor:
    """Return a count of steps at which Adam's moments are unbiased to the last digit; copied to a device once."""
    return torch.tensor(1e9, device=device)


class LaneParts(NamedTuple):
    """What a step changes, as views of one lane's rows, part by part."""

    parameters: Parts
    first_moment: Parts
    second_moment: Parts


def clip(gradients: Parts, most: float) -> None:
    """Scale gradients so that their common Euclidean norm is at most ``most``, as ``clip_grad_norm_`` does."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    if norm.device.type != "cpu":  # looking at the number would wait for the device
        torch._foreach_mul_(list(gradients), (most / (norm + 1e-6)).clamp(max=1.0))
        return
    scale = most / (float(norm) + 1e-6)
    if scale < 1.0:
        for gradient in gradients:
            gradient.mul_(scale)


def adam(lane: LaneParts, gradients: Parts, learning_rate: float, beta_powers: Sequence[float], epsilon: float) -> None:
    """Take one step of Adam in one pass over memory.

    The moments are Adam's own means, not the sums that a row's step keeps.

    Args:
        lane: Changed.
        gradients: Part by part.
        learning_rate: Step size.
        beta_powers: BETA1 and BETA2 to the power of the steps taken, this one included.
        epsilon: What is added to the root of the second moment.
    """
    correction1, correction2 = 1.0 - beta_powers[0], 1.0 - beta_powers[1]
    # torch corrects the bias by its own count of steps, which a lane need not keep: here it is told that none is left.
    done = [_no_bias_left(gradients[0].device)] * len(gradients)
    # A GPU's kernel insists on equal strides, also where an axis has length one.
    parameters, first, second = ([part.view(-1) for part in parts] for parts in lane)
    torch._fused_adam_(
        parameters, [part.reshape(-1) for part in gradients], first, second, [], done,
        lr=learning_rate * math.sqrt(correction2) / correction1, beta1=BETA1, beta2=BETA2, weight_decay=0.0,
        eps=epsilon * math.sqrt(correction2), amsgrad=False, maximize=False,
    )  # fmt: skip


def rmsprop(lane: LaneParts, gradients: Parts, learning_rate: float, epsilon: float) -> None:
    """Take one step of RMSprop."""
    for parameter, _, second, gradient in zip(*lane, gradients, strict=True):
        second.mul_(RMS_ALPHA).addcmul_(gradient, gradient, value=1 - RMS_ALPHA)
        parameter.addcdiv_(gradient, second.sqrt().add_(epsilon), value=-learning_rate)
