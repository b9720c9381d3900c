"""E-steps of single genes' curves over all genes: blocks of genes on all cores, the data never copied as a whole."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from scipy import sparse

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.backends._curve_posterior import posterior_genes
from velotime.backends._curve_times import hard_genes, states_genes
from velotime.backends._gene_curve import FRACTIONS, N_NODES, N_PARAMETERS
from velotime.backends._layers import Matrix

GENES = 16  # genes a task: their columns are one cache line of a row


@dataclass(frozen=True)
class CurveSums:
    """What an E-step leaves of each gene: the M-step sees nothing else.

    Attributes
    ----------
    value
        Log-likelihood, nats, ``(genes,)``.
    gradient
        Its derivatives by the parameters, ``(genes, 6)``.
    square
        A second derivative to go with them, positive semidefinite, ``(genes, 6, 6)``.
    weight
        Cells on each node, ``(genes, nodes)``; 0 where every cell has one time.
    """

    value: FloatArray
    gradient: FloatArray
    square: FloatArray
    weight: FloatArray

    @classmethod
    def empty(cls, n_genes: int) -> CurveSums:
        """Zeros."""
        k = N_PARAMETERS
        return cls(np.zeros(n_genes), np.zeros((n_genes, k)), np.zeros((n_genes, k, k)), np.zeros((n_genes, N_NODES)))

    def where(self, mask: BoolArray, other: CurveSums) -> CurveSums:
        """These genes' own where ``mask`` holds, the other's elsewhere."""
        pairs = zip(self.arrays, other.arrays, strict=True)
        return CurveSums(*(np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """All four."""
        return self.value, self.gradient, self.square, self.weight


def sum_over_posterior(
    unspliced: Matrix, spliced: Matrix, genes: IntArray, theta: FloatArray, spread: FloatArray, log_prior: FloatArray
) -> CurveSums:
    """Sums over cells whose time is a posterior over the nodes of each gene's curve.

    Parameters
    ----------
    unspliced, spliced
        Values, ``(cells, all genes)``, dense or CSC.
    genes
        Columns of the genes to work on, ``(genes,)``.
    theta
        Their parameters: log amplitudes of u and s, log r, log x_, log sigma, log ratio of the sigmas, ``(genes, 6)``.
    spread
        What the sigmas are relative to, ``(genes, 2)``.
    log_prior
        Of the nodes, ``(genes, nodes)``.
    """
    sums = CurveSums.empty(len(genes))

    def task(u: FloatArray, s: FloatArray, at: slice) -> None:
        out = tuple(array[at] for array in sums.arrays)
        posterior_genes(u, s, theta[at], spread[at], log_prior[at], FRACTIONS, out)

    _over_blocks(unspliced, spliced, genes, task)
    return sums


def sum_over_times(
    unspliced: Matrix, spliced: Matrix, genes: IntArray, theta: FloatArray, spread: FloatArray, *, exact: bool
) -> CurveSums:
    """Sums over cells with one time each: that of the nearest point of the curve, or the explicit one."""
    sums = CurveSums.empty(len(genes))
    nowhere = np.empty((0, 0), dtype=np.int8), np.empty((0, 0), dtype=np.float32)

    def task(u: FloatArray, s: FloatArray, at: slice) -> None:
        out = tuple(array[at] for array in sums.arrays)
        hard_genes(u, s, theta[at], spread[at], exact, FRACTIONS, out, nowhere)

    _over_blocks(unspliced, spliced, genes, task)
    return sums


def place_cells_on_curves(
    unspliced: Matrix, spliced: Matrix, theta: FloatArray, spread: FloatArray, *, exact: bool
) -> tuple[IntArray, FloatArray]:
    """Branch (``ON``, ``OFF``, ``STEADY_ON``) and time since its switch, in units of 1/beta, of each gene and cell.

    Both ``(genes, cells)``, int8 and float32.
    """
    n_genes, n_cells = theta.shape[0], unspliced.shape[0]
    where, tau = np.empty((n_genes, n_cells), dtype=np.int8), np.empty((n_genes, n_cells), dtype=np.float32)

    def task(u: FloatArray, s: FloatArray, at: slice) -> None:
        unused = CurveSums.empty(at.stop - at.start).arrays
        hard_genes(u, s, theta[at], spread[at], exact, FRACTIONS, unused, (where[at], tau[at]))

    _over_blocks(unspliced, spliced, np.arange(n_genes), task)
    return where, tau


def _over_blocks(
    unspliced: Matrix, spliced: Matrix, genes: IntArray, task: Callable[[FloatArray, FloatArray, slice], None]
) -> None:
    """Run ``task(u, s, slice of genes)`` on all cores; a block's rows are copies, the matrices are not copied."""
    slices = [slice(first, min(first + GENES, len(genes))) for first in range(0, len(genes), GENES)]

    def one(at: slice) -> None:
        task(_rows(unspliced, genes[at]), _rows(spliced, genes[at]), at)

    with ThreadPoolExecutor(max_workers=numba.get_num_threads()) as pool:
        list(pool.map(one, slices))


def _rows(matrix: Matrix, genes: IntArray) -> FloatArray:
    block = matrix[:, genes]
    block = block.toarray() if sparse.issparse(block) else block
    return np.ascontiguousarray(block.T, dtype=np.float32)


def states_on_curves(theta: FloatArray, where: IntArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """U and s at :func:`place_cells_on_curves`' places, relative to the steady state when on, float32 as ``tau``."""
    u, s = np.empty_like(tau), np.empty_like(tau)
    bounds = np.linspace(0, len(theta), 4 * numba.get_num_threads() + 1).astype(np.int64)

    def one(part: int) -> None:
        at = slice(bounds[part], bounds[part + 1])
        states_genes(theta[at], where[at], tau[at], u[at], s[at])

    with ThreadPoolExecutor(max_workers=numba.get_num_threads()) as pool:
        list(pool.map(one, range(len(bounds) - 1)))
    return u, s
