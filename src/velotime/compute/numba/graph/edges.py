"""Correlations of velocity with displacements along edges, on all cores.

For displacement d and a velocity v of mean zero over n genes, ``corr = sum d v / (|v| sqrt(sum d^2 - (sum d)^2 / n))``,
one pass over d. In float32 that cancels where d lies far from zero, so the difference of the two cells' means is taken
off d first; what rounding leaves of its mean the formula takes off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.threads import on_all_cores

PARTS = 64


@dataclass(frozen=True)
class Edges:
    """Which cells may follow which, as in CSR.

    Attributes
    ----------
    indptr, indices
        Those that may follow cell i are ``indices[indptr[i]:indptr[i + 1]]``.
    """

    indptr: IntArray
    indices: IntArray


@jit(REASSOC)
def _correlation(x: Any, y: Any, away: Any, v: Any) -> Any:
    """Of y - x with v, times the norm of v; ``away`` is the mean of y - x, but for rounding."""
    dot, total, square = np.float32(0), np.float32(0), np.float32(0)
    for g in range(len(x)):
        d = y[g] - x[g] - away
        dot += d * v[g]
        total += d
        square += d * d
    left = square - total * total / np.float32(len(x))
    return dot / np.sqrt(left) if left > 0 else np.float32(0)


@jit(REASSOC)
def _displacement(x: Any, y: Any, root: bool, out: Any) -> Any:
    """Leave y - x, or its signed square roots, less their mean in ``out``; its norm."""
    total, square = np.float64(0), np.float32(0)
    for g in range(len(x)):
        d = y[g] - x[g]
        if root:
            d = np.copysign(np.sqrt(np.abs(d)), d)
        out[g] = d
        total += np.float64(d)
    mean = np.float32(total / len(x))
    for g in range(len(x)):
        out[g] -= mean
        square += out[g] * out[g]
    return np.sqrt(square)


@jit(REASSOC)
def _dot(a: Any, b: Any) -> Any:
    total = np.float32(0)
    for g in range(len(a)):
        total += a[g] * b[g]
    return total


@jit(REASSOC)
def _cosines_part(
    state: Any,
    mean: Any,
    velocity: Any,
    norm: Any,
    root: bool,
    indptr: Any,
    indices: Any,
    first: int,
    last: int,
    out: Any,
) -> None:
    """Correlation for each edge of the cells ``first`` to ``last``; ``mean`` is that of each row of ``state``."""
    step = np.empty(state.shape[1], dtype=np.float32)
    for i in range(first, last):
        for edge in range(indptr[i], indptr[i + 1]):
            if norm[i] == 0:
                out[edge] = 0
            elif root:
                length = _displacement(state[i], state[indices[edge]], True, step)
                out[edge] = _dot(step, velocity[i]) / (length * norm[i]) if length > 0 else np.float32(0)
            else:
                j = indices[edge]
                out[edge] = _correlation(state[i], state[j], np.float32(mean[j] - mean[i]), velocity[i]) / norm[i]


@jit(REASSOC)
def _mean_part(
    state: Any,
    velocity: Any,
    norm: Any,
    root: bool,
    indptr: Any,
    indices: Any,
    draws: Any,
    scale: Any,
    first: int,
    last: int,
    positive: Any,
    negative: Any,
) -> None:
    """Averages over draws for the cells ``first`` to ``last``; ``draws`` ascend, so that equal ones stand together."""
    n_draws = draws.shape[1]
    step = np.empty(state.shape[1], dtype=np.float32)
    rows = np.empty(n_draws, dtype=np.int64)
    weight = np.empty(n_draws, dtype=np.float64)
    for i in range(first, last):
        n_rows, begin, end = 0, indptr[i], indptr[i + 1]
        for k in range(n_draws):
            if k == 0 or draws[i, k] != draws[i, k - 1]:
                rows[n_rows], weight[n_rows] = draws[i, k], 0.0
                n_rows += 1
            weight[n_rows - 1] += 1.0 / n_draws
        cosine = np.zeros((n_rows, end - begin), dtype=np.float32)
        for edge in range(begin, end):
            length = _displacement(state[i], state[indices[edge]], root, step)
            for k in range(n_rows):
                if length > 0 and norm[rows[k]] > 0:
                    cosine[k, edge - begin] = _dot(step, velocity[rows[k]]) / (length * norm[rows[k]])
        _average(cosine, weight, scale, np.float32(1), positive[begin:end])
        _average(cosine, weight, scale, np.float32(-1), negative[begin:end])


@jit(REASSOC)
def _average(cosine: Any, weight: Any, scale: Any, sign: Any, out: Any) -> None:
    """``out``: the correlations (of this sign) that give the mean of the shares that those of each draw give."""
    n_rows, n_edges = cosine.shape
    share = np.zeros(n_edges, dtype=np.float64)
    best = 0.0
    for k in range(n_rows):
        total, top = 0.0, 0.0
        for e in range(n_edges):
            c = max(sign * cosine[k, e], np.float32(0))
            total += np.expm1(scale * c)
            top = max(top, c)
        best += weight[k] * top
        if total > 0:
            for e in range(n_edges):
                share[e] += weight[k] * np.expm1(scale * max(sign * cosine[k, e], np.float32(0))) / total
    most = 0.0
    for e in range(n_edges):
        most = max(most, share[e])
    for e in range(n_edges):
        out[e] = sign * np.log1p(share[e] / most * np.expm1(scale * best)) / scale if most > 0 else 0.0


def edge_cosines(state: FloatArray, velocity: FloatArray, edges: Edges, *, root: bool = False) -> FloatArray:
    """Pearson correlation over genes of each cell's velocity with the displacement along each of its edges.

    Parameters
    ----------
    state, velocity
        ``(cells, genes)``, float32, without NaN.
    edges
        Between the cells.
    root
        Take signed square roots of displacements and velocities first, so that few large genes do not decide.

    Returns
    -------
    One correlation per edge, 0 where velocity or displacement is constant. Memory is linear in the edges.
    """
    centred, norm = _centre(velocity, root=root)
    out = np.zeros(len(edges.indices), dtype=np.float32)
    state = np.ascontiguousarray(state, dtype=np.float32)

    mean = state.mean(axis=1, dtype=np.float64)

    def one_part(first: int, last: int) -> None:
        _cosines_part(state, mean, centred, norm, root, edges.indptr, edges.indices, first, last, out)

    _in_parts(one_part, len(state))
    return out


def mean_edge_cosines(
    state: FloatArray, velocity: FloatArray, draws: IntArray, edges: Edges, *, scale: float, root: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Correlations that stand for many draws of each cell's velocity: they give the mean of the draws' transitions.

    With ``c_de`` the correlation of draw d along edge e, its transitions are ``p_de ~ exp(scale c_de) - 1`` over
    positive c. The correlation returned solves ``exp(scale c_e) - 1 ~ mean_d p_de``, with its largest value per cell
    the mean of the draws' largest. Where all draws agree it is theirs; likewise for negative ones, apart.

    Parameters
    ----------
    state
        ``(cells, genes)``, float32, without NaN.
    velocity
        Velocities to draw from, ``(rows, genes)``.
    draws
        Rows of ``velocity`` that were drawn for each cell, ``(cells, draws)``.
    edges
        Between the cells.
    scale
        How sharply transitions prefer the best direction.
    root
        As in :func:`edge_cosines`.

    Returns
    -------
    Positive and negative correlations, one of each per edge. Memory is linear in the edges, as draws are averaged
    cell by cell.
    """
    centred, norm = _centre(velocity, root=root)
    positive, negative = np.zeros((2, len(edges.indices)), dtype=np.float32)
    state = np.ascontiguousarray(state, dtype=np.float32)
    ordered = np.sort(draws, axis=1)

    def one_part(first: int, last: int) -> None:
        _mean_part(
            state,
            centred,
            norm,
            root,
            edges.indptr,
            edges.indices,
            ordered,
            scale,
            first,
            last,
            positive,
            negative,
        )

    _in_parts(one_part, len(state))
    return positive, negative


def _centre(velocity: FloatArray, *, root: bool) -> tuple[FloatArray, FloatArray]:
    """Velocities, or their signed square roots, about the mean of each row, and their norms."""
    velocity = np.asarray(velocity, dtype=np.float32)
    if root:
        velocity = np.copysign(np.sqrt(np.abs(velocity)), velocity)
    mean = velocity.mean(axis=1, keepdims=True, dtype=np.float64)
    centred = np.ascontiguousarray(velocity - mean, dtype=np.float32)
    return centred, np.linalg.norm(centred, axis=1).astype(np.float32)


def _in_parts(task: Callable[[int, int], None], n_cells: int) -> None:
    bounds = np.linspace(0, n_cells, PARTS + 1).astype(np.int64)
    list(on_all_cores(lambda part: task(bounds[part], bounds[part + 1]), range(PARTS)))
