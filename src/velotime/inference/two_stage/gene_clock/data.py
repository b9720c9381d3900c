"""What is fitted to genes with clocks of their own: values of the cells, and a curve per gene.

The six parameters of a gene are log amplitudes U and S of unspliced and spliced, log r = log gamma/beta, log x_ (time
on in units of 1/beta), log sigma and the log ratio of the sigmas of the two layers, relative to their spreads over
cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import Matrix, as_array
from velotime.inference.observations import Observations
from velotime.inference.two_stage.gene_clock.kernels import N_NODES, CellPoints

LOG_U, LOG_S, LOG_R, LOG_X, LOG_SIGMA, LOG_SIGMA_RATIO = range(6)
BLOCK_OF_GENES = 64


@dataclass(frozen=True)
class CurveData:
    """What the kernels read.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``, dense or CSC.
    spread
        Standard deviation of both layers over cells, ``(genes, 2)``.
    n_averaged
        Cells that each value is a mean of.
    """

    unspliced: Matrix
    spliced: Matrix
    spread: FloatArray
    n_averaged: float

    @classmethod
    def of(cls, observations: Observations) -> CurveData:
        """Dense values are not copied."""
        u, s = (
            sparse.csc_array(values) if sparse.issparse(values) else values
            for values in (observations.unspliced, observations.spliced)
        )
        data = cls(u, s, np.empty((observations.n_genes, 2)), observations.n_averaged)
        for genes, *blocks in data.blocks():
            for k, block in enumerate(blocks):
                data.spread[genes, k] = block.std(axis=0, dtype=np.float64)
        return data

    @property
    def cells(self) -> CellPoints:
        """Every cell, for the kernels."""
        return CellPoints(self.unspliced, self.spliced)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.unspliced.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced.shape[1])

    def blocks(self) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Blocks of genes: their indices, and dense values of both layers."""
        for first in range(0, self.n_genes, BLOCK_OF_GENES):
            genes = slice(first, min(first + BLOCK_OF_GENES, self.n_genes))
            yield genes, as_array(self.unspliced[:, genes]), as_array(self.spliced[:, genes])


@dataclass(frozen=True)
class Curves:
    """A curve per gene.

    Attributes
    ----------
    theta
        Parameters, ``(genes, 6)``.
    log_prior
        Log weights of the nodes of each curve, ``(genes, nodes)``.
    """

    theta: FloatArray
    log_prior: FloatArray

    def of(self, genes: IntArray) -> Curves:
        """Curves of these genes."""
        return Curves(self.theta[genes], self.log_prior[genes])

    def put(self, genes: IntArray, other: Curves) -> Curves:
        """The same with the other's in place of these genes'."""
        theta, log_prior = self.theta.copy(), self.log_prior.copy()
        theta[genes], log_prior[genes] = other.theta, other.log_prior
        return Curves(theta, log_prior)


def first_curves(data: CurveData) -> tuple[Curves, FloatArray]:
    """Curves from the steady-state ratio, and that ratio, ``(genes,)``; NaN or 0 where it is degenerate.

    The ratio gamma/beta (in the units of the data) is the slope through the origin of unspliced on spliced over the
    cells in the top 2 % of spliced (extreme-quantile regression, La Manno et al. 2018), whose mean is taken for the
    steady state; capture is taken to be the ratio of the spreads, as in scVelo.
    """
    n = data.n_genes
    top, slope = np.empty(n), np.empty(n)
    for genes, u, s in data.blocks():
        high = s >= np.quantile(s, 0.98, axis=0)
        square = (s * s * high).sum(axis=0, dtype=np.float64)
        slope[genes] = (u * s * high).sum(axis=0, dtype=np.float64) / np.where(square > 0, square, np.nan)
        top[genes] = (s * high).sum(axis=0, dtype=np.float64) / high.sum(axis=0)
    theta = np.zeros((n, 6))
    ratio = np.where(np.isfinite(slope) & (slope > 0), slope, 1.0)
    theta[:, LOG_S] = np.log(np.where(top > 0, top, 1.0))
    theta[:, LOG_U] = np.log(ratio) + theta[:, LOG_S]
    spread = np.where(data.spread > 0, data.spread, 1.0)
    theta[:, LOG_R] = np.log(np.clip(ratio * spread[:, 1] / spread[:, 0], 0.1, 10.0))
    theta[:, LOG_X], theta[:, LOG_SIGMA] = np.log(2.0), np.log(0.3)
    return Curves(theta, np.full((n, N_NODES), -np.log(N_NODES))), slope
