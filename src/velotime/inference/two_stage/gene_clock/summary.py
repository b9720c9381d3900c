"""What single genes' curves say of genes and cells, in the units of the data and of the shared clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.two_stage.gene_clock.consensus import GeneClocks
from velotime.inference.two_stage.gene_clock.kernels import OFF, ON, STEADY_ON, place_cells_on_curves, states_on_curves
from velotime.inference.two_stage.gene_clock.kernels.data import LOG_R, LOG_S, LOG_U, LOG_X, CurveData

LATEST = np.log(100.0)  # mean lifetimes after which a gene that was switched off counts as off for good: 1 % is left


@dataclass(frozen=True)
class CurveCells:
    """Cells on each gene's curve.

    Attributes
    ----------
    tau, tau_
        Time for which the gene had been on, and off since, in units of the shared clock, ``(cells, genes)``, float32.
    velocity_u, velocity
        du/dt and ds/dt there, per unit of the shared clock, ``(cells, genes)``, float32.
    """

    tau: FloatArray
    tau_: FloatArray
    velocity_u: FloatArray
    velocity: FloatArray


@dataclass(frozen=True)
class CurveGenes:
    """How well the curves fit, each ``(genes,)``.

    Attributes
    ----------
    likelihood, variance
        scVelo's: with d the distance to the curve in units of the spreads and v the variance of d signed by the side,
        ``exp(-mean(d^2)/(2 v)) / sqrt(2 pi v)``.
    r2
        R squared of the steady-state line.
    at_steady_state
        Share of the cells at either steady state.
    """

    likelihood: FloatArray
    variance: FloatArray
    r2: FloatArray
    at_steady_state: FloatArray


def summarise_curves(
    data: CurveData, theta: FloatArray, ratio: FloatArray, clocks: GeneClocks, *, exact: bool
) -> tuple[CurveCells, CurveGenes]:
    """Place every cell on every curve, a block of genes at a time."""
    n_cells, n_genes = data.n_cells, data.n_genes
    cells = CurveCells(*(np.empty((n_cells, n_genes), dtype=np.float32) for _ in range(4)))
    genes = CurveGenes(*(np.empty(n_genes) for _ in range(4)))
    rate = np.exp(clocks.log_rate).astype(np.float32)
    for at, u, s in data.blocks():
        index = np.arange(at.start, at.stop)
        where, tau = place_cells_on_curves(data.cells, index, theta[at], data.spread[at], exact=exact)
        u_hat, s_hat = (state.T for state in states_on_curves(theta[at], where, tau))
        own, place = theta[at].astype(np.float32), (where.T, tau.T)
        _fill_cells(cells, at, own, rate[at], place, (u_hat, s_hat))
        e_u = (u - np.exp(own[:, LOG_U]) * u_hat) / data.spread[at, 0]
        e_s = (s - np.exp(own[:, LOG_S]) * s_hat) / data.spread[at, 1]
        genes.likelihood[at], genes.variance[at] = _likelihood(e_u, e_s)
        genes.r2[at] = 1 - ((u - ratio[at] * s) ** 2).mean(axis=0) / data.spread[at, 0] ** 2
        off_for_good = (place[0] == OFF) & (place[1] >= LATEST * _lifetime(own))
        genes.at_steady_state[at] = ((place[0] == STEADY_ON) | off_for_good).mean(axis=0)
    return cells, genes


def _lifetime(theta: FloatArray) -> FloatArray:
    """Mean time that a molecule spends in both layers, in units of 1/beta, ``(genes,)``."""
    return np.asarray(1 + np.exp(-theta[:, LOG_R]))


def _fill_cells(
    cells: CurveCells,
    at: slice,
    theta: FloatArray,
    rate: FloatArray,
    place: tuple[IntArray, FloatArray],
    state: tuple[FloatArray, FloatArray],
) -> None:
    """Times and velocities of some genes: with beta = 1, ``u' = [on] - u`` and ``s' = r (u - s)``."""
    (where, tau), (u, s) = place, state
    off = where == OFF
    cells.tau[:, at] = np.where(off, np.exp(theta[:, LOG_X]), tau) / rate
    cells.tau_[:, at] = np.where(off, np.minimum(tau, LATEST * _lifetime(theta)), 0) / rate
    moving = where != STEADY_ON
    cells.velocity_u[:, at] = moving * ((where == ON) - u) * np.exp(theta[:, LOG_U]) * rate
    cells.velocity[:, at] = moving * (u - s) * np.exp(theta[:, LOG_S] + theta[:, LOG_R]) * rate


def _likelihood(e_u: FloatArray, e_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    square = e_u**2 + e_s**2
    mean = square.mean(axis=0)
    variance = mean - (np.sign(e_s) * np.sqrt(square)).mean(axis=0) ** 2
    variance = np.where(variance > 0, variance, 1.0)
    return np.exp(-0.5 * mean / variance) / np.sqrt(2 * np.pi * variance), variance
