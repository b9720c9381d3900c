"""Which genes are kept, and what is recorded of the others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError


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
