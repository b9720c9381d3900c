r"""Genes that are left out of the clock: curves of their own, at the times that the other genes give the cells.

With q_i the posterior of cell i from the other genes, a curve mu of gene g is the likeliest of
``sum_i log sum_j q_ij p(x_ig | l_i mu_j)``, by the EM of the fit with q_i as the prior of each cell: the gene's own
counts say where in q_i the cell is as far as this gene goes, and no other gene hears of it. Under q alone each curve
would be that of the genes blurred by how uncertain times are, and rates too slow.

So each gene has weights ``r_ij^g`` of its own. M-steps and tables are of all of these genes at once: sums of each over
states are brought to the sizes that q has there, ``v_gj = sum_i r_ij x_i (sum_i q_ij l_i)/(sum_i r_ij l_i)``, which
keeps their means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from velotime._types import FloatArray
from velotime.compute import LayerSums, Sums
from velotime.inference.em import Schedule, run_em
from velotime.inference.evidence.predictive import PredictiveChecks
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.posterior import blocks, gene_log_likelihood
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.model.samples.problem import SampledProblem
from velotime.inference.observations import Observations
from velotime.inference.results.genes import GeneTable, gene_table
from velotime.inference.results.uncertainty import Uncertainty, doubts_of_others

STEPS = Schedule(annealing=0, hottest=1.0, longest=25, tolerance=1e-3)
LEAST = 1e-12  # of the posterior, so that no state is out of reach


@dataclass(frozen=True)
class LeftOut:
    """Genes that take no part in the clock.

    Attributes
    ----------
    parameters
        Their curves and scatter; prior and knowledge are those of the fit.
    genes
        What the fit says of each.
    """

    parameters: SoftParameters
    genes: GeneTable


@dataclass(frozen=True)
class _GivenTimes:
    """Genes whose cells have a prior each, and which do not hear of each other.

    Attributes
    ----------
    problem
        Of these genes.
    q
        Prior of each cell, in the order of the problem, ``(cells, states)``.
    plain
        Sums of all genes under q.
    """

    problem: SoftProblem
    q: FloatArray
    plain: Sums

    def maximise(self, parameters: SoftParameters, statistics: Sums, iteration: int) -> SoftParameters:
        """As in the fit."""
        return self.problem.maximise(parameters, statistics, iteration)

    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[Sums, float]:
        """Sums of each gene under its own posterior, and the bound per cell of all together."""
        found = [alone.expect(one, temperature) for alone, one in zip(self._alone, self._each(parameters), strict=True)]
        layers = zip(self.plain.layers, *(sums.layers for sums, _ in found), strict=True)
        unspliced, spliced = (_brought_to(plain, own) for plain, *own in layers)
        return Sums(unspliced, spliced, self.plain.weight), float(sum(bound for _, bound in found))

    @cached_property
    def _alone(self) -> tuple[SoftProblem, ...]:
        """The problem of each gene, the cells with a row of the prior each."""
        n_cells, cells = len(self.q), self.problem.cells
        rows = np.arange(n_cells)
        nothing = np.zeros((n_cells, 0), dtype=np.int64)
        prior = PriorRows(rows, rows, nothing, cells.prior_rows.groups, ())
        every = (replace(cells.genes(np.array([g])), prior_rows=prior) for g in range(cells.unspliced.n_genes))
        return tuple(replace(self.problem, cells=own) for own in every)

    def _each(self, parameters: SoftParameters) -> Iterator[SoftParameters]:
        for g in range(len(parameters.theta)):
            scatter = parameters.unspliced_scatter[[g]], parameters.spliced_scatter[[g]]
            yield SoftParameters(parameters.theta[[g]], *scatter, self.q)


def _brought_to(plain: LayerSums, own: list[LayerSums]) -> LayerSums:
    """Sums of single genes under posteriors of their own, at the sizes of the sums of all."""
    value = [one.value[0] * plain.size / np.maximum(one.size, 1e-300) for one in own]
    return LayerSums(np.stack(value), plain.size_powers)


def fit_left_out(
    problem: SoftProblem, parameters: SoftParameters, doubt: Uncertainty, observations: Observations
) -> LeftOut:
    """Curves of genes that the fit has not seen; of cells of several samples under the posterior of the others alone.

    Parameters
    ----------
    problem, parameters
        Of the fit.
    doubt
        How uncertain its clock is.
    observations
        The same cells and the other genes.
    """
    cells = cells_of(observations, problem.cells.prior_rows.take(np.argsort(problem.cells.order)), problem.noise)
    others = replace(problem, cells=cells, restarts=frozenset(), clock_moves=frozenset(), make_room=None, profile=None)
    q = _posterior(problem, parameters)
    statistics = others.statistics_of(q)
    first = others.first(statistics)
    if isinstance(others, SampledProblem):
        run = run_em(_SameTimes(others, statistics), first, statistics, STEPS)
    else:
        prior = np.maximum(q[cells.order], LEAST)
        run = run_em(_GivenTimes(others, prior, statistics), first, statistics, STEPS)
    own = doubts_of_others(others, run.parameters, run.statistics, doubt)
    nothing = np.full(observations.n_genes, np.nan)
    table = gene_table(others, run.parameters, run.statistics, own, PredictiveChecks(nothing, nothing))
    return LeftOut(run.parameters, table)


@dataclass(frozen=True)
class _SameTimes:
    """A problem whose posterior stays as it is: an E-step changes nothing."""

    problem: SoftProblem
    statistics: Sums

    def maximise(self, parameters: SoftParameters, statistics: Sums, iteration: int) -> SoftParameters:
        """As in the fit."""
        return self.problem.maximise(parameters, statistics, iteration)

    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[Sums, float]:
        """The same sums, and the log-likelihood per cell that the curves give them."""
        del temperature
        likelihood = gene_log_likelihood(self.problem, parameters, self.statistics)
        penalty = self.problem.rate_prior.penalty(parameters.theta)
        return self.statistics, float((likelihood - penalty).sum()) / self.problem.cells.n_cells


def _posterior(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """Of all cells, in the caller's order, ``(cells, states)``, float32."""
    q = np.empty((problem.cells.n_cells, problem.states.n_states), dtype=np.float32)
    for cells, own in blocks(problem, parameters):
        q[problem.cells.order[cells]] = own
    return q
