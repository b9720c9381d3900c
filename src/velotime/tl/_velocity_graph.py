"""The velocity graph: where each cell's velocity points among its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.random import Generator
from scipy import sparse

from velotime import _keys as keys
from velotime._check import N_JOBS, RNG, Flag, Optional, Whole, checked, seed_of
from velotime._log import told
from velotime._status import InputError
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import (
    Edges,
    as_array,
    edge_cosines,
    edge_cosines_by_genes,
    mean_edge_cosines,
    root_cosines_by_genes,
    times_table,
)
from velotime.compute.threads import at_most_threads
from velotime.data import (
    Fitted,
    NeighborhoodMeans,
    Neighbors,
    digest,
    find_neighbors,
    gene_blocks,
    means_of_genes,
    read_velocity,
    require_velocity,
    to_write_to,
    write_derived,
)
from velotime.data.arguments import ADATA, LAYER, VAR_COLUMN
from velotime.data.layers.names import layer_names
from velotime.data.neighbors.walk import Walk, in_order
from velotime.tl._transitions import SCALE

MOST_RECURSIVE = 50_000  # cells whose neighbours of neighbours are taken by default
CONFIDENCE_QUANTILE = 98  # percentile of the best correlations that a cell needs to leave for certain


@checked(
    {
        "adata": ADATA,
        "recursive": Optional(Flag()),
        "posterior": Flag(),
        "n_draws": Whole(1),
        "rng": RNG,
        "genes": VAR_COLUMN,
        "state": LAYER,
        "square_root": Flag(),
        "spliced": LAYER,
        "n_jobs": N_JOBS,
        "copy": Flag(),
    }
)
def velocity_graph(
    adata: AnnData,
    *,
    recursive: bool | None = None,
    posterior: bool = False,
    n_draws: int = 20,
    rng: int | Generator = 0,
    genes: str = keys.VELOCITY_GENES,
    state: str | None = None,
    square_root: bool = False,
    spliced: str | None = None,
    n_jobs: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Correlate each cell's velocity with the displacements to its neighbours.

    ``pi_ij = corr(v_i, x_j - x_i)`` over genes, with v the velocity and x where cells are: spliced counts at size
    factor 1, averaged over each cell and its neighbours. (La Manno et al. 2018; scVelo, Bergen et al. 2020.) The
    fitted means are not used for x: they lie on the fitted curve, where every displacement is along it.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`, or with another tool's ``layers["velocity"]``. Neighbours are
        those of ``obsp["distances"]`` and ``["connectivities"]``; if these are not both there, 30 are found on 30
        principal components of the log-normalised spliced counts and kept under names of their own.
    recursive
        Also take the neighbours of neighbours, as scVelo does: the state space is sampled sparsely, and the next state
        may lie two steps off. By default for up to 50,000 cells: more sample it densely, and the edges of a million
        would take over 50 GB. What was done stands in ``uns["velocity_params"]["recursive"]``.
    posterior
        Average over draws from the posterior of each cell's time and lineage (needs a fit by ``SoftEM``): a cell whose
        direction is uncertain diffuses. :func:`velotime.tl.transition_matrix` then gives the mean of the transitions
        that the draws give, each by the velocity of the curves at the state drawn.
    n_draws
        Draws per cell; they are stratified, so 20 suffice.
    rng
        Of the draws: a seed, or a ``numpy.random.Generator``, which is asked for one. The same seed gives the same
        graph.
    genes
        A boolean var column: genes to use. Genes with NaN velocities are left out in any case.
    state
        Name of a layer to use for x: with "Ms", scVelo's velocities give scVelo's graph.
    square_root
        Take signed square roots of velocities and displacements first, so that few large genes do not decide; scVelo
        does so in its stochastic mode.
    spliced
        Name of the spliced layer; that of the fit by default.
    n_jobs
        Threads at most, -1 for all cores; by default ``NUMBA_NUM_THREADS``, or all cores. The result is the same.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; writes

    ``obsp["velocity_graph"]``, ``obsp["velocity_graph_neg"]``
        Positive and negative correlations, CSR (cells, cells), float32; also in ``uns``, where scVelo and scanpy's PAGA
        look for them (velotime does not: ``uns`` does not follow when cells are taken or put in order). With
        ``posterior``, those that stand for all draws: their transitions, at the default scale, are the mean.
    ``obs["velocity_self_transition"]``
        How far the cell's best correlation is below that of confident cells. float.
    ``obsp["velotime_distances"]``, ``obsp["velotime_connectivities"]``, ``uns["velotime_neighbors"]``
        Neighbours, where there were none.
    ``uns["velocity_params"]["n_genes_left_out"]``, ``["n_cells_left_out"]``
        Genes that were left out as their velocity is NaN, and cells, from which no edge starts, as all of theirs is.

    Raises
    ------
    InputError
        If nothing is fitted, the column or the layer does not exist, or no gene has a velocity; ``adata`` is as it was.
    """
    adata = to_write_to(adata, copy=copy)
    with at_most_threads(n_jobs), told("computing the velocity graph") as done:
        vectors = _vectors(adata, genes)
        neighbors = find_neighbors(adata, spliced=spliced)
        recursive = adata.n_obs <= MOST_RECURSIVE if recursive is None else recursive
        edges = _edges(neighbors.distances, recursive=recursive)
        there = _state(adata, neighbors, state, vectors.genes, spliced)
        between = Edges(edges.indptr, edges.indices)
        if posterior:
            there = there(slice(0, len(vectors.genes)))
            table, draws = _drawn(adata, vectors.genes, n_draws, rng)
            signed = mean_edge_cosines(there, table, draws, between, scale=SCALE, root=square_root)
        else:
            cosines = _cosines(there, vectors, between, root=square_root)
            signed = (cosines, cosines)
        graphs = tuple(_keep(edges, values, keep) for values, keep in zip(signed, (np.greater, np.less), strict=True))
        _write(adata, neighbors, vectors, (graphs[0], graphs[1]), recursive=recursive)
        done(f"added obsp[{keys.VELOCITY_GRAPH!r}]")
    return adata if copy else None


def _write(
    adata: AnnData,
    neighbors: Neighbors,
    vectors: _Vectors,
    graphs: tuple[sparse.csr_matrix, sparse.csr_matrix],
    *,
    recursive: bool,
) -> None:
    positive, negative = graphs
    confidence = positive.max(axis=1).toarray().ravel()
    neighbors.write(adata)
    write_derived(
        adata,
        keys.VELOCITY_GRAPH,
        {
            "obsp": {keys.VELOCITY_GRAPH: positive, keys.VELOCITY_GRAPH_NEG: negative},
            "uns": {keys.VELOCITY_GRAPH: positive, keys.VELOCITY_GRAPH_NEG: negative},
            "obs": {keys.SELF_TRANSITION: np.clip(np.percentile(confidence, CONFIDENCE_QUANTILE) - confidence, 0, 1)},
        },
        made_of=digest(positive, negative),
    )
    adata.uns[keys.VELOCITY_PARAMS] = dict(adata.uns.get(keys.VELOCITY_PARAMS, {})) | {
        "n_genes_left_out": vectors.n_genes_left_out,
        "n_cells_left_out": vectors.n_cells_left_out,
        "recursive": recursive,
    }


@dataclass(frozen=True)
class _Vectors:
    """Velocities of some genes, and which cells have none, ``(cells,)``."""

    source: _StateVelocities | _StoredVelocities
    lost: BoolArray
    n_genes_left_out: int

    @property
    def genes(self) -> IntArray:
        return self.source.genes

    @property
    def n_cells_left_out(self) -> int:
        return int(self.lost.sum())

    def walked(self, walk: Walk) -> _Vectors:
        """Of the cells in another order."""
        return replace(self, source=self.source.walked(walk), lost=self.lost[walk.order])

    def velocity(self, some: slice) -> FloatArray:
        """Velocities without NaN of some of the genes, ``(cells, genes)``; those of cells that have none are 0."""
        values = np.array(self.source(some), dtype=np.float32, copy=None if not self.lost.any() else True)
        values[self.lost] = 0.0
        return values


@dataclass(frozen=True)
class _StoredVelocities:
    """Velocities of some genes as they stand in a layer, or as a fit with a time for each cell gives them."""

    adata: AnnData
    genes: IntArray
    walk: Walk | None = None

    def walked(self, walk: Walk) -> _StoredVelocities:
        """Of the cells in another order."""
        return replace(self, walk=walk)

    def __call__(self, some: slice) -> FloatArray:
        """Of some of the genes, ``(cells, genes)``."""
        return in_order(read_velocity(self.adata, self.genes[some]).values, self.walk)

    def unknown(self) -> tuple[IntArray, BoolArray]:
        """In how many cells each gene is NaN, and which cells are NaN throughout."""
        none, missing = np.ones(self.adata.n_obs, dtype=bool), np.zeros(len(self.genes), dtype=np.int64)
        for some in gene_blocks(self.adata.n_obs, len(self.genes)):
            nothing = np.isnan(self(some))
            missing[some] = nothing.sum(axis=0)
            none &= nothing.all(axis=1)
        return missing, none


@dataclass(frozen=True)
class _StateVelocities:
    """Velocities of some genes as means over a posterior of those of the states, ``(states, genes)``."""

    posterior: sparse.csr_array
    table: FloatArray
    genes: IntArray

    @classmethod
    def of(cls, fitted: Fitted, genes: IntArray) -> _StateVelocities:
        table = fitted.states.velocities(fitted.theta(genes))[1].T
        return cls(fitted.posterior, np.asarray(table, dtype=np.float32), genes)

    def walked(self, walk: Walk) -> _StateVelocities:
        """Of the cells in another order."""
        return replace(self, posterior=self.posterior[walk.order])

    def __call__(self, some: slice) -> FloatArray:
        """Of some of the genes, ``(cells, genes)``."""
        return times_table(self.posterior, self.table[:, some])

    def unknown(self) -> tuple[IntArray, BoolArray]:
        """In how many cells each gene is NaN, and which cells are NaN throughout."""
        n_cells, unknown = self.posterior.shape[0], np.isnan(self.table).any(axis=0)
        return n_cells * unknown, np.full(n_cells, unknown.all())


def _vectors(adata: AnnData, column: str) -> _Vectors:
    if column not in adata.var:
        require_velocity(adata)
        raise InputError(f"column {column!r} not found in adata.var; available: {list(adata.var.columns)}.")
    asked = np.arange(adata.n_vars) if keys.VELOCITY in adata.layers else Fitted.of(adata).genes
    missing, lost = _velocities(adata, asked).unknown()
    known = missing == lost.sum()
    use = np.flatnonzero(known & np.asarray(adata.var[column], dtype=bool)[asked])
    if lost.all() or len(use) == 0:
        raise InputError(
            f"no gene of var[{column!r}] has a velocity in all cells: mark other genes, or fit them with "
            "velotime.tl.recover_dynamics(adata)."
        )
    return _Vectors(_velocities(adata, asked[use]), lost, int(adata.n_vars - known.sum()))


def _velocities(adata: AnnData, genes: IntArray) -> _StateVelocities | _StoredVelocities:
    if keys.VELOCITY in adata.layers or "posterior" not in Fitted.of(adata).capabilities:
        return _StoredVelocities(adata, genes)
    return _StateVelocities.of(Fitted.of(adata), genes)


def _cosines(there: NeighborhoodMeans | _LayerState, vectors: _Vectors, edges: Edges, *, root: bool) -> FloatArray:
    """A correlation for each edge; a block of genes at a time where all of them would be too many.

    Neighbours then stand near each other, or most of the time goes into waiting for what is read of them.
    """
    n_cells = len(vectors.lost)
    blocks = gene_blocks(n_cells, len(vectors.genes))
    if len(blocks) == 1:
        return edge_cosines(there(blocks[0]), vectors.velocity(blocks[0]), edges, root=root)
    number = sparse.csr_matrix((np.arange(len(edges.indices)), edges.indices, edges.indptr), shape=(n_cells, n_cells))
    walk = Walk.along(number)
    number = walk.renumbered(number)
    there, vectors, edges = there.walked(walk), vectors.walked(walk), Edges(number.indptr, number.indices)
    given = ((there(some), vectors.velocity(some)) for some in blocks)
    found = root_cosines_by_genes(given, edges) if root else edge_cosines_by_genes(given, there.middle, edges)
    cosines = np.empty_like(found)
    cosines[number.data] = found
    return cosines


@dataclass(frozen=True)
class _LayerState:
    """Values of a layer as the state of the cells."""

    layer: Any
    genes: IntArray
    walk: Walk | None = None

    def walked(self, walk: Walk) -> _LayerState:
        """Of the cells in another order."""
        return replace(self, walk=walk)

    def __call__(self, some: slice) -> FloatArray:
        """Of some of the genes, ``(cells, genes)``, float32."""
        return in_order(np.asarray(as_array(self.layer[:, self.genes[some]], np.float32)), self.walk)

    @property
    def middle(self) -> FloatArray:
        """Mean of each cell over the genes, ``(cells,)``."""
        blocks = gene_blocks(self.layer.shape[0], len(self.genes))
        return sum(self(some).sum(axis=1, dtype=np.float64) for some in blocks) / len(self.genes)


def _state(
    adata: AnnData, neighbors: Neighbors, layer: str | None, genes: IntArray, spliced: str | None
) -> NeighborhoodMeans | _LayerState:
    """Where cells are, ``(cells, genes)``, float32, of some of the genes."""
    if layer is None:
        return means_of_genes(adata, neighbors, genes, spliced=spliced)
    if layer not in adata.layers:
        raise InputError(f"layer {layer!r} not found in adata.layers; available: {layer_names(adata)}.")
    return _LayerState(adata.layers[layer], genes)


def _drawn(adata: AnnData, genes: IntArray, n_draws: int, rng: int | Generator) -> tuple[FloatArray, IntArray]:
    """Velocities of the states ``(states, genes)`` and the states drawn for each cell ``(cells, draws)``."""
    if n_draws < 1:
        raise InputError(f"velocity_graph(n_draws={n_draws}): must be 1 or more; the default is 20.")
    fitted = Fitted.of(adata).require("posterior")
    table = fitted.states.velocities(fitted.theta(genes))[1].T
    return np.ascontiguousarray(table, dtype=np.float32), fitted.draw_states(
        n_draws, np.random.default_rng(seed_of(rng))
    )


def _edges(distances: sparse.csr_matrix, *, recursive: bool) -> sparse.csr_matrix:
    """Each cell's neighbours, and theirs, without itself; only the structure counts."""
    steps = sparse.csr_matrix(
        (np.ones(distances.nnz, dtype=bool), distances.indices, distances.indptr), shape=distances.shape
    )
    if recursive:
        steps = sparse.csr_matrix(steps + steps @ steps)
    return _subset(steps, steps.indices != _rows(steps))


def _rows(matrix: sparse.csr_matrix) -> IntArray:
    return np.repeat(np.arange(matrix.shape[0], dtype=matrix.indices.dtype), np.diff(matrix.indptr))


def _subset(matrix: sparse.csr_matrix, mask: BoolArray) -> sparse.csr_matrix:
    """Some entries of a matrix; the others are gone."""
    indptr = np.concatenate([[0], np.cumsum(mask)])[matrix.indptr]
    return sparse.csr_matrix((matrix.data[mask], matrix.indices[mask], indptr), shape=matrix.shape)


def _keep(edges: sparse.csr_matrix, values: FloatArray, keep: np.ufunc) -> sparse.csr_matrix:
    """Values of the edges where ``keep(value, 0)``."""
    return _subset(sparse.csr_matrix((values, edges.indices, edges.indptr), shape=edges.shape), keep(values, 0))
