"""How decided the transitions between cells are."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from velotime._check import checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.metrics._shared.arguments import TRANSITIONS


@checked({"transitions": TRANSITIONS})
def self_transition(transitions: sparse.csr_matrix) -> float:
    """Mean probability of a cell to stay where it is: ``mean_i p_ii``.

    High: velocity gives little information on where cells go. (The self-loops are scVelo's, Bergen et al. 2020.)

    Parameters
    ----------
    transitions
        Probabilities, rows summing to 1, ``(cells, cells)``, as of :func:`velotime.tl.transition_matrix`. Empty rows,
        of cells that go nowhere, are left out.

    Raises
    ------
    InputError
        If the matrix is not square or rows do not sum to 1.

    Examples
    --------
    >>> from scipy import sparse
    >>> import velotime as vt
    >>> vt.metrics.self_transition(sparse.csr_matrix([[0.5, 0.5], [0.0, 1.0]]))
    0.75
    """
    matrix, used = _checked(transitions)
    return float(matrix.diagonal()[used].mean()) if used.any() else float("nan")


@checked({"transitions": TRANSITIONS})
def row_entropy(transitions: sparse.csr_matrix) -> FloatArray:
    """Entropy of where each cell goes: ``H_i = -sum_j p_ij log p_ij``, nats, ``(cells,)``.

    0: one way only; log n: n ways, all equally likely. Its mean over cells is the usual summary (Shannon 1948; as a
    measure of plasticity, CellRank, Lange et al. 2022).

    Parameters
    ----------
    transitions
        As in :func:`self_transition`; cells with an empty row get NaN.

    Raises
    ------
    InputError
        If the matrix is not square or rows do not sum to 1.

    Examples
    --------
    >>> from scipy import sparse
    >>> import velotime as vt
    >>> vt.metrics.row_entropy(sparse.csr_matrix([[0.5, 0.5], [0.0, 1.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    matrix, used = _checked(transitions)
    p = np.where(matrix.data > 0, matrix.data, 1.0)
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    entropy = np.bincount(row, -p * np.log(p), minlength=matrix.shape[0])
    return np.where(used, np.maximum(entropy, 0.0), np.nan)


def _checked(transitions: sparse.csr_matrix) -> tuple[sparse.csr_matrix, np.ndarray]:
    """The matrix in double precision, and which rows are not empty."""
    matrix = sparse.csr_matrix(transitions, dtype=np.float64)
    matrix.sum_duplicates()
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"transitions are {matrix.shape}: they must be square, one row and one column per cell.")
    total = np.asarray(matrix.sum(axis=1)).ravel()
    used = total != 0
    if not np.all(np.abs(total[used] - 1) < 1e-3) or (matrix.data < 0).any():
        raise InputError(
            "transitions must be probabilities: none negative, rows that sum to 1 or are empty. "
            "Pass velotime.tl.transition_matrix(adata)."
        )
    return matrix, used
