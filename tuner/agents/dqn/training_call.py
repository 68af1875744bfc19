"""A compiled training call of one lane: all its gradient steps while its parameters stay in the cache."""

from __future__ import annotations

import numpy as np
from numba import njit

from tuner.agents.dqn.kernels import backward, descend, forward
from tuner.agents.dqn.pictures import add_slopes, convolve, from_memory, give, use
from tuner.agents.dqn.products import FAST, call_whole, inner
from tuner.core.normalization import CLIP, VARIANCE_EPS


@inner()
def show(pictures, frames, memory, row, begin, size, width, inputs, mean, deviation, normalize, one_hot, panel):
    """Write one stored observation, as the perceptron sees it, flat and with a trailing 1."""
    call_whole()
    if pictures is not None:
        from_memory(pictures, frames, memory, row, begin)
        convolve(pictures, inputs, panel)
        return
    if one_hot:
        for i in range(width):
            inputs[i] = 0
        inputs[int(memory[row, begin])] = 1
    elif normalize:
        for i in range(size):
            shown = (memory[row, begin + i] - mean[i]) / deviation[i]
            inputs[i] = np.float32(min(max(shown, -CLIP), CLIP))
    else:
        for i in range(size):
            inputs[i] = memory[row, begin + i]
    inputs[width] = 1


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


@njit(cache=True, error_model="numpy", nogil=True)
def training_call(
    online, target, first, second, powers, learning_rate, max_norm, frames,
    memory, places, steps, batch, mean, variance, normalize, return_deviation,
    pictures, n_convolved, network, size,
    double_q, dueling, huber, adam, one_hot, munchausen, alpha, temperature, least,
    inputs, following, outputs, delta_out, deltas, gradient, panel, chosen, none, next_values, taken_values,
    last, ahead, added, policy,
):  # fmt: skip
    """Do one training call of one lane; return (sum of mean losses, sum of mean Q-values) over its gradient steps."""
    width, n_outputs, nothing = network.sizes[0], network.sizes[-1], np.int64(0)
    number, across = online.dtype.type, width + 1
    half, deviation = number(0.5), np.sqrt(variance + VARIANCE_EPS)
    after = size + 1  # where the next observation begins
    behind, behind_target = online[n_convolved:], target[n_convolved:]  # the perceptron's parameters
    if not double_q:
        # The target network stands still during a call: each transition drawn is valued once, many at a time.
        if pictures is not None:
            use(pictures, target)
        rows = len(next_values)
        for order in range(steps * batch):
            last[places[order]] = order
        count = nothing
        waiting = np.empty(rows, np.int64)
        for order in range(steps * batch):
            if last[places[order]] == order:
                show(pictures, frames, memory, places[order], after, size, width, following[count * across :],
                     mean, deviation, normalize, one_hot, panel)  # fmt: skip
                waiting[count] = order
                count += 1
            if count == rows or (count > 0 and order == steps * batch - 1):
                forward(behind_target, network, following, count, outputs, panel)
                if munchausen:
                    soften(outputs, outputs, count, n_outputs, dueling, temperature, next_values)
                else:
                    values(outputs, count, n_outputs, dueling, none, next_values)
                for i in range(count):
                    ahead[waiting[i]] = next_values[i]
                if munchausen:  # and the target network's policy where the action was taken
                    for i in range(count):
                        show(pictures, frames, memory, places[waiting[i]], nothing, size, width,
                             following[i * across :], mean, deviation, normalize, one_hot, panel)  # fmt: skip
                    forward(behind_target, network, following, count, outputs, panel)
                    for i in range(count):
                        action = int(memory[places[waiting[i]], 2 * size + 4])
                        added[waiting[i]] = bonus(outputs, i, n_outputs, dueling, action, alpha, temperature, least)
                count = nothing
    losses, q_values = 0.0, 0.0
    for step in range(steps):
        drawn = places[step * batch : (step + 1) * batch]
        if double_q:
            for turn in range(2):  # the online network chooses, the target network values
                if pictures is not None:
                    use(pictures, online if turn == 0 else target)
                if n_convolved > 0 or turn == 0:
                    for i in range(batch):
                        show(pictures, frames, memory, drawn[i], after, size, width, following[i * across :],
                             mean, deviation, normalize, one_hot, panel)  # fmt: skip
                seen_by = behind if turn == 0 else behind_target
                forward(seen_by, network, following, batch, outputs, panel)
                if turn == 0 and munchausen:
                    for i in range(batch * n_outputs):
                        policy[i] = outputs[i]
                elif turn == 0:
                    preferred(outputs, batch, n_outputs, dueling, chosen)
            if munchausen:
                soften(outputs, policy, batch, n_outputs, dueling, temperature, next_values)
            else:
                values(outputs, batch, n_outputs, dueling, chosen, next_values)
        else:
            for i in range(batch):
                next_values[i] = ahead[last[drawn[i]]]
        if pictures is not None:
            use(pictures, online)
        for i in range(batch):
            show(pictures, frames, memory, drawn[i], nothing, size, width, inputs[i * across :],
                 mean, deviation, normalize, one_hot, panel)  # fmt: skip
            chosen[i] = int(memory[drawn[i], 2 * size + 4])
        forward(behind, network, inputs, batch, outputs, panel)
        values(outputs, batch, n_outputs, dueling, chosen, taken_values)
        loss, q_value = number(0), number(0)  # single precision overflows: that is how a run is seen to diverge
        for i in range(batch):
            row = drawn[i]
            reward = memory[row, 2 * size + 2]
            if return_deviation > 0:
                reward = number(np.float32(min(max(reward / return_deviation, -CLIP), CLIP)))
            if munchausen and double_q:
                reward += bonus(outputs, i, n_outputs, dueling, chosen[i], alpha, temperature, least)
            elif munchausen:
                reward += added[last[row]]
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
        losses += loss / batch
        q_values += q_value / batch
        below = gradient[:0] if pictures is None else pictures.below
        backward(behind, network, inputs, batch, delta_out, deltas, gradient[n_convolved:], panel, below)
        if pictures is not None:
            for i in range(batch):
                from_memory(pictures, frames, memory, drawn[i], nothing)
                add_slopes(pictures, inputs[i * across :], pictures.below[i * width :], i == 0, panel)
            give(pictures, gradient)
        descend(online, gradient, first, second, powers, learning_rate, max_norm, adam)
    return losses, q_values
