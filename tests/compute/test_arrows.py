"""Means around cells and arrows on an embedding against slow references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from velotime.compute import dense_genes, expected_steps, means_around, pack_rows, times_table


def slow_steps(graph, points, scale):
    """Arrows cell by cell, by the formula."""
    out = np.full(points.shape, np.nan)
    for i, here in enumerate(points):
        near = np.flatnonzero((graph[i] != 0) & np.isfinite(points).all(axis=1))
        if not np.isfinite(here).all():
            continue
        step = points[near] - here
        length = np.linalg.norm(step, axis=1)
        unit = step / np.where(length > 0, length, 1.0)[:, None]
        weight = np.sign(graph[i, near]) * np.expm1(scale * np.abs(graph[i, near]))
        if len(near) == 0:
            out[i] = 0
            continue
        p = weight / np.abs(weight).sum()
        out[i] = p @ unit - unit.mean(axis=0) * p.sum()
    return out


@pytest.mark.parametrize("n_dimensions", [2, 3])
def test_arrows_are_expected_steps(n_dimensions):
    rng = np.random.default_rng(0)
    graph = sparse.random(40, 40, 0.3, random_state=0, format="csr", dtype=np.float32)
    graph.data = (2 * graph.data - 1).astype(np.float32)
    graph = sparse.csr_matrix(sparse.diags((np.arange(40) != 7).astype("f4")) @ graph)
    graph.eliminate_zeros()
    positive, negative = (sparse.csr_matrix(graph.multiply(part)) for part in (graph > 0, graph < 0))
    points = rng.normal(size=(40, n_dimensions))
    points[3] = points[4]
    points[5, 0] = np.nan
    found = expected_steps(positive, negative, points, 10.0)
    np.testing.assert_allclose(found, slow_steps(graph.toarray(), points, 10.0), rtol=1e-5, atol=1e-7)
    assert np.isnan(found[5]).all()
    assert (found[7] == 0).all()


@pytest.mark.parametrize("kind", ["counts", "many", "fractions"])
def test_values_are_packed_and_averaged(kind):
    rng = np.random.default_rng(1)
    values = sparse.random(50, 30, 0.3, random_state=1, format="csr", dtype=np.float32)
    values.data = np.ceil(9 * values.data).astype(np.float32)
    if kind != "counts":
        values.data[3] = 70_000 if kind == "many" else 0.25
    rows = [pack_rows(values[:20]), pack_rows(values[20:])]
    assert (rows[0].data.dtype == np.uint16) == (kind == "counts")
    near = sparse.random(50, 50, 0.1, random_state=2, format="csr")
    scale = rng.uniform(0.5, 2, 50)
    around = (near.toarray() > 0) | np.eye(50, dtype=bool)
    expected = around @ (scale[:, None] * values.toarray()) / around.sum(axis=1, keepdims=True)
    for some in (slice(0, 30), slice(4, 11)):
        dense = dense_genes(rows, some)
        np.testing.assert_array_equal(dense, values.toarray()[:, some])
        np.testing.assert_allclose(
            means_around(near.indptr, near.indices, scale, dense), expected[:, some], rtol=1e-5, atol=1e-6
        )


def test_a_posterior_times_a_table_is_their_product():
    rng = np.random.default_rng(2)
    posterior, table = sparse.random(60, 8, 0.4, random_state=3, format="csr"), rng.normal(size=(8, 13))
    np.testing.assert_allclose(times_table(posterior, table), posterior @ table, rtol=1e-4, atol=1e-6)
