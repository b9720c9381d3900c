"""Coherence and confidence on cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.stats import pearsonr

import velotime as vt
from velotime import InputError


@pytest.fixture
def cells():
    """Three cells of a, all neighbours of one another, and one of b next to the last."""
    adata = AnnData(np.zeros((4, 3), dtype=np.float32))
    adata.obs["group"] = ["a", "a", "a", "b"]
    adata.layers["velocity"] = np.array([[1.0, 0, np.nan], [0, 2, np.nan], [3, 3, np.nan], [-1, 0, np.nan]])
    adata.var["velocity_genes"] = True
    links = np.ones((4, 4))
    links[3, :2] = links[:2, 3] = 0
    adata.obsp["distances"] = sparse.csr_matrix(links)  # its diagonal must not count
    return adata


def test_in_cluster_coherence_by_hand(cells):
    scores = vt.metrics.in_cluster_coherence(cells, column="group")
    # cosines 0-1: 0; 0-2 and 1-2: cos 45; the cells' means are 0.354, 0.354, 0.707
    assert scores["a"] == pytest.approx(np.sqrt(0.5) * 2 / 3)
    assert np.isnan(scores["b"])
    assert scores.attrs == {"n_cells_left_out": 0, "n_genes_left_out": 1}


def test_nan_cells_are_left_out_and_counted(cells):
    cells.layers["velocity"][0, 0] = np.nan
    scores = vt.metrics.in_cluster_coherence(cells, column="group")
    assert scores["a"] == pytest.approx(np.sqrt(0.5))  # of cells 1 and 2
    assert scores.attrs["n_cells_left_out"] == 1
    assert np.isnan(vt.metrics.velocity_confidence(cells).iloc[0])


def test_velocity_confidence_by_hand():
    adata = AnnData(np.zeros((3, 3), dtype=np.float32))
    velocity = np.array([[1.0, 2, 3], [2, 4, 7], [3, 2, 1]])
    adata.layers["velocity"] = velocity
    adata.var["velocity_genes"] = True
    adata.obsp["distances"] = sparse.csr_matrix(np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0.0]]))
    confidence = vt.metrics.velocity_confidence(adata)
    r = pearsonr(velocity[0], velocity[1]).statistic
    assert confidence.iloc[0] == pytest.approx((r - 1) / 2)  # with cell 2 it is -1
    assert confidence.iloc[1] == pytest.approx(r)
    assert np.isnan(confidence.iloc[2])  # no neighbour


def test_bad_arguments(cells):
    with pytest.raises(InputError, match="column 'kind' not found"):
        vt.metrics.in_cluster_coherence(cells, column="kind")
    with pytest.raises(InputError, match="column 'mine' not found"):
        vt.metrics.velocity_confidence(cells, genes="mine")
    cells.var["velocity_genes"] = [False, False, True]
    with pytest.raises(InputError, match="no gene of var"):
        vt.metrics.velocity_confidence(cells)
    del cells.layers["velocity"]
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.metrics.velocity_confidence(cells)
