"""Correlations along edges against NumPy in float64, where float32 would lose precision."""

from __future__ import annotations

import numpy as np
import pytest

from velotime.compute import Edges, edge_cosines, edge_cosines_by_genes, mean_edge_cosines, root_cosines_by_genes

N_CELLS, N_GENES = 30, 400


def random_edges(rng):
    indptr = np.arange(0, 5 * N_CELLS + 1, 5)
    return Edges(indptr, np.concatenate([rng.choice(N_CELLS, 5, replace=False) for _ in range(N_CELLS)]))


def slow(state, velocity, edges, root):
    """Pearson correlations by NumPy; 0 where one side is constant."""
    out = []
    state, velocity = state.astype(float), velocity.astype(float)
    for i in range(N_CELLS):
        for j in edges.indices[edges.indptr[i] : edges.indptr[i + 1]]:
            d, v = state[j] - state[i], velocity[i]
            if root:
                d, v = (np.sign(x) * np.sqrt(np.abs(x)) for x in (d, v))
            out.append(0.0 if np.ptp(d) == 0 or np.ptp(v) == 0 else np.corrcoef(d, v)[0, 1])
    return np.array(out)


def offset_data(rng, offset):
    """Cells whose values differ by far more than genes do within a cell, and velocities far from zero."""
    state = rng.normal(0, 1, (N_CELLS, N_GENES)) + offset * rng.normal(0, 1, (N_CELLS, 1))
    velocity = rng.normal(0, 1, (N_CELLS, N_GENES)) + offset
    return state.astype(np.float32), velocity.astype(np.float32)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_correlations_keep_their_digits_far_from_zero(offset, root):
    rng = np.random.default_rng(0)
    state, velocity = offset_data(rng, offset)
    edges = random_edges(rng)
    found = edge_cosines(state, velocity, edges, root=root)
    expected = slow(state, velocity, edges, root)
    # 1e-7 of 1e5 is 1 % of the spread of the genes: what float32 holds of the state itself, not of the sums
    np.testing.assert_allclose(found, expected, atol=2e-5 if offset < 1e5 else 2e-3)
    assert abs(expected).max() > 0.1


@pytest.mark.parametrize("root", [False, True])
def test_one_draw_far_from_zero_is_the_plain_correlation(root):
    rng = np.random.default_rng(1)
    state, velocity = offset_data(rng, 1e3)
    edges = random_edges(rng)
    draws = np.tile(np.arange(N_CELLS)[:, None], (1, 4))
    positive, negative = mean_edge_cosines(state, velocity, draws, edges, scale=10.0, root=root)
    np.testing.assert_allclose(positive + negative, slow(state, velocity, edges, root), atol=5e-5)


def test_a_constant_displacement_has_no_direction():
    rng = np.random.default_rng(2)
    _, velocity = offset_data(rng, 0.0)
    state = np.tile(rng.integers(0, 9, N_GENES), (N_CELLS, 1)) + np.arange(N_CELLS)[:, None]
    state, edges = state.astype(np.float32), random_edges(rng)
    np.testing.assert_array_equal(edge_cosines(state, velocity, edges), 0.0)
    found = edge_cosines_by_genes([(state, velocity)], state.mean(axis=1, dtype=float), edges)
    np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("root", [False, True])
def test_sums_of_blocks_of_genes_are_those_of_all(root):
    rng = np.random.default_rng(3)
    state, velocity = offset_data(rng, 1e3)
    velocity[4] = 2.0  # constant
    state[5:7] = state[7]
    edges = random_edges(rng)
    blocks = [(state[:, some], velocity[:, some]) for some in (slice(0, 150), slice(150, 151), slice(151, 400))]
    if root:
        found = root_cosines_by_genes(blocks, edges)
    else:
        found = edge_cosines_by_genes(blocks, state.mean(axis=1, dtype=float), edges)
    np.testing.assert_allclose(found, slow(state, velocity, edges, root), atol=2e-5)
    assert (found[edges.indptr[4] : edges.indptr[5]] == 0).all()
