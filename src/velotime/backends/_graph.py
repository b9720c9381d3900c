"""Cosines of velocity with displacements along edges, on all cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from velotime._types import FloatArray, IntArray

PARTS = 64

_jit = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")


@_jit
def _cosines_part(
    state: Any, velocity: Any, norm: Any, indptr: Any, indices: Any, first: int, last: int, out: Any
) -> None:
    """Cosine for each edge of the cells ``first`` to ``last``.

    ``velocity`` has mean zero in each cell; the displacement's mean is taken off through its sum of squares, as
    ``sum (d - mean d) v = sum d v``.
    """
    n_genes = state.shape[1]
    for i in range(first, last):
        v, x = velocity[i], state[i]
        for edge in range(indptr[i], indptr[i + 1]):
            y = state[indices[edge]]
            dot, total, square = np.float32(0), np.float32(0), np.float32(0)
            for g in range(n_genes):
                d = y[g] - x[g]
                dot += d * v[g]
                total += d
                square += d * d
            left = square - total * total / np.float32(n_genes)
            scale = norm[i] * np.sqrt(max(left, np.float32(0)))
            out[edge] = dot / scale if scale > 0 else np.float32(0)


def edge_cosines(state: FloatArray, velocity: FloatArray, indptr: IntArray, indices: IntArray) -> FloatArray:
    """Pearson correlation over genes of each cell's velocity with the displacement along each of its edges.

    Parameters
    ----------
    state, velocity
        ``(cells, genes)``, float32, without NaN.
    indptr, indices
        Edges as in CSR: those of cell i are ``indices[indptr[i]:indptr[i + 1]]``.

    Returns
    -------
    One correlation an edge, 0 where velocity or displacement is constant. Memory is linear in the edges.
    """
    centred = np.ascontiguousarray(velocity - velocity.mean(axis=1, keepdims=True), dtype=np.float32)
    norm = np.linalg.norm(centred, axis=1).astype(np.float32)
    out = np.zeros(len(indices), dtype=np.float32)
    bounds = np.linspace(0, len(indptr) - 1, PARTS + 1).astype(np.int64)
    state = np.ascontiguousarray(state, dtype=np.float32)

    def one_part(part: int) -> None:
        _cosines_part(state, centred, norm, indptr, indices, bounds[part], bounds[part + 1], out)

    with ThreadPoolExecutor(max_workers=numba.get_num_threads()) as pool:
        list(pool.map(one_part, range(PARTS)))
    return out
