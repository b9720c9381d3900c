r"""Do counts look as the fit says they would? Means and shares of zeros along the clock, gene by gene.

The clock is cut into pieces, and in each of them what is found is compared with what is expected: the summed counts of
a gene, and the cells that have any. With q the posterior, both are sums over cells with weights; over pieces and layers

    T = sum (found - expected)^2 / variance.

The dispersion in the variance is that around free means, so that a curve beside its cells, whose own dispersion grows
until they lie within it, gains nothing by that.

How large T is where the model is true depends on how blurred the pieces are, on what the curve took up of the scatter
and on cells being placed by these same counts. So it is measured: counts are drawn from the fit, cells placed, curves
improved and T taken once more, a few times over, exactly as for the cells' own counts. With m the mean over draws and
``T a / m`` taken for chi^2 of ``a`` degrees, a from how much draws differ over all genes, Wilson and Hilferty's cube
root makes a z-score of it: standard normal where the model is true, above 3 for one gene in a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums, SweepModel
from velotime.inference.evidence.coherence import Draws
from velotime.inference.evidence.gains import free_means, free_scatter, piece_starts
from velotime.inference.model.background.means import with_background
from velotime.inference.model.layer import LayerData
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.sums import sums_under

MOST_CELLS = 1500  # that are looked at
DRAWS = 4
STEPS = 3  # Levenberg-Marquardt steps on these cells, drawn or not
LEAST_VARIANCE = 0.5  # of a sum that is compared: a piece of fewer counts says nothing
LEAST_DEGREES = 2.0


@dataclass(frozen=True)
class PredictiveChecks:
    """How far counts are from what the fit says, as z-scores; above 3: the gene is not as the model has it.

    Attributes
    ----------
    means
        Of the summed counts in pieces of the clock, ``(genes,)``; NaN where values are no counts.
    zeros
        Of the share of cells without a count there, ``(genes,)``; likewise.
    """

    means: FloatArray
    zeros: FloatArray


def predictive_checks(problem: SoftProblem, parameters: SoftParameters, rng: Generator) -> PredictiveChecks:
    """Compare found with expected, and with draws from the fit."""
    if not problem.noise.counts:
        nothing = np.full(len(parameters.theta), np.nan)
        return PredictiveChecks(nothing, nothing)
    each = [_checks(part, own, rng) for part, own in problem.strata(parameters)]
    means, zeros = (sum(one[k] for one in each) / np.sqrt(len(each)) for k in range(2))  # Stouffer's, over samples
    return PredictiveChecks(np.asarray(means), np.asarray(zeros))


def _checks(problem: SoftProblem, parameters: SoftParameters, rng: Generator) -> tuple[FloatArray, FloatArray]:
    """z-scores of means and of zeros, ``(genes,)`` each, of cells that share their parameters."""
    some = _on_some_cells(problem)
    model, _ = some.sweep_model(parameters)  # that of all draws
    found = _discrepancies(some, parameters, model)
    draws = Draws(some, parameters)
    drawn = [_discrepancies(_holding(some, *draws.layers(rng)), parameters, model) for _ in range(DRAWS)]
    means, zeros = (_z_scores(found[k], np.stack([one[k] for one in drawn])) for k in range(2))
    return means, zeros


def _on_some_cells(problem: SoftProblem) -> SoftProblem:
    """Evenly from all of them, which are in the order of their sizes."""
    n_cells = problem.cells.n_cells
    index = np.linspace(0, n_cells - 1, min(n_cells, MOST_CELLS)).astype(np.int64)
    return replace(problem, cells=problem.cells.at(index))


def _holding(problem: SoftProblem, unspliced: LayerData, spliced: LayerData) -> SoftProblem:
    return replace(problem, cells=replace(problem.cells, unspliced=unspliced, spliced=spliced))


def _discrepancies(
    problem: SoftProblem, parameters: SoftParameters, model: SweepModel
) -> tuple[FloatArray, FloatArray]:
    """T of means and of zeros, ``(genes,)`` each."""
    cells = problem.cells
    q, _ = problem.posterior(model, slice(0, cells.n_cells))
    sums = sums_under(cells.unspliced, cells.spliced, q, cells.prior_row, cells.prior_rows.n_rows)
    genes = problem.gene_problem(parameters, sums)
    theta = improve(genes, begin(genes, parameters.theta), STEPS).theta
    curves = with_background(problem.states.means(theta), parameters.background)
    starts = piece_starts(problem.states)
    of_means, of_zeros = np.zeros(len(theta)), np.zeros(len(theta))
    for data, layer, curve, scatter in zip(
        (cells.unspliced, cells.spliced),
        sums.layers,
        curves,
        (parameters.unspliced_scatter, parameters.spliced_scatter),
        strict=True,
    ):
        free = free_scatter(problem.noise, data, layer, free_means(layer, curve, starts), scatter)
        of_means += _of_means(layer, curve, problem.noise.variance_terms(free), starts)
        of_zeros += _of_zeros(problem, data, q, curve, free, starts)
    return of_means, of_zeros


def _of_means(sums: LayerSums, curve: FloatArray, variance_terms: FloatArray, starts: IntArray) -> FloatArray:
    constant, linear, quadratic = variance_terms[..., None]
    first, second = sums.size_powers[:2]
    variance = constant * first + linear * first * curve + quadratic * second * curve**2
    return _distance(sums.value - first * curve, variance, starts)


def _of_zeros(
    problem: SoftProblem, data: LayerData, q: FloatArray, curve: FloatArray, scatter: FloatArray, starts: IntArray
) -> FloatArray:
    present = sparse.csr_array(data.values)
    present = sparse.csr_array((np.ones(present.nnz, dtype=np.float32), present.indices, present.indptr), present.shape)
    found = np.asarray(present.T @ q, dtype=np.float64)
    expected, variance = np.zeros_like(found), np.zeros_like(found)
    for k, level in enumerate(data.levels):
        weight = q[data.level == k].sum(axis=0, dtype=np.float64)
        none = problem.noise.zero_share(curve, scatter, float(level))
        expected += weight * (1 - none)
        variance += weight * none * (1 - none)
    return _distance(found - expected, variance, starts)


def _distance(residual: FloatArray, variance: FloatArray, starts: IntArray) -> FloatArray:
    """Squared residuals of pieces over their variances, summed over pieces, ``(genes,)``."""
    square, spread = np.add.reduceat(residual, starts, axis=1) ** 2, np.add.reduceat(variance, starts, axis=1)
    told = spread >= LEAST_VARIANCE
    return np.asarray(np.where(told, square / np.where(told, spread, 1.0), 0.0).sum(axis=1))


def _z_scores(found: FloatArray, drawn: FloatArray) -> FloatArray:
    """z-scores of T, ``(genes,)``, given those of draws, ``(draws, genes)``; 0 for a gene that no piece tells of."""
    told = (drawn > 0).all(axis=0)
    if not told.any():
        return np.zeros_like(found)
    mean = np.where(told, drawn.mean(axis=0), 1.0)
    scale = float((drawn.var(axis=0, ddof=1)[told] / mean[told]).mean()) / 2
    degrees = np.maximum(mean / max(scale, 1e-9), LEAST_DEGREES)
    spread = 2 / (9 * degrees)
    z = (np.cbrt(found / mean) - (1 - spread)) / np.sqrt(spread * (1 + 1 / len(drawn)))
    return np.asarray(np.where(told, z, 0.0))
