"""Every container of counts gives what CSR in float32 gives, or is refused in one sentence; layers stay as they are."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError

QUICK = vt.SoftEM(
    n_lineages=1,
    n_times=8,
    annealing=2,
    max_iterations=2,
    start_cells=60,
    start_genes=20,
    start_times=8,
    root=vt.Root("stage", "early"),
)
IN_FILES = ("backed",)  # of which nothing can be taken out
pytestmark = pytest.mark.filterwarnings(
    "ignore::velotime.UnclearWarning",  # of two iterations
    "ignore::anndata.ImplicitModificationWarning",  # a view is written into: that makes it an object of its own
)


@pytest.fixture(scope="module")
def cells():
    """150 cells, 30 genes, with places on a plane."""
    adata = vt.simulation.simulate(150, 30, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["stage"] = pd.Categorical(np.where(adata.obs["true_time"] < 0.3, "early", "late"))
    time = adata.obs["true_time"].to_numpy()
    adata.obsm["X_umap"] = np.c_[time, time**2]
    adata.obs_names = [f"{name}-0" for name in adata.obs_names]
    return adata


@pytest.fixture(scope="module")
def fitted_cells(cells):
    """The same, fitted, with a graph and velocities on the plane."""
    adata = cells.copy()
    fit(adata)
    return adata


def fit(adata):
    vt.tl.recover_dynamics(adata, method=QUICK, progress=False)
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata)


def renamed(adata, kind):
    """The view's cells are named by concat."""
    return [f"{name}-0" for name in adata.obs_names] if kind == "view" else list(adata.obs_names)


def dense(layer):
    layer = layer.compute() if hasattr(layer, "compute") else layer
    return np.asarray(layer.toarray() if sparse.issparse(layer) else layer)


def assert_untouched(adata, before):
    for name in ("spliced", "unspliced"):
        after = adata.layers[name]
        assert type(after) is type(before[name])
        assert after.dtype == before[name].dtype
        np.testing.assert_array_equal(dense(after), dense(before[name]))


def test_filter_genes(cells, contained):
    wanted = cells.copy()
    vt.pp.filter_genes(wanted, min_cells=60)
    assert wanted.n_vars < cells.n_vars
    adata = contained(cells)
    if contained.kind in IN_FILES:
        columns = list(adata.obs)
        with pytest.raises(InputError, match=r"lies in a file, .*cells.h5ad.*to_memory\(\) first"):
            vt.pp.filter_genes(adata, min_cells=60)
        assert list(adata.obs) == columns
        return
    vt.pp.filter_genes(adata, min_cells=60)
    assert list(adata.var_names) == list(wanted.var_names)
    np.testing.assert_allclose(adata.obs["initial_size_spliced"], wanted.obs["initial_size_spliced"])
    assert adata.uns["filter_genes"] == wanted.uns["filter_genes"]


def test_filter_cells(cells, contained):
    wanted = cells.copy()
    vt.pp.filter_cells(wanted, min_counts=80)
    assert wanted.n_obs < cells.n_obs
    adata = contained(cells)
    if contained.kind in IN_FILES:
        with pytest.raises(InputError, match="lies in a file"):
            vt.pp.filter_cells(adata, min_counts=80)
        return
    vt.pp.filter_cells(adata, min_counts=80)
    assert list(adata.obs_names) == renamed(wanted, contained.kind)


def test_moments(cells, contained):
    wanted, adata = cells.copy(), contained(cells)
    vt.pp.moments(wanted, n_neighbors=10)
    vt.pp.moments(adata, n_neighbors=10)
    for name in ("Mu", "Ms"):
        np.testing.assert_allclose(adata.layers[name], wanted.layers[name], rtol=1e-5, atol=1e-6)


def test_fit_graph_and_metrics(fitted_cells, cells, contained):
    adata = contained(cells)
    before = {name: adata.layers[name].copy() for name in ("spliced", "unspliced")}
    fit(adata)
    assert_untouched(adata, before)
    np.testing.assert_allclose(adata.obs["latent_time"], fitted_cells.obs["latent_time"], atol=1e-6)
    np.testing.assert_allclose(adata.layers["velocity"], fitted_cells.layers["velocity"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(adata.obsm["velocity_umap"], fitted_cells.obsm["velocity_umap"], rtol=1e-3, atol=1e-4)
    for metric in (
        vt.metrics.velocity_confidence,
        lambda adata: vt.metrics.in_cluster_coherence(adata, column="stage"),
    ):
        np.testing.assert_allclose(metric(adata), metric(fitted_cells), rtol=1e-3, atol=1e-4)
    pd.testing.assert_frame_equal(vt.tl.rank_genes(adata), vt.tl.rank_genes(fitted_cells), rtol=1e-3)


def test_a_view_of_a_file_is_refused_before_the_fit(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    view = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")[:100]
    with pytest.raises(InputError, match=r"lies in a file, .*cells.h5ad, and parts of it cannot be written"):
        vt.tl.recover_dynamics(view, method=QUICK, progress=False)


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ("cells.h5ad", r"Read it first: adata = velotime.read.auto\(path\)"),
        (type("MuData", (), {})(), r"Give one modality: adata = mdata\['rna'\]"),
        (type("SpatialData", (), {})(), "Give one table"),
        (type("AnnCollection", (), {})(), r"anndata.concat\(collection.adatas"),
        ([], "Join them first"),
        (np.ones((3, 3)), "or make one: anndata.AnnData"),
    ],
)
def test_what_is_no_anndata_is_told_how_to_become_one(given, cure):
    for function in (vt.pp.filter_genes, vt.tl.recover_dynamics, vt.tl.velocity_graph, vt.metrics.velocity_confidence):
        with pytest.raises(InputError, match=rf"{function.__name__}\(adata=.*must be an AnnData.*{cure}"):
            function(given)
