"""The Zoo's text of Python, ``dict(net_arch=[64, 64], activation_fn=nn.ReLU)``, read without evaluating it."""

from __future__ import annotations

import ast
from typing import Any

from tuner.zoo.write import ACTIVATIONS

_NAMES = {title: name for name, title in ACTIVATIONS.items()}

#: Characters of a text that is read.
LONGEST = 1_000


def zoo_literal(text: str) -> Any:
    """Return the value of a text of literals, ``dict(...)`` with named values, and activations of ``torch.nn``.

    Raises:
        ValueError: It is anything else, or too long.
    """
    if len(text) > LONGEST:
        raise ValueError("too long")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("dict(**...)")
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nn":
        if node.attr not in _NAMES:
            raise ValueError(f"nn.{node.attr}")
        return _NAMES[node.attr]
    return ast.literal_eval(node)
