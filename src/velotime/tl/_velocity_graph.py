"""From velocity to transitions between cells."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError
from velotime._types import BoolArray
from velotime.backends import edge_cosines
from velotime.data import ensure_neighbors, keys, neighborhood_means

CONFIDENCE_QUANTILE = 98  # percentile of the best correlations that a cell needs to leave for certain


def velocity_graph(
    adata: AnnData, *, recursive: bool = True, genes: str = keys.VELOCITY_GENES, spliced: str | None = None
) -> None:
    """Correlate each cell's velocity with the displacements to its neighbours.

    ``pi_ij = corr(v_i, x_j - x_i)`` over genes, with v the velocity and x where cells are: spliced counts at size
    factor 1, averaged over each cell and its neighbours. (La Manno et al. 2018; scVelo, Bergen et al. 2020.) The
    fitted means would not do for x: they lie on the fitted curve, where every displacement is along it.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`. Neighbours are taken from ``obsp["distances"]``; if there
        are none, 30 are found on 30 principal components of the log-normalised spliced counts.
    recursive
        Also take the neighbours of neighbours, as scVelo does: the state space is sampled sparsely, and the next state
        may lie two steps off.
    genes
        A boolean var column: genes to use. Genes with NaN velocities are left out in any case.
    spliced
        Name of the spliced layer; that of the fit by default.

    Returns
    -------
    Nothing; writes

    ``uns["velocity_graph"]``, ``uns["velocity_graph_neg"]``
        Positive and negative correlations, CSR (cells, cells), float32.
    ``obs["velocity_self_transition"]``
        How much the cell's best correlation lacks of what confident cells have. float.
    ``uns["velocity_params"]["n_genes_left_out"]``
        Genes that were left out as their velocity is NaN.

    Raises
    ------
    InputError
        If nothing is fitted or the column does not exist.
    """
    if keys.VELOCITY not in adata.layers:
        raise InputError(f"layer {keys.VELOCITY!r} not found: call velotime.tl.recover_dynamics(adata) first.")
    if genes not in adata.var:
        raise InputError(f"column {genes!r} not found in adata.var; available: {list(adata.var.columns)}.")
    ensure_neighbors(adata, spliced=spliced)
    whole = ~np.isnan(adata.layers[keys.VELOCITY]).any(axis=0)
    use = whole & np.asarray(adata.var[genes], dtype=bool)
    edges = _edges(sparse.csr_matrix(adata.obsp["distances"]), recursive=recursive)
    state = neighborhood_means(adata, np.flatnonzero(use), spliced=spliced)
    cosines = edge_cosines(state, adata.layers[keys.VELOCITY][:, use], edges.indptr, edges.indices)
    positive, negative = (_keep(edges, cosines, sign) for sign in (cosines > 0, cosines < 0))
    confidence = positive.max(axis=1).toarray().ravel()
    adata.uns[keys.VELOCITY_GRAPH], adata.uns[keys.VELOCITY_GRAPH_NEG] = positive, negative
    best = np.percentile(confidence, CONFIDENCE_QUANTILE)
    adata.obs[keys.SELF_TRANSITION] = np.clip(best - confidence, 0, 1)
    adata.uns[keys.VELOCITY_PARAMS] = dict(adata.uns.get(keys.VELOCITY_PARAMS, {})) | {
        "n_genes_left_out": int((~whole).sum())
    }


def _edges(distances: sparse.csr_matrix, *, recursive: bool) -> sparse.csr_matrix:
    """Each cell's neighbours, and theirs, without itself; only the structure counts."""
    steps = distances.copy()
    steps.data = np.ones_like(steps.data, dtype=np.float32)
    if recursive:
        steps = (steps + steps @ steps).tocsr()
    steps.setdiag(0)
    steps.eliminate_zeros()
    steps.sort_indices()
    return steps


def _keep(edges: sparse.csr_matrix, values: np.ndarray, mask: BoolArray) -> sparse.csr_matrix:
    kept = sparse.csr_matrix((np.where(mask, values, 0), edges.indices.copy(), edges.indptr.copy()), shape=edges.shape)
    kept.eliminate_zeros()
    return kept


def transition_matrix(adata: AnnData, *, scale: float = 10.0, self_transitions: bool = True) -> sparse.csr_matrix:
    """Probabilities of moving from cell to cell, rows sum to 1.

    ``p_ij ~ exp(scale pi_ij) - 1`` over positive correlations; a cell without a confident direction stays where it is.

    Parameters
    ----------
    adata
        With :func:`velotime.tl.velocity_graph`.
    scale
        How sharply the best direction is preferred; scVelo's 10.
    self_transitions
        Let cells stay, by ``obs["velocity_self_transition"]``.
    """
    graph = _graph(adata).copy()
    if self_transitions:
        graph.setdiag(np.asarray(adata.obs[keys.SELF_TRANSITION]))
    weights = sparse.csr_matrix(graph)
    weights.data = np.expm1(scale * weights.data)
    total = np.asarray(weights.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1.0 / np.where(total > 0, total, 1.0)) @ weights)


def velocity_embedding(adata: AnnData, *, basis: str = "umap", scale: float = 10.0) -> None:
    """Project velocity onto an embedding: the expected displacement under the transitions, less that of a random walk.

    Negative correlations push away as positive ones pull. (La Manno et al. 2018; Bergen et al. 2020.)

    Parameters
    ----------
    adata
        With :func:`velotime.tl.velocity_graph`.
    basis
        Which ``obsm["X_<basis>"]``.
    scale
        As in :func:`transition_matrix`.

    Returns
    -------
    Nothing; writes ``obsm["velocity_<basis>"]``, (cells, 2 or 3), float64, in the embedding's units up to a factor.

    Raises
    ------
    InputError
        If there is no graph or no such basis.
    """
    positive, negative = _graph(adata), adata.uns[keys.VELOCITY_GRAPH_NEG]
    points = embedding(adata, basis)
    weights = sparse.csr_matrix(positive)
    weights.data = np.expm1(scale * weights.data)
    push = sparse.csr_matrix(negative)
    push.data = -np.expm1(-scale * push.data)
    weights = sparse.csr_matrix(weights + push)
    total = np.asarray(abs(weights).sum(axis=1)).ravel()
    row = np.repeat(np.arange(adata.n_obs), np.diff(weights.indptr))
    step = points[weights.indices] - points[row]
    length = np.linalg.norm(step, axis=1)
    step /= np.where(length > 0, length, 1.0)[:, None]
    probability = weights.data / np.where(total > 0, total, 1.0)[row]
    degree = np.maximum(np.diff(weights.indptr), 1)
    out = np.zeros_like(points)
    for k in range(points.shape[1]):
        pulled = np.bincount(row, probability * step[:, k], minlength=adata.n_obs)
        out[:, k] = pulled - np.bincount(row, step[:, k], minlength=adata.n_obs) / degree * (
            np.bincount(row, probability, minlength=adata.n_obs)
        )
    adata.obsm[f"velocity_{basis}"] = out


def embedding(adata: AnnData, basis: str) -> np.ndarray:
    """``obsm["X_<basis>"]``, or an error that lists what is there."""
    key = f"X_{basis}"
    if key not in adata.obsm:
        available = [name.removeprefix("X_") for name in adata.obsm if name.startswith("X_")]
        raise InputError(f"basis {basis!r} not found in adata.obsm; available: {available}.")
    return np.asarray(adata.obsm[key], dtype=np.float64)


def _graph(adata: AnnData) -> sparse.csr_matrix:
    if keys.VELOCITY_GRAPH not in adata.uns:
        raise InputError("no velocity graph: call velotime.tl.velocity_graph(adata) first.")
    return sparse.csr_matrix(adata.uns[keys.VELOCITY_GRAPH])
