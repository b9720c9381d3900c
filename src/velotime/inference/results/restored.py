"""A fit taken up again from what was stored of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from velotime._types import FloatArray, IntArray
from velotime.inference.model.posterior import blocks, time_and_lineage
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.results.cells import refine
from velotime.inference.results.intervals import within_grid
from velotime.inference.results.uncertainty import doubts


@dataclass(frozen=True)
class Restored:
    """A problem and the parameters that solved it: one E-step gives the posterior of the fit again."""

    problem: SoftProblem
    parameters: SoftParameters

    @property
    def latent_time(self) -> FloatArray:
        """Posterior mean time of each cell, in the caller's order, ``(cells,)``."""
        return time_and_lineage(*refine(self.problem, self.parameters))[0]

    @property
    def time_moments(self) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and sd of each cell's time given the curves, in the caller's order, ``(cells,)``.

        The sd holds the step of the grid, as in ``intervals``, but neither uncertain curves nor an uncertain clock.
        """
        problem, parameters = refine(self.problem, self.parameters)
        mean, sd = np.empty(problem.cells.n_cells), np.empty(problem.cells.n_cells)
        for cells, q in blocks(problem, parameters):
            into = problem.cells.order[cells]
            mean[into] = q @ problem.states.time
            own = (q * (problem.states.time - mean[into][:, None]) ** 2).sum(axis=1)
            sd[into] = np.sqrt(own + within_grid(problem.states.times))
        return mean, sd

    @property
    def state_velocities(self) -> FloatArray:
        """ds/dt of every gene in each state, ``(states, genes)``, float32."""
        curves = self.problem.states.velocities(self.parameters.theta)[1]
        return np.ascontiguousarray(curves.T, dtype=np.float32)

    def draw_states(self, n_draws: int, rng: Generator) -> IntArray:
        """States drawn from each cell's posterior, in the caller's order, ``(cells, draws)``, ascending.

        Stratified: one draw from each of ``n_draws`` equal parts of the posterior (systematic sampling), so that the
        share of a state among the draws is off by less than ``1 / n_draws``. They follow the posterior given the
        curves, on the grid of the fit: what ``intervals`` adds is less than a step, or due to the curves.
        """
        drawn = np.empty((self.problem.cells.n_cells, n_draws), dtype=np.int32)
        for cells, q in blocks(self.problem, self.parameters):
            below = np.cumsum(q, axis=1, dtype=np.float64)
            below /= below[:, -1:]
            at = (rng.random((len(q), 1)) + np.arange(n_draws)) / n_draws
            drawn[self.problem.cells.order[cells]] = [
                np.searchsorted(row, points, side="right") for row, points in zip(below, at, strict=True)
            ]
        return np.minimum(drawn, self.problem.states.n_states - 1)

    @property
    def shrinkage(self) -> FloatArray:
        """What the prior of the rates adds to the error of each parameter, a variance, ``(genes, parameters)``.

        An estimate is drawn towards the prior's mean by ``C P (theta - mean)``, with P the prior's precision and C the
        covariance of the estimate; in expectation over the prior that squares to ``C P C``. Scatter between samples
        does not show it, as all samples are drawn the same way.
        """
        statistics, _ = self.problem.expect(self.parameters, 1.0)
        covariance = doubts(self.problem, self.parameters, statistics).covariance
        return np.asarray(np.einsum("gpq,qr,grp->gp", covariance, self.problem.rate_prior.hessian, covariance))
