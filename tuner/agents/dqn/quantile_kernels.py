"""Compiled quantile regression (Dabney et al. 2018): only the quantiles of actions that count are computed.

A network's last layer has N quantiles of each of A actions. Which action is best is told by their means, which one
product with the mean weights gives; then only that action's N quantiles are computed, the rows of a minibatch grouped
by action, so that products stay products. The way back is the same for the action taken. With a dueling head the
weights of an action's quantiles are sums of the layer's own, so nothing else knows of it.

The loss meets each quantile with each target, see :mod:`tuner.agents.dqn.quantile_pairs`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.kernels import Layers
from tuner.agents.dqn.products import FAST, NEW, VECTOR, call_whole, exchange_of, inner, product, unsigned
from tuner.agents.dqn.quantile_pairs import pairs_1, pairs_2
from tuner.networks.heads import QHead

Array = NDArray[Any]


class Quantiles(NamedTuple):
    """A last layer by action, and room for what some rows make of it; H is the width below, Q ``padded``.

    Attributes:
        n_actions: A.
        quantiles: N.
        padded: N in whole vectors.
        dueling: Whether each quantile's outputs are ``[V, A_0, A_1, ...]``.
        weights: Flat ``[A, H + 1, Q]``: the online network's.
        means: Flat ``[H + 1, A]``: their means over quantiles.
        target_weights: As ``weights``, the target network's.
        target_means: As ``means``.
        slopes: As ``weights``: the gradient.
        begins: ``[A + 1]`` where the rows of each action begin, grouped by action.
        order: ``[rows]`` the row at each place of the groups.
        best: ``[rows]`` each row's best action.
        log_pi: Flat ``[rows, A]``: log-probabilities of a softmax policy.
        grouped: Flat ``[rows, H + 1]``: what the last layer sees of them, by groups.
        made: Flat ``[rows, Q]``: quantiles, by groups, then the gradient on them.
        below: Flat ``[rows, H + 1]``: the gradient on what the last layer sees, by groups.
        valued: Flat ``[rows, Q]``: one action's quantiles.
        ahead: Flat ``[n, N]``: the same, of a call's n transitions, or of a gradient step's rows.
        targets: ``[N]`` of one row.
        levels: Flat ``[3, Q]``: each quantile's level, one minus that, and 1; all 0 from N on.
        sums: Flat ``[2, VECTOR]``: of one row's losses and quantiles, see :func:`pairs_of`.
    """

    n_actions: int
    quantiles: int
    padded: int
    dueling: bool
    weights: Array
    means: Array
    target_weights: Array
    target_means: Array
    slopes: Array
    begins: Array
    order: Array
    best: Array
    log_pi: Array
    grouped: Array
    made: Array
    below: Array
    valued: Array
    ahead: Array
    targets: Array
    levels: Array
    sums: Array


def quantiles_of(head: QHead, network: Layers, rows: int, dtype: DTypeLike) -> Quantiles | None:
    """Return room for a head's quantiles; None where it has none."""
    if head.quantiles == 1:
        return None
    across, padded = int(network.sizes[-2]) + 1, -(-head.quantiles // VECTOR) * VECTOR
    table, means, values = head.n_actions * across * padded, head.n_actions * across, rows * padded
    whole = {"begins": head.n_actions + 1, "order": rows, "best": rows}
    numbers = {
        "weights": table, "means": means, "target_weights": table, "target_means": means, "slopes": table,
        "log_pi": rows * head.n_actions, "grouped": rows * across, "below": rows * across, "made": values,
        "valued": values, "ahead": 0, "targets": head.quantiles, "sums": 2 * VECTOR,
    }  # fmt: skip
    levels = np.zeros((3, padded), dtype)
    levels[0, : head.quantiles] = (np.arange(head.quantiles) + 0.5) / head.quantiles
    levels[1:, : head.quantiles] = 1 - levels[0, : head.quantiles], np.ones(head.quantiles)
    return Quantiles(
        n_actions=head.n_actions, quantiles=head.quantiles, padded=padded, dueling=head.dueling,
        levels=levels.reshape(-1),
        **{name: np.zeros(n, np.int64) for name, n in whole.items()},
        **{name: np.zeros(n, dtype) for name, n in numbers.items()},
    )  # fmt: skip


@inner()
def last_layer(network, inputs):
    """Return what the last layer sees, flat ``[rows, H + 1]``: the inputs where nothing is hidden."""
    layers = len(network.sizes) - 1
    return inputs if layers == 1 else network.hidden[network.hidden_at[layers - 2] :]


_apart_2, _apart_3, _apart_4 = (exchange_of(actions, False) for actions in (2, 3, 4))
_together_2, _together_3, _together_4 = (exchange_of(actions, True) for actions in (2, 3, 4))


@inner(fastmath=FAST)
def by_action(head, parameters, network, weights, means, with_means):
    """Write a network's last layer by action, and its means over quantiles where they are asked for."""
    call_whole()
    across, width, padded = network.sizes[-2] + 1, network.sizes[-1], head.padded
    n_actions, number = head.n_actions, weights.dtype.type
    first = 1 if head.dueling else 0
    step, count, apart = unsigned(n_actions + first), unsigned(head.quantiles), unsigned(across * padded)
    for i in range(across):
        line, there = unsigned(network.linear - (across - i) * width), unsigned(i * padded)
        begin = np.int64(0)
        while begin + VECTOR <= head.quantiles and 2 <= step <= 4 and not head.dueling:
            here, to = line + begin * n_actions, there + begin
            if step == 2:
                _apart_2(parameters, here, weights, to, apart)
            elif step == 3:
                _apart_3(parameters, here, weights, to, apart)
            else:
                _apart_4(parameters, here, weights, to, apart)
            begin += VECTOR
        for a in range(unsigned(n_actions)):
            for n in range(unsigned(begin), count):
                weights[there + a * apart + n] = parameters[line + unsigned(first) + a + n * step]
        if head.dueling:
            for n in range(count):
                base = number(0)
                for a in range(unsigned(n_actions)):
                    base += parameters[line + n * step + unsigned(1) + a]
                base = parameters[line + n * step] - base / number(n_actions)
                for a in range(unsigned(n_actions)):
                    weights[there + a * apart + n] += base
        if with_means:
            for a in range(unsigned(n_actions)):
                total = number(0)
                for n in range(count):
                    total += weights[there + a * apart + n]
                means[unsigned(i * n_actions) + a] = total / number(head.quantiles)


@inner()
def mean_values(head, network, inputs, means, rows, outputs, panel):
    """Write Q-values, flat ``[rows, A]``, of rows that have gone through the hidden layers."""
    one, across, n_actions = np.int64(1), network.sizes[-2] + 1, head.n_actions
    product(last_layer(network, inputs), across, one, means, n_actions, one, outputs, n_actions, rows, n_actions,
            across, panel, NEW)  # fmt: skip


@inner(fastmath=FAST)
def quantiles_taken(head, network, inputs, weights, rows, chosen, panel):
    """Write the quantiles of each row's action ``chosen``, by groups, to ``head.made``."""
    call_whole()
    one, across, padded, seen = np.int64(1), network.sizes[-2] + 1, head.padded, last_layer(network, inputs)
    grouped = head.grouped
    for a in range(head.n_actions + 1):
        head.begins[a] = 0
    for row in range(rows):
        head.begins[chosen[row] + 1] += 1
    for a in range(head.n_actions):
        head.begins[a + 1] += head.begins[a]
    for row in range(rows - 1, -1, -1):  # ends become begins
        a = chosen[row] + 1
        head.begins[a] -= 1
        place = head.begins[a]
        head.order[place] = row
        there, here = unsigned(place * across), unsigned(row * across)
        for i in range(unsigned(across)):
            grouped[there + i] = seen[here + i]
    for a in range(head.n_actions):
        head.begins[a] = head.begins[a + 1]
    head.begins[head.n_actions] = rows
    for a in range(head.n_actions):
        first, count = head.begins[a], head.begins[a + 1] - head.begins[a]
        if count > 0:
            product(head.grouped[first * across :], across, one, weights[a * across * padded :], padded, one,
                    head.made[first * padded :], padded, count, padded, across, panel, NEW)  # fmt: skip


@inner(fastmath=FAST)
def soft_quantiles(head, network, inputs, policy, rows, temperature, panel):
    """Write each next state's quantiles under the softmax policy of some Q-values, see ``core/munchausen.py``.

    They are the target network's, all rows one group; ``policy`` is flat ``[rows, A]``.
    """
    call_whole()
    one, across, padded, seen = np.int64(1), network.sizes[-2] + 1, head.padded, last_layer(network, inputs)
    number, n_actions = policy.dtype.type, head.n_actions
    for i in range(rows * padded):
        head.made[i] = number(0)
    for row in range(rows):
        head.order[row] = row
        q_values, log_pi = policy[row * n_actions : (row + 1) * n_actions], head.log_pi[row * n_actions :]
        best, total = q_values[0], number(0)
        for a in range(1, n_actions):
            best = max(best, q_values[a])
        for a in range(n_actions):
            log_pi[a] = (q_values[a] - best) / temperature
            total += np.exp(log_pi[a])
        total = np.log(total)
        for a in range(n_actions):
            log_pi[a] -= total
    for a in range(n_actions):
        product(seen, across, one, head.target_weights[a * across * padded :], padded, one, head.valued, padded, rows,
                padded, across, panel, NEW)  # fmt: skip
        for row in range(rows):
            share, cost = np.exp(head.log_pi[row * n_actions + a]), temperature * head.log_pi[row * n_actions + a]
            for i in range(row * padded, (row + 1) * padded):
                head.made[i] += share * (head.valued[i] - cost)


@inner()
def keep(head, rows, places):
    """Copy the quantiles of each row to its place of ``head.ahead``."""
    kept, made = head.ahead, head.made
    for place in range(rows):
        there, here = unsigned(places[head.order[place]] * head.quantiles), unsigned(place * head.padded)
        for n in range(unsigned(head.quantiles)):
            kept[there + n] = made[here + n]


@inner(fastmath=FAST)
def regress(head, rows, ahead, rewards, discounts, share, huber):
    """Return the sums of (loss, mean) of the quantiles of some rows; the gradient on them takes their place.

    Args:
        head: :class:`Quantiles`, the rows in their groups.
        rows: How many.
        ahead: ``[rows]`` where in ``head.ahead`` each row's next state is.
        rewards: ``[rows]`` what each transition brought.
        discounts: ``[rows]`` of the next states.
        share: Of a row in the gradient: one by batch size.
        huber: Whether the loss is Huber's, else the square.
    """
    call_whole()
    n, padded, made, targets, sums = head.quantiles, head.padded, head.made, head.targets, head.sums
    number, following = targets.dtype.type, head.ahead
    # The square is twice a Huber loss whose slope has no bound.
    bound, scale = number(1) if huber else number(np.inf), number(1.0 if huber else 2.0) / number(n)
    part, losses, means = number(share) * scale, number(0), number(0)
    for place in range(rows):
        row = head.order[place]
        at, there, block = place * padded, unsigned(ahead[row] * n), np.int64(0)
        reward, discount = rewards[row], discounts[row]
        for j in range(unsigned(n)):
            targets[j] = reward + discount * following[there + j]
        for j in range(2 * VECTOR):
            sums[j] = number(0)
        while block < padded:
            if block + 2 * VECTOR <= padded:
                pairs_2(made, at, block, targets, n, bound, head.levels, padded, part, sums)
                block += 2 * VECTOR
            else:
                pairs_1(made, at, block, targets, n, bound, head.levels, padded, part, sums)
                block += VECTOR
        loss, mean = number(0), number(0)
        for i in range(VECTOR):
            loss += sums[i]
            mean += sums[VECTOR + i]
        losses += loss * scale
        means += mean / number(n)
    return losses, means


@inner(fastmath=FAST)
def backward_quantiles(head, network, gradient, rows, delta, panel):
    """Write the gradient of the last layer, and that on what it sees, flat ``[rows, H]``, from ``head.made``."""
    call_whole()
    one, across, padded, number = np.int64(1), network.sizes[-2] + 1, head.padded, gradient.dtype.type
    fan_in, hidden, below = across - 1, len(network.sizes) > 2, head.below
    for a in range(head.n_actions):
        first, count, at = head.begins[a], head.begins[a + 1] - head.begins[a], a * across * padded
        if count > 0:
            product(head.grouped[first * across :], one, across, head.made[first * padded :], padded, one,
                    head.slopes[at:], padded, across, padded, count, panel, NEW)  # fmt: skip
            if hidden:
                product(head.made[first * padded :], padded, one, head.weights[at:], one, padded,
                        head.below[first * fan_in :], fan_in, count, fan_in, padded, panel, NEW)  # fmt: skip
        else:
            for i in range(at, at + across * padded):
                head.slopes[i] = number(0)
    if hidden:
        for place in range(rows):
            there, here = unsigned(head.order[place] * fan_in), unsigned(place * fan_in)
            for i in range(unsigned(fan_in)):
                delta[there + i] = below[here + i]
    by_output(head, network, gradient)


@inner(fastmath=FAST)
def by_output(head, network, gradient):
    """Write the gradient by action where the last layer's parameters lie, the other way of :func:`by_action`."""
    call_whole()
    across, width, padded = network.sizes[-2] + 1, network.sizes[-1], head.padded
    n_actions, number, slopes = head.n_actions, gradient.dtype.type, head.slopes
    first = 1 if head.dueling else 0
    step, count, apart = unsigned(n_actions + first), unsigned(head.quantiles), unsigned(across * padded)
    for i in range(across):
        line, there = unsigned(network.linear - (across - i) * width), unsigned(i * padded)
        begin = np.int64(0)
        while begin + VECTOR <= head.quantiles and 2 <= step <= 4 and not head.dueling:
            here, to = there + begin, line + begin * n_actions
            if step == 2:
                _together_2(slopes, here, gradient, to, apart)
            elif step == 3:
                _together_3(slopes, here, gradient, to, apart)
            else:
                _together_4(slopes, here, gradient, to, apart)
            begin += VECTOR
        for n in range(unsigned(begin), count):
            for a in range(unsigned(n_actions)):
                gradient[line + n * step + unsigned(first) + a] = slopes[there + a * apart + n]
        if head.dueling:
            for n in range(count):
                here, total = line + n * step, number(0)
                for a in range(unsigned(n_actions)):
                    total += gradient[here + unsigned(1) + a]
                gradient[here] = total
                for a in range(unsigned(n_actions)):
                    gradient[here + unsigned(1) + a] -= total / number(n_actions)
