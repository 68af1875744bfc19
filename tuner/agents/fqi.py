r"""Fitted Q-iteration (Ernst, Geurts and Wehenkel 2005): a batch of experience, and a regression in each iteration.

.. math:: y_i = r_i + \gamma (1 - \text{terminated}_i) \max_{a'} \hat Q_{k-1}(s'_i, a'), \qquad
          \hat Q_k = \text{fit}\{(s_i, a_i) \mapsto y_i\}, \qquad \hat Q_0 = 0

Actions enter the regression one-hot, so that any number of them works. Truncation bootstraps.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.offline_data import OfflineData
from tuner.hyperparameters import FQIHyperparameters
from tuner.optional import require

Array = NDArray[Any]

#: Largest target that is fitted: some regressors compute in the precision of their inputs.
LARGEST = float(np.finfo(np.float32).max)


class FittedQ:
    """Action values learned by regression.

    Args:
        data: The experience.
        n_actions: Number of actions.
        hyperparameters: Discount and regressor.
        seed: Of the regressor's own randomness.

    Attributes:
        targets: What the last regression was fitted to, ``[N]``; None before the first.
    """

    def __init__(self, data: OfflineData, n_actions: int, hyperparameters: FQIHyperparameters, seed: int) -> None:
        self._data, self._n_actions, self._hyperparameters, self._seed = data, n_actions, hyperparameters, seed
        self._inputs = features(data.observations, data.actions, n_actions)
        self._model: Any = None
        self.targets: Array | None = None

    def iterate(self) -> float:
        """Do one iteration and return how far targets have moved, mean absolute change.

        What has :attr:`diverged` is not fitted any more: no regressor takes it.
        """
        data = self._data
        following = self.q_values(data.next_observations).max(axis=1)
        targets = data.rewards + self._hyperparameters.gamma * np.where(data.terminated, 0.0, following)
        moved = float(np.abs(targets - (0.0 if self.targets is None else self.targets)).mean())
        self.targets = targets
        if not self.diverged:
            self._fit(targets)
        return moved

    @property
    def diverged(self) -> bool:
        """Whether a target is no number, or too large to be fitted."""
        return self.targets is not None and not bool((np.abs(self.targets) <= LARGEST).all())

    def _fit(self, targets: Array) -> None:
        self._model = make_regressor(self._hyperparameters, len(targets), self._seed)
        with warnings.catch_warnings():
            # A network that is told how many passes to take need not say that it could take more.
            warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
            self._model.fit(self._inputs, targets)

    def q_values(self, observations: Array) -> Array:
        """Return action values ``[..., n_actions]`` of network inputs ``[..., input_size]``; 0 before the first fit."""
        flat = observations.reshape(-1, observations.shape[-1])
        if self._model is None:
            return np.zeros((*observations.shape[:-1], self._n_actions))
        # One prediction for all actions: calling a regressor costs more than a few rows.
        rows = np.tile(flat, (self._n_actions, 1))
        actions = np.repeat(np.arange(self._n_actions), len(flat))
        values = self._predict(features(rows, actions, self._n_actions)).reshape(self._n_actions, len(flat))
        return np.asarray(values.T).reshape(*observations.shape[:-1], self._n_actions)

    def _predict(self, inputs: Array) -> Array:
        """Return the regressor's prediction of each input, [n, input_size + n_actions] to [n]."""
        if self._hyperparameters.regressor != "forest":
            return np.asarray(self._model.predict(inputs))
        # To the last bit what a forest's own predict gives, without a job for each tree: half of the experience may be
        # collected by asking for one observation at a time.
        trees = self._model.estimators_
        total = np.zeros(len(inputs))
        for tree in trees:
            total += tree.tree_.predict(inputs)[:, 0]
        return total / len(trees)

    def act(self, observations: Array) -> Array:
        """Return greedy action indices ``[...]`` (from 0; of equals the first)."""
        best: Array = self.q_values(observations).argmax(axis=-1)
        return best

    @classmethod
    def refitted(
        cls, data: OfflineData, targets: Array, n_actions: int, hyperparameters: FQIHyperparameters, seed: int
    ) -> FittedQ:
        """Return the action values that one fit to stored targets gives: a model kept as the data that made it."""
        found = cls(data, n_actions, hyperparameters, seed)
        found.targets = targets
        found._fit(targets)
        return found


def features(observations: Array, actions: Array, n_actions: int) -> Array:
    """Return regression inputs ``[N, input_size + n_actions]``: the observation, then the action one-hot."""
    return np.concatenate([observations, np.eye(n_actions, dtype=np.float32)[actions]], axis=1)


def load_sklearn() -> None:
    """Say what to install where scikit-learn is missing.

    Raises:
        MissingExtraError: It is.
    """
    require("sklearn", purpose="--algo fqi", extra="fqi")


def make_regressor(hyperparameters: FQIHyperparameters, n: int, seed: int) -> Any:
    """Return an untrained scikit-learn regressor for ``n`` rows; inputs are standardised where their scale matters."""
    load_sklearn()
    from sklearn import ensemble, linear_model, neighbors, neural_network, pipeline, preprocessing, tree

    h = hyperparameters
    if h.regressor == "tree":
        return tree.DecisionTreeRegressor(min_samples_leaf=h.min_samples_leaf, random_state=seed)
    if h.regressor == "forest":
        return ensemble.RandomForestRegressor(
            h.n_estimators, min_samples_leaf=h.min_samples_leaf, random_state=seed, n_jobs=1
        )
    if h.regressor == "boosting":
        return ensemble.HistGradientBoostingRegressor(
            max_iter=h.n_estimators, min_samples_leaf=h.min_samples_leaf, early_stopping=False, random_state=seed
        )
    scale = preprocessing.StandardScaler()
    if h.regressor == "knn":
        return pipeline.make_pipeline(scale, neighbors.KNeighborsRegressor(min(h.n_neighbors, n), n_jobs=1))
    if h.regressor == "linear":
        powers = preprocessing.PolynomialFeatures(h.degree, include_bias=False)
        # The solver is exact, draws nothing and bears one-hot columns, which add up to 1. Powers are scaled again:
        # they differ by orders of magnitude.
        ridge = linear_model.Ridge(h.ridge, solver="svd")
        return pipeline.make_pipeline(scale, powers, preprocessing.StandardScaler(), ridge)
    network = neural_network.MLPRegressor(
        hidden_layer_sizes=h.net_arch or (1,), learning_rate_init=h.learning_rate, max_iter=h.epochs,
        batch_size=min(256, n),  # scikit-learn cuts it itself, with a warning for each fit
        n_iter_no_change=h.epochs + 1, random_state=seed,
    )  # fmt: skip
    return pipeline.make_pipeline(scale, network)
