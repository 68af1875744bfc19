"""What gradient steps change, for all lanes, as plain arrays that NumPy and torch can share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.hyperparameters import DQNHyperparameters, field_infos
from tuner.networks.conv import ConvLayout
from tuner.networks.mlp import MLPLayout

Array = NDArray[Any]

#: What a lane has of its own, by row.
_OWN = ("online", "target", "first_moment", "second_moment")


#: Fields that are a number of a lane's own, which an update may read.
NUMBERS = tuple(i.name for i in field_infos(DQNHyperparameters).values() if i.kind == "float" and i.scope == "lane")


class Perturbation(Protocol):
    """What passes put on the weights of K lanes' networks, drawn anew for each environment step and gradient step."""

    name: str
    """What snapshots call it."""

    def start(self, lane: int, seed: int) -> None:
        """Begin a new run with streams of its own."""
        ...

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return where a lane's streams stand."""
        ...

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        ...

    def act(self, lanes: slice) -> None:
        """Draw for an environment step."""
        ...

    def exploring(self) -> Any:
        """Return the :class:`~tuner.agents.dqn.acting.Acting` of environment steps."""
        ...

    def draw(self, lanes: slice) -> tuple[Array, Array]:
        """Draw for a gradient step; return what the online and the target networks get, ``[n, L]``."""
        ...

    def shown(self, rows: Any, drawn: Array) -> Any:
        """Return a copy of rows ``[n, P]`` as passes see them."""
        ...

    def shown_views(self, views: list[tuple[Any, Any]], drawn: Any) -> list[tuple[Any, Any]]:
        """Return the views that a layout returns of rows, as passes see them."""
        ...

    def chain(self, gradient: Array, drawn: Array) -> None:
        """Complete the gradient ``[n, P]`` on what a pass has seen to that on the rows themselves."""
        ...


class LearnerState:
    """Parameters, target parameters, optimizer moments and per-lane step sizes of K lanes.

    Attributes:
        layout: Network layout, the same for all lanes.
        online: ``[K, P]`` parameters.
        target: ``[K, P]`` target network.
        first_moment: ``[K, P]`` Adam's running sum of the gradient (unused by RMSprop).
        second_moment: ``[K, P]`` running sum (Adam) or mean (RMSprop) of the squared gradient.
        beta_powers: ``[2, K]`` Adam's two decay rates to the power of the gradient steps taken.
        learning_rate: ``[K]``.
        max_grad_norm: ``[K]``.
        tau: ``[K]`` share taken over by a target update.
        perturbation: What each pass puts on the networks' weights; None where nothing does.
        numbers: Field name to ``[K]``: every hyperparameter that is a number and a lane's own.
    """

    def __init__(self, layout: MLPLayout | ConvLayout, lanes: int, dtype: DTypeLike = np.float32) -> None:
        self.layout: Any = layout
        self.dtype = np.dtype(dtype)
        shape = (lanes, layout.n_parameters)
        self.online = self._zeros(shape)
        self.target = self._zeros(shape)
        self.first_moment = self._zeros(shape)
        self.second_moment = self._zeros(shape)
        self.beta_powers = np.ones((2, lanes))
        self.learning_rate = np.zeros(lanes)
        self.max_grad_norm = np.ones(lanes)
        self.tau = np.ones(lanes)
        self.perturbation: Perturbation | None = None
        self.numbers = {name: np.ones(lanes) for name in NUMBERS}

    def start(self, lane: int, hyperparameters: DQNHyperparameters, rng: np.random.Generator) -> None:
        """Give a lane a fresh network, optimizer and step count."""
        self._put("online", lane, self.layout.initial(rng))
        self.target[lane] = self.online[lane]
        self.first_moment[lane] = 0
        self.second_moment[lane] = 0
        self.beta_powers[:, lane] = 1
        self.learning_rate[lane] = hyperparameters.learning_rate
        self.max_grad_norm[lane] = hyperparameters.max_grad_norm
        self.tau[lane] = hyperparameters.tau
        for name, values in self.numbers.items():
            values[lane] = getattr(hyperparameters, name)

    def row(self, name: str, lane: int) -> Array:
        """Return a lane's row of an attribute; a view, to be used before the lane changes."""
        values: Array = getattr(self, name)[lane]
        return values

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's networks and moments; views, to be used before the lane changes."""
        whole = {name: self.row(name, lane) for name in _OWN}
        return {**whole, "beta_powers": self.beta_powers[:, lane]}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        for name in _OWN:
            self._put(name, lane, saved[name])
        self.beta_powers[:, lane] = saved["beta_powers"]

    def update_target(self, lane: int, times: int = 1) -> None:
        """Move a lane's target network towards its online network: ``target += tau * (online - target)``.

        Args:
            lane: Lane number.
            times: How often an interval has passed since the last call; the online network did not change between.
        """
        tau = self.tau[lane]
        if tau == 1.0:
            self.target[lane] = self.online[lane]
            return
        for _ in range(times):
            self.target[lane] *= 1.0 - tau
            self.target[lane] += tau * self.online[lane]

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        return np.zeros(shape, self.dtype)

    def zeros(self) -> Any:
        """Return zeros of the networks' shape ``[K, P]``, where these are kept."""
        return self._zeros(tuple(self.online.shape))

    def online_changed(self) -> None:
        """Take note that gradient steps have changed online networks."""

    def online_here(self) -> Array:
        """Return the online networks ``[K, P]`` where actions are chosen: one array, to be read only."""
        online: Array = self.online
        return online

    def here(self, rows: Any) -> Array:
        """Return rows that are kept as the state's own as an array."""
        found: Array = rows
        return found

    def like(self, values: Array) -> Any:
        """Return values as rows are kept here."""
        return values

    def _put(self, name: str, lane: int, values: Array) -> None:
        getattr(self, name)[lane] = self.like(values)
