"""Neighbours of the cells, made where there are none."""

from __future__ import annotations

import anndata as ad
import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime.data import find_layers

N_NEIGHBORS = 30
N_COMPONENTS = 30


def ensure_neighbors(adata: AnnData, *, spliced: str | None = None, seed: int = 0) -> None:
    """See to it that ``obsp["distances"]`` and ``["connectivities"]`` are there.

    If they are not: 30 neighbours on 30 principal components of the log-normalised spliced counts, by scanpy, with
    Gaussian weights (exact and quick to import).
    """
    if "distances" in adata.obsp and "connectivities" in adata.obsp:
        return
    layer = adata.layers[find_layers(adata, spliced=spliced)[1]]
    copy = ad.AnnData(sparse.csr_matrix(layer, dtype=np.float32), obs=adata.obs[[]])
    sc.pp.normalize_total(copy)
    sc.pp.log1p(copy)
    sc.pp.pca(copy, n_comps=min(N_COMPONENTS, min(copy.shape) - 1), random_state=seed)
    sc.pp.neighbors(copy, n_neighbors=min(N_NEIGHBORS, adata.n_obs - 1), method="gauss", random_state=seed)
    if "X_pca" not in adata.obsm:
        adata.obsm["X_pca"] = copy.obsm["X_pca"]
    for name in ("distances", "connectivities"):
        adata.obsp[name] = copy.obsp[name]
    adata.uns["neighbors"] = copy.uns["neighbors"]
