"""Whether velocities of cells that lie together agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._check import checked
from velotime.data.arguments import ADATA, COLUMN, VAR_COLUMN
from velotime.metrics._shared.inputs import gene_velocity, read_labels, read_neighbors, unit


@checked({"adata": ADATA, "column": COLUMN, "genes": VAR_COLUMN})
def in_cluster_coherence(adata: AnnData, *, column: str, genes: str = keys.VELOCITY_GENES) -> pd.Series:
    """In-cluster coherence (ICCoh) of each group, in gene space.

    For each cell with neighbours of its own group: the mean cosine of its velocity with theirs; averaged over such
    cells. 1: all move in the same direction. (VeloAE, Qiao and Huang 2021.) A smooth model is coherent by construction,
    so this is informative only together with a measure of the direction.

    Parameters
    ----------
    adata
        Fitted, with neighbours in ``obsp``.
    column
        The obs column of the groups.
    genes
        A boolean var column: genes to use.

    Returns
    -------
    One value per group, NaN where no cell has a neighbour of its own group; counts of the cells and genes that were
    left out for their NaN velocity stand in ``.attrs``.

    Raises
    ------
    InputError
        If the column, the velocity or the neighbours are not there.
    """
    labels = read_labels(adata, column)
    named = ~np.asarray(adata.obs[column].isna())
    velocity, _, n_genes = gene_velocity(adata, genes)
    mean, whole = _mean_products(read_neighbors(adata), unit(velocity), labels)
    scores = {str(label): _mean(mean[(labels == label) & named]) for label in np.unique(labels[named])}
    out = pd.Series(scores, name="in_cluster_coherence", dtype=float)
    out.attrs = {"n_cells_left_out": int((~whole).sum()), "n_genes_left_out": n_genes}
    return out


@checked({"adata": ADATA, "genes": VAR_COLUMN})
def velocity_confidence(adata: AnnData, *, genes: str = keys.VELOCITY_GENES) -> pd.Series:
    """Mean correlation of each cell's velocity with the velocities of its neighbours, over genes.

    ``c_i = mean_(j in N(i)) corr(v_i, v_j)``. (scVelo, Bergen et al. 2020, Nat Biotechnol 38:1408.)

    Parameters
    ----------
    adata
        Fitted, with neighbours in ``obsp``; a cell is not a neighbour of itself.
    genes
        A boolean var column: genes to use.

    Returns
    -------
    One value per cell, NaN for cells whose velocity is NaN or that have no neighbour; counts of what was left out stand
    in ``.attrs``.

    Raises
    ------
    InputError
        If the velocity or the neighbours are not there.
    """
    velocity, _, n_genes = gene_velocity(adata, genes)
    centred = unit(velocity - velocity.mean(axis=1, keepdims=True))
    mean, whole = _mean_products(read_neighbors(adata), centred, np.zeros(adata.n_obs))
    out = pd.Series(mean, index=adata.obs_names, name="velocity_confidence")
    out.attrs = {"n_cells_left_out": int((~whole).sum()), "n_genes_left_out": n_genes}
    return out


def _mean_products(
    neighbors: sparse.csr_matrix, direction: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean product of each cell's row with those of its neighbours of the same label, and which cells are whole.

    The mean of products is the product with the sum, so no pair is ever looked at.
    """
    whole = np.isfinite(direction).all(axis=1)
    row = np.repeat(np.arange(len(labels)), np.diff(neighbors.indptr))
    near = neighbors.indices
    use = (labels[row] == labels[near]) & whole[row] & whole[near]
    same_label = sparse.csr_matrix((np.ones(use.sum()), (row[use], near[use])), shape=neighbors.shape)
    filled = np.where(whole[:, None], direction, 0.0)
    degree = np.asarray(same_label.sum(axis=1)).ravel()
    product = np.einsum("ig,ig->i", same_label @ filled, filled)
    return np.where(degree > 0, product / np.maximum(degree, 1), np.nan), whole


def _mean(values: np.ndarray) -> float:
    found = values[np.isfinite(values)]
    return float(found.mean()) if len(found) else float("nan")
