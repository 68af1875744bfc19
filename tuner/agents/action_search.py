"""The best of many actions where there are infinitely many: uniform samples, or the cross-entropy method.

Uniform: the best of M actions drawn from the whole box (Quillen et al. 2018). Cross-entropy (Rubinstein and Kroese
2004; QT-Opt, Kalashnikov et al. 2018): the best of them shape a normal distribution, which the next M are drawn from,
and so on. Actions are on a scale from -1 to 1 in each dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Values ``[N, M]`` of actions ``[N, M, dimensions]``, of each of N states.
Values = Callable[[Array], Array]

#: Deviation that a distribution keeps at least: one that has collapsed would draw the same action again and again.
LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class ActionSearch:
    """How the best action is looked for.

    Attributes:
        samples: M, actions drawn in each round, >= 1.
        rounds: 1 for uniform samples alone, more for the cross-entropy method.
        elites: How many of a round shape the next one's distribution, between 1 and ``samples``.
        dimensions: Numbers of an action.
    """

    samples: int
    rounds: int
    elites: int
    dimensions: int

    def draws(self, rng: np.random.Generator, states: int) -> Array:
        """Return the randomness of a search in ``states`` states: ``[rounds, states, samples, dimensions]`` float32.

        The first round's numbers are actions, uniform in [-1, 1]; those of the others are standard normal.
        """
        shape = (states, self.samples, self.dimensions)
        first = rng.random(shape, np.float32) * 2 - 1
        return np.stack([first, *(rng.standard_normal(shape, np.float32) for _ in range(self.rounds - 1))])

    def best(self, values: Values, draws: Array, states: int) -> tuple[Array, Array]:
        """Return (the best action that was tried ``[N, dimensions]``, its value ``[N]``) in each state.

        Args:
            values: What is to be maximised.
            draws: From :meth:`draws`, of as many states or of one, for all of them.
            states: N.
        """
        each = np.arange(states)
        actions = np.broadcast_to(draws[0], (states, *draws.shape[2:]))
        found = values(actions)  # [N, M]
        place = found.argmax(axis=1)
        best, value = actions[each, place], found[each, place]
        for noise in draws[1:]:
            top = np.argpartition(found, -self.elites, axis=1)[:, -self.elites :]  # [N, elites], in no order
            elite = np.take_along_axis(actions, top[..., None], axis=1)
            mean = elite.mean(axis=1, keepdims=True)
            deviation = np.maximum(elite.std(axis=1, keepdims=True), np.float32(LEAST_DEVIATION))
            actions = np.clip(mean + deviation * noise, -1, 1)
            found = values(actions)
            place = found.argmax(axis=1)
            better = found[each, place] > value
            best = np.where(better[:, None], actions[each, place], best)
            value = np.where(better, found[each, place], value)
        return best, value
