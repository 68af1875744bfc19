"""What acts and trains in a stack: compiled code, NumPy or torch."""

from __future__ import annotations

import numpy as np

from tuner.agents.dqn.acting import Acting, acting_for
from tuner.agents.dqn.seams import NumericPath, Parts, Update, compiles
from tuner.agents.dqn.stepped import SteppedUpdate
from tuner.hyperparameters import DQNHyperparameters


def choose_update(path: NumericPath, parts: Parts, hyperparameters: DQNHyperparameters) -> tuple[Acting, Update]:
    """Return the forward passes and the update of a stack.

    Args:
        path: The study's: ``torch`` (the reference, any device), ``numpy`` (multilayer perceptrons on the CPU) or
            ``compiled`` (likewise, and one convolution; what :func:`compiles` leaves out is trained as ``numpy`` does).
        parts: What it works on. Other convolutions and other devices take torch, whatever the path.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """
    if compiles(path, parts):
        from tuner.agents.dqn.update_compiled import compiled

        return compiled(parts, hyperparameters)
    acting = acting_for(parts.state)
    if path == "torch" or parts.encoder.image is not None or not isinstance(parts.state.online, np.ndarray):
        from tuner.agents.dqn.update_torch import TorchUpdate

        return acting, SteppedUpdate(parts, hyperparameters, TorchUpdate(parts.state, parts.head, hyperparameters))
    from tuner.agents.dqn.update_numpy import NumpyUpdate

    return acting, SteppedUpdate(parts, hyperparameters, NumpyUpdate(parts.state, parts.head, hyperparameters))
