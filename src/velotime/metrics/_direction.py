"""Whether velocity points from group to group as it should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._check import Either, Instance, Whole, checked
from velotime._types import FloatArray
from velotime.data.arguments import ADATA, BASIS, COLUMN
from velotime.metrics._shared.arguments import Edges
from velotime.metrics._shared.inputs import GeneSpace, Vectors, read_labels, read_neighbors, read_vectors, unit

BLOCK = 64  # cells whose cosines with all they reach are held at a time

SPACE = Either((BASIS, Instance(GeneSpace, "a GeneSpace(...)")))


@checked({"adata": ADATA, "edges": Edges(), "column": COLUMN, "basis": SPACE})
def cross_boundary_correctness(
    adata: AnnData, edges: Sequence[tuple[str, str]], *, column: str, basis: str | GeneSpace = "umap"
) -> pd.Series:
    """Cross-boundary direction correctness (CBDir) of each edge between groups.

    For each cell i of the source group with neighbours N in the target group:
    ``mean_j cos(v_i, x_j - x_i)`` over j in N; averaged over such cells. 1: straight at the target; a cell that does
    not move counts 0. (VeloAE, Qiao and Huang 2021, PNAS 118 e2105859118.)

    Parameters
    ----------
    adata
        With neighbours in ``obsp`` and, for an embedding, ``obsm["velocity_<basis>"]``.
    edges
        Pairs (source, target) of labels.
    column
        The obs column of the labels.
    basis
        Name of an embedding, or ``GeneSpace()`` to measure among genes.

    Returns
    -------
    One value per edge, NaN where no cell has a neighbour across; its mean is the usual summary. How many cells and
    genes were left out for their NaN velocity stands in ``.attrs``.

    Raises
    ------
    InputError
        If the column, a label, the velocity or the neighbours are not there.
    """
    return _score_edges(adata, edges, column, basis, n_hops=1)[1].rename("cross_boundary_correctness")


@checked({"adata": ADATA, "edges": Edges(), "column": COLUMN, "basis": SPACE, "n_hops": Whole(1)})
def k_hop_correctness(
    adata: AnnData,
    edges: Sequence[tuple[str, str]],
    *,
    column: str,
    basis: str | GeneSpace = "umap",
    n_hops: int = 5,
) -> pd.DataFrame:
    """Direction correctness within k steps, calibrated by that towards cells of any group at the same distance.

    For each cell i of the source group with neighbours in the target group let ``T_1`` be these, and ``T_k`` the
    cells of the target group that are neighbours of ``T_(k-1)``; let ``A_1`` be all neighbours of i and ``A_k`` all
    neighbours of ``A_(k-1)``, without i itself. With ``c_ij = cos(v_i, x_j - x_i)`` the score is
    ``mean_(j in T_k) c_ij - mean_(j in A_k) c_ij``, averaged over such cells: how much better velocity points into the
    target than at whatever is k steps off. 0: no better. More steps ask for the way, not only the next cell.

    The k-CBDir of VeloVAE (Gu, Song, Blaauw and Welch 2026, PLoS Comput Biol, doi 10.1371/journal.pcbi.1014060;
    ``gen_cross_boundary_correctness`` with ``dir_test=True`` of its ``evaluation_util``), with all cells reached
    where VeloVAE keeps the 30 best of the target and a random 30 of the others: that raises one mean and not the
    other, and the score of a random velocity is then not 0. Nor is the latent time used here.

    Parameters
    ----------
    adata, edges, column, basis
        As in :func:`cross_boundary_correctness`.
    n_hops
        Steps at most; VeloVAE's 5 by default.

    Returns
    -------
    One row per edge, one column per number of steps ("1" to ``n_hops``); NaN where no cell has a neighbour across.
    Counts of what was left out stand in ``.attrs``.

    Raises
    ------
    InputError
        If the column, a label, the velocity or the neighbours are not there, or ``n_hops`` is below 1.
    """
    return _score_edges(adata, edges, column, basis, n_hops=n_hops)[0]


def _score_edges(
    adata: AnnData, edges: Sequence[tuple[str, str]], column: str, basis: str | GeneSpace, *, n_hops: int
) -> tuple[pd.DataFrame, pd.Series]:
    """Calibrated scores by hops, and plain ones at the first hop."""
    labels = read_labels(adata, column, {label for edge in edges for label in edge})
    vectors = read_vectors(adata, basis)
    keep = sparse.diags(vectors.whole.astype(float))
    neighbors = sparse.csr_matrix(keep @ read_neighbors(adata) @ keep)
    neighbors.eliminate_zeros()
    names = [f"{source} -> {target}" for source, target in edges]
    both = [_edge_scores(vectors, neighbors, labels == a, labels == b, n_hops) for a, b in edges]
    ahead = np.array([one for one, _ in both]).reshape(len(edges), n_hops)
    around = np.array([other for _, other in both]).reshape(len(edges), n_hops)
    calibrated = pd.DataFrame(ahead - around, index=names, columns=[str(k + 1) for k in range(n_hops)])
    plain = pd.Series(ahead[:, 0], index=names)
    calibrated.attrs.update(vectors.left_out)
    plain.attrs.update(vectors.left_out)
    return calibrated, plain


def _edge_scores(
    vectors: Vectors, neighbors: sparse.csr_matrix, source: np.ndarray, target: np.ndarray, n_hops: int
) -> tuple[FloatArray, FloatArray]:
    """Mean cosine to the target's cells and to all cells, reached in 1 to ``n_hops`` steps, each ``(hops,)``."""
    into = sparse.csr_matrix(neighbors @ sparse.diags(target.astype(float)))
    into.eliminate_zeros()
    cells = np.flatnonzero(source & (np.diff(into.indptr) > 0))
    if len(cells) == 0:
        return np.full(n_hops, np.nan), np.full(n_hops, np.nan)
    total = np.zeros((2, n_hops))
    for first in range(0, len(cells), BLOCK):
        some = cells[first : first + BLOCK]
        for row, steps in enumerate((into, neighbors)):
            reached = sparse.csr_matrix(steps[some])
            for hop in range(n_hops):
                if hop > 0:
                    reached = _further(reached, steps, some)
                total[row, hop] += _mean_cosines(vectors, some, reached).sum()
    return total[0] / len(cells), total[1] / len(cells)


def _further(reached: sparse.csr_matrix, steps: sparse.csr_matrix, cells: np.ndarray) -> sparse.csr_matrix:
    """One step further, without returning to the cell itself."""
    onward = sparse.csr_matrix(reached @ steps)
    home = sparse.csr_matrix((np.ones(len(cells)), (np.arange(len(cells)), cells)), shape=onward.shape)
    onward = sparse.csr_matrix(onward - onward.multiply(home))
    onward.eliminate_zeros()
    onward.data[:] = 1.0
    return onward


def _mean_cosines(vectors: Vectors, cells: np.ndarray, reached: sparse.csr_matrix) -> FloatArray:
    """Mean cosine of each cell's velocity with the displacements to the cells it reaches, ``(cells,)``; 0 for none.

    ``cos = (v.x_j - v.x_i) / |x_j - x_i|`` at unit v; lengths are taken pair by pair, as the difference of squares
    loses digits between near cells.
    """
    direction = unit(vectors.velocity[cells])
    row = np.repeat(np.arange(len(cells)), np.diff(reached.indptr))
    cosine = np.empty(len(row))
    pairs = max(1, 4_000_000 // vectors.points.shape[1])
    for first in range(0, len(row), pairs):
        at = slice(first, first + pairs)
        step = vectors.points[reached.indices[at]] - vectors.points[cells[row[at]]]
        length = np.linalg.norm(step, axis=1)
        cosine[at] = np.einsum("kd,kd->k", step, direction[row[at]]) / np.where(length > 0, length, 1.0)
    degree = np.maximum(np.diff(reached.indptr), 1)
    return np.asarray(np.bincount(row, cosine, minlength=len(cells)) / degree)
