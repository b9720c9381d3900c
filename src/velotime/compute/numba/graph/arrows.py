"""Expected steps of the cells on an embedding under the transitions of a velocity graph, on all cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.matrix import Matrix
from velotime.compute.threads import over_slices

CELLS = 2**12  # that one thread takes at a time


@jit(CONTRACT)
def _steps(
    positive: Any, negative: Any, points: Any, placed: Any, scale: float, begin: int, end: int, out: Any
) -> None:
    """Arrows of some of the cells; both graphs are given as in CSR: starts of rows, cells, correlations."""
    n = points.shape[1]
    pulled, pushed, step = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(begin, end):
        if not placed[i]:
            out[i] = np.nan
            continue
        pulled[:] = 0
        pushed[:] = 0
        total, sum_of_weights, degree = 0.0, 0.0, 0
        for sign, (indptr, indices, data) in ((1.0, positive), (-1.0, negative)):
            for at in range(indptr[i], indptr[i + 1]):
                j = indices[at]
                if not placed[j]:
                    continue
                weight = sign * np.expm1(scale * sign * np.float64(data[at]))
                length = 0.0
                for k in range(n):
                    step[k] = points[j, k] - points[i, k]
                    length += step[k] * step[k]
                length = np.sqrt(length)
                for k in range(n):
                    unit = step[k] / length if length > 0 else 0.0
                    pulled[k] += weight * unit
                    pushed[k] += unit
                total += np.abs(weight)
                sum_of_weights += weight
                degree += 1
        for k in range(n):
            out[i, k] = (pulled[k] - pushed[k] / degree * sum_of_weights) / total if total > 0 else 0.0


def expected_steps(positive: Matrix, negative: Matrix, points: FloatArray, scale: float) -> FloatArray:
    """Expected displacement of each cell less that of a random walk, in units of one, ``(cells, dimensions)``.

    With weights ``w_ij = exp(scale c_ij) - 1`` over positive and ``1 - exp(-scale c_ij)`` over negative correlations,
    ``p_ij = w_ij / sum_j |w_ij|`` and ``e_ij`` the unit vector from i to j: ``sum_j p_ij e_ij`` less
    ``mean_j(e_ij) sum_j p_ij``.

    Parameters
    ----------
    positive, negative
        Correlations above and below 0, CSR ``(cells, cells)``.
    points
        Where cells lie, ``(cells, dimensions)``. Cells without a place (NaN) get NaN, and no edge leads there.
    scale
        How sharply transitions prefer the best direction.
    """
    out = np.zeros_like(points)
    placed = np.isfinite(points).all(axis=1)
    graphs = [(graph.indptr.astype(np.int64), graph.indices, graph.data) for graph in (positive, negative)]
    over_slices(len(points), CELLS, lambda some: _steps(*graphs, points, placed, scale, some.start, some.stop, out))
    return out
