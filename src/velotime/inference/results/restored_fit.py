"""A fit taken up again from what was stored of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
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
            mean[into] = problem.states.clock.mean(q, problem.states.time)
            own = (q * problem.states.clock.away(problem.states.time, mean[into][:, None]) ** 2).sum(axis=1)
            sd[into] = np.sqrt(own + within_grid(problem.states.times))
        return mean, sd

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
