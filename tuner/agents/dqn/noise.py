r"""Noisy networks: exploration by noise on weights, whose size is learned (Fortunato et al. 2018).

A layer of p inputs and q units has weights :math:`\mu + \sigma \odot \varepsilon` and biases likewise, with factorised
Gaussian noise: of p + q independent standard normal numbers

.. math:: \varepsilon^w_{ij} = f(\epsilon_i) f(\epsilon_j), \quad \varepsilon^b_j = f(\epsilon_j), \quad
          f(x) = \mathrm{sgn}(x) \sqrt{|x|}.

Both :math:`\mu` (at first uniform in :math:`\pm 1/\sqrt{p}`) and :math:`\sigma` (at first :math:`\sigma_0/\sqrt{p}`)
are learned. Each environment step and each gradient step has noise of its own, in the latter one for the online and
one for the target network. Without noise, :math:`\sigma = 0`, it is the network that is evaluated and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.dqn.acting import acting_for
from tuner.agents.dqn.state import LearnerState
from tuner.core.generators import set_state, state_of
from tuner.networks.conv import ConvLayout
from tuner.networks.mlp import MLPLayout

Array = NDArray[Any]


@dataclass(frozen=True)
class NoisyLayout(MLPLayout):
    """A perceptron's row that ends with a sigma for each weight and bias, in the order of these.

    Attributes:
        sigma0: What sigma is at first, times the root of a layer's inputs.
    """

    sigma0: float = 0.5

    @property
    def n_parameters(self) -> int:
        """P, the length of a lane's row."""
        return super().n_parameters + self.n_linear

    def views(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return views as :meth:`MLPLayout.views` does, and then the sigmas of each layer's weight and bias."""
        return super().views(flat) + self.sigmas(flat)

    def sigmas(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return the sigmas of each layer's weight and bias."""
        return MLPLayout(self.sizes).views(flat[:, self.n_parameters - self.n_linear :])

    def initial(self, rng: np.random.Generator) -> Array:
        """Return a fresh row ``[P]``."""
        row = super().initial(rng)
        for weight, bias in self.sigmas(row[None]):
            weight[...] = bias[...] = self.sigma0 / np.sqrt(weight.shape[1])
        return row

    def from_state_dict(self, named: Mapping[str, Array]) -> Array:
        """Return the row of a saved network, which has no noise."""
        row = super().from_state_dict(named)
        row[self.n_parameters - self.n_linear :] = 0
        return row


#: What a lane has a stream for.
_STREAMS = ("acting", "learning")


class LaneNoise:
    """See :class:`~tuner.agents.dqn.state.Perturbation`: the noise of K lanes, each drawn from streams of its own.

    Args:
        state: Whose networks are noisy.

    Attributes:
        layout: The networks'.
        online: ``[K, P]`` rows of the online networks as they act: with noise.
        sizes: Widths from the first noisy layer's inputs to the outputs.
        linear: Where noisy layers lie in a row.
        sigma: Where their sigmas lie.
        n_factors: F, the normally distributed numbers of a network's noise.
    """

    name = "noise"

    def __init__(self, state: LearnerState) -> None:
        self.layout = state.layout
        self.online = state.zeros()
        self._state = state
        head: Any = self.layout.head if isinstance(self.layout, ConvLayout) else self.layout
        self._head = head
        before = self.layout.n_parameters - head.n_parameters
        self.linear = slice(before, before + head.n_linear)
        self.sigma = slice(self.layout.n_parameters - head.n_linear, self.layout.n_parameters)
        self.sizes: tuple[int, ...] = head.sizes
        self._plain = MLPLayout(head.sizes)
        self.n_factors = sum(fan_in + 1 + fan_out for fan_in, fan_out in self._plain.layers)
        lanes = len(state.learning_rate)
        self._streams: list[tuple[np.random.Generator, ...]] = [()] * lanes
        #: What is on each lane's weights as it acts: ``[K, 1, F]`` normally distributed numbers.
        self.acting = np.zeros((lanes, 1, self.n_factors))

    def online_here(self) -> Array:
        """Return :attr:`online`, which is an array where what acts asks for it."""
        online: Array = self.online
        return online

    def start(self, lane: int, seed: int) -> None:
        """Begin a new run with streams of its own."""
        self._streams[lane] = tuple(seeding.stream(seed, f"{name} noise") for name in _STREAMS)

    def exploring(self) -> NoisyActing:
        """Return what acts in environment steps."""
        return NoisyActing(self)

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return where a lane's streams stand."""
        return {name: np.array(state_of(stream)) for name, stream in self._named(lane).items()}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        for name, stream in self._named(lane).items():
            set_state(stream, str(saved[name]))

    def act(self, lanes: slice) -> None:
        """Draw the noise of an environment step."""
        for lane in range(lanes.start, lanes.stop):
            self._streams[lane][0].standard_normal(out=self.acting[lane])

    def show(self, lanes: slice) -> None:
        """Put the noise of an environment step on the networks; they are in :attr:`online` then."""
        self.online[lanes] = self.shown(self._state.online[lanes], self._products(self.acting[lanes])[0])

    def draw(self, lanes: slice) -> tuple[Array, Array]:
        """Return the noise ``[n, L]`` of a gradient step: the online network's and the target network's."""
        normal = np.empty((lanes.stop - lanes.start, 2, self.n_factors))
        for i, lane in enumerate(range(lanes.start, lanes.stop)):
            self._streams[lane][1].standard_normal(out=normal[i])
        online, target = self._products(normal)
        return online, target

    def draw_ahead(self, lane: int, steps: int) -> Array:
        """Return what :meth:`draw` draws in a lane's next gradient steps, before products: ``[steps, 2, F]``."""
        return self._streams[lane][1].standard_normal((steps, 2, self.n_factors))

    def shown(self, rows: Any, noise: Array) -> Any:
        """Return a copy of rows ``[n, P]`` with noise ``[n, L]`` on their layers."""
        shown = rows * 1  # arrays and tensors alike
        shown[:, self.linear] += rows[:, self.sigma] * self._state.like(noise)
        return shown

    def shown_views(self, views: list[tuple[Any, Any]], noise: Any) -> list[tuple[Any, Any]]:
        """Return views of rows as the layout returns them, with noise ``[n, L]`` on layers and without sigmas."""
        layers = len(self._plain.layers)
        first = len(views) - 2 * layers - len(self._head.normalized)
        noisy = [
            tuple(mean + sigma * part for mean, sigma, part in zip(*parts, strict=True))
            for parts in zip(views[first : first + layers], views[-layers:], self._plain.views(noise), strict=True)
        ]
        return [*views[:first], *noisy, *views[first + layers : -layers]]

    def chain(self, gradient: Array, noise: Array) -> None:
        """Complete a gradient ``[n, P]`` by that of the sigmas: the layers' own, times the noise."""
        np.multiply(gradient[:, self.linear], noise, out=gradient[:, self.sigma])

    def _products(self, normal: Array) -> Array:
        """Return the noise ``[count, n, L]`` of normally distributed numbers ``[n, count, F]``."""
        n, count, _ = normal.shape
        factors = np.copysign(np.sqrt(np.abs(normal)), normal).astype(self._state.dtype)
        found = np.empty((n, count, self._plain.n_parameters), self._state.dtype)
        at = begin = 0
        for fan_in, fan_out in self._plain.layers:
            middle, end = at + fan_in + 1, at + fan_in + 1 + fan_out
            factors[..., middle - 1] = 1  # a bias has the noise of its unit
            stop = begin + (fan_in + 1) * fan_out
            part = found[..., begin:stop].reshape(n, count, fan_in + 1, fan_out)
            np.multiply(factors[..., at:middle, None], factors[..., None, middle:end], out=part)
            at, begin = end, stop
        return found.transpose(1, 0, 2)

    def _named(self, lane: int) -> dict[str, np.random.Generator]:
        return dict(zip(_STREAMS, self._streams[lane], strict=True))


class NoisyActing:
    """See :class:`~tuner.agents.dqn.acting.Acting`: networks with the noise of an environment step.

    Args:
        noise: It has rows, and where their parts lie, as the state has.
    """

    def __init__(self, noise: LaneNoise) -> None:
        shown: Any = noise
        self._noise, self._acting = noise, acting_for(shown, changing=True)

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        self._noise.show(lanes)
        return self._acting.outputs(lanes, inputs)

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """See :class:`~tuner.agents.dqn.acting.Acting`: without noise."""
        return self._acting.frozen(networks)
