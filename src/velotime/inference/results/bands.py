"""Posterior covariance of fitted curves."""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums
from velotime.inference.curves.line import SWITCH
from velotime.inference.curves.protocol import Curve
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.noise import Noise
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import Layout, States

BINS = 64  # pieces of the clock in which cells are counted


def curve_covariance(
    theta: FloatArray,
    at: FloatArray,
    *,
    noise: Noise,
    scatter: tuple[FloatArray, FloatArray],
    time: FloatArray,
    lineages: FloatArray,
    sizes: tuple[FloatArray, FloatArray],
    background: FloatArray | None = None,
    curve: Curve = SWITCH,
) -> FloatArray:
    """Posterior covariance of fitted means (u, s), by Laplace's approximation and the delta method.

    With J the derivatives of the curve by the parameters, V the variance of a count, ``l`` size factors and P the
    prior's precision, the parameters have covariance ``C = (sum_i l_i J_i^T V_i^-1 J_i + P)^-1`` around the fit, and
    the curve at t has ``J(t) C J(t)^T``. Cells stand at their mean times: the clock is taken as known.

    Parameters
    ----------
    theta
        Parameters of the genes, ``(genes, 6 + 2 lineages)``, in the order of ``Layout``.
    at
        Times at which the covariance is wanted, ``(times,)``, relative.
    noise
        The noise model of the fit.
    scatter
        Its parameters in the unspliced and the spliced layer, each ``(genes,)``.
    time
        Posterior mean time of every cell, ``(cells,)``, relative.
    lineages
        Posterior over lineages of every cell, times the weight of the cell, ``(cells, lineages)``.
    sizes
        Size factors in the unspliced and the spliced layer, each ``(cells,)``.
    background
        Counts in every cell besides the curve, at size factor 1, ``(2, genes)``; it is taken as known.
    curve
        Kind of the curves.

    Returns
    -------
    Covariances of (unspliced, spliced), ``(genes, lineages, times, 2, 2)``, in squared counts at size factor 1.
    """
    layout = Layout(lineages.shape[1], curve)
    states = States((np.arange(BINS) + 0.5) / BINS, layout)
    bins = np.clip((time * BINS).astype(np.int64), 0, BINS - 1)
    prior = RatePrior(layout)
    u, s = (_cells_per_state(bins, lineages, size, len(theta)) for size in sizes)
    problem = GeneProblem(states, noise, prior, u, s, *scatter, background)
    _, fisher = problem.information(theta)
    covariance = np.linalg.inv(fisher + prior.hessian)
    out = np.empty((len(theta), layout.n_lineages, len(at), 2, 2))
    for k, (_, _, ju, js) in enumerate(States(at, layout).jacobians(theta)):
        own = layout.columns(k)
        slopes = np.stack([ju, js], axis=1)  # (genes, 2, 8, times)
        carried = np.einsum("gpq,gbqt->gbpt", covariance[:, own][:, :, own], slopes)
        out[:, k] = np.einsum("gapt,gbpt->gtab", slopes, carried)
    return out


def _cells_per_state(bins: IntArray, lineages: FloatArray, size: FloatArray, n_genes: int) -> LayerSums:
    """Summed size factors of the cells in each state; the counts themselves do not enter the information."""

    def total(weight: FloatArray) -> FloatArray:
        return np.concatenate([np.bincount(bins, weight * share, minlength=BINS) for share in lineages.T])

    powers = np.stack([total(size**power) for power in (1, 2, 3, 4)])
    return LayerSums(np.zeros((n_genes, powers.shape[1])), powers)
