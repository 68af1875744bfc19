"""Forward passes where a device keeps the networks: all lanes at once, inputs there and outputs back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuner.agents.dqn.state import LearnerState
from tuner.networks.forward_torch import outputs

Array = NDArray[Any]


class DeviceActing:
    """See :class:`~tuner.agents.dqn.acting.Acting`; vectors and images."""

    def __init__(self, state: LearnerState) -> None:
        self._state = state

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        return self._forward(self._state.online[lanes], inputs[:, None, :-1])[:, 0]

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        return lambda inputs: self._forward(networks, inputs)

    def _forward(self, rows: torch.Tensor, inputs: Array) -> Array:
        """Return outputs ``[n, N, n_outputs]`` of networks ``[n, P]`` for inputs ``[n, N, input_size]``."""
        layout = self._state.layout
        with torch.no_grad():
            there = torch.from_numpy(np.ascontiguousarray(inputs)).to(rows)
            found = outputs(layout, layout.views(rows), there)
        result: Array = found.cpu().numpy()
        return result
