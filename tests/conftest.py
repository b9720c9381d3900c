"""What several tests share: small simulated data, fitted and not, and the project's data files where they exist."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import velotime as vt
from velotime.compute.jit import most_threads, use_threads
from velotime.data import arrows_made_of, write_derived


def pytest_configure(config):
    """Workers share the cores: with as many threads each as if they were alone, all wait for each other."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        use_threads(max(1, most_threads() // worker["workercount"]))


N_TIMES = 16  # of the time prior of drawn objects
SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture
def small():
    """250 cells, 60 genes, unfitted."""
    return vt.simulation.simulate(250, 60, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)


@pytest.fixture(scope="session")
def fitted():
    """600 cells, 100 genes, fitted; tests must not change it."""
    adata = vt.simulation.simulate(600, 100, rng=np.random.default_rng(1), mean_unspliced=1.0, mean_spliced=3.0)
    vt.tl.recover_dynamics(adata, progress=False)
    return adata


@pytest.fixture(scope="session")
def shared_data():
    """The folder of the project's data files; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the project's data files in {SHARED.name}/ beside the checkout's folder")
    return SHARED


@pytest.fixture(scope="session")
def cycle_fit():
    """200 cycling cells with labels of their thirds, 30 genes, fitted as a cycle; tests must not change it."""
    rng = np.random.default_rng(1)
    cycle = vt.simulation.Cycling()
    adata = vt.simulation.simulate(200, 30, rng=rng, cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0)
    quick = {"n_times": 32, "start_times": 16, "annealing": 6, "max_iterations": 6, "start_genes": 30}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)  # of few cells
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(), **quick), progress=False)
    third = np.array(["G1", "S", "G2M"])[(3 * adata.obs["cycle_phase"]).astype(int)]
    adata.obs["stage"] = pd.Categorical(third, ["G1", "S", "G2M"])
    return adata


def drawn_object(*, n_lineages: int = 1):
    """150 cells, 12 genes as a fit leaves them, made from a simulation's truth: the same on every machine, quick."""
    branches = vt.simulation.Branches(times=(0.4,)) if n_lineages == 2 else None
    rng = np.random.default_rng(3)
    adata = vt.simulation.simulate(150, 12, rng=rng, branches=branches, mean_unspliced=2.0, mean_spliced=6.0)
    _genes(adata, n_lineages)
    _cells(adata, n_lineages, rng)
    _record(adata, n_lineages)
    slope = np.where(adata.obs["fit_lineage"] == "1", 1.0, -1.0) * (adata.obs["true_time"] > 0.4)
    adata.obsm["velocity_umap"] = np.c_[np.ones(adata.n_obs), slope]
    accept_arrows(adata)
    return adata


def accept_arrows(adata):
    """Take the arrows that are there for those of the fit and the embedding."""
    arrows = adata.obsm["velocity_umap"].copy()
    made_of = arrows_made_of(adata, adata.obsm["X_umap"])
    write_derived(adata, "velocity_umap", {"obsm": {"velocity_umap": arrows}}, made_of=made_of)


def _genes(adata, n_lineages):
    var = adata.var
    gamma = var["true_gamma"]
    for name in ("beta", "gamma", "t_on", "scaling"):
        var[f"fit_{name}"] = var[f"true_{name}"]
    for name, level in (("alpha_0", "level_0"), ("alpha", "level_1"), ("alpha_2", "level_2")):
        var[f"fit_{name}"] = var[f"true_{level}"] * gamma
    for name in ("u", "s"):
        var[f"fit_dispersion_{name}"] = 0.1
    var["fit_gain"] = np.linspace(100, 10, adata.n_vars)
    var["velocity_genes"] = True
    var["fit_status"] = pd.Categorical(["fitted"] * adata.n_vars)
    var["fit_arrow_evidence"] = np.linspace(-5, 60, adata.n_vars)
    wide = n_lineages > 1
    t_off = adata.varm["true_t_off"] if wide else var[["true_t_off"]].to_numpy()
    level_2 = adata.varm["true_level_2"] if wide else var[["true_level_2"]].to_numpy()
    adata.varm["fit_lineage_t"] = np.asarray(t_off, dtype=float)
    adata.varm["fit_lineage_alpha"] = np.asarray(level_2, dtype=float) * gamma.to_numpy()[:, None]


def _cells(adata, n_lineages, rng):
    time = adata.obs["true_time"].to_numpy()
    lineage = adata.obs["true_lineage"].to_numpy().astype(int) if n_lineages > 1 else np.zeros(adata.n_obs, dtype=int)
    side = np.where(lineage == 1, 1.0, -1.0) * np.maximum(time - 0.4, 0)
    adata.obs["latent_time"] = time
    for name in ("initial_size_unspliced", "initial_size_spliced"):
        adata.obs[name] = 1000 * adata.obs["true_depth"]
    for name in ("fit_size_unspliced", "fit_size_spliced"):
        adata.obs[name] = np.maximum(adata.obs["true_depth"] / adata.obs["true_depth"].mean(), 0.05)
    adata.obs["latent_time_sd"] = 0.02 + 0.03 * np.abs(time - 0.5)
    adata.obs["latent_time_q05"] = np.clip(time - 0.05, 0, 1)
    adata.obs["latent_time_q95"] = np.clip(time + 0.05, 0, 1)
    names = [str(k) for k in range(n_lineages)]
    adata.obs["fit_lineage"] = pd.Categorical.from_codes(lineage, names)
    adata.obs["stage"] = pd.cut(adata.obs["true_time"], [-1, 0.3, 0.7, 2], labels=["early", "middle", "late"])
    adata.obsm["lineage_posterior"] = np.eye(n_lineages)[lineage]
    state = lineage * N_TIMES + np.round(time * (N_TIMES - 1)).astype(int)
    adata.obsm["time_posterior"] = sparse.csr_matrix(np.eye(N_TIMES * n_lineages, dtype=np.float32)[state])
    adata.obsm["X_umap"] = np.c_[10 * time, 10 * side + rng.normal(0, 0.4, adata.n_obs)]
    adata.uns["stage_colors"] = np.array(["#112233", "#aa3311", "#22bb88"])


def _record(adata, n_lineages):
    names = [str(k) for k in range(n_lineages)]
    weights = np.tile(np.hanning(N_TIMES) + 0.1, n_lineages)
    adata.uns["recover_dynamics"] = {
        "id": "drawn",
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "state_times": np.linspace(0, 1, N_TIMES),
        "method": "SoftEM",
        "settings": {
            "name": "SoftEM",
            "noise": {"name": "NegativeBinomial"},
            "prior": {"name": "LearnedPrior", "by": "none"},
        },
        "status": "converged",
        "layers": {"unspliced": "unspliced", "spliced": "spliced"},
        "bound": -10 - np.exp(-np.arange(12) / 3.0),
        "temperature": np.r_[np.geomspace(10, 1, 9), 1, 1, 1],
    }
    adata.uns["lineages"] = {"names": np.array(names, dtype=object), "shares": np.full(n_lineages, 1 / n_lineages)}
    adata.uns["time_prior"] = {"times": np.linspace(0, 1, N_TIMES), "weights": weights[None] / weights.sum()}
    adata.uns["time_arrow"] = {"verdict": "clear", "log_likelihood_margin": 330.0}


@pytest.fixture
def drawn():
    """One lineage."""
    return drawn_object()


@pytest.fixture
def forked():
    """Two lineages."""
    return drawn_object(n_lineages=2)


def _backed(adata, folder):
    adata.write_h5ad(folder / "cells.h5ad")
    return ad.read_h5ad(folder / "cells.h5ad", backed="r")


def _dask(adata, folder):
    array = pytest.importorskip("dask.array")
    return _with_layers(adata, lambda layer: array.from_array(layer, chunks=(100, -1)))


def _with_layers(adata, change):
    adata = adata.copy()
    for name in ("spliced", "unspliced"):
        adata.layers[name] = change(adata.layers[name])
    return adata


#: Whatever counts may lie in: each takes cells with CSR float32 layers and a folder.
CONTAINERS = {
    "csr": lambda adata, folder: adata,
    "csc": lambda adata, folder: _with_layers(adata, sparse.csc_matrix),
    "csr array": lambda adata, folder: _with_layers(adata, sparse.csr_array),
    "csc array": lambda adata, folder: _with_layers(adata, sparse.csc_array),
    "dense": lambda adata, folder: _with_layers(adata, lambda layer: layer.toarray()),
    "Fortran": lambda adata, folder: _with_layers(adata, lambda layer: np.asfortranarray(layer.toarray())),
    "int64": lambda adata, folder: _with_layers(adata, lambda layer: layer.astype(np.int64)),
    "uint16": lambda adata, folder: _with_layers(adata, lambda layer: layer.toarray().astype(np.uint16)),
    "float64": lambda adata, folder: _with_layers(adata, lambda layer: layer.astype(np.float64)),
    "unsorted": lambda adata, folder: _with_layers(adata, _unsorted),
    "zeros": lambda adata, folder: _with_layers(adata, _with_zeros),
    "view": lambda adata, folder: ad.concat([adata, adata[:7]], index_unique="-", merge="same")[: adata.n_obs],
    "backed": _backed,
    "Dask": _dask,
}


def _unsorted(layer):
    """The genes of each cell from the last to the first."""
    rows = [slice(*layer.indptr[k : k + 2]) for k in range(layer.shape[0])]
    flipped = [np.concatenate([part[row][::-1] for row in rows]) for part in (layer.data, layer.indices)]
    return sparse.csr_matrix((*flipped, layer.indptr), shape=layer.shape)


def _with_zeros(layer):
    """A zero stored in every gene of the first cell that has none of it."""
    layer = layer.tolil()
    layer[0] = layer[0].toarray() + 1
    layer = layer.tocsr()
    layer.data[: layer.indptr[1]] -= 1
    return layer


@pytest.fixture(params=CONTAINERS)
def contained(request, tmp_path):
    """``contained(adata)``: the same counts in another container, an object of its own."""
    change = CONTAINERS[request.param]
    contain = lambda adata: change(adata.copy(), tmp_path)  # noqa: E731
    contain.kind = request.param
    return contain
