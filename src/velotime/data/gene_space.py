"""Positions and velocities of cells in gene space, for functions that compare the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.compute import as_array
from velotime.data.embeddings import embedding_points, short_name
from velotime.data.fitted import Fitted
from velotime.data.layers.names import find_spliced
from velotime.data.layers.sizes import layer_sizes
from velotime.data.layers.values import read_block
from velotime.data.neighbors import Neighbors
from velotime.data.stored.derived import read_derived
from velotime.data.stored.identity import digest


def neighborhood_means(
    adata: AnnData, neighbors: Neighbors, genes: IntArray, *, spliced: str | None = None
) -> FloatArray:
    """Spliced counts at size factor 1, averaged over each cell and its neighbours, ``(cells, genes)``, float32.

    The size factors are those of the fit; see :func:`layer_sizes`.
    """
    return means_of_genes(adata, neighbors, genes, spliced=spliced)(slice(None))


def means_of_genes(
    adata: AnnData, neighbors: Neighbors, genes: IntArray, *, spliced: str | None = None
) -> Callable[[slice], FloatArray]:
    """The same of some of these genes at a time; their counts are read once, and held sparse."""
    fitted = adata.uns.get(keys.RECOVER_DYNAMICS, {}).get("layers", {}).get("spliced")
    name = find_spliced(adata, spliced or fitted)
    layer = sparse.csc_matrix(read_block(adata.layers[name], genes))
    weights = neighbors.weights(1.0 / layer_sizes(adata, name))

    def means(some: slice) -> FloatArray:
        return np.asarray((weights @ layer[:, some].tocsr()).toarray(), dtype=np.float32)

    return means


@dataclass(frozen=True)
class Velocity:
    """Velocities of some genes: ``values``, ``(cells, genes)``, and the indices of the genes in the object."""

    values: FloatArray
    genes: IntArray


def read_velocity(adata: AnnData, genes: IntArray | None = None) -> Velocity:
    """The values of ``layers["velocity"]``, else those of the fit; of some genes, or of all that may have any.

    The layer goes first, as it may be another tool's.

    Raises
    ------
    InputError
        If there is neither.
    """
    if keys.VELOCITY in adata.layers:
        layer = adata.layers[keys.VELOCITY]
        block = layer if genes is None else layer[:, genes]
        asked = np.arange(adata.n_vars) if genes is None else genes
        return Velocity(as_array(block), asked)
    fitted = Fitted.of(adata)
    asked = fitted.genes if genes is None else genes
    return Velocity(fitted.velocity(genes=asked), asked)


def require_velocity(adata: AnnData) -> None:
    """Check that there are velocities.

    Raises
    ------
    InputError
        If not.
    """
    read_velocity(adata, np.zeros(0, dtype=np.int64))


def arrows_made_of(adata: AnnData, points: FloatArray) -> str:
    """Hash of what velocities on an embedding are made of beside the fit: the graph and the coordinates."""
    graph = read_derived(adata, keys.VELOCITY_GRAPH)
    return digest(None if graph is None else graph.made_of, np.asarray(points, dtype=np.float64))


def has_arrows(adata: AnnData, basis: str) -> bool:
    """Whether ``obsm["velocity_<basis>"]`` is of the fit, the graph and the coordinates that are here now."""
    entry = read_derived(adata, f"{keys.VELOCITY}_{short_name(basis)}")
    return entry is not None and entry.made_of == arrows_made_of(adata, embedding_points(adata, basis))
