"""From the velocity graph to transitions between cells and arrows on an embedding."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._check import Flag, Number, checked
from velotime._log import info
from velotime._status import InputError
from velotime.compute import expected_steps
from velotime.data import (
    arrows_made_of,
    embedding_points,
    keep_named,
    read_derived,
    short_name,
    to_write_to,
    write_derived,
)
from velotime.data.arguments import ADATA, BASIS, KEY_ADDED_IN_OBSP

SCALE = 10.0  # how sharply transitions prefer the best direction; scVelo's


@checked(
    {"adata": ADATA, "scale": Number(0, open_least=True), "self_transitions": Flag(), "key_added": KEY_ADDED_IN_OBSP}
)
def transition_matrix(
    adata: AnnData, *, scale: float = SCALE, self_transitions: bool = True, key_added: str | None = None
) -> sparse.csr_matrix:
    """Probabilities of moving from cell to cell, rows sum to 1.

    ``p_ij ~ exp(scale pi_ij) - 1`` over positive correlations; a cell without a confident direction stays where it is.

    Parameters
    ----------
    adata
        With :func:`velotime.tl.velocity_graph`.
    scale
        How sharply the best direction is preferred; scVelo's 10.
    self_transitions
        Let cells stay, by ``obs["velocity_self_transition"]``. A cell whose velocity points at no other stays in any
        case, so that CellRank's ``PrecomputedKernel`` takes the matrix.
    key_added
        Also keep the matrix in ``obsp`` under this name, where ``PrecomputedKernel(key_added, adata=adata)`` finds it:
        an object has one velocity graph, and transitions of several, such as with and without ``posterior``, side by
        side. A later fit removes them.

    Returns
    -------
    CSR ``(cells, cells)``, float64.

    Raises
    ------
    InputError
        If there is no graph, or something else has the name.
    """
    graph = _graph(adata).copy()
    if self_transitions:
        graph.setdiag(np.asarray(adata.obs[keys.SELF_TRANSITION]))
    weights = sparse.csr_matrix(graph)
    weights.data = np.expm1(scale * weights.data.astype(np.float64))
    total = np.asarray(weights.sum(axis=1)).ravel()
    stay = sparse.diags((total == 0).astype(float))
    matrix = sparse.csr_matrix(sparse.diags(1.0 / np.where(total > 0, total, 1.0)) @ weights + stay)
    keep_named(adata, "obsp", key_added, matrix)
    return matrix


@checked({"adata": ADATA, "basis": BASIS, "scale": Number(0, open_least=True), "copy": Flag()})
def velocity_embedding(
    adata: AnnData, *, basis: str = "umap", scale: float = SCALE, copy: bool = False
) -> AnnData | None:
    """Project velocity onto an embedding: the expected displacement under the transitions, less that of a random walk.

    Negative correlations push away as positive ones pull. (La Manno et al. 2018; Bergen et al. 2020.)

    Parameters
    ----------
    adata
        With :func:`velotime.tl.velocity_graph`.
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial". Cells
        without coordinates (NaN) get no velocity; neighbours do without.
    scale
        As in :func:`transition_matrix`.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; writes ``obsm["velocity_<basis>"]``, (cells, 2 or 3), float64, in the embedding's units up to a
    factor.

    Raises
    ------
    InputError
        If there is no graph or no such basis.
    """
    adata, name = to_write_to(adata, copy=copy), f"{keys.VELOCITY}_{short_name(basis)}"
    graph, points = _graph(adata), embedding_points(adata, basis)
    out = expected_steps(graph, sparse.csr_matrix(adata.obsp[keys.VELOCITY_GRAPH_NEG]), points, scale)
    write_derived(adata, name, {"obsm": {name: out}}, made_of=arrows_made_of(adata, points))
    info(f"added obsm[{name!r}]")
    return adata if copy else None


def _graph(adata: AnnData) -> sparse.csr_matrix:
    if read_derived(adata, keys.VELOCITY_GRAPH) is None:
        raise InputError("no velocity graph of the fit that is here: call velotime.tl.velocity_graph(adata) first.")
    return sparse.csr_matrix(adata.obsp[keys.VELOCITY_GRAPH])
