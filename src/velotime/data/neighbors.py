"""Neighbours of the cells, made where there are none."""

from __future__ import annotations

import anndata as ad
import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime._types import FloatArray
from velotime.data.reading import find_layers, read_layer

N_NEIGHBORS = 30
N_COMPONENTS = 30


def ensure_neighbors(
    adata: AnnData, *, n_neighbors: int = N_NEIGHBORS, spliced: str | None = None, seed: int = 0
) -> None:
    """See to it that ``obsp["distances"]`` and ``["connectivities"]`` are there.

    If they are not: 30 neighbours (or ``n_neighbors``) on 30 principal components of the log-normalised spliced counts,
    by scanpy, with Gaussian weights (exact and quick to import).
    """
    if "distances" in adata.obsp and "connectivities" in adata.obsp:
        return
    layer = read_layer(adata, find_layers(adata, spliced=spliced)[1], counts=False)
    copy = ad.AnnData(sparse.csr_matrix(layer, dtype=np.float32), obs=adata.obs[[]])
    sc.pp.normalize_total(copy)
    sc.pp.log1p(copy)
    sc.pp.pca(copy, n_comps=min(N_COMPONENTS, min(copy.shape) - 1), random_state=seed)
    sc.pp.neighbors(
        copy,
        n_neighbors=min(n_neighbors, adata.n_obs - 1),
        method="gauss",
        transformer="sklearn",  # exact for any number of cells; scanpy 1.11 cannot read what pynndescent 0.7 gives
        random_state=seed,
    )
    if "X_pca" not in adata.obsm:
        adata.obsm["X_pca"] = copy.obsm["X_pca"]
    for name in ("distances", "connectivities"):
        adata.obsp[name] = copy.obsp[name]
    adata.uns["neighbors"] = copy.uns["neighbors"]


def neighborhood(adata: AnnData, scale: FloatArray) -> sparse.csr_matrix:
    """Weights of a mean over each cell and its neighbours, all alike, of values times ``scale`` ``(cells,)``."""
    around = _around(adata)
    weights = sparse.diags(1.0 / np.asarray(around.sum(axis=1)).ravel()) @ around @ sparse.diags(scale)
    return sparse.csr_matrix(weights, dtype=np.float32)


def neighborhood_size(adata: AnnData) -> float:
    """Cells that :func:`neighborhood` takes a mean of, on average."""
    return float(_around(adata).sum() / adata.n_obs)


def _around(adata: AnnData) -> sparse.csr_matrix:
    """1 for each cell and its neighbours, ``(cells, cells)``."""
    around = sparse.csr_matrix(adata.obsp["connectivities"], dtype=np.float32)
    around.data = np.ones_like(around.data)
    around = sparse.csr_matrix(around + sparse.eye(adata.n_obs, dtype=np.float32))
    around.data = np.minimum(around.data, 1.0)
    return around
