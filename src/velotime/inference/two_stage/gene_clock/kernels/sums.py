"""E-steps of single genes' curves over all genes: blocks of genes on all cores."""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.threads import over_slices
from velotime.inference.two_stage.gene_clock.kernels.points import GENES, CellPoints, Points, PointSource, over_blocks
from velotime.inference.two_stage.gene_clock.kernels.posterior import posterior_genes
from velotime.inference.two_stage.gene_clock.kernels.record import CurveSums
from velotime.inference.two_stage.gene_clock.kernels.times import hard_genes, states_genes


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
        posterior_genes(points.arrays, theta[at], spread[at], log_prior[at], out)

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
    hard_genes(points.arrays, theta, spread, exact, out, places)


def states_on_curves(theta: FloatArray, where: IntArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """U and s at :func:`place_cells_on_curves`' places, relative to the steady state when on, float32 as ``tau``."""
    u, s = np.empty_like(tau), np.empty_like(tau)

    def one(at: slice) -> None:
        states_genes(theta[at], where[at], tau[at], u[at], s[at])

    over_slices(len(theta), GENES, one)
    return u, s
