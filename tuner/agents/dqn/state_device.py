"""The same state on a device of torch's: it stays there from the first gradient step of a run to the last."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.state import LearnerState
from tuner.networks.conv import ConvLayout
from tuner.networks.mlp import MLPLayout

Array = NDArray[Any]


class DeviceLearnerState(LearnerState):
    """A :class:`LearnerState` whose rows ``[K, P]`` are tensors on a device; what is one number per lane stays here.

    Args:
        layout: Network layout, the same for all lanes.
        lanes: K.
        device: Where, as torch names it.
        dtype: Floating-point type of all numbers.
    """

    def __init__(self, layout: MLPLayout | ConvLayout, lanes: int, device: str, dtype: DTypeLike = np.float32) -> None:
        self._device = torch.device(device)
        super().__init__(layout, lanes, dtype)

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        return torch.zeros(shape, dtype=torch.from_numpy(np.zeros(0, self.dtype)).dtype, device=self._device)

    def row(self, name: str, lane: int) -> Array:
        """Return a copy of a lane's row."""
        values: Array = getattr(self, name)[lane].cpu().numpy()
        return values

    def like(self, values: Array) -> Any:
        """Return values as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values, self.dtype)).to(self._device)
