"""Neighbours that velotime finds: those of scanpy where all pairs are compared, nearly all of them where not."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import velotime as vt
from velotime.data import find_neighbors, layer_sizes
from velotime.data.neighbors.components import log_components
from velotime.data.neighbors.search import gaussian_weights, nearest_cells, nearly_nearest_cells


@pytest.fixture(scope="module")
def cells():
    return vt.simulation.simulate(400, 60, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)


def test_neighbours_are_those_of_scanpy(cells):
    found = find_neighbors(cells, n_neighbors=15)
    scaled = sparse.diags(1.0 / layer_sizes(cells, "spliced")) @ cells.layers["spliced"]
    theirs = ad.AnnData(sparse.csr_matrix(scaled, dtype=np.float32))
    sc.pp.log1p(theirs)
    sc.pp.pca(theirs, n_comps=30, random_state=0)
    sc.pp.neighbors(theirs, n_neighbors=15, method="gauss", transformer="sklearn")
    for name in ("distances", "connectivities"):
        ours, expected = getattr(found, name), theirs.obsp[name]
        assert ours.nnz == expected.nnz
        assert abs(ours - expected).max() < 1e-4 * expected.max()
    assert found.record["params"]["exact"]


def test_cells_at_one_place_are_neighbours_all_the_same():
    points = np.repeat(np.random.default_rng(0).normal(size=(3, 2)), 6, axis=0).astype(np.float32)
    points[-1] += 1000
    weights = gaussian_weights(nearest_cells(points, 3))
    assert np.isfinite(weights.data).all()
    assert np.diff(weights.indptr).min() >= 3
    assert weights[0, 1] == pytest.approx(1) or weights[0, 2] == pytest.approx(1)


def test_many_cells_are_projected_onto_components_of_some(cells, monkeypatch):
    whole = log_components(cells, "spliced", 5, 0)
    monkeypatch.setattr("velotime.data.neighbors.components.MOST_CELLS", 300)
    some = log_components(cells, "spliced", 5, 0)
    apart = [np.linalg.norm(points[:, None] - points[None], axis=2).ravel() for points in (whole, some)]
    assert some.shape == whole.shape
    assert np.corrcoef(*apart)[0, 1] > 0.97
    scaled = np.log1p(cells.layers["spliced"].toarray() / layer_sizes(cells, "spliced")[:, None])
    drawn = np.sort(np.random.default_rng(0).choice(400, 300, replace=False))
    middle = scaled[drawn].mean(axis=0)
    assert np.abs(some[drawn].mean(axis=0)).max() < 1e-3  # as of components of these
    right = np.linalg.svd(scaled[drawn] - middle, full_matrices=False)[2][:5]
    np.testing.assert_allclose(np.abs(some), np.abs((scaled - middle) @ right.T), atol=2e-2)


def test_many_cells_have_most_of_their_neighbours_and_are_told(cells, monkeypatch, caplog):
    exact = find_neighbors(cells, n_neighbors=15)
    monkeypatch.setattr("velotime.data.neighbors.table.MOST_EXACT", 399)
    with caplog.at_level(logging.INFO, "velotime"):
        nearly = find_neighbors(cells, n_neighbors=15)
    assert "nearest neighbour descent" in caplog.text
    assert not nearly.record["params"]["exact"]
    assert nearly.distances.nnz == exact.distances.nnz
    assert nearly.distances.diagonal().max() == 0
    assert nearly.distances.multiply(exact.distances > 0).nnz > 0.95 * exact.distances.nnz
    again = find_neighbors(cells, n_neighbors=15)
    assert (again.distances != nearly.distances).nnz == 0


@pytest.mark.parametrize("kind", ["apart", "one place", "uneven"])
def test_groups_of_any_size_give_neighbours(kind):
    points = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    if kind == "one place":
        points[20:] = 0
    elif kind == "uneven":
        points[:5] += 100 * np.arange(1, 6)[:, None]
    found = nearly_nearest_cells(points, 7, 0)
    assert (np.diff(found.indptr) == 7).all()
    assert found.diagonal().max() == 0
    assert all(len(set(found[k].indices) - {k}) == 7 for k in range(300))
    exact = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[:, 1:8]
    np.testing.assert_allclose(found.data.reshape(300, 7).mean(axis=1), exact.mean(axis=1), rtol=0.1, atol=1e-3)
