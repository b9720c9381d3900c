"""Whether velocity points from group to group as it should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError


def cross_boundary_correctness(
    adata: AnnData, edges: Sequence[tuple[str, str]], *, column: str, basis: str = "umap"
) -> pd.Series:
    """Cross-boundary direction correctness (CBDir) of each edge between groups.

    For each cell of the source group with neighbours in the target group: the mean cosine of its velocity with the
    displacements to them, on the embedding; averaged over such cells. 1: straight at the target. (VeloAE, Qiao and
    Huang 2021.)

    Parameters
    ----------
    adata
        With ``obsm["velocity_<basis>"]`` and ``obsp["distances"]``.
    edges
        Pairs (source, target) of labels.
    column
        The obs column of the labels.
    basis
        Embedding.

    Returns
    -------
    One value an edge, NaN where no cell has a neighbour across; its mean is the usual summary.

    Raises
    ------
    InputError
        If the column, a label, the velocity or the neighbours are not there.
    """
    if column not in adata.obs:
        raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    if f"velocity_{basis}" not in adata.obsm:
        raise InputError(
            f"no velocity on basis {basis!r}: call velotime.tl.velocity_embedding(adata, basis={basis!r})."
        )
    if "distances" not in adata.obsp:
        raise InputError("no neighbours in obsp['distances']: call velotime.tl.velocity_graph(adata) first.")
    labels = np.asarray(adata.obs[column]).astype(str)
    wrong = sorted({label for edge in edges for label in edge} - set(labels.tolist()))
    if wrong:
        raise InputError(f"labels {wrong} not found in obs[{column!r}]; available: {sorted(set(labels.tolist()))}.")
    points, velocity = adata.obsm[f"X_{basis}"], adata.obsm[f"velocity_{basis}"]
    neighbors = sparse.csr_matrix(adata.obsp["distances"])
    scores = {
        f"{source} -> {target}": _edge_score(points, velocity, neighbors, labels == source, labels == target)
        for source, target in edges
    }
    return pd.Series(scores, name="cross_boundary_correctness")


def _edge_score(points, velocity, neighbors, source, target) -> float:
    means = []
    for i in np.flatnonzero(source):
        across = neighbors.indices[neighbors.indptr[i] : neighbors.indptr[i + 1]]
        across = across[target[across]]
        if len(across) == 0:
            continue
        step = points[across] - points[i]
        scale = np.linalg.norm(step, axis=1) * np.linalg.norm(velocity[i])
        means.append(np.mean(step @ velocity[i] / np.where(scale > 0, scale, np.inf)))
    return float(np.mean(means)) if means else float("nan")
