"""States of random generators as text: what a file may hold, and what a generator goes on from, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

AnyGenerator: TypeAlias = np.random.Generator | np.random.RandomState | random.Random

#: Objects looked at, and attributes followed one after the other, in search of generators.
MAX_OBJECTS, MAX_DEPTH = 500, 6


def state_of(generator: AnyGenerator) -> str:
    """Return a generator's state as JSON."""
    state: Any
    if isinstance(generator, np.random.Generator):
        state = generator.bit_generator.state
    elif isinstance(generator, np.random.RandomState):
        state = generator.get_state(legacy=False)
    else:
        state = generator.getstate()
    return json.dumps(state, default=_plain)


def set_state(generator: AnyGenerator, text: str) -> None:
    """Bring a generator into a state.

    Raises:
        ValueError, TypeError, KeyError: The state is of another kind of generator.
    """
    state = json.loads(text)
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = _arrays(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(_arrays(state))
    else:
        version, words, gauss = state
        generator.setstate((version, tuple(words), gauss))


def drawn_of(saved: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the numbers in [0, 1) that decided a block of exploration, of a snapshot of it: a step explores where
    epsilon is above. An earlier version kept the decisions alone, which the numbers returned lead to again.
    """
    return saved["uniforms"] if "uniforms" in saved else np.where(saved["explores"], 0.0, 1.0)


def generators_in(thing: object) -> list[AnyGenerator]:
    """Return the generators that an object holds, in its attributes and theirs, each once, in a stable order.

    What hides in compiled code or in containers is not found, and what has no state, as the system's entropy has none,
    is none.
    """
    found: list[AnyGenerator] = []
    seen: set[int] = set()
    queue: list[tuple[object, int]] = [(thing, 0)]
    while queue and len(seen) < MAX_OBJECTS:
        here, depth = queue.pop(0)
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, AnyGenerator):
            if _has_state(here):
                found.append(here)
        elif depth < MAX_DEPTH and not isinstance(here, type) and hasattr(here, "__dict__"):
            queue += [(value, depth + 1) for value in vars(here).values()]
    return found


def _has_state(generator: AnyGenerator) -> bool:
    try:
        state_of(generator)
    except Exception:  # a generator's own code may raise anything
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"{type(value).__name__} is no part of a generator's state.")


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"array", "dtype"}:
            return np.array(value["array"], value["dtype"])
        return {name: _arrays(part) for name, part in value.items()}
    return value
