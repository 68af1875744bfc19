"""Soft policies and Munchausen's targets: pure functions of arrays, for NumPy and torch alike."""

from __future__ import annotations

from typing import Any

from tuner.core.targets import column_max

#: Hyperparameters of :func:`munchausen_bonus`, in its order.
MUNCHAUSEN = ("munchausen_alpha", "munchausen_tau", "munchausen_clip")


def log_policy(q_values: Any, temperature: Any, xp: Any) -> Any:
    """Return the logarithm of the softmax policy ``pi = softmax(Q / temperature)``, ``[..., n_actions]``.

    Args:
        q_values: ``[..., n_actions]``.
        temperature: Above 0, a number or of a shape that broadcasts.
        xp: ``numpy`` or ``torch``.
    """
    above = (q_values - column_max(q_values, xp.maximum)[..., None]) / temperature
    return above - xp.log(_column_sum(xp.exp(above)))[..., None]


def soft_value(q_values: Any, log_pi: Any, temperature: Any, xp: Any) -> Any:
    """Return the entropy-regularised value ``sum over a of pi(a) (Q(a) - temperature log pi(a))``, ``[...]``.

    Where pi is the softmax of these very Q-values, that is ``temperature * logsumexp(Q / temperature)``.

    Args:
        q_values: ``[..., n_actions]``.
        log_pi: Same shape, of :func:`log_policy`.
        temperature: As there.
        xp: ``numpy`` or ``torch``.
    """
    return _column_sum(xp.exp(log_pi) * (q_values - temperature * log_pi))


def munchausen_bonus(log_pi_taken: Any, alpha: Any, temperature: Any, least: Any, xp: Any) -> Any:
    r"""Return what Munchausen reinforcement learning adds to a reward (Vieillard, Pietquin and Geist 2020).

    With the target network's :math:`q` and :math:`\pi = \mathrm{softmax}(q / \tau)` its target is

    .. math:: r + \alpha \, [\tau \log \pi(a \mid s)]_{l_0}^0 + \gamma \sum_{a'} \pi(a' \mid s')
              \, (q(s', a') - \tau \log \pi(a' \mid s')),

    of which this is the second summand and :func:`soft_value` the sum. In n-step returns the first action's stands for
    all, as in the authors' and other implementations. In double Q-learning the policy is the online network's, at both
    states, and the value the target network's.

    Args:
        log_pi_taken: Log-probability of the actions taken, any shape.
        alpha: In [0, 1].
        temperature: Tau, above 0.
        least: l_0, at most 0, an array as the first.
        xp: ``numpy`` or ``torch``.
    """
    return alpha * xp.maximum(temperature * log_pi_taken, least)  # never above 0: it is a logarithm of a probability


def _column_sum(values: Any) -> Any:
    """Return the sum over the last axis, column by column: as fast, and as exact, as :func:`column_max`."""
    total = values[..., 0]
    for action in range(1, values.shape[-1]):
        total = total + values[..., action]
    return total
