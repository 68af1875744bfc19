"""Hyperparameter optimization for Deep Q-learning: fast, honest, unkillable."""

__version__ = "0.1.0"
