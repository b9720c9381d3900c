"""Which cells are kept: those with counts in the genes that a fit uses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.data import read_observations


def with_empty(adata, cells):
    for name in ("spliced", "unspliced"):
        layer = adata.layers[name].tolil()
        layer[cells] = 0
        adata.layers[name] = layer.tocsr()
    return adata


def test_the_cure_that_the_error_names_works_whatever_x_holds(small):
    with_empty(small, [3, 8])
    small.X = sparse.csr_matrix(np.ones(small.shape, dtype=np.float32))
    with pytest.raises(InputError, match=r"2 cells have no counts.*velotime\.pp\.filter_cells\(adata\)"):
        read_observations(small)
    vt.pp.filter_cells(small)
    assert small.n_obs == 248
    assert small.uns["filter_cells"] == {"kept": 248, "left_out": 2}
    assert not {"cell_3", "cell_8"} & set(small.obs_names)
    read_observations(small)


def test_counts_in_genes_that_are_not_fitted_do_not_count(small):
    layer = small.layers["unspliced"].tolil()
    layer[:, 0] = 0  # gene 0 cannot be fitted
    small.layers["unspliced"] = layer.tocsr()
    with_empty(small, [5])
    spliced = small.layers["spliced"].tolil()
    spliced[5, 0] = 7
    small.layers["spliced"] = spliced.tocsr()
    vt.pp.filter_cells(small)
    assert "cell_5" not in small.obs_names
    read_observations(small)


def test_a_gene_that_becomes_constant_takes_its_cells_along(small):
    """Without cell 0, which is empty, gene 1 is constant; cell 1 has counts in gene 1 only."""
    spliced, unspliced = np.zeros((40, 2)), np.zeros((40, 2))
    spliced[1:, 1] = unspliced[1:, 1] = 2
    spliced[2:, 0], unspliced[2:, 0] = np.arange(38) % 3 + 1, np.arange(38) % 4 + 1
    small = small[:40, :2].copy()
    small.layers["spliced"], small.layers["unspliced"] = spliced, unspliced
    vt.pp.filter_cells(small)
    assert list(small.obs_names) == [f"cell_{k}" for k in range(2, 40)]
    read_observations(small)


def test_no_cell_left_is_an_error_and_changes_nothing(small):
    with pytest.raises(InputError, match="no cell of 250 is left: none has 100000 counts"):
        vt.pp.filter_cells(small, min_counts=100_000)
    assert small.n_obs == 250
    assert "filter_cells" not in small.uns
