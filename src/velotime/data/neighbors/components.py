"""Principal components of log-normalised counts, of any number of cells."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import anndata as ad
import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime._log import scanpy_aside
from velotime._types import FloatArray
from velotime.data.blocks.rows import layer_blocks
from velotime.data.layers.sizes import layer_sizes

MOST_CELLS = 50_000  # whose principal components are computed; others are projected onto these


def log_components(adata: AnnData, name: str, n_components: int, seed: int) -> FloatArray:
    """Principal components of the log-normalised counts of a layer, ``(cells, components)``, float32.

    Those of all cells up to 50,000, by scanpy. Of more, 50,000 are drawn at random and the others projected onto their
    components: ``(log(1 + x_i) - mean) @ loadings``. Counts are read a block of cells at a time, twice if there are
    more.
    """
    sizes = layer_sizes(adata, name)
    n_cells, few = adata.n_obs, adata.n_obs <= MOST_CELLS
    chosen = np.ones(n_cells, dtype=bool)
    if not few:
        chosen[:] = False
        chosen[np.random.default_rng(seed).choice(n_cells, MOST_CELLS, replace=False)] = True
    sample = ad.AnnData(
        sparse.csr_matrix(sparse.vstack([values[chosen[cells]] for cells, values in _blocks(adata, name, sizes)]))
    )
    with scanpy_aside(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of scanpy's own making
        sc.pp.pca(sample, n_comps=min(n_components, min(sample.shape) - 1), random_state=seed)
    if few:
        return np.asarray(sample.obsm["X_pca"], dtype=np.float32)
    loadings = np.asarray(sample.varm["PCs"], dtype=np.float32)
    middle = np.asarray(sample.X.mean(axis=0)).ravel() @ loadings
    out = np.empty((n_cells, loadings.shape[1]), dtype=np.float32)
    for cells, values in _blocks(adata, name, sizes):
        out[cells] = values @ loadings - middle
    return out


def _blocks(adata: AnnData, name: str, sizes: FloatArray) -> Iterator[tuple[slice, sparse.csr_array]]:
    for cells, values in layer_blocks(adata.layers[name], name, counts=False):
        yield cells, _log_normal(values, sizes[cells])


def _log_normal(values: sparse.csr_array, sizes: FloatArray) -> sparse.csr_array:
    """``log(1 + x / size)``, float32."""
    scale = np.repeat((1.0 / sizes).astype(np.float32), np.diff(values.indptr))
    return sparse.csr_array((np.log1p(values.data * scale), values.indices, values.indptr), shape=values.shape)
