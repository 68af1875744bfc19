"""What acts and trains in a stack: compiled code, NumPy or torch."""

from __future__ import annotations

import numpy as np

from tuner.agents.dqn.acting import Acting, Exploring, Greedy, acting_for
from tuner.agents.dqn.seams import NumericPath, Parts, Update
from tuner.agents.dqn.stepped import SteppedUpdate
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.conv import ConvLayout


def choose_update(
    path: NumericPath, parts: Parts, hyperparameters: DQNHyperparameters
) -> tuple[Acting, Exploring, Update]:
    """Return the forward passes of a stack's evaluations, what chooses in its environment steps, and its update.

    Args:
        path: The study's: ``torch`` (the reference, any device), ``numpy`` (multilayer perceptrons on the CPU) or
            ``compiled`` (likewise, and one convolution; with a field on that compiled code lacks, such as prioritised
            replay, it trains as ``numpy`` does).
        parts: What it works on. Other convolutions and other devices take torch, whatever the path.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """
    layout = parts.state.layout
    small = not isinstance(layout, ConvLayout) or len(layout.torso.convolutions) == 1
    on_cpu = isinstance(parts.state.online, np.ndarray)
    if path == "compiled" and small and on_cpu and hyperparameters.compiles():
        from tuner.agents.dqn.update_compiled import compiled

        return compiled(parts, hyperparameters)
    acting = acting_for(parts.state)
    noise = parts.state.perturbation
    exploring = Greedy(acting if noise is None else noise.exploring(), parts)
    if path == "torch" or parts.encoder.image is not None or not on_cpu:
        from tuner.agents.dqn.update_torch import TorchUpdate

        torch_step = TorchUpdate(parts.state, parts.head, hyperparameters)
        return acting, exploring, SteppedUpdate(parts, hyperparameters, torch_step)
    from tuner.agents.dqn.update_numpy import NumpyUpdate

    step = NumpyUpdate(parts.state, parts.head, hyperparameters)
    return acting, exploring, SteppedUpdate(parts, hyperparameters, step)
