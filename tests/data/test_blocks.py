"""Counts in blocks: the same fit wherever they lie, and the same bits whoever adds up."""

from __future__ import annotations

import warnings

import anndata as ad
import h5py
import numpy as np
import pytest
from anndata.io import sparse_dataset
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.compute import NUMBA, pairwise_sum
from velotime.data import blocks_of_rows, read_observations
from velotime.inference import BlockedObservations, SoftEM
from velotime.inference.labels import CellLabels
from velotime.inference.model.blocks.cells import BlockedCells
from velotime.inference.model.problem import Cells

NAMES = ("unspliced", "spliced")


@pytest.fixture(scope="module")
def cells():
    adata = vt.simulation.simulate(700, 50, rng=np.random.default_rng(4), mean_unspliced=1.0, mean_spliced=3.0)
    del adata.layers["true_velocity"]
    return adata


def fit(adata):
    method = SoftEM(n_lineages=1, start_cells=150, start_genes=30, max_iterations=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=method, layers=(), progress=False)
    return adata


@pytest.fixture(scope="module")
def in_memory(cells):
    return fit(cells.copy())


def in_file(adata, folder):
    """Layers as AnnData's sparse datasets."""
    adata.write_h5ad(folder / "cells.h5ad")
    file = h5py.File(folder / "cells.h5ad")
    layers = {name: sparse_dataset(file[f"layers/{name}"]) for name in NAMES}
    return ad.AnnData(obs=adata.obs, var=adata.var, layers=layers)


def in_chunks(adata, folder):
    array = pytest.importorskip("dask.array")
    chunked = adata.copy()
    for name in NAMES:
        chunked.layers[name] = array.from_array(adata.layers[name], chunks=(200, -1))
    return chunked


def lazy(adata, folder):
    pytest.importorskip("dask")
    pytest.importorskip("xarray")
    adata.write_h5ad(folder / "cells.h5ad")
    return ad.experimental.read_lazy(folder / "cells.h5ad")


@pytest.mark.parametrize("place", [in_file, in_chunks, lazy])
def test_a_fit_is_that_in_memory_wherever_the_counts_lie(cells, in_memory, place, tmp_path):
    adata = fit(place(cells, tmp_path))
    ours, theirs = (each.uns["recover_dynamics"]["log_likelihood"] for each in (adata, in_memory))
    assert abs(ours / theirs - 1) < 1e-9
    np.testing.assert_allclose(adata.obs["latent_time"], in_memory.obs["latent_time"], atol=1e-9)
    np.testing.assert_allclose(adata.var["fit_gamma"], in_memory.var["fit_gamma"], rtol=1e-9)
    assert not isinstance(adata.layers["spliced"], sparse.csr_matrix)  # and has not been read into the object


def blocks_of(adata, length):
    return blocks_of_rows([adata.layers[name] for name in NAMES], NAMES, length)


def test_sums_of_blocks_are_those_of_all_cells(cells):
    whole = read_observations(cells).observations
    blocked = BlockedObservations.of(blocks_of(cells, 128).kept(), whole.size_unspliced, whole.size_spliced)
    np.testing.assert_array_equal(blocked.content_order, whole.content_order)
    some = np.array([699, 3, 300, 4])
    assert (blocked.select_cells(some).spliced != whole.spliced[some]).nnz == 0
    method = SoftEM()
    rows = method.prior_rows(CellLabels.plain(700))
    one, many = Cells.of(whole, rows, method.noise), BlockedCells.blocked(blocked, rows)
    for mine, theirs in ((many.unspliced, one.unspliced), (many.spliced, one.spliced)):
        np.testing.assert_allclose(mine.value_per_level, theirs.value_per_level)
        np.testing.assert_allclose(mine.square, theirs.square)
        np.testing.assert_allclose(mine.count_constant, theirs.count_constant)
        for part, other in zip(mine.histogram, theirs.histogram, strict=True):
            np.testing.assert_array_equal(part, other)
    problem = method._problem(one, 1)
    q = np.random.default_rng(0).dirichlet(np.ones(64), 700)
    model = problem.sweep_model(problem.first(problem.statistics_of(q)))[0]
    (sums, evidence), (others, all_evidence) = many.sweep(NUMBA, model), one.sweep(NUMBA, model)
    assert abs(evidence - all_evidence) < 1e-6 * abs(all_evidence)
    np.testing.assert_allclose(sums.spliced.value, others.spliced.value, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums.weight, others.weight, atol=1e-4)
    again = many.sweep(NUMBA, model)
    np.testing.assert_array_equal(again[0].unspliced.value, sums.unspliced.value)


def test_pairs_are_added_in_one_order():
    assert pairwise_sum(list("abcdefg")) == "abcdefg"

    class Tree(str):
        def __add__(self, other):
            return Tree(f"({self!s}{other!s})")

    assert pairwise_sum(map(Tree, "abcdefg")) == "(((ab)(cd))((ef)g))"


@pytest.mark.parametrize("place", [in_file, in_chunks])
def test_genes_are_chosen_as_in_memory(cells, place, tmp_path):
    pytest.importorskip("dask")
    whole, adata = cells.copy(), place(cells, tmp_path)
    for each in (whole, adata):
        vt.pp.filter_genes(each, min_cells=300, n_top_genes=15)
    assert list(whole.var_names) == list(adata.var_names)
    assert whole.uns["filter_genes"] == adata.uns["filter_genes"]
    np.testing.assert_array_equal(whole.obs["initial_size_spliced"], adata.obs["initial_size_spliced"])
    assert not isinstance(adata.layers["spliced"], sparse.csr_matrix)


def test_chunks_along_genes_are_refused(cells):
    array = pytest.importorskip("dask.array")
    adata = cells.copy()
    adata.layers["spliced"] = array.from_array(adata.layers["spliced"].toarray(), chunks=(200, 25))
    with pytest.raises(InputError, match="'spliced' is in 2 chunks along the genes"):
        fit(adata)


def test_values_in_a_file_are_checked(cells, tmp_path):
    wrong = cells.copy()
    wrong.layers["spliced"] = wrong.layers["spliced"] * 0.5
    with pytest.raises(InputError, match="'spliced' holds values that are not whole numbers"):
        fit(in_file(wrong, tmp_path))
