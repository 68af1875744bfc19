"""Which network a run trains: a multilayer perceptron, on a convolutional torso where observations are images."""

from __future__ import annotations

from tuner.agents.dqn.noise import LaneNoise, NoisyLayout
from tuner.agents.dqn.state import LearnerState, Perturbation
from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.conv import ConvLayout, Torso
from tuner.networks.heads import QHead
from tuner.networks.mlp import MLPLayout


def q_head(hyperparameters: DQNHyperparameters, n_actions: int) -> QHead:
    """Return how a run's network outputs become Q-values."""
    return QHead(n_actions, hyperparameters.dueling, hyperparameters.quantiles)


def q_head_of(hyperparameters: DQNHyperparameters, n_outputs: int) -> QHead:
    """Return the head of a network with so many outputs.

    Raises:
        ValueError: No number of actions gives these outputs.
    """
    for n_actions in range(1, n_outputs + 1):
        head = q_head(hyperparameters, n_actions)
        if head.n_outputs == n_outputs:
            return head
    raise ValueError(f"{n_outputs} outputs are no head of these hyperparameters")


def network_layout(encoder: Encoder, hyperparameters: DQNHyperparameters, n_actions: int) -> MLPLayout | ConvLayout:
    """Return where the parameters of a run's network lie."""
    outputs = q_head(hyperparameters, n_actions).n_outputs
    if encoder.image is None:
        return _perceptron((encoder.input_size, *hyperparameters.net_arch, outputs), hyperparameters)
    torso = Torso.for_image(encoder.image, encoder.scale, hyperparameters.cnn)
    return ConvLayout(torso, _perceptron((torso.features, *hyperparameters.net_arch, outputs), hyperparameters))


def perturbation_of(state: LearnerState) -> Perturbation | None:
    """Return what passes put on the weights of a state's networks; None where nothing does."""
    head = state.layout.head if isinstance(state.layout, ConvLayout) else state.layout
    return LaneNoise(state) if isinstance(head, NoisyLayout) else None


def _perceptron(sizes: tuple[int, ...], hyperparameters: DQNHyperparameters) -> MLPLayout:
    if hyperparameters.noisy:
        return NoisyLayout(sizes, hyperparameters.layer_norm, hyperparameters.noisy_sigma)
    return MLPLayout(sizes, hyperparameters.layer_norm)
