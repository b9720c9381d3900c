"""What a fit says of each cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import interp1d

from velotime._types import FloatArray
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.results.intervals import time_intervals, within_grid
from velotime.inference.results.uncertainty import Uncertainty
from velotime.inference.states import States

FINER = 4  # times of the last posterior for each of the fit's: its quantiles are finer than the grid


@dataclass(frozen=True)
class CellTable:
    """Posterior of each cell's time and what follows from it; all in the caller's order of cells.

    Attributes
    ----------
    mean
        ``sum_j q_j t_j``, ``(cells,)``.
    sd
        Square root of ``sum_j q_j (t_j - mean)^2`` and the variance within a step of the grid, times what uncertain
        curves add, plus the variance of the clock, ``(cells,)``; see ``uncertainty``.
    clock_sd
        The clock's part of it, shared by cells of one time, ``(cells,)``.
    q05, q95
        5 % and 95 % quantile of time, ``(cells,)``: those of the posterior, widened as the sd is; see ``intervals``.
    entropy
        ``-sum_j q_j log q_j``, nats, ``(cells,)``.
    lineages
        Posterior over lineages, ``(cells, lineages)``.
    unspliced, spliced
        Fitted means ``sum_j q_j mu_j`` at size factor 1, ``(cells, genes)``, float32.
    velocity_u, velocity
        Posterior means of du/dt and ds/dt, ``(cells, genes)``, float32, relative units.
    velocity_sd
        Standard deviation of ds/dt, from uncertain time and an uncertain curve, ``(cells, genes)``, float32.
    """

    mean: FloatArray
    sd: FloatArray
    clock_sd: FloatArray
    q05: FloatArray
    q95: FloatArray
    entropy: FloatArray
    lineages: FloatArray
    unspliced: FloatArray
    spliced: FloatArray
    velocity_u: FloatArray
    velocity: FloatArray
    velocity_sd: FloatArray


def cell_table(problem: SoftProblem, parameters: SoftParameters, doubt: Uncertainty) -> CellTable:
    """Posterior summaries and expectations of every cell, on a finer grid than that of the fit."""
    fine, parameters = refine(problem, parameters)
    n_cells, n_genes = problem.cells.n_cells, parameters.theta.shape[0]
    curves = [
        np.ascontiguousarray(curve.T, dtype=np.float32)
        for curve in (*fine.states.means(parameters.theta), *fine.states.velocities(parameters.theta))
    ]
    middle = curves[3].mean(axis=0, dtype=np.float64)  # off before squaring, so that little cancels
    square = (curves[3] - middle) ** 2 + between(doubt.velocity_variance, problem.states, fine.states).T
    widening, clock = (
        between(values, problem.states, fine.states) for values in (doubt.widening, doubt.clock_variance)
    )
    layers = [np.empty((n_cells, n_genes), dtype=np.float32) for _ in range(5)]
    columns = [np.empty(n_cells) for _ in range(6)]
    lineages = np.empty((n_cells, problem.states.layout.n_lineages))
    for cells, q in blocks(fine, parameters):
        into = problem.cells.order[cells]
        for layer, curve in zip(layers, curves, strict=False):
            layer[into] = q @ curve
        lineages[into] = q.reshape(len(q), lineages.shape[1], -1).sum(axis=2)
        layers[4][into] = np.sqrt(np.maximum(q.astype(np.float64) @ square - (layers[3][into] - middle) ** 2, 0.0))
        for column, values in zip(columns, summarise(q.astype(np.float64), fine, widening, clock), strict=True):
            column[into] = values
    mean, sd, clock_sd, low, high, entropy = columns
    return CellTable(mean, sd, clock_sd, low, high, entropy, lineages, *layers)


def summarise(
    q: FloatArray, problem: SoftProblem, widening: FloatArray, clock_variance: FloatArray
) -> tuple[FloatArray, ...]:
    """Mean, sd, clock's sd, 5 % and 95 % quantile and entropy of a posterior ``(cells, states)``."""
    time = problem.states.time
    mean = q @ time
    own = (q * (time - mean[:, None]) ** 2).sum(axis=1) + within_grid(problem.states.times)
    shared = q @ clock_variance
    sd = np.sqrt(own * (q @ widening) + shared)
    entropy = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1) - np.log(FINER)
    low, high = time_intervals(q, time, mean, sd)
    return mean, sd, np.sqrt(shared), low, high, np.maximum(entropy, 0.0)


def refine(problem: SoftProblem, parameters: SoftParameters) -> tuple[SoftProblem, SoftParameters]:
    """The same model on a finer time grid, with the density of its prior."""
    states = problem.states
    fine = states.at(np.linspace(0.0, 1.0, FINER * (len(states.times) - 1) + 1))
    prior = between(parameters.prior, states, fine)
    known = tuple(between(table, states, fine) for table in parameters.known)
    finer = replace(parameters, prior=prior / prior.sum(axis=1, keepdims=True), known=known)
    return replace(problem, states=fine), finer


def between(values: FloatArray, states: States, fine: States) -> FloatArray:
    """Values of states ``(..., states)`` at those of a finer grid, linear between times."""
    by_lineage = values.reshape(*values.shape[:-1], states.layout.n_lineages, len(states.times))
    filled = interp1d(states.times, by_lineage, axis=-1)(fine.times)
    return np.asarray(filled.reshape(*values.shape[:-1], -1))
