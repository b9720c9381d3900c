"""A fit taken up again from what was stored of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.inference._knowledge import CellLabels
from velotime.inference._mstep import GeneFit
from velotime.inference._observations import Observations
from velotime.inference._params import Layout, States
from velotime.inference._priors import RatePrior
from velotime.inference._soft import SoftEM
from velotime.inference._soft_problem import Cells, SoftParameters, SoftProblem
from velotime.inference._summary import refine, time_and_lineage


@dataclass(frozen=True)
class StoredCurves:
    """What a ``SoftEM`` fit learned.

    Attributes
    ----------
    theta
        Parameters of each gene, ``(genes, parameters)``.
    unspliced_scatter, spliced_scatter
        Of the noise model, ``(genes,)``.
    times
        The time grid, ``(times,)``.
    prior
        Time prior, ``(groups, states)``.
    """

    theta: FloatArray
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    times: FloatArray
    prior: FloatArray


@dataclass(frozen=True)
class Restored:
    """A problem and the parameters that solved it: one E-step gives the posterior of the fit again."""

    problem: SoftProblem
    parameters: SoftParameters

    @property
    def latent_time(self) -> FloatArray:
        """Posterior mean time of each cell, in the caller's order, ``(cells,)``."""
        return time_and_lineage(*refine(self.problem, self.parameters))[0]


def restore(method: SoftEM, observations: Observations, labels: CellLabels, stored: StoredCurves) -> Restored:
    """Take up a fit of ``method`` to these observations again."""
    n_genes, n_parameters = stored.theta.shape
    layout = Layout((n_parameters - Layout(0).n_parameters) // 2)
    problem = SoftProblem(
        Cells.of(observations, method.prior_rows(labels), method.noise),
        States(stored.times, layout),
        method.noise,
        method.prior,
        RatePrior(layout),
    )
    genes = GeneFit(stored.theta, np.zeros(n_genes), np.full(n_genes, 1e-2))
    return Restored(problem, SoftParameters(genes, stored.unspliced_scatter, stored.spliced_scatter, stored.prior))
