"""Which genes are kept, and what is recorded of the others."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.pp._filter_genes import _least_cells


def test_genes_with_too_few_cells_go_and_are_counted(small):
    layer = small.layers["unspliced"].toarray()
    layer[:, :5] = 0
    layer[:, 8:] += 1
    layer[:9, 5:8] = 1
    layer[9:, 5:8] = 0
    small.layers["unspliced"] = sparse.csr_matrix(layer)
    total = np.asarray(small.layers["spliced"].sum(axis=1)).ravel()
    vt.pp.filter_genes(small, min_cells=10, min_shared_counts=0)
    assert small.n_vars == 52
    assert small.uns["filter_genes"] == {"kept": 52, "left_out": {"unspliced in fewer than 10 cells": 8}}
    np.testing.assert_allclose(small.obs["initial_size_spliced"], total)


def test_shared_counts_are_counts_where_both_layers_have_the_gene(small):
    u, s = (small.layers[name].toarray() for name in ("unspliced", "spliced"))
    both = (u > 0) & (s > 0)
    shared = ((u + s) * both).sum(axis=0)
    least = int(np.median(shared))
    vt.pp.filter_genes(small, min_cells=1, min_shared_counts=least)
    assert small.n_vars == int((shared >= least).sum())


def test_the_most_variable_are_kept(small):
    layer = np.full(small.shape, 5.0)
    layer[::2, :10] = 40.0
    small.layers["spliced"] = sparse.csr_matrix(layer)
    vt.pp.filter_genes(small, min_cells=1, min_shared_counts=0, n_top_genes=10)
    assert list(small.var_names) == [f"gene_{g}" for g in range(10)]
    assert small.uns["filter_genes"]["left_out"] == {"not among the most variable": 50}


def test_no_gene_left_is_an_error_and_changes_nothing(small):
    with pytest.raises(InputError, match=r"no gene is left of 60.*Lower min_cells"):
        vt.pp.filter_genes(small, min_cells=251)
    assert small.n_vars == 60
    assert "initial_size_spliced" not in small.obs


def test_bad_arguments(small):
    with pytest.raises(InputError, match="min_cells=0"):
        vt.pp.filter_genes(small, min_cells=0)


@pytest.mark.parametrize(("n_cells", "least"), [(100, 10), (3696, 56), (6000, 90), (6667, 100), (1_000_000, 100)])
def test_cells_that_a_gene_needs_by_default(n_cells, least):
    """A share of few cells, as ever; a number of many."""
    assert _least_cells(n_cells) == least


def test_genes_of_a_rare_lineage_stay_and_ambient_genes_go():
    """50,000 cells; a lineage of 0.5 % shows 20 genes in most of its cells, 20 others are ambient, at random."""
    rng = np.random.default_rng(0)
    n, rare = 50_000, 250
    layers = {}
    for kind in ("spliced", "unspliced"):
        common = sparse.random(n, 10, density=0.2, random_state=rng, format="csc", dtype=np.float32)
        own = sparse.vstack([rng.poisson(1.0, (rare, 20)), sparse.csr_matrix((n - rare, 20))]).tocsc()
        ambient = sparse.random(n, 20, density=150 / n, random_state=rng, format="csc", dtype=np.float32)
        layers[kind] = sparse.hstack([common, own, ambient]).tocsr().ceil().astype(np.float32)
    adata = ad.AnnData(layers=layers)
    adata.var_names = [
        *(f"common_{k}" for k in range(10)),
        *(f"rare_{k}" for k in range(20)),
        *(f"x{k}" for k in range(20)),
    ]
    vt.pp.filter_genes(adata)
    assert sorted({name.split("_")[0] for name in adata.var_names}) == ["common", "rare"]
    assert adata.n_vars == 30
