"""A compiled training call of one lane: all its gradient steps while its parameters stay in the cache."""

from __future__ import annotations

import numpy as np
from numba import njit

from tuner.agents.dqn.kernels import backward_hidden, backward_outputs, descend, forward
from tuner.agents.dqn.noise_kernels import chain, put_noise, take_factors
from tuner.agents.dqn.pictures import add_slopes, convolve, from_memory, give, use
from tuner.agents.dqn.products import FAST, call_whole, inner, unsigned
from tuner.agents.dqn.quantile_kernels import (
    backward_quantiles,
    by_action,
    keep,
    mean_values,
    quantiles_taken,
    regress,
    soft_quantiles,
)
from tuner.core.normalization import CLIP, VARIANCE_EPS


@inner()
def show(
    pictures, frames, memory, places, count, begin, size, width, inputs, mean, deviation, normalize, one_hot, panel
):  # fmt: skip
    """Write stored observations ``[count, width + 1]``, as the perceptron sees them, each with a trailing 1.

    All of them in one call: each call counts who holds its arrays.
    """
    call_whole()
    across, first = unsigned(width + 1), unsigned(begin)
    for row in range(count):
        place, at = unsigned(places[row]), unsigned(row) * across
        if pictures is not None:
            from_memory(pictures, frames, memory, places[row], begin)
            convolve(pictures, inputs[at:], panel)
            continue
        if one_hot:
            for i in range(unsigned(width)):
                inputs[at + i] = 0
            inputs[at + unsigned(memory[place, first])] = 1
        elif normalize:
            for i in range(unsigned(size)):
                shown = (memory[place, first + i] - mean[i]) / deviation[i]
                inputs[at + i] = np.float32(min(max(shown, -CLIP), CLIP))
        else:
            for i in range(unsigned(size)):
                inputs[at + i] = memory[place, first + i]
        inputs[at + unsigned(width)] = 1


@inner(fastmath=FAST)
def values(outputs, rows, n_outputs, dueling, chosen, result):
    """Write the Q-value of each row's action ``chosen``, or its best where that is negative."""
    for row in range(rows):
        at = row * n_outputs
        base, first = outputs.dtype.type(0), at
        if dueling:
            first = at + 1
            total = base
            for i in range(first, at + n_outputs):
                total += outputs[i]
            base = outputs[at] - total / outputs.dtype.type(n_outputs - 1)
        if chosen[row] >= 0:
            result[row] = outputs[first + chosen[row]] + base
        else:
            best = outputs[first]
            for i in range(first + 1, at + n_outputs):
                best = max(best, outputs[i])
            result[row] = best + base


@inner(fastmath=FAST)
def preferred(outputs, rows, n_outputs, dueling, chosen):
    """Write each row's best action."""
    for row in range(rows):
        first = row * n_outputs + (1 if dueling else 0)
        best = first
        for j in range(first + 1, (row + 1) * n_outputs):
            if outputs[j] > outputs[best]:
                best = j
        chosen[row] = best - first


@inner(fastmath=FAST)
def soften(outputs, policy, rows, n_outputs, dueling, temperature, result):
    """Write the value of each row under the softmax policy of other outputs, see ``core/munchausen.py``."""
    for row in range(rows):
        end = (row + 1) * n_outputs
        first = end - n_outputs + (1 if dueling else 0)
        best, total, base = policy[first], outputs.dtype.type(0), outputs.dtype.type(0)
        for i in range(first + 1, end):
            best = max(best, policy[i])
        for i in range(first, end):
            total += np.exp((policy[i] - best) / temperature)
        scale = np.log(total)
        if dueling:
            for i in range(first, end):
                base += outputs[i]
            base = outputs[first - 1] - base / outputs.dtype.type(n_outputs - 1)
        value = base
        for i in range(first, end):
            log_pi = (policy[i] - best) / temperature - scale
            value += np.exp(log_pi) * (outputs[i] - temperature * log_pi)
        result[row] = value


@inner(fastmath=FAST)
def bonus(policy, row, n_outputs, dueling, action, alpha, temperature, least):
    """Return what a softmax policy adds to the reward of a row's action, see ``core/munchausen.py``."""
    end = (row + 1) * n_outputs
    first = end - n_outputs + (1 if dueling else 0)
    best, total = policy[first], policy.dtype.type(0)
    for i in range(first + 1, end):
        best = max(best, policy[i])
    for i in range(first, end):
        total += np.exp((policy[i] - best) / temperature)
    log_pi = (policy[first + action] - best) / temperature - np.log(total)
    return alpha * max(temperature * log_pi, least)


@inner()
def value(
    network, quantiles, inputs, rows, outputs, policy, chosen, n_outputs, dueling, munchausen, temperature,
    next_values, panel,
):  # fmt: skip
    """Value next states that the target network has just looked at: by ``policy``, else by their actions ``chosen``.

    One number each to ``next_values``, or quantiles to ``quantiles.made``; where an action is negative, it is
    the best one.
    """
    if quantiles is None:
        if munchausen:
            soften(outputs, policy, rows, n_outputs, dueling, temperature, next_values)
        else:
            values(outputs, rows, n_outputs, dueling, chosen, next_values)
    elif munchausen:
        soft_quantiles(quantiles, network, inputs, policy, rows, temperature, panel)
    else:
        taken = chosen
        if chosen[0] < 0:
            taken = quantiles.best
            preferred(outputs, rows, n_outputs, dueling, taken)
        quantiles_taken(quantiles, network, inputs, quantiles.target_weights, rows, taken, panel)


@njit(cache=True, error_model="numpy", nogil=True)
def training_call(
    online, target, first, second, powers, learning_rate, max_norm, frames,
    memory, places, steps, batch, mean, variance, normalize, return_deviation, clip, returns,
    pictures, n_convolved, network, size, quantiles, noise,
    double_q, dueling, huber, adam, epsilon, one_hot, munchausen, alpha, temperature, least,
    inputs, following, outputs, delta_out, deltas, gradient, panel, chosen, none, next_values, taken_values,
    last, ahead, added, policy,
):  # fmt: skip
    """Do one training call of one lane; return (sum of mean losses, sum of mean Q-values) over its gradient steps.

    Where ``pictures``, ``quantiles`` or ``noise`` are None, there are none, and nothing of them is compiled.
    """
    width, n_outputs, nothing = network.sizes[0], network.sizes[-1], np.int64(0)
    number, across = online.dtype.type, width + 1
    half, deviation = number(0.5), np.sqrt(variance + VARIANCE_EPS)
    after = size + 1  # where the next observation begins
    behind, behind_target = online[n_convolved:], target[n_convolved:]  # the perceptron's parameters
    means, target_means, depth = behind, behind, len(network.sizes) - 1
    each_step = double_q  # whether each step values its own next states
    if noise is not None:
        behind, behind_target, each_step = noise.online, noise.target, True
    if quantiles is not None:
        n_outputs, means, target_means = quantiles.n_actions, quantiles.means, quantiles.target_means
        depth -= 1  # the last layer's outputs are replaced by the means of its quantiles
        if noise is None:
            by_action(quantiles, behind_target, network, quantiles.target_weights, target_means, True)
    if not each_step:
        # The target network stands still during a call: each transition drawn is valued once, many at a time.
        if pictures is not None:
            use(pictures, target)
        rows = len(next_values)
        for order in range(steps * batch):
            last[places[order]] = order
        count = nothing
        waiting, seen = np.empty(rows, np.int64), np.empty(rows, np.int64)
        for order in range(steps * batch):
            if last[places[order]] == order:
                waiting[count], seen[count] = order, places[order]
                count += 1
            if count == rows or (count > 0 and order == steps * batch - 1):
                show(pictures, frames, memory, seen, count, after, size, width, following, mean, deviation, normalize,
                     one_hot, panel)  # fmt: skip
                forward(behind_target, network, following, count, outputs, panel, depth)
                if quantiles is not None:
                    mean_values(quantiles, network, following, target_means, count, outputs, panel)
                value(network, quantiles, following, count, outputs, outputs, none, n_outputs, dueling, munchausen,
                      temperature, next_values, panel)  # fmt: skip
                if quantiles is None:
                    for i in range(count):
                        ahead[waiting[i]] = next_values[i]
                else:
                    keep(quantiles, count, waiting)
                if munchausen:  # and the target network's policy where the action was taken
                    show(pictures, frames, memory, seen, count, nothing, size, width, following, mean, deviation,
                         normalize, one_hot, panel)  # fmt: skip
                    forward(behind_target, network, following, count, outputs, panel, depth)
                    if quantiles is not None:
                        mean_values(quantiles, network, following, target_means, count, outputs, panel)
                    for i in range(count):
                        action = int(memory[places[waiting[i]], 2 * size + 4])
                        added[waiting[i]] = bonus(outputs, i, n_outputs, dueling, action, alpha, temperature, least)
                count = nothing
    losses, q_values = 0.0, 0.0
    for step in range(steps):
        drawn = places[step * batch : (step + 1) * batch]
        if noise is not None:
            for turn in range(2):
                take_factors(noise.normal[step, turn], noise.factors[turn])
            put_noise(noise, online[n_convolved:], noise.factors[0], behind)
            put_noise(noise, target[n_convolved:], noise.factors[1], behind_target)
        if quantiles is not None:
            by_action(quantiles, behind, network, quantiles.weights, means, double_q)
            if noise is not None:
                by_action(quantiles, behind_target, network, quantiles.target_weights, target_means, True)
        if each_step:
            for turn in range(0 if double_q else 1, 2):  # the online network chooses, the target network values
                if pictures is not None:
                    use(pictures, online if turn == 0 else target)
                if n_convolved > 0 or turn == 0 or not double_q:
                    show(pictures, frames, memory, drawn, batch, after, size, width, following, mean, deviation,
                         normalize, one_hot, panel)  # fmt: skip
                seen_by, at_means = (behind, means) if turn == 0 else (behind_target, target_means)
                forward(seen_by, network, following, batch, outputs, panel, depth)
                if quantiles is not None:
                    mean_values(quantiles, network, following, at_means, batch, outputs, panel)
                if turn == 0 and munchausen:
                    for i in range(batch * n_outputs):
                        policy[i] = outputs[i]
                elif turn == 0:
                    preferred(outputs, batch, n_outputs, dueling, chosen)
            value(network, quantiles, following, batch, outputs, policy if double_q else outputs,
                  chosen if double_q else none, n_outputs, dueling, munchausen, temperature, next_values,
                  panel)  # fmt: skip
            if quantiles is not None:
                for i in range(batch):
                    quantiles.best[i] = i
                keep(quantiles, batch, quantiles.best)
            if munchausen and not double_q:  # noise: the target network is another one in each step
                show(pictures, frames, memory, drawn, batch, nothing, size, width, following, mean, deviation,
                     normalize, one_hot, panel)  # fmt: skip
                forward(behind_target, network, following, batch, outputs, panel, depth)
                if quantiles is not None:
                    mean_values(quantiles, network, following, target_means, batch, outputs, panel)
                for i in range(batch):
                    action = int(memory[drawn[i], 2 * size + 4])
                    added[i] = bonus(outputs, i, n_outputs, dueling, action, alpha, temperature, least)
        elif quantiles is None:
            for i in range(batch):
                next_values[i] = ahead[last[drawn[i]]]
        if pictures is not None:
            use(pictures, online)
        show(pictures, frames, memory, drawn, batch, nothing, size, width, inputs, mean, deviation, normalize, one_hot,
             panel)  # fmt: skip
        for i in range(batch):
            chosen[i] = int(memory[drawn[i], 2 * size + 4])
        forward(behind, network, inputs, batch, outputs, panel, depth)
        if quantiles is not None and munchausen and double_q:
            mean_values(quantiles, network, inputs, means, batch, outputs, panel)
        if quantiles is None:
            values(outputs, batch, n_outputs, dueling, chosen, taken_values)
        else:
            quantiles_taken(quantiles, network, inputs, quantiles.weights, batch, chosen, panel)
        loss, q_value = number(0), number(0)  # single precision overflows: that is how a run is seen to diverge
        for i in range(batch):
            row = drawn[i]
            reward = memory[row, 2 * size + 2]
            if len(returns) > 0:  # scaled and clipped already, reward by reward
                reward = number(returns[step * batch + i])
            elif return_deviation > 0:
                reward = number(np.float32(min(max(reward / return_deviation, -clip), clip)))
            if munchausen and double_q:
                reward += bonus(outputs, i, n_outputs, dueling, chosen[i], alpha, temperature, least)
            elif munchausen:
                reward += added[i if each_step else last[row]]
            if quantiles is not None:
                next_values[i], taken_values[i] = reward, memory[row, 2 * size + 3]
                quantiles.best[i] = i if each_step else last[row]
                continue
            error = taken_values[i] - (reward + memory[row, 2 * size + 3] * next_values[i])
            away = abs(error)
            if huber:
                loss += half * error * error if away < 1 else away - half
                slope = min(max(error, -1), 1) / batch
            else:
                loss += error * error
                slope = 2 * error / batch
            q_value += taken_values[i]
            begin = i * n_outputs
            for o in range(n_outputs):
                delta_out[begin + o] = -slope / (n_outputs - 1) if dueling else 0
            if dueling:
                delta_out[begin] = slope
                delta_out[begin + 1 + chosen[i]] += slope
            else:
                delta_out[begin + chosen[i]] = slope
        if quantiles is not None:
            loss, q_value = regress(quantiles, batch, quantiles.best, next_values, taken_values, 1.0 / batch, huber)
        losses += loss / batch
        q_values += q_value / batch
        below, slopes = gradient[:0] if pictures is None else pictures.below, gradient[n_convolved:]
        if quantiles is None:
            backward_outputs(behind, network, inputs, batch, delta_out, deltas, slopes)
        else:
            backward_quantiles(quantiles, network, slopes, batch, deltas[0], panel)
        backward_hidden(behind, network, inputs, batch, deltas, slopes, panel, below)
        if noise is not None:
            chain(noise, noise.factors[0], slopes)
        if pictures is not None:
            for i in range(batch):
                from_memory(pictures, frames, memory, drawn[i], nothing)
                add_slopes(pictures, inputs[i * across :], pictures.below[i * width :], i == 0, panel)
            give(pictures, gradient)
        descend(online, gradient, first, second, powers, learning_rate, max_norm, adam, epsilon)
    return losses, q_values
