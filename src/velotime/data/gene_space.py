"""Positions and velocities of cells in gene space, for functions that compare the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.compute import PackedRows, as_array, dense_genes, means_around, pack_rows
from velotime.data.blocks.rows import layer_blocks
from velotime.data.embeddings import embedding_points, short_name
from velotime.data.fitted import Fitted
from velotime.data.layers.names import find_spliced
from velotime.data.layers.sizes import layer_sizes
from velotime.data.neighbors.table import Neighbors
from velotime.data.neighbors.walk import Walk, in_order
from velotime.data.stored.derived import read_derived
from velotime.data.stored.identity import digest

MOST_DENSE = 2**27  # values of cells x genes that are held dense at a time, of states and of velocities


@dataclass(frozen=True)
class NeighborhoodMeans:
    """Means of the values of a layer over each cell and its neighbours, of some of its genes at a time.

    Attributes
    ----------
    rows
        The values, in blocks of cells.
    n_genes
        How many genes there are.
    scale
        What values of each cell are multiplied by, ``(cells,)``.
    near
        Over whom to average: each cell's neighbours, CSR ``(cells, cells)``, all of the same weight.
    walk
        The order of the cells in ``scale``, ``near`` and the means; as in ``rows`` by default.
    """

    rows: tuple[PackedRows, ...]
    n_genes: int
    scale: FloatArray
    near: sparse.csr_matrix
    walk: Walk | None = None

    @classmethod
    def of(
        cls,
        adata: AnnData,
        name: str,
        scale: FloatArray,
        neighbors: Neighbors,
        *,
        genes: IntArray | None = None,
        counts: bool = False,
    ) -> NeighborhoodMeans:
        """Of some genes of a layer, or of all, which are read once, from wherever they lie, and held sparse."""
        asked = slice(None) if genes is None else genes
        blocks = layer_blocks(adata.layers[name], name, counts=counts)
        rows = tuple(pack_rows(_sorted(values[:, asked])) for _, values in blocks)
        return cls(rows, adata.n_vars if genes is None else len(genes), scale, neighbors.connectivities)

    def walked(self, walk: Walk) -> NeighborhoodMeans:
        """Of the cells in another order."""
        near = self.near
        there = sparse.csr_matrix((np.ones(near.nnz, dtype=bool), near.indices, near.indptr), shape=near.shape)
        return replace(self, scale=self.scale[walk.order], near=walk.renumbered(there), walk=walk)

    def __call__(self, some: slice) -> FloatArray:
        """Means of genes that follow each other, ``(cells, genes)``, float32."""
        return self._means(dense_genes(self.rows, some))

    def _means(self, values: FloatArray) -> FloatArray:
        return means_around(self.near.indptr, self.near.indices, self.scale, in_order(values, self.walk))

    @property
    def middle(self) -> FloatArray:
        """Mean of each cell's means over all these genes, ``(cells,)``, float64."""
        total = np.concatenate([_row_sums(one) for one in self.rows])[:, None] / self.n_genes
        return np.asarray(self._means(total).ravel(), dtype=np.float64)

    @property
    def blocks(self) -> list[slice]:
        """Genes of which dense values of all cells are held at a time."""
        return gene_blocks(len(self.scale), self.n_genes)


def gene_blocks(n_cells: int, n_genes: int) -> list[slice]:
    """Genes of which dense values of all cells are held at a time, of equal number."""
    n_blocks = -(-n_genes // max(1, MOST_DENSE // n_cells))
    bounds = np.linspace(0, n_genes, n_blocks + 1).astype(int)
    return [slice(int(first), int(last)) for first, last in pairwise(bounds)]


def _sorted(values: sparse.csr_array) -> sparse.csr_array:
    values.sort_indices()
    return values


def _row_sums(rows: PackedRows) -> FloatArray:
    """Sum of each row, float64."""
    below = np.concatenate([[0.0], np.cumsum(rows.data, dtype=np.float64)])
    return np.asarray(np.diff(below[rows.indptr]))


def neighborhood_means(
    adata: AnnData, neighbors: Neighbors, genes: IntArray, *, spliced: str | None = None
) -> FloatArray:
    """Spliced counts at size factor 1, averaged over each cell and its neighbours, ``(cells, genes)``, float32.

    The size factors are those of the fit; see :func:`layer_sizes`.
    """
    return means_of_genes(adata, neighbors, genes, spliced=spliced)(slice(0, len(genes)))


def means_of_genes(
    adata: AnnData, neighbors: Neighbors, genes: IntArray, *, spliced: str | None = None
) -> NeighborhoodMeans:
    """The same of some of these genes at a time."""
    fitted = adata.uns.get(keys.RECOVER_DYNAMICS, {}).get("layers", {}).get("spliced")
    name = find_spliced(adata, spliced or fitted)
    return NeighborhoodMeans.of(adata, name, 1.0 / layer_sizes(adata, name), neighbors, genes=genes)


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
