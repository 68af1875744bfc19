"""Compiled quantile regression (Dabney et al. 2018): only the quantiles of actions that count are computed.

A network's last layer has N quantiles of each of A actions. Which action is best is told by their means, which one
product with the mean weights gives; then only that action's N quantiles are computed, the rows of a minibatch grouped
by action, so that products stay products. The way back is the same for the action taken. With a dueling head the
weights of an action's quantiles are sums of the layer's own, so nothing else knows of it.

The loss meets each quantile with each target: a vector of quantiles with one target at a time, all sums in registers,
takes less time than sorting does, up to a hundred quantiles and more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.kernels import Layers
from tuner.agents.dqn.products import FAST, NEW, VECTOR, call_whole, inner, product, unsigned
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
        sums: Flat ``[4, Q]``: of one row's slopes and losses, see :func:`_pairs_of`.
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
        "valued": values, "ahead": 0, "targets": head.quantiles, "sums": 4 * padded,
    }  # fmt: skip
    return Quantiles(
        n_actions=head.n_actions, quantiles=head.quantiles, padded=padded, dueling=head.dueling,
        **{name: np.zeros(n, np.int64) for name, n in whole.items()},
        **{name: np.zeros(n, dtype) for name, n in numbers.items()},
    )  # fmt: skip


@inner()
def last_layer(network, inputs):
    """Return what the last layer sees, flat ``[rows, H + 1]``: the inputs where nothing is hidden."""
    layers = len(network.sizes) - 1
    return inputs if layers == 1 else network.hidden[network.hidden_at[layers - 2] :]


@inner(fastmath=FAST)
def by_action(head, parameters, network, weights, means):
    """Write a network's last layer by action, and its means over quantiles."""
    call_whole()
    across, width, padded = network.sizes[-2] + 1, network.sizes[-1], head.padded
    n_actions, number = head.n_actions, weights.dtype.type
    first = 1 if head.dueling else 0
    step, count = unsigned(n_actions + first), unsigned(head.quantiles)
    for i in range(across):
        line = unsigned(network.linear - (across - i) * width)
        for a in range(n_actions):
            there, here = unsigned((a * across + i) * padded), line + unsigned(first + a)
            for n in range(count):
                weights[there + n] = parameters[here + n * step]
        if head.dueling:
            for n in range(count):
                base = number(0)
                for a in range(unsigned(n_actions)):
                    base += parameters[line + n * step + unsigned(1) + a]
                base = parameters[line + n * step] - base / number(n_actions)
                for a in range(n_actions):
                    weights[unsigned((a * across + i) * padded) + n] += base
        for a in range(n_actions):
            there, total = unsigned((a * across + i) * padded), number(0)
            for n in range(count):
                total += weights[there + n]
            means[i * n_actions + a] = total / number(head.quantiles)


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


def _pairs_of(vectors: int) -> Any:
    """Return a function that meets ``vectors * VECTOR`` quantiles theta, a block of a row, with all targets y.

    With ``u = y - theta`` and its clipped value c, which is the slope of the loss, it writes four sums over the targets
    for each quantile: of c, of c where u is positive, of the loss ``c (u - c / 2)``, and of that where u is positive.
    """

    @intrinsic
    def pairs(typingctx, thetas, begin, block, targets, count, bound, sums, step):
        def codegen(context, builder, signature, arguments):
            thetas, begin, block, targets, count, bound, sums, step = arguments
            kinds = signature.args[0], signature.args[3], signature.args[6]
            theta_at, target_at, sums_at = (
                context.make_array(kind)(context, builder, array).data
                for kind, array in zip(kinds, (thetas, targets, sums), strict=True)
            )
            number, whole = context.get_value_type(kinds[0].dtype), ir.IntType(64)
            size, vector = kinds[0].dtype.bitwidth // 8, ir.VectorType(number, VECTOR)
            name = f"llvm.fmuladd.v{VECTOR}f{kinds[0].dtype.bitwidth}"
            found = builder.module.globals.get(name)
            fused = found or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)

            def spread(value):
                single = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
                )
                return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), None))

            def greater(a, b):
                return builder.select(builder.fcmp_ordered(">", a, b), a, b)

            def lesser(a, b):
                return builder.select(builder.fcmp_ordered("<", a, b), a, b)

            def vector_at(start, index, v):
                place = builder.add(index, ir.Constant(whole, VECTOR * v))
                return builder.bitcast(builder.gep(start, [place]), vector.as_pointer())

            here = builder.add(begin, block)
            own = [builder.load(vector_at(theta_at, here, v), align=size) for v in range(vectors)]
            most = spread(bound)
            least, zero, half = builder.fneg(most), ir.Constant(vector, None), ir.Constant(vector, [-0.5] * VECTOR)
            before = builder.block
            body, after = builder.append_basic_block("targets"), builder.append_basic_block("done")
            builder.branch(body)  # there is at least one
            builder.position_at_end(body)
            at = builder.phi(whole)
            at.add_incoming(ir.Constant(whole, 0), before)
            totals = [[builder.phi(vector) for _ in range(4)] for _ in range(vectors)]
            target = spread(builder.load(builder.gep(target_at, [at]), align=size))
            for theta, (slope, slope_above, loss, loss_above) in zip(own, totals, strict=True):
                error = builder.fsub(target, theta)
                clipped = lesser(greater(error, least), most)
                above, rest = greater(clipped, zero), builder.call(fused, [clipped, half, error])
                grown = [
                    builder.fadd(slope, clipped), builder.fadd(slope_above, above),
                    builder.call(fused, [clipped, rest, loss]), builder.call(fused, [above, rest, loss_above]),
                ]  # fmt: skip
                for total, more in zip((slope, slope_above, loss, loss_above), grown, strict=True):
                    total.add_incoming(zero, before)
                    total.add_incoming(more, body)
            following = builder.add(at, ir.Constant(whole, 1))
            at.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, count), body, after)
            builder.position_at_end(after)
            for v, sums_of in enumerate(totals):
                for k, total in enumerate(sums_of):
                    more = next(value for value, origin in total.incomings if origin is body)
                    there = builder.add(block, builder.mul(step, ir.Constant(whole, k)))
                    builder.store(more, vector_at(sums_at, there, v), align=size)
            return context.get_dummy_value()

        i8 = types.int64
        return types.void(thetas, i8, i8, targets, i8, thetas.dtype, sums, i8), codegen

    return pairs


_pairs_2, _pairs_1 = _pairs_of(2), _pairs_of(1)


@inner(fastmath=FAST)
def regress(head, place, ahead, reward, discount, share, huber):
    """Return (loss, mean) of the quantiles at a place; the gradient on them takes theirs.

    Args:
        head: :class:`Quantiles`.
        place: Among the groups.
        ahead: Where in ``head.ahead`` the next state's quantiles are.
        reward: What the transition brought.
        discount: Of the next state.
        share: Of this row in the gradient: one by batch size.
        huber: Whether the loss is Huber's, else the square.
    """
    call_whole()
    n, padded, made, targets, sums = head.quantiles, head.padded, head.made, head.targets, head.sums
    number, at, block = targets.dtype.type, place * padded, np.int64(0)
    following, there = head.ahead, unsigned(ahead * n)
    for j in range(unsigned(n)):
        targets[j] = reward + discount * following[there + j]
    # The square is twice a Huber loss whose slope has no bound.
    bound, scale = number(1) if huber else number(np.inf), number(1.0 if huber else 2.0) / number(n)
    while block < padded:
        if block + 2 * VECTOR <= padded:
            _pairs_2(made, at, block, targets, n, bound, sums, padded)
            block += 2 * VECTOR
        else:
            _pairs_1(made, at, block, targets, n, bound, sums, padded)
            block += VECTOR
    loss, mean, part = number(0), number(0), number(share) * scale
    first, above = unsigned(at), unsigned(padded)
    loss_at, loss_above = above + above, above + above + above
    for i in range(unsigned(n)):
        level = (number(i) + number(0.5)) / number(n)
        rest = number(1) - level
        mean += made[first + i]
        loss += rest * (sums[loss_at + i] - sums[loss_above + i]) + level * sums[loss_above + i]
        made[first + i] = -part * (rest * (sums[i] - sums[above + i]) + level * sums[above + i])
    for i in range(n, padded):
        made[at + i] = number(0)
    return loss * scale, mean / number(n)


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
    step, count = unsigned(n_actions + first), unsigned(head.quantiles)
    for i in range(across):
        line = unsigned(network.linear - (across - i) * width)
        for a in range(n_actions):
            there, here = unsigned((a * across + i) * padded), line + unsigned(first + a)
            for n in range(count):
                gradient[here + n * step] = slopes[there + n]
        if head.dueling:
            for n in range(count):
                here, total = line + n * step, number(0)
                for a in range(unsigned(n_actions)):
                    total += gradient[here + unsigned(1) + a]
                gradient[here] = total
                for a in range(unsigned(n_actions)):
                    gradient[here + unsigned(1) + a] -= total / number(n_actions)
