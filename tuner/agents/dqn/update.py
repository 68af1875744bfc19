"""Which update trains a stack: compiled, NumPy's or torch's."""

from __future__ import annotations

import numpy as np

from tuner.agents.dqn.seams import NumericPath, Parts, Update, compiles
from tuner.hyperparameters import DQNHyperparameters


def choose_update(path: NumericPath, parts: Parts, hyperparameters: DQNHyperparameters) -> Update:
    """Return the update of a stack.

    Args:
        path: The study's: ``torch`` (the reference, any device), ``numpy`` (multilayer perceptrons on the CPU) or
            ``compiled`` (likewise; what :func:`compiles` leaves out is trained as ``numpy`` does).
        parts: What it works on. Convolutions and other devices take torch, whatever the path.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """
    if compiles(path, parts):
        from tuner.agents.dqn.update_compiled import CompiledUpdate

        return CompiledUpdate(parts, hyperparameters)
    from tuner.agents.dqn.stepped import SteppedUpdate

    if path == "torch" or parts.encoder.image is not None or not isinstance(parts.state.online, np.ndarray):
        from tuner.agents.dqn.update_torch import TorchUpdate

        return SteppedUpdate(parts, hyperparameters, TorchUpdate(parts.state, parts.head, hyperparameters))
    from tuner.agents.dqn.update_numpy import NumpyUpdate

    return SteppedUpdate(parts, hyperparameters, NumpyUpdate(parts.state, parts.head, hyperparameters))
