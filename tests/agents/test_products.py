"""Products in compiled code: right for every shape and stride, and the same bits however wide a tile is."""

import ctypes
import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from tuner.agents.dqn.products import ADD, NEW, PANEL, VECTOR, product


@njit
def compiled_product(a, a_row, a_step, b, b_row, b_step, c, c_row, rows, columns, depth, panel, add):
    product(a, a_row, a_step, b, b_row, b_step, c, c_row, rows, columns, depth, panel, add)


#: How the factors lie in memory: (a transposed, b transposed); both is never asked for.
LAYOUTS = [(False, False), (True, False), (False, True)]


def multiplied(a, b, c, layout, add):
    """Return what the compiled product makes of ``a [rows, depth]`` and ``b [depth, columns]`` in ``c``."""
    (rows, depth), columns = a.shape, b.shape[1]
    a_steps, b_steps = (1, rows) if layout[0] else (depth, 1), (1, depth) if layout[1] else (columns, 1)
    found = np.full((rows, columns + 1), 7, np.float32)  # a column between the rows, which stays as it is
    found[:, :-1] = c
    compiled_product(
        np.ascontiguousarray(a.T if layout[0] else a).ravel(), *map(np.int64, a_steps),
        np.ascontiguousarray(b.T if layout[1] else b).ravel(), *map(np.int64, b_steps),
        found.ravel(), np.int64(columns + 1), np.int64(rows), np.int64(columns), np.int64(depth),
        np.zeros(PANEL, np.float32), add,
    )  # fmt: skip
    assert (found[:, -1] == 7).all()
    return found[:, :-1]


def drawn(seed, rows, columns, depth):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal(shape).astype(np.float32) for shape in ((rows, depth), (depth, columns), (rows, columns))
    )


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 80), st.integers(1, 300), st.sampled_from(LAYOUTS),
       st.sampled_from([ADD, NEW]))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_product_of_any_shape_is_numpys(seed, rows, columns, depth, layout, add):
    a, b, c = drawn(seed, rows, columns, depth)
    expected = a.astype(float) @ b + (c if add else 0)
    np.testing.assert_allclose(multiplied(a, b, c, layout, add), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("columns", [8, 16, 24, 40, 64, 72])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numbers_of_whole_vectors_are_summed_in_order_whatever_the_tiles_width(columns, layout):
    library = ctypes.util.find_library("m")
    if library is None:
        pytest.skip("no C library of mathematics to multiply and add without rounding between")
    fused = ctypes.CDLL(library).fmaf
    fused.restype, fused.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    assert columns % VECTOR == 0
    a, b, c = drawn(columns, 7, columns, 19)
    expected = c.copy()
    for i, j in np.ndindex(*c.shape):
        for k in range(a.shape[1]):
            expected[i, j] = fused(a[i, k], b[k, j], expected[i, j])
    np.testing.assert_array_equal(multiplied(a, b, c, layout, ADD), expected)
