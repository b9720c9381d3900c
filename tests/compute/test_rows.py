"""Sums of rows in registers, and weights of scores, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from velotime.compute.jit import COMPILED, CONTRACT, jit
from velotime.compute.layers import BLOCK
from velotime.compute.numba.exponentials import room_for_weights, take_weights
from velotime.compute.rows import TOGETHER, add_rows

two_blocks = add_rows(2)


@jit(CONTRACT)
def add_at(total, start, entries, matrix):
    indices, values, i, v, n = entries
    two_blocks(total, start, indices, values, i, v, n, matrix)


@pytest.mark.parametrize("counts", [np.float32, np.uint8, np.uint16])
@pytest.mark.parametrize("index", [np.int32, np.uint16])
def test_rows_are_added_to_the_columns_asked_for_and_to_no_others(counts, index):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 4 * BLOCK)).astype(np.float32)
    indices, values = rng.integers(0, 300, 40).astype(index), rng.integers(0, 255, 41).astype(counts)
    for n in (0, 1, TOGETHER - 1, TOGETHER, 3 * TOGETHER + 5):
        total = np.arange(4 * BLOCK, dtype=np.float32)
        expected = total.astype(float)
        at = slice(BLOCK, 3 * BLOCK)
        expected[at] += values[4 : 4 + n].astype(float) @ matrix[indices[3 : 3 + n].astype(int), at]
        add_at(total, BLOCK, (indices, values, 3, 4, n), matrix)
        np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not COMPILED, reason="takes arrays of any layout")
def test_a_matrix_that_is_not_contiguous_is_refused():
    columns = np.zeros((8, 8 * BLOCK), dtype=np.float32)[:, ::2]
    entries = np.zeros(3, dtype=np.int32), np.zeros(3, dtype=np.float32), 0, 0, 3
    with pytest.raises(Exception, match="contiguous"):
        add_at(np.zeros(4 * BLOCK, dtype=np.float32), 0, entries, columns)


def test_weights_are_exponentials_to_the_last_digits():
    scores = np.append(np.linspace(-19.0, 0.0, 1000), [-np.inf, -1e30, -18.0]).astype(np.float32) + np.float32(7.0)
    found = scores.copy()
    take_weights(found, found.view(np.int32), np.float32(7.0), np.float32(-18.0), room_for_weights(len(scores)))
    relative = scores.astype(float) - 7.0
    np.testing.assert_allclose(found, np.where(relative > -18.0, np.exp(relative), 0.0), rtol=4e-7, atol=0)
