"""Neighbours of the cells: those of the user, or our own under names of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data.layers.names import find_spliced
from velotime.data.layers.sizes import layer_sizes
from velotime.data.layers.values import read_layer

N_NEIGHBORS = 30
N_COMPONENTS = 30
LEAST_GENES = 2


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of the cells.

    Attributes
    ----------
    distances, connectivities
        As scanpy has them, ``(cells, cells)``.
    record
        What ``uns`` holds of neighbours that were found here; None for those that were there.
    """

    distances: sparse.csr_matrix
    connectivities: sparse.csr_matrix
    record: dict[str, Any] | None = None

    def write(self, adata: AnnData) -> None:
        """Keep neighbours that were found here, under names of our own."""
        if self.record is None:
            return
        adata.obsp[keys.DISTANCES], adata.obsp[keys.CONNECTIVITIES] = self.distances, self.connectivities
        adata.uns[keys.OWN_NEIGHBORS] = self.record

    @property
    def n_neighbors(self) -> int:
        """Neighbours of a cell, itself included as scanpy counts them; of cells that differ, the most."""
        return int(np.diff(self.distances.indptr).max(initial=0)) + 1

    @property
    def n_averaged(self) -> float:
        """Cells that :meth:`weights` take a mean of, on average."""
        return float(self._around.sum() / self._around.shape[0])

    def weights(self, scale: FloatArray) -> sparse.csr_matrix:
        """Weights of a mean over each cell and its neighbours, all the same, of values times ``scale`` ``(cells,)``."""
        around = self._around
        weights = sparse.diags(1.0 / np.asarray(around.sum(axis=1)).ravel()) @ around @ sparse.diags(scale)
        return sparse.csr_matrix(weights, dtype=np.float32)

    @property
    def _around(self) -> sparse.csr_matrix:
        """1 for each cell and its neighbours, ``(cells, cells)``."""
        around = sparse.csr_matrix(self.connectivities, dtype=np.float32, copy=True)
        around.data[:] = 1.0
        around = sparse.csr_matrix(around + sparse.eye(around.shape[0], dtype=np.float32))
        around.data = np.minimum(around.data, 1.0)
        return around


def read_neighbors(adata: AnnData) -> Neighbors | None:
    """The neighbours in ``obsp``: the user's if both matrices are there, else our own, else None."""
    for distances, connectivities in (("distances", "connectivities"), (keys.DISTANCES, keys.CONNECTIVITIES)):
        if distances in adata.obsp and connectivities in adata.obsp:
            return Neighbors(sparse.csr_matrix(adata.obsp[distances]), sparse.csr_matrix(adata.obsp[connectivities]))
    return None


def find_neighbors(
    adata: AnnData, *, n_neighbors: int | None = None, spliced: str | None = None, seed: int = 0
) -> Neighbors:
    """The neighbours that are there, or 30 on 30 principal components of the log-normalised spliced counts.

    Where ``n_neighbors`` is given, ours count as there only if they are so many. ``adata`` stays as it is: see
    :meth:`Neighbors.write`. By scanpy, with Gaussian weights (exact and quick to import).
    """
    found = read_neighbors(adata)
    own = adata.uns.get(keys.OWN_NEIGHBORS, {}).get("params", {}).get("n_neighbors")
    if found is not None and (n_neighbors in (None, own) or {"distances", "connectivities"} <= set(adata.obsp)):
        return found
    n_neighbors = N_NEIGHBORS if n_neighbors is None else n_neighbors
    if adata.n_vars < LEAST_GENES:
        raise InputError(f"only {adata.n_vars} gene: to find neighbours at least {LEAST_GENES} are needed.")
    name = find_spliced(adata, spliced)
    layer = sparse.csr_matrix(read_layer(adata, name, counts=False))
    scaled = sparse.csr_matrix(sparse.diags(1.0 / layer_sizes(adata, name)).astype(np.float32) @ layer)
    copy = ad.AnnData(scaled, obs=adata.obs[[]])
    sc.pp.log1p(copy)
    sc.pp.pca(copy, n_comps=min(N_COMPONENTS, min(copy.shape) - 1), random_state=seed)
    sc.pp.neighbors(
        copy,
        n_neighbors=min(n_neighbors, adata.n_obs - 1),
        method="gauss",
        transformer="sklearn",  # exact for any number of cells; scanpy 1.11 cannot read what pynndescent 0.7 gives
        random_state=seed,
    )
    record = {
        "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
        "params": dict(copy.uns["neighbors"]["params"]) | {"n_neighbors": n_neighbors, "layer": name},
    }
    return Neighbors(sparse.csr_matrix(copy.obsp["distances"]), sparse.csr_matrix(copy.obsp["connectivities"]), record)
