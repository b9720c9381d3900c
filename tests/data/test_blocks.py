"""Counts in blocks: the same fit wherever they lie, and the same bits whoever adds up."""

from __future__ import annotations

import warnings
from dataclasses import replace

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import sparse_dataset
from one_search import one_search
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.compute import NUMBA, pairwise_sum
from velotime.data import blocks_of_rows, read_for, read_labels, read_observations
from velotime.inference import BlockedObservations, SoftEM
from velotime.inference.labels import CellLabels
from velotime.inference.model.blocks.cells import BlockedCells
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells
from velotime.inference.model.samples.cells import cells_of

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


@pytest.fixture(scope="module")
def of_samples():
    """Four samples whose cells lie among each other."""
    samples = vt.simulation.Samples((2, 2), composition=1.0, sizes=(1, 1, 0.5, 1))
    adata = vt.simulation.simulate(
        320, 24, rng=np.random.default_rng(5), samples=samples, mean_unspliced=1.5, mean_spliced=4.0
    )
    del adata.layers["true_velocity"]
    adata.obs_names = [f"number {k}" for k in np.argsort(np.argsort(adata.obs["true_time"]))]
    return adata[np.random.default_rng(0).permutation(320)].copy()


FOUND = []


def sampled(adata, **more):
    root = vt.Root(cell="number 0")
    size = {"start_cells": 80, "start_genes": 20, "start_times": 12, "n_times": 16, "annealing": 2}
    method = SoftEM(samples="sample", root=root, n_lineages=1, max_iterations=4, max_cells=200, **size)
    with one_search(FOUND):
        vt.tl.recover_dynamics(adata, method=method, layers=(), progress=False, **more)
    return adata


@pytest.fixture(scope="module")
def sampled_in_memory(of_samples):
    return sampled(of_samples.copy())


@pytest.mark.parametrize("place", [in_file, in_chunks, lazy])
def test_samples_are_fitted_and_compared_as_in_memory(of_samples, sampled_in_memory, place, tmp_path):
    adata = sampled(place(of_samples, tmp_path))
    ours, theirs = (each.uns["recover_dynamics"]["log_likelihood"] for each in (adata, sampled_in_memory))
    assert abs(ours / theirs - 1) < 1e-9
    np.testing.assert_allclose(adata.obs["latent_time"], sampled_in_memory.obs["latent_time"], atol=1e-9)
    for slot in ("fit_capture_u", "fit_capture_s"):
        np.testing.assert_allclose(adata.varm[slot], sampled_in_memory.varm[slot], rtol=1e-9)
    pd.testing.assert_frame_equal(
        adata.uns["samples"]["table"], sampled_in_memory.uns["samples"]["table"], check_exact=False, rtol=1e-8
    )
    ours, theirs = (vt.tl.compare_conditions(each, "condition") for each in (adata, sampled_in_memory.copy()))
    np.testing.assert_allclose(ours.speed["times_slower"], theirs.speed["times_slower"], rtol=1e-8)
    np.testing.assert_allclose(ours.genes["log2_fold"], theirs.genes["log2_fold"], atol=1e-8)
    np.testing.assert_allclose(ours.composition["log2_fold"], theirs.composition["log2_fold"], atol=1e-8)


@pytest.mark.usefixtures("sampled_in_memory")
def test_samples_in_blocks_go_on_from_a_checkpoint(of_samples, tmp_path, tmp_path_factory, monkeypatch):
    """Killed on its way over all cells."""
    path = tmp_path / "fit.checkpoint"
    files = [in_file(of_samples, tmp_path_factory.mktemp("cells")) for _ in range(3)]

    def killed(self, name, value):
        self._fresh[name] = value
        self.save()
        if name.startswith("all cells/place"):
            raise KeyboardInterrupt

    with monkeypatch.context() as sudden:
        sudden.setattr("velotime.data.on_disk.checkpoint.Checkpoint.note", killed)
        with pytest.raises(KeyboardInterrupt):
            sampled(files[0], checkpoint=path)
    adata, whole = sampled(files[1], checkpoint=path, resume=True), sampled(files[2])
    np.testing.assert_array_equal(adata.obs["latent_time"], whole.obs["latent_time"])
    np.testing.assert_array_equal(adata.varm["fit_capture_s"], whole.varm["fit_capture_s"])


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


@pytest.mark.parametrize("together", [True, False])
def test_sums_of_samples_in_blocks_are_those_in_memory(of_samples, together):
    """Of each sample, of its cells' posteriors, and of what a sample alone is asked for."""
    adata = of_samples
    if together:
        adata = adata[np.argsort(adata.obs["sample"].cat.codes, kind="stable")].copy()
    method = SoftEM(samples="sample")
    reading = read_for(adata, method)
    one, whole = reading.observations, blocks_of(adata, 64)
    many = BlockedObservations.of(whole, one.size_unspliced, one.size_spliced)
    many = replace(many, sample=one.sample, sample_names=one.sample_names)
    assert [np.array_equal(*pair) for pair in zip(one.totals, many.totals, strict=True)] == [True, True]
    rows = method.prior_rows(read_labels(adata, method.columns, (), NAMES))
    one, many = (cells_of(each, rows, method.noise) for each in (one, many))
    for mine, theirs in zip((many, *many.parts), (one, *one.parts), strict=True):
        for k in ("unspliced", "spliced"):
            own, other = getattr(mine, k), getattr(theirs, k)
            np.testing.assert_allclose(own.value_per_level, other.value_per_level)
            np.testing.assert_allclose(own.count_constant, other.count_constant)
            np.testing.assert_array_equal(own.histogram[2], other.histogram[2])
    problems = [method._problem(cells, 1) for cells in (one, many)]
    q = np.random.default_rng(0).dirichlet(np.ones(64), 320)
    parameters = problems[0].first(problems[0].statistics_of(q))
    (theirs, bound), (ours, other) = (problem.expect(parameters, 1.0) for problem in problems)
    assert abs(other / bound - 1) < 1e-6
    for mine, own in zip(ours.by_sample, theirs.by_sample, strict=True):
        np.testing.assert_allclose(mine.spliced.value, own.spliced.value, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(mine.weight, own.weight, atol=1e-4)
    times, others = (time_and_lineage(problem, parameters)[0] for problem in problems)
    np.testing.assert_allclose(times, others, atol=1e-5)
    part, own = list(problems[1].strata(parameters))[1]
    some = part.cells.at(np.array([5, 0, 9]))
    assert (some.spliced.values != adata.layers["spliced"][some.order]).nnz == 0
    assert set(adata.obs["sample"].iloc[part.cells.order]) == {"A2"}
    assert abs(part.expect(own, 1.0)[0].weight.sum() - part.cells.n_cells) < 1e-3
    n_blocks = len(part.cells.blocks.bounds) - 1  # others hold no cell of the sample, and are not read for it
    assert n_blocks == (2 if together else 5)


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
