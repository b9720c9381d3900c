"""What a fit says of each cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from velotime._types import BoolArray, FloatArray
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.results.expectations import stack_cells, without_tail
from velotime.inference.results.grid import FINER, between, finer
from velotime.inference.results.intervals import time_intervals, within_grid
from velotime.inference.results.uncertainty import Uncertainty
from velotime.inference.states import States


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
    states
        The states of ``posterior``, on a finer grid than that of the fit.
    posterior
        Posterior over these, CSR ``(cells, states)``, float32, without its tail. What it says of genes is computed
        where it is wanted: see ``expectations``.
    """

    mean: FloatArray
    sd: FloatArray
    clock_sd: FloatArray
    q05: FloatArray
    q95: FloatArray
    entropy: FloatArray
    lineages: FloatArray
    states: States
    posterior: sparse.csr_array

    def only(self, on_clock: BoolArray | None) -> CellTable:
        """The same with NaN for the times of cells that are on no clock, ``(cells,)``; None if all are."""
        if on_clock is None:
            return self
        columns = self.mean, self.sd, self.clock_sd, self.q05, self.q95, self.entropy
        mean, sd, clock_sd, low, high, entropy = (np.where(on_clock, column, np.nan) for column in columns)
        return replace(self, mean=mean, sd=sd, clock_sd=clock_sd, q05=low, q95=high, entropy=entropy)


def cell_table(problem: SoftProblem, parameters: SoftParameters, doubt: Uncertainty) -> CellTable:
    """Posterior of every cell and its summaries, on a finer grid than that of the fit."""
    fine, parameters = refine(problem, parameters)
    n_cells = problem.cells.n_cells
    widening, clock = (
        between(values, problem.states, fine.states) for values in (doubt.widening, doubt.clock_variance)
    )
    columns = [np.empty(n_cells) for _ in range(6)]
    lineages = np.empty((n_cells, problem.states.layout.n_lineages))
    kept = []
    for cells, q in blocks(fine, parameters):
        into = problem.cells.order[cells]
        lineages[into] = q.reshape(len(q), lineages.shape[1], -1).sum(axis=2)
        kept.append(without_tail(q))
        for column, values in zip(columns, summarise(q.astype(np.float64), fine, widening, clock), strict=True):
            column[into] = values
    mean, sd, clock_sd, low, high, entropy = columns
    posterior = stack_cells(kept, problem.cells.order)
    return CellTable(mean, sd, clock_sd, low, high, entropy, lineages, fine.states, posterior)


def summarise(
    q: FloatArray, problem: SoftProblem, widening: FloatArray, clock_variance: FloatArray
) -> tuple[FloatArray, ...]:
    """Mean, sd, clock's sd, 5 % and 95 % quantile and entropy of a posterior ``(cells, states)``."""
    time, clock = problem.states.time, problem.states.clock
    mean = clock.mean(q, time)
    own = (q * clock.away(time, mean[:, None]) ** 2).sum(axis=1) + within_grid(problem.states.times)
    shared = q @ clock_variance
    sd = np.sqrt(own * (q @ widening) + shared)
    entropy = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1) - np.log(FINER)
    low, high = time_intervals(q, time, mean, sd, clock)
    return mean, sd, np.sqrt(shared), low, high, np.maximum(entropy, 0.0)


def refine(problem: SoftProblem, parameters: SoftParameters) -> tuple[SoftProblem, SoftParameters]:
    """The same model on a finer time grid, with the density of its prior."""
    states, fine = problem.states, finer(problem.states)
    prior = between(parameters.prior, states, fine)
    known = tuple(between(table, states, fine) for table in parameters.known)
    carried = replace(parameters, prior=prior / prior.sum(axis=1, keepdims=True), known=known)
    return replace(problem, states=fine), carried
