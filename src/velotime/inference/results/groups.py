r"""Groups of cells in a fit: what the curves say of them, and whether they need rates of their own.

The likelihood-ratio test. Let S and F be score and Fisher information of a gene's parameters at its shared curve,
summed over a group's cells (index k) or the others' (r), with the posterior of time as it was fitted. The shared curve
is a maximum, so ``S_k = -S_r``, with variance ``V = F_k - F_k F^-1 F_k``, F = F_k + F_r, as the curve was learned from
the group's cells too. Rates of their own are fitted to each part with a weak normal prior of precision P around the
shared curve, without which a group that sees a stretch of the clock only could not settle them. To second order the
gain in log-likelihood of a part is

    2 (l(theta) - l(shared)) = S' (F + P)^-1 (F + 2P) (F + P)^-1 S = S' M S

with F its own information, so that the statistic, the sum of both, is distributed as ``sum_e w_e chi^2_1`` with the
eigenvalues w of ``V (M_k + M_r)``: near 1 where a rate is seen by both parts, near 0 where it is not. Its tail is
that of the scaled chi^2 of the same mean and variance, ``a chi^2_d`` with ``a = sum w^2 / sum w`` and
``d = (sum w)^2 / sum w^2`` (Satterthwaite 1946).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from scipy.stats import chi2

from velotime._types import FloatArray, IntArray
from velotime.compute import Sums
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import NearPrior
from velotime.inference.model.sums import sums_under
from velotime.inference.results.restored_fit import Restored
from velotime.inference.states import Layout
from velotime.kinetics import SwitchParameter

STEPS = 15  # Levenberg-Marquardt steps from the shared curve
CHANGE_SD = 1.0  # prior sd of the change of a log rate: e-fold changes are common
LATE = 0.25  # share of a lineage's cells, the latest, whose fold change is given
LEAST_CELLS = 1e-3  # that every state counts as having, so that a mean over lineages is defined everywhere
LEAST_MEAN = 1e-4  # added to expected counts whose fold change is taken
HELD = 1e12  # precision of what a group may not change


@dataclass(frozen=True)
class GroupTest:
    """Do a group's cells need rates of their own? One entry per gene.

    Attributes
    ----------
    statistic
        Twice the gain in log-likelihood of rates of their own in the group and in the others over shared ones,
        ``(genes,)``.
    degrees
        Effective degrees of freedom, ``(genes,)``: at most the number of rates, less where the group sees less.
    p_value
        Probability of as large a statistic if all cells share their rates, ``(genes,)``.
    own, others
        Parameters in the group and in the other cells, ``(genes, parameters)``.
    """

    statistic: FloatArray
    degrees: FloatArray
    p_value: FloatArray
    own: FloatArray
    others: FloatArray


def group_sums(fit: Restored, group: IntArray, n_groups: int) -> list[Sums]:
    """Sums over each group, in one pass over the cells; of means over n neighbours each cell counts as 1/n.

    Parameters
    ----------
    fit
        The fit.
    group
        Group of each cell from 0, in the caller's order, ``(cells,)``.
    n_groups
        Number of groups.
    """
    strata = list(fit.problem.strata(fit.parameters))
    parts = [_sums_of_stratum(part, own, group, n_groups) for part, own in strata]
    return [fit.problem.joined([of_groups[k] for of_groups in parts]) for k in range(n_groups)]


def _sums_of_stratum(problem: SoftProblem, parameters: SoftParameters, group: IntArray, n_groups: int) -> list[Sums]:
    cells = problem.cells
    sums = [Sums.zero(cells.unspliced.n_genes, 1, problem.states.n_states) for _ in range(n_groups)]
    for at, q in blocks(problem, parameters):
        codes = group[cells.order[at]]
        for k in np.unique(codes[codes >= 0]):
            rows = np.flatnonzero(codes == k)
            part = q[rows].astype(np.float64) / cells.n_averaged
            u, s = (layer.cells(at.start + rows) for layer in (cells.unspliced, cells.spliced))
            sums[k] += sums_under(u, s, part)
    return sums


def group_gain(fit: Restored, sums: Sums) -> FloatArray:
    """Log-likelihood of each gene's curve over that of a constant mean, among a group's cells, nats, ``(genes,)``.

    The constant is the group's own mean: what counts is change among these cells that the curve predicts. Negative
    where it predicts a change that is not there.
    """
    genes = _problem(fit, sums)
    layers = genes.unspliced, genes.spliced
    flat = [np.repeat(part.overall_mean, len(part.size), axis=1) for part in layers]
    curve = genes.states.means(fit.parameters.theta)
    return np.asarray(genes.log_likelihood(curve) - genes.log_likelihood_at((flat[0], flat[1])))


def lineage_gain(fit: Restored, sums: Sums) -> tuple[FloatArray, FloatArray]:
    """What sets each lineage apart from the others, gene by gene: log-likelihood and fold change.

    The log-likelihood is that of the lineage's own curve over that of the others (their mean at each time, weighted by
    cells), among the lineage's cells, nats. The fold change compares the two curves for its latest quarter of cells,
    on log2, spliced. Both ``(genes, lineages)``.
    """
    problem = _problem(fit, sums)
    k, weight = problem.states.layout.n_lineages, sums.weight.sum(axis=0)
    cells = weight.reshape(k, -1) + LEAST_CELLS
    means = problem.means(fit.parameters.theta)
    gains, folds = [], []
    for lineage in range(k):
        share = cells / (cells.sum(axis=0) - cells[lineage])
        share[lineage] = 0.0
        own, other = [], []
        for layer in means:
            by_lineage = layer.reshape(len(layer), k, -1)
            own.append(by_lineage[:, lineage])
            other.append((by_lineage * share).sum(axis=1))
        alone = _of_states(problem, slice(lineage * cells.shape[1], (lineage + 1) * cells.shape[1]))
        gains.append(alone.log_likelihood_at((own[0], own[1])) - alone.log_likelihood_at((other[0], other[1])))
        passed = np.cumsum(cells[lineage])
        late = cells[lineage] * (passed > (1 - LATE) * passed[-1])
        folds.append(np.log2((own[1] @ late + LEAST_MEAN * late.sum()) / (other[1] @ late + LEAST_MEAN * late.sum())))
    return np.stack(gains, axis=1), np.stack(folds, axis=1)


def _of_states(problem: GeneProblem, states: slice) -> GeneProblem:
    """The sums of some states."""
    return replace(problem, unspliced=problem.unspliced.states(states), spliced=problem.spliced.states(states))


def compare_groups(fit: Restored, sums: list[Sums], tested: Iterable[int]) -> list[GroupTest]:
    """Test each of some groups against all other cells.

    Parameters
    ----------
    fit
        The fit.
    sums
        Sums over all groups, which together hold all cells.
    tested
        Which of them to test.
    """
    layout = fit.problem.states.layout
    weak = np.full(layout.n_parameters, CHANGE_SD**-2)
    shared = _refit(_problem(fit, reduce(add, sums)), fit.parameters.theta, weak)
    rates = rate_columns(layout)
    own_rates = np.full(layout.n_parameters, HELD)
    own_rates[rates] = CHANGE_SD**-2
    return [
        _test(_problem(fit, sums[k]), _problem(fit, reduce(add, sums[:k] + sums[k + 1 :])), shared, own_rates, rates)
        for k in tested
    ]


def rate_columns(layout: Layout) -> IntArray:
    """Columns of the rates: beta, gamma and every level; switch times and scaling are not among them."""
    p = SwitchParameter
    last = np.arange(layout.n_parameters)[layout.last_levels]
    return np.array([p.LOG_BETA, p.LOG_GAMMA, p.LOG_LEVEL_0, p.LOG_LEVEL_1, *last], dtype=np.int64)


def _test(
    group: GeneProblem, others: GeneProblem, shared: FloatArray, precision: FloatArray, rates: IntArray
) -> GroupTest:
    parts = (group, others)
    fitted = [_refit(part, shared, precision) for part in parts]
    gains = [
        part.log_likelihood(part.states.means(theta)) - part.log_likelihood(part.states.means(shared))
        for part, theta in zip(parts, fitted, strict=True)
    ]
    statistic = 2 * np.maximum(gains[0] + gains[1], 0.0)
    scale, degrees = _null_distribution(group.information(shared)[1], others.information(shared)[1], rates)
    return GroupTest(statistic, degrees, chi2.sf(statistic / scale, degrees), fitted[0], fitted[1])


def _refit(problem: GeneProblem, theta: FloatArray, precision: FloatArray) -> FloatArray:
    near = replace(problem, prior=NearPrior(theta, precision, problem.states.layout))
    return improve(near, begin(near, theta), STEPS).theta


def _null_distribution(group: FloatArray, others: FloatArray, rates: IntArray) -> tuple[FloatArray, FloatArray]:
    """Scale and degrees of freedom of the statistic, from the information of both parts, each ``(genes,)``."""
    n_rates = len(rates)
    prior = CHANGE_SD**-2 * np.eye(n_rates)
    own = group[:, rates[:, None], rates]
    # a parameter that no cell sees has no information: a trace of the prior keeps the whole invertible
    whole = group + others + 1e-6 * np.eye(group.shape[1])
    variance = own - group[:, rates] @ np.linalg.solve(whole, group[:, :, rates])
    middle = np.zeros_like(own)
    for information in (own, others[:, rates[:, None], rates]):
        inverse = np.linalg.inv(information + prior)
        middle += inverse @ (information + 2 * prior) @ inverse
    product = variance @ middle
    first = np.maximum(np.einsum("gpp->g", product), 1e-9)
    second = np.maximum(np.einsum("gpq,gqp->g", product, product), 1e-18)
    return second / first, first**2 / second


def _problem(fit: Restored, sums: Sums) -> GeneProblem:
    """The M-step's problem of the cells that are summed."""
    return fit.problem.gene_problem(fit.parameters, sums)
