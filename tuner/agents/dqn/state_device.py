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
        #: The online networks on the host, from the first time that they are asked for, and whether they are current.
        self._host: torch.Tensor | None = None
        self._is_current = False
        super().__init__(layout, lanes, dtype)

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        return torch.zeros(shape, dtype=torch.from_numpy(np.zeros(0, self.dtype)).dtype, device=self._device)

    def row(self, name: str, lane: int) -> Array:
        """Return a copy of a lane's row."""
        values: Array = getattr(self, name)[lane].cpu().numpy()
        return values

    def online_changed(self) -> None:
        """Take note that gradient steps have changed online networks."""
        self._is_current = False

    def online_here(self) -> Array:
        """Return the online networks on the host: one transfer for all lanes, after they have changed only."""
        if self._host is None:
            pinned = self._device.type == "cuda"
            self._host = torch.empty(self.online.shape, dtype=self.online.dtype, pin_memory=pinned)
        if not self._is_current:
            self._host.copy_(self.online)
            self._is_current = True
        return self._host.numpy()

    def here(self, rows: torch.Tensor) -> Array:
        """Return rows on the host."""
        found: Array = rows.cpu().numpy()
        return found

    def _put(self, name: str, lane: int, values: Array) -> None:
        super()._put(name, lane, values)
        if name == "online":
            self.online_changed()

    def like(self, values: Array) -> Any:
        """Return values as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values, self.dtype)).to(self._device)
