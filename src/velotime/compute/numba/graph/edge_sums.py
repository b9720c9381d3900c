"""Correlations of velocity with displacements along edges, a block of genes at a time, on all cores.

A correlation over genes is made of sums over genes, which add up, so that no array of cells x genes is ever whole. With
``d`` the displacement along an edge less its mean over genes, which the cells' means give beforehand, these are ``sum d
v`` and ``sum d^2`` of each edge, float32, and ``sum v``, ``sum v^2`` of each cell. Means of signed roots are not
known beforehand: there ``sum d`` is a third sum, and all are in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.numba.graph.edges import Edges
from velotime.compute.threads import over_slices

CELLS = 2**12  # that one thread takes at a time
CONSTANT = 1e-12  # of a sum of squares in float64: a variance below is rounding
SAME = 1e-11  # of the squares of both cells in float32: a displacement below is rounding


@jit(REASSOC)
def _add(
    state: Any,
    velocity: Any,
    mean: Any,
    shift: Any,
    indptr: Any,
    indices: Any,
    begin: int,
    end: int,
    dots: Any,
    squares: Any,
    own: Any,
) -> None:
    """Add the sums of these genes for each edge, and of each, of some of the cells.

    ``mean`` is that of all genes. What is taken off a velocity (``shift``) makes no difference to the sum, as
    displacements have a mean of zero, but to its rounding.
    """
    v = np.empty(state.shape[1], dtype=np.float32)
    for i in range(begin, end):
        x = state[i]
        for g in range(len(v)):
            v[g] = velocity[i, g] - shift[i]
            own[i, 0] += np.float64(v[g])
            own[i, 1] += np.float64(v[g]) * v[g]
            own[i, 2] += np.float64(x[g]) * x[g]
        for edge in range(indptr[i], indptr[i + 1]):
            j = indices[edge]
            y, away = state[j], np.float32(mean[j] - mean[i])
            dot, square = np.float32(0), np.float32(0)
            for g in range(len(x)):
                d = y[g] - x[g] - away
                dot += d * v[g]
                square += d * d
            dots[edge] += dot
            squares[edge] += square


def edge_cosines_by_genes(
    blocks: Iterable[tuple[FloatArray, FloatArray]], mean: FloatArray, edges: Edges
) -> FloatArray:
    """The correlations of :func:`edge_cosines`, from states and velocities of some genes after the other.

    Parameters
    ----------
    blocks
        States and velocities of the cells in each block of genes, ``(cells, genes)``, float32, without NaN.
    mean
        Of each cell's state over all genes, ``(cells,)``.
    edges
        Between the cells.

    Returns
    -------
    One correlation per edge, 0 where velocity or displacement is constant. Eight bytes an edge are held.
    """
    n_cells, n_genes = len(edges.indptr) - 1, 0
    dots, squares = np.zeros((2, len(edges.indices)), dtype=np.float32)
    own, shift = np.zeros((n_cells, 3)), None
    for given in blocks:
        state, velocity = (np.ascontiguousarray(values, dtype=np.float32) for values in given)
        shift = velocity.mean(axis=1) if shift is None else shift

        def add(some: slice, state: FloatArray = state, velocity: FloatArray = velocity, shift: Any = shift) -> None:
            to, between = (dots, squares, own), (edges.indptr, edges.indices)
            _add(state, velocity, mean, shift, *between, some.start, some.stop, *to)

        over_slices(n_cells, CELLS, add)
        n_genes += state.shape[1]
        del given, state, velocity, add  # before the next are made
    norm = np.sqrt(_variance(own[:, :2].T, n_genes))
    _divide(edges.indptr, edges.indices, norm, own[:, 2], dots, squares)
    return dots


@jit(REASSOC)
def _divide(indptr: Any, indices: Any, norm: Any, length: Any, dots: Any, squares: Any) -> None:
    """Turn the sums of each edge into its correlation, in place; ``length`` is the square of each cell's state."""
    for i in range(len(norm)):
        for edge in range(indptr[i], indptr[i + 1]):
            square = np.float64(squares[edge])
            if norm[i] > 0 and square > SAME * (length[i] + length[indices[edge]]):
                dots[edge] /= norm[i] * np.sqrt(square)
            else:
                dots[edge] = 0


@jit(REASSOC)
def _add_roots(state: Any, velocity: Any, indptr: Any, indices: Any, begin: int, end: int, sums: Any) -> None:
    """Add the sums of signed roots."""
    for i in range(begin, end):
        x, v = state[i], velocity[i]
        for edge in range(indptr[i], indptr[i + 1]):
            y = state[indices[edge]]
            dot, total, square = np.float64(0), np.float64(0), np.float64(0)
            for g in range(len(x)):
                d = y[g] - x[g]
                d = np.copysign(np.sqrt(np.abs(d)), d)
                dot += np.float64(d) * v[g]
                total += d
                square += np.float64(d) * d
            sums[edge, 0] += dot
            sums[edge, 1] += total
            sums[edge, 2] += square


def root_cosines_by_genes(blocks: Iterable[tuple[FloatArray, FloatArray]], edges: Edges) -> FloatArray:
    """The same of signed square roots of displacements and velocities; 24 bytes an edge are held.

    Parameters
    ----------
    blocks, edges
        As there.
    """
    n_cells, n_genes = len(edges.indptr) - 1, 0
    sums, own = np.zeros((len(edges.indices), 3)), np.zeros((2, n_cells))
    for given in blocks:
        state, velocity = (np.ascontiguousarray(values, dtype=np.float32) for values in given)
        velocity = np.copysign(np.sqrt(np.abs(velocity)), velocity)
        over_slices(
            n_cells,
            CELLS,
            lambda some, state=state, velocity=velocity: _add_roots(  # type: ignore[misc]
                state, velocity, edges.indptr, edges.indices, some.start, some.stop, sums
            ),
        )
        own += _own_sums(velocity)
        n_genes += state.shape[1]
    row = np.repeat(np.arange(n_cells), np.diff(edges.indptr))
    away = sums[:, 2] - sums[:, 1] ** 2 / n_genes
    away[away <= CONSTANT * sums[:, 2]] = 0.0
    norm = np.sqrt(_variance(own, n_genes)[row] * away)
    covariance = sums[:, 0] - sums[:, 1] * own[0][row] / n_genes
    return np.asarray(np.divide(covariance, norm, out=np.zeros(len(norm)), where=norm > 0), dtype=np.float32)


def _own_sums(values: FloatArray) -> FloatArray:
    """Sum and sum of squares of each row, ``(2, cells)``, float64."""
    square = np.einsum("ig,ig->i", values, values, dtype=np.float64)
    return np.stack([values.sum(axis=1, dtype=np.float64), square])


def _variance(own: FloatArray, n_genes: int) -> FloatArray:
    """Sum of squares about the mean, 0 where only rounding is left of it."""
    variance = own[1] - own[0] ** 2 / n_genes
    variance[variance <= CONSTANT * own[1]] = 0.0
    return np.asarray(variance)
