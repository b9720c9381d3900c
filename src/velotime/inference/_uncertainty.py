r"""What uncertain curves add to the uncertainty of times, and uncertain times to that of curves.

Write theta for all curves' parameters and t_i for the cells' times. At the fit, with ``w = l/V`` the weight of a count,
``mu'`` the curve's slope in time and ``J`` its derivative by the parameters, the expected information is

    (theta_g, theta_g):  B_g = sum_i w J J^T  + prior          (genes do not meet)
    (theta_g, t_i):      w mu' J
    (t_i, t_i):          I_i = sum_g w mu'^2

Cells of one state share their entries, so summed over the n_j cells of state j the middle one is a column ``a_gj`` and
the last one ``M_j = I_j n_j`` (information of a cell times their number). Taking the cells' times out leaves the
information of the curves, ``B - A M^-1 A^T``, of low rank beside B: with ``K = A^T B^-1 A`` and ``H = (M - K)^-1``

    Cov(theta_g)          = B_g^-1 + E_g H E_g^T,    E_g = B_g^-1 A_g
    Cov(theta_g, clock)   = -E_g H                   (the clock: how far all cells of state j are displaced together)
    Cov(clock)            = M^-1 K H

(Woodbury; the missing-information principle of Louis 1982.) The eigenvalues of ``M^-1 K`` are the rates at which EM
converges along the clock. Two of them are near 1: a shift and a stretch of the whole clock change no likelihood. The
clock is relative, so both are taken out: displacements are regressed on 1 and t, and the curves moved back accordingly.

A fitted slope is noisier than the true one, and ``E[mu'^2]`` exceeds its square by the slope's variance: the fit seems
to know times better than it does. That spurious part ``S_j`` of the information is computed as well; to first order it
widens the variance of a time by ``1 + 2 S_j / I_j``, once for what is not known and once for the noise that comes in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.inference._mstep import GeneProblem
from velotime.inference._params import States

GRID_INFORMATION = 12.0  # of the clock's length: a time is never less certain than uniform on [0, 1]
SLOWEST = 0.9999  # largest eigenvalue kept: what no prior holds must not divide by nil


@dataclass(frozen=True)
class Uncertainty:
    """Second-order summary of a fit.

    Attributes
    ----------
    widening
        Factor of a cell's posterior variance of time, ``(states,)``.
    clock_variance
        Variance of the displacement that all cells of a state share, origin and unit aligned, ``(states,)``.
    covariance
        Of each gene's parameters, ``(genes, parameters, parameters)``, origin and unit of the clock aligned.
    velocity_variance
        Of ds/dt given the state, ``(genes, states)``.
    """

    widening: FloatArray
    clock_variance: FloatArray
    covariance: FloatArray
    velocity_variance: FloatArray


@dataclass(frozen=True)
class _Terms:
    """Sums over cells that the formulas above are made of."""

    conditional: FloatArray  # B_g^-1, (genes, parameters, parameters)
    cross: FloatArray  # A_g, (genes, parameters, states)
    information: FloatArray  # I_j n_j, (states,)
    spurious: FloatArray  # S_j n_j, (states,)
    slopes: list[FloatArray]  # d J / dt of spliced, (genes, 8, times) a lineage


def uncertainty(genes: GeneProblem, theta: FloatArray, n_cells: FloatArray) -> Uncertainty:
    """Evaluate the formulas of this module.

    Parameters
    ----------
    genes
        The M-step's problem at the fit.
    theta
        Parameters, ``(genes, parameters)``.
    n_cells
        Expected number of cells in each state, ``(states,)``.
    """
    terms = _terms(genes, theta)
    count = np.maximum(n_cells, 1e-6)
    M = terms.information + GRID_INFORMATION * count
    E = terms.conditional @ terms.cross
    H, clock = _clock(np.einsum("gps,gpt->st", terms.cross, E), M)
    align = _alignment(genes.states.time, count)
    keep = np.eye(len(M)) - np.stack([np.ones_like(M), genes.states.time], axis=1) @ align
    covariance = _aligned(terms.conditional, E, H, clock, align, _gauge(theta, genes.states))
    velocity = _velocity_variance(covariance, terms.slopes, genes.states)
    return Uncertainty(
        widening=1.0 + 2.0 * terms.spurious / M,
        clock_variance=np.maximum(np.diagonal(keep @ clock @ keep.T), 0.0),
        covariance=covariance,
        velocity_variance=velocity,
    )


def _terms(genes: GeneProblem, theta: FloatArray) -> _Terms:
    states = genes.states
    conditional = np.linalg.inv(genes.information(theta)[1] + genes.prior.hessian)
    cross = np.zeros((theta.shape[0], states.layout.n_parameters, states.n_states))
    information, spurious = np.zeros(states.n_states), np.zeros(states.n_states)
    slopes = []
    n_times = len(states.times)
    slope_u, slope_s = states.velocities(theta)
    for lineage, (u, s, ju, js) in enumerate(states.jacobians(theta)):
        columns = states.layout.columns(lineage)
        own = slice(lineage * n_times, (lineage + 1) * n_times)
        within = conditional[:, columns[:, None], columns]
        for sums, mean, slope, jacobian, scatter in (
            (genes.unspliced, u, slope_u[:, own], ju, genes.unspliced_scatter),
            (genes.spliced, s, slope_s[:, own], js, genes.spliced_scatter),
        ):
            variance = np.maximum(genes.noise.variance(mean, scatter, sums.mean_size[own]), 1e-12)
            weight = sums.size[own] / variance
            cross[:, columns, own] += (weight * slope)[:, None] * jacobian
            information[own] += (weight * slope**2).sum(axis=0)
            steep = np.gradient(jacobian, states.times, axis=2)
            spurious[own] += (weight * _quadratic(steep, within)).sum(axis=0)
        slopes.append(np.gradient(js, states.times, axis=2))
    return _Terms(conditional, cross, information, spurious, slopes)


def _quadratic(vectors: FloatArray, form: FloatArray) -> FloatArray:
    """``v^T form v`` for each gene and time, ``(genes, times)``, of vectors ``(genes, parameters, times)``."""
    return np.asarray((vectors * (form @ vectors)).sum(axis=1))


def _clock(K: FloatArray, M: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``H`` and the covariance of the clock, both ``(states, states)``, through the eigenvalues of ``M^-1 K``."""
    root = np.sqrt(M)
    value, vector = np.linalg.eigh(K / (root[:, None] * root))
    value = np.clip(value, 0.0, SLOWEST)
    vector = vector / root[:, None]
    return (vector / (1 - value)) @ vector.T, (vector * (value / (1 - value))) @ vector.T


def _alignment(time: FloatArray, count: FloatArray) -> FloatArray:
    """Least-squares coefficients of a displacement on 1 and t, weighted by cells, ``(2, states)``."""
    design = np.stack([np.ones_like(time), time])
    weighted = design * count
    return np.asarray(np.linalg.solve(weighted @ design.T, weighted))


def _gauge(theta: FloatArray, states: States) -> FloatArray:
    """How parameters go with a shift and a stretch of the clock, ``(genes, parameters, 2)``."""
    out = np.zeros((*theta.shape, 2))
    out[:, :2, 1] = -1.0
    out[:, 2, 0], out[:, 2, 1] = 1.0, theta[:, 2]
    out[:, states.layout.durations, 1] = 1.0
    return out


def _aligned(
    conditional: FloatArray, E: FloatArray, H: FloatArray, clock: FloatArray, align: FloatArray, gauge: FloatArray
) -> FloatArray:
    """Covariance of each gene's ``theta_g - gauge (align clock)``."""
    with_clock = -(E @ (H @ align.T)) @ gauge.transpose(0, 2, 1)
    of_clock = gauge @ (align @ clock @ align.T) @ gauge.transpose(0, 2, 1)
    whole = conditional + (E @ H) @ E.transpose(0, 2, 1)
    return np.asarray(whole - with_clock - with_clock.transpose(0, 2, 1) + of_clock)


def _velocity_variance(covariance: FloatArray, slopes: list[FloatArray], states: States) -> FloatArray:
    pieces = []
    for lineage, steep in enumerate(slopes):
        columns = states.layout.columns(lineage)
        pieces.append(np.maximum(_quadratic(steep, covariance[:, columns[:, None], columns]), 0.0))
    return np.hstack(pieces)
