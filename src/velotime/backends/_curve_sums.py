"""E-steps of single genes' curves over all genes: blocks of genes on all cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.backends._curve_points import CellPoints, Points, PointSource, over_blocks
from velotime.backends._curve_posterior import posterior_genes
from velotime.backends._curve_times import hard_genes, states_genes
from velotime.backends._gene_curve import FRACTIONS, N_NODES, N_PARAMETERS


@dataclass(frozen=True)
class CurveSums:
    """What an E-step leaves of each gene: the M-step sees nothing else.

    Attributes
    ----------
    value
        Log-likelihood, nats, ``(genes,)``.
    gradient
        Its derivatives by the parameters, ``(genes, 6)``.
    weight
        Cells on each node, ``(genes, nodes)``; 0 where every cell has one time.
    complete
        Minus the second derivatives that there would be if times were known, ``(genes, 6, 6)``, semidefinite.
    missing
        What they lose as times are not known, by the parameters and the log weights of the nodes,
        ``(genes, 6 + nodes, 6 + nodes)``, float32; without nodes ``(genes, 6, 6)``.
    """

    value: FloatArray
    gradient: FloatArray
    weight: FloatArray
    complete: FloatArray
    missing: FloatArray

    @classmethod
    def empty(cls, n_genes: int, *, nodes: bool) -> CurveSums:
        """Zeros; whether for times that are a posterior over nodes."""
        k = N_PARAMETERS
        return cls(
            np.zeros(n_genes),
            np.zeros((n_genes, k)),
            np.zeros((n_genes, N_NODES)),
            np.zeros((n_genes, k, k)),
            np.zeros((n_genes, k + nodes * N_NODES, k + nodes * N_NODES), dtype=np.float32),
        )

    def of(self, genes: IntArray) -> CurveSums:
        """Sums of these genes."""
        return CurveSums(*(array[genes] for array in self.arrays))

    def where(self, mask: BoolArray, other: CurveSums) -> CurveSums:
        """These genes' own where ``mask`` holds, the other's elsewhere."""
        pairs = zip(self.arrays, other.arrays, strict=True)
        return CurveSums(*(np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """All five."""
        return self.value, self.gradient, self.weight, self.complete, self.missing


def sum_over_posterior(
    source: PointSource, genes: IntArray, theta: FloatArray, spread: FloatArray, log_prior: FloatArray
) -> CurveSums:
    """Sums over cells whose time is a posterior over the nodes of each gene's curve.

    Parameters
    ----------
    source
        Cells, or points that stand for them.
    genes
        Columns of the genes to work on, ``(genes,)``.
    theta
        Their parameters: log amplitudes of u and s, log r, log x_, log sigma, log ratio of the sigmas, ``(genes, 6)``.
    spread
        What the sigmas are relative to, ``(genes, 2)``.
    log_prior
        Of the nodes, ``(genes, nodes)``.
    """
    sums = CurveSums.empty(len(genes), nodes=True)

    def task(points: Points, at: slice) -> None:
        out = tuple(array[at] for array in sums.arrays)
        posterior_genes(points.arrays, theta[at], spread[at], log_prior[at], FRACTIONS, out)

    over_blocks(source, genes, task)
    return sums


def sum_over_times(
    source: PointSource, genes: IntArray, theta: FloatArray, spread: FloatArray, *, exact: bool
) -> CurveSums:
    """Sums over cells with one time each: that of the nearest point of the curve, or the explicit one."""
    sums = CurveSums.empty(len(genes), nodes=False)
    nowhere = np.empty((0, 0), dtype=np.int8), np.empty((0, 0), dtype=np.float32)

    def task(points: Points, at: slice) -> None:
        _place(points, theta[at], spread[at], exact, sums, at, nowhere)

    over_blocks(source, genes, task)
    return sums


def place_cells_on_curves(
    cells: CellPoints, genes: IntArray, theta: FloatArray, spread: FloatArray, *, exact: bool
) -> tuple[IntArray, FloatArray]:
    """Branch (``ON``, ``OFF``, ``STEADY_ON``) and time since its switch, in units of 1/beta, of each gene and cell.

    Both ``(genes, cells)``, int8 and float32.
    """
    n_genes, n_cells = theta.shape[0], cells.unspliced.shape[0]
    where, tau = np.empty((n_genes, n_cells), dtype=np.int8), np.empty((n_genes, n_cells), dtype=np.float32)
    unused = CurveSums.empty(n_genes, nodes=False)

    def task(points: Points, at: slice) -> None:
        _place(points, theta[at], spread[at], exact, unused, at, (where[at], tau[at]))

    over_blocks(cells, genes, task)
    return where, tau


def _place(
    points: Points,
    theta: FloatArray,
    spread: FloatArray,
    exact: bool,
    sums: CurveSums,
    at: slice,
    places: tuple[IntArray, FloatArray],
) -> None:
    out = tuple(array[at] for array in (sums.value, sums.gradient, sums.complete, sums.missing))
    hard_genes(points.arrays, theta, spread, exact, N_NODES, FRACTIONS, out, places)


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
