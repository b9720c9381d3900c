r"""Scores of held-out counts for any model: a table of states, each with one mean per gene and layer.

With q the posterior over states given the training counts, a cell's held-out log-likelihood is

    log sum_j q_j p(test | j),      q_j ~ w_j p(training | j)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from velotime._types import FloatArray
from velotime.inference.heldout.thinning import TRAIN_SHARE
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.model.scores import state_scores
from velotime.inference.observations import Observations


@dataclass(frozen=True)
class StateModel:
    """A fitted model as a table of states.

    Attributes
    ----------
    cells
        The cells with their training counts; all scores are in their order.
    noise
        How counts scatter.
    means, scatter
        Of both layers, ``(genes, states)`` and ``(genes,)`` each.
    log_weight
        Log prior of the states, ``(cells, states)`` or the same for all cells, ``(1, states)``.
    """

    cells: Cells
    noise: Noise
    means: tuple[FloatArray, FloatArray]
    scatter: tuple[FloatArray, FloatArray]
    log_weight: FloatArray

    @classmethod
    def of_curves(cls, problem: SoftProblem, parameters: SoftParameters) -> StateModel:
        """The states of a fit of curves, with its prior of time and what is known of the cells."""
        log_prior = problem.cells.prior_rows.log_prior(parameters.prior, parameters.known)
        return cls(
            problem.cells,
            problem.noise,
            problem.means(parameters),
            (parameters.unspliced_scatter, parameters.spliced_scatter),
            log_prior[problem.cells.prior_row],
        )

    @cached_property
    def known(self) -> FloatArray:
        """Log prior and log-likelihood of the training counts, up to terms without a state, ``(cells, states)``."""
        layers = self.cells.unspliced, self.cells.spliced
        return self.log_weight + sum(
            state_scores(self.noise, data, mu, phi)
            for data, mu, phi in zip(layers, self.means, self.scatter, strict=True)
        )

    def unseen(self, test: Observations) -> FloatArray:
        """Log-likelihood of each cell's test counts in each state, ``(cells, states)``."""
        total: FloatArray = np.zeros((self.cells.n_cells, self.means[0].shape[1]))
        for data, values, mu, phi in zip(
            (self.cells.unspliced, self.cells.spliced),
            (test.unspliced, test.spliced),
            self.means,
            self.scatter,
            strict=True,
        ):
            levels = data.levels * (1 - TRAIN_SHARE) / TRAIN_SHARE
            counts = LayerData(values[self.cells.order], levels, data.level)
            total += state_scores(self.noise, counts, mu, phi)
            total += self.noise.cell_constant(counts, phi)[:, None]
        return total

    def heldout(self, test: Observations) -> FloatArray:
        """Held-out log-likelihood of each cell, nats, ``(cells,)``."""
        return predict(self.known, self.unseen(test))


def heldout_by_curves(problem: SoftProblem, parameters: SoftParameters, test: Observations) -> FloatArray:
    """Held-out log-likelihood of each cell under a fit of curves, nats, ``(cells,)``, in the sweep's order."""
    strata = problem.strata(parameters)
    return np.concatenate([StateModel.of_curves(part, own).heldout(test) for part, own in strata])


def predict(known: FloatArray, unseen: FloatArray) -> FloatArray:
    """``log sum_j q_ij p(test | j)`` with q the posterior of log weights ``known``, both ``(cells, states)``."""
    log_q = known - logsumexp(known, axis=1, keepdims=True)
    return np.asarray(logsumexp(log_q + unseen, axis=1))
