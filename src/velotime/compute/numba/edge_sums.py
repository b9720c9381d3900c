"""Correlations of velocity with displacements along edges, a block of genes at a time, on all cores.

A correlation over genes is made of sums over genes, which add up: ``sum d v``, ``sum d``, ``sum d^2`` of each edge and
``sum v``, ``sum v^2`` of each cell, all in float64. No array of cells x genes is ever whole, for 24 bytes an edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.numba.edges import Edges
from velotime.compute.threads import on_all_cores

PARTS = 64
CONSTANT = 1e-12  # of a sum of squares: a variance below is rounding


@jit(REASSOC)
def _add_part(
    state: Any, velocity: Any, root: bool, indptr: Any, indices: Any, first: int, last: int, sums: Any
) -> None:
    """Add the sums of these genes for each edge of the cells ``first`` to ``last``."""
    for i in range(first, last):
        x, v = state[i], velocity[i]
        for edge in range(indptr[i], indptr[i + 1]):
            y = state[indices[edge]]
            dot, total, square = np.float64(0), np.float64(0), np.float64(0)
            for g in range(len(x)):
                d = y[g] - x[g]
                if root:
                    d = np.copysign(np.sqrt(np.abs(d)), d)
                dot += np.float64(d) * v[g]
                total += d
                square += np.float64(d) * d
            sums[edge, 0] += dot
            sums[edge, 1] += total
            sums[edge, 2] += square


def edge_cosines_by_genes(
    blocks: Iterable[tuple[FloatArray, FloatArray]], edges: Edges, *, root: bool = False
) -> FloatArray:
    """The correlations of :func:`edge_cosines`, from states and velocities of some genes after the other.

    Parameters
    ----------
    blocks
        States and velocities of the cells in each block of genes, ``(cells, genes)``, float32, without NaN.
    edges, root
        As there.

    Returns
    -------
    One correlation per edge, 0 where velocity or displacement is constant.
    """
    n_cells, n_genes = len(edges.indptr) - 1, 0
    sums, own = np.zeros((len(edges.indices), 3)), np.zeros((2, n_cells))
    bounds = np.linspace(0, n_cells, PARTS + 1).astype(np.int64)
    for given in blocks:
        state, velocity = (np.ascontiguousarray(values, dtype=np.float32) for values in given)
        if root:
            velocity = np.copysign(np.sqrt(np.abs(velocity)), velocity)

        def one_part(part: int, state: FloatArray = state, velocity: FloatArray = velocity) -> None:
            _add_part(state, velocity, root, edges.indptr, edges.indices, bounds[part], bounds[part + 1], sums)

        list(on_all_cores(one_part, range(PARTS)))
        own += velocity.sum(axis=1, dtype=np.float64), np.einsum("ig,ig->i", velocity, velocity, dtype=np.float64)
        n_genes += state.shape[1]
    return _correlations(sums, own, edges, n_genes)


def _correlations(sums: FloatArray, own: FloatArray, edges: Edges, n_genes: int) -> FloatArray:
    """From the sums of all genes."""
    row = np.repeat(np.arange(len(edges.indptr) - 1), np.diff(edges.indptr))
    variance = own[1] - own[0] ** 2 / n_genes
    variance[variance <= CONSTANT * own[1]] = 0.0
    away = sums[:, 2] - sums[:, 1] ** 2 / n_genes
    away[away <= CONSTANT * sums[:, 2]] = 0.0
    norm = np.sqrt(variance[row] * away)
    covariance = sums[:, 0] - sums[:, 1] * own[0][row] / n_genes
    return np.asarray(np.divide(covariance, norm, out=np.zeros(len(norm)), where=norm > 0), dtype=np.float32)
