"""Which network a run trains: a multilayer perceptron, on a convolutional torso where observations are images."""

from __future__ import annotations

from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.conv import ConvLayout, Torso
from tuner.networks.heads import QHead
from tuner.networks.mlp import MLPLayout


def network_layout(encoder: Encoder, hyperparameters: DQNHyperparameters, n_actions: int) -> MLPLayout | ConvLayout:
    """Return where the parameters of a run's network lie."""
    outputs = QHead(n_actions, hyperparameters.dueling).n_outputs
    if encoder.image is None:
        return MLPLayout((encoder.input_size, *hyperparameters.net_arch, outputs))
    torso = Torso.for_image(encoder.image, encoder.scale, hyperparameters.cnn)
    return ConvLayout(torso, MLPLayout((torso.features, *hyperparameters.net_arch, outputs)))
