"""What is fitted to genes with clocks of their own: values of the cells, and a curve per gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.two_stage.gene_clock.kernels import N_NODES
from velotime.inference.two_stage.gene_clock.kernels.data import LOG_R, LOG_S, LOG_SIGMA, LOG_U, LOG_X, CurveData


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
