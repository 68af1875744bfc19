"""States of generators: what is kept of one is where another goes on, whichever kind it is."""

import json
import random

import numpy as np
import pytest

from tuner.core.generators import generators_in, set_state, state_of

KINDS = {
    **{kind.__name__: lambda seed, kind=kind: np.random.Generator(kind(seed))
       for kind in (np.random.PCG64, np.random.MT19937, np.random.SFC64, np.random.Philox)},
    "RandomState": np.random.RandomState,
    "Random": random.Random,
}  # fmt: skip


def drawn(generator):
    """Return some numbers, of which a normal one may leave half a pair for the next time."""
    if isinstance(generator, random.Random):
        return [generator.gauss(0, 1), *(generator.random() for _ in range(700))]
    return [generator.standard_normal(), *generator.uniform(size=700), generator.standard_normal()]


@pytest.mark.parametrize("kind", KINDS)
def test_another_generator_goes_on_with_the_same_numbers(kind):
    one, other = KINDS[kind](1), KINDS[kind](2)
    drawn(one)
    text = state_of(one)
    json.loads(text)
    set_state(other, text)
    assert drawn(one) == drawn(other)


@pytest.mark.parametrize("kind", ["MT19937", "RandomState", "Random"])
def test_a_state_of_another_kind_is_refused(kind):
    with pytest.raises((ValueError, TypeError, KeyError)):
        set_state(KINDS[kind](1), state_of(KINDS["PCG64"](1)))


class Holder:
    def __init__(self, **parts):
        vars(self).update(parts)


def test_generators_are_found_where_attributes_lead_each_once_and_in_order():
    near, far, system = np.random.default_rng(0), random.Random(1), random.SystemRandom()
    inner = Holder(far=far, again=near)
    inner.back = outer = Holder(system=system, near=near, inner=inner, number=3)
    assert [id(found) for found in generators_in(outer)] == [id(near), id(far)]
