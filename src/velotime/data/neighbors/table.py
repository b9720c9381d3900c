"""Neighbours of the cells: those of the user, or our own under names of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._log import info
from velotime._status import InputError
from velotime.data.layers.names import find_spliced
from velotime.data.neighbors.components import log_components
from velotime.data.neighbors.search import gaussian_weights, nearest_cells, nearly_nearest_cells

N_NEIGHBORS = 30
N_COMPONENTS = 30
LEAST_GENES = 2
MOST_EXACT = 50_000  # cells of which all pairs are compared: 20 s on one core


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
        """Cells that means over each cell and its neighbours are of, on average."""
        near, n_cells = self.connectivities, self.connectivities.shape[0]
        itself = np.repeat(np.arange(n_cells, dtype=near.indices.dtype), np.diff(near.indptr)) == near.indices
        return float((near.nnz + n_cells - itself.sum()) / n_cells)


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

    Where ``n_neighbors`` is given, ours count as there only if they are so many. Up to 50,000 cells all pairs are
    compared; of more, neighbours are found by nearest neighbour descent, which misses some 5 % and says so. Weights are
    Gaussian. ``adata`` stays as it is: see :meth:`Neighbors.write`.
    """
    found = read_neighbors(adata)
    own = adata.uns.get(keys.OWN_NEIGHBORS, {}).get("params", {}).get("n_neighbors")
    if found is not None and (n_neighbors in (None, own) or {"distances", "connectivities"} <= set(adata.obsp)):
        return found
    n_neighbors = N_NEIGHBORS if n_neighbors is None else n_neighbors
    if adata.n_vars < LEAST_GENES:
        raise InputError(f"only {adata.n_vars} gene: to find neighbours at least {LEAST_GENES} are needed.")
    name = find_spliced(adata, spliced)
    points = log_components(adata, name, N_COMPONENTS, seed)
    others, exact = min(n_neighbors, adata.n_obs - 1) - 1, adata.n_obs <= MOST_EXACT
    distances = nearest_cells(points, others) if exact else nearly_nearest_cells(points, others, seed)
    if not exact:
        info(
            f"found {n_neighbors} neighbours of each cell by nearest neighbour descent, which misses some 5 % of them; "
            f"up to {MOST_EXACT:,} cells all pairs are compared"
        )
    params = {"n_neighbors": n_neighbors, "method": "gauss", "metric": "euclidean", "random_state": seed}
    record = {
        "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
        "params": params | {"layer": name, "exact": exact},
    }
    return Neighbors(distances, gaussian_weights(distances), record)
