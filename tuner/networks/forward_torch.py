"""Forward passes for K lanes in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)

from tuner.networks.conv import ConvLayout, Torso
from tuner.networks.mlp import NORM_EPS, MLPLayout

Views = list[tuple[torch.Tensor, torch.Tensor]]


def outputs(layout: MLPLayout | ConvLayout, views: Views, inputs: torch.Tensor) -> torch.Tensor:
    """Return a network's outputs ``[K, B, n_outputs]``.

    Args:
        layout: The network's.
        views: Its parameters as its layout's ``views`` returns them.
        inputs: ``[K, B, in]``; images ``[K, B, channels, height, width]`` or flat, as for :func:`features`.
    """
    if isinstance(layout, MLPLayout):
        return _perceptron(layout, views, inputs)
    first = len(layout.torso.convolutions) + 1
    images = inputs.reshape(*inputs.shape[:2], *layout.torso.image)
    return _perceptron(layout.head, views[first:], features(layout.torso, views[:first], images))


def _perceptron(layout: MLPLayout, views: Views, inputs: torch.Tensor) -> torch.Tensor:
    """Return the outputs of linear layers, ReLU between them, normalised before it where the layout says so."""
    hidden, layers = inputs, len(layout.layers)
    norms = views[layers : layers + len(layout.normalized)]
    for i, (weight, bias) in enumerate(views[:layers]):
        hidden = torch.baddbmm(bias, hidden, weight)
        if norms and i < layers - 1:
            gain, shift = norms[i]
            hidden = F.layer_norm(hidden, hidden.shape[-1:], eps=NORM_EPS) * gain + shift
        if i < layers - 1:
            hidden = torch.relu(hidden)
    return hidden


def features(torso: Torso, views: Views, images: torch.Tensor) -> torch.Tensor:
    """Return the features ``[K, B, features]`` of images.

    On a CPU each lane's convolutions are a call of their own, in the same shape whatever K is, so that a lane's numbers
    do not depend on its neighbours; they are large enough for the calls not to count. Elsewhere all lanes are one
    grouped convolution.

    Args:
        torso: The network.
        views: Its parameters as :meth:`Torso.views` returns them.
        images: ``[K, B, channels, height, width]``, bytes, or floating point in [0, 1].
    """
    *convolutions, (weight, bias) = views
    if _by_lane(images):
        lanes = [_lane(torso, [(w[k], b[k]) for w, b in convolutions], images[k]) for k in range(len(images))]
        seen = lanes[0][None] if len(lanes) == 1 else torch.stack(lanes)
    else:
        seen = _grouped(torso, convolutions, images)
    return torch.relu(torch.baddbmm(bias, seen, weight))


def _by_lane(images: torch.Tensor) -> bool:
    return images.device.type == "cpu"


def _lane(torso: Torso, layers: Views, images: torch.Tensor) -> torch.Tensor:
    """Return what one lane's last convolution makes, ``[B, height * width * channels]``."""
    hidden = _scaled(torso, images, layers[0][0].dtype)
    hidden = hidden.contiguous(memory_format=torch.channels_last)
    for (weight, bias), (_, _, stride) in zip(layers, torso.convolutions, strict=True):
        hidden = torch.relu(F.conv2d(hidden, weight.permute(0, 3, 1, 2), bias, stride=stride))
    return hidden.permute(0, 2, 3, 1).flatten(1)


def _grouped(torso: Torso, layers: Views, images: torch.Tensor) -> torch.Tensor:
    """Return the same for all lanes, ``[K, B, height * width * channels]``."""
    lanes, rows = images.shape[:2]
    hidden = _scaled(torso, images, layers[0][0].dtype).transpose(0, 1).flatten(1, 2)
    for (weight, bias), (_, _, stride) in zip(layers, torso.convolutions, strict=True):
        kernels = weight.permute(0, 1, 4, 2, 3).flatten(0, 1)
        hidden = torch.relu(F.conv2d(hidden, kernels, bias.flatten(), stride=stride, groups=lanes))
    height, width, channels = torso.seen
    by_lane = hidden.reshape(rows, lanes, channels, height, width)
    return by_lane.permute(1, 0, 3, 4, 2).flatten(2)


def _scaled(torso: Torso, images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if images.dtype != torch.uint8:
        return images
    return images.to(dtype).mul_(1 / torso.scale)
