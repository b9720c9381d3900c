"""What the posterior of a fit says: of all cells, block by block, and of each gene's counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.model.layer import LayerData
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.sums import layer_sums


def blocks(problem: SoftProblem, parameters: SoftParameters) -> Iterator[tuple[slice, FloatArray]]:
    """Posterior of all cells, block by block, in the sweep's order.

    Where values are means over n neighbours it is taken to the power 1/n, each cell's share of the information in its
    values. The prior is taken to this power too, as it was learned from the same values.
    """
    return problem.all_posteriors(parameters, problem.cells.n_averaged)


def time_and_lineage(problem: SoftProblem, parameters: SoftParameters) -> tuple[FloatArray, FloatArray]:
    """Posterior mean time ``(cells,)`` and posterior over lineages ``(cells, lineages)``, in the caller's order."""
    n_cells, n_lineages = problem.cells.n_cells, problem.states.layout.n_lineages
    time, lineages = np.empty(n_cells), np.empty((n_cells, n_lineages))
    for cells, q in blocks(problem, parameters):
        into = problem.cells.order[cells]
        time[into] = problem.states.clock.mean(q, problem.states.time)
        lineages[into] = q.reshape(len(q), n_lineages, -1).sum(axis=2)
    return time, lineages


def gene_log_likelihood(problem: SoftProblem, parameters: SoftParameters, statistics: Sums) -> FloatArray:
    """Expected log-likelihood of each gene's counts given the posterior, ``(genes,)``."""
    gene_problem = problem.gene_problem(parameters, statistics)
    constant = np.zeros(len(parameters.theta))
    for part, own in problem.strata(parameters):
        constant += part.noise.constant(part.cells.unspliced, own.unspliced_scatter)
        constant += part.noise.constant(part.cells.spliced, own.spliced_scatter)
    return gene_problem.log_likelihood(problem.states.means(parameters.theta)) + constant


def gene_log_likelihood_by_size(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """The same exactly, cells of each size factor apart, ``(genes,)``: one mean size per state is nats off."""
    total = np.zeros(len(parameters.theta))
    for part, own in problem.strata(parameters):
        q = np.concatenate([q for _, q in part.posteriors(part.sweep_model(own)[0])]).astype(np.float64)
        total += _layer_by_size(part, part.cells.unspliced, q, part.means(own)[0], own.unspliced_scatter)
        total += _layer_by_size(part, part.cells.spliced, q, part.means(own)[1], own.spliced_scatter)
    return total


def _layer_by_size(
    problem: SoftProblem, layer: LayerData, q: FloatArray, means: FloatArray, scatter: FloatArray
) -> FloatArray:
    total = problem.noise.constant(layer, scatter)
    for level in range(len(layer.levels)):
        cells = np.flatnonzero(layer.level == level)
        if len(cells):
            total = total + problem.noise.log_likelihood(layer_sums(layer.cells(cells), q[cells]), means, scatter)
    return total
