"""Means over neighbours."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._check import SEED, Whole, checked
from velotime._types import FloatArray
from velotime.data import ensure_neighbors, find_layers, neighborhood, neighborhood_size, read_layer
from velotime.data.arguments import ADATA, LAYER


@checked({"adata": ADATA, "n_neighbors": Whole(1), "unspliced": LAYER, "spliced": LAYER, "seed": SEED})
def moments(
    adata: AnnData, *, n_neighbors: int = 30, unspliced: str | None = None, spliced: str | None = None, seed: int = 0
) -> None:
    """Average both layers over each cell and its neighbours, for the methods that read moments.

    Every cell's counts are first scaled to the median total of its layer. scVelo's first-order moments (Bergen et
    al. 2020): all neighbours weigh the same, as does the cell itself. ``vt.SoftEM`` needs none of this.

    Parameters
    ----------
    adata
        Cells x genes with raw counts of both layers, which stay as they are. If ``obsp`` holds ``distances`` and
        ``connectivities`` already, those are the neighbours.
    n_neighbors
        Neighbours to find otherwise, on 30 principal components of the log-normalised spliced counts. scVelo's 30.
    unspliced, spliced
        Layer names; found by themselves by default.
    seed
        Of the principal components.

    Returns
    -------
    Nothing; writes

    ``layers["Mu"]``, ``layers["Ms"]``
        Means of unspliced and spliced over the neighbours, (cells, genes), float32.
    ``uns["moments"]``
        Where the two came from. dict.
    ``obsp["distances"]``, ``obsp["connectivities"]``
        Where they were missing.

    Raises
    ------
    InputError
        If a layer is missing or holds something else than raw counts, or ``n_neighbors`` is less than 1.
    """
    names = find_layers(adata, unspliced, spliced)
    layers = [read_layer(adata, name, counts=True) for name in names]
    ensure_neighbors(adata, n_neighbors=n_neighbors, spliced=names[1], seed=seed)
    for target, column, layer in zip((keys.MU, keys.MS), (keys.SIZE_UNSPLICED, keys.SIZE_SPLICED), layers, strict=True):
        weights = neighborhood(adata, _scale(adata, layer, column))
        adata.layers[target] = np.asarray((weights @ sparse.csr_matrix(layer)).toarray(), dtype=np.float32)
    adata.uns[keys.MOMENTS] = {
        "source": keys.NEIGHBORS,
        "layers": {"unspliced": names[0], "spliced": names[1]},
        "n_neighbors": n_neighbors,
        keys.N_AVERAGED: neighborhood_size(adata),
    }


def _scale(adata: AnnData, layer: sparse.csr_array, column: str) -> FloatArray:
    """What brings each cell to the median total, over all genes before filtering where that is known, ``(cells,)``."""
    total = np.asarray(adata.obs[column] if column in adata.obs else layer.sum(axis=1), dtype=np.float64).ravel()
    median = np.median(total) or 1.0
    return np.asarray(np.where(total > 0, median / np.where(total > 0, total, 1.0), 1.0))
