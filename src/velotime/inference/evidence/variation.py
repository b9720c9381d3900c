r"""How much of what a gene varies between cells the clock explains.

Counts x_i of cells with size factors l_i scatter by chance alone by their mean. With m the gene's mean at size 1, what
they vary beyond that is, by moments, and what the curve mu has of it, with w_j the sum of ``q_ij l_i^2``,

    V = sum_i [(x_i - l_i m)^2 - x_i] / sum_i l_i^2,
    E = sum_j w_j (mu_j - m_w)^2 / sum_j w_j - sum_j w_j (J_j - J_w)^T C (J_j - J_w) / sum_j w_j,

where the last term is by how much more a fitted curve varies than the true one (J its derivative by the parameters, C
their covariance; an index w is the mean with these weights). Both are of spliced counts. The share is ``E/V``, within
0 and 1; NaN where V is no more than chance alone gives: under Poisson noise the sum has variance ``2 sum_i (l_i m)^2``.
Values that are no counts have no known noise, and V is then all of their variance.
"""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray
from velotime.compute import LayerSums, Sums
from velotime.inference.model.layer import LayerData
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.states import States

LEAST_VARIATION = 3.0  # standard errors of V under chance alone


def explained_variation(
    problem: SoftProblem, parameters: SoftParameters, statistics: Sums, covariance: FloatArray
) -> FloatArray:
    """Share of what spliced counts of each gene vary beyond chance that the curve has, ``(genes,)``; NaN for none.

    Parameters
    ----------
    problem, parameters, statistics
        The fit, and its sums over cells.
    covariance
        Of the genes' parameters, ``(genes, parameters, parameters)``.
    """
    found = [_found(part.cells.spliced, counts=part.noise.counts) for part, _ in problem.strata(parameters)]
    total, chance, size = np.sum(found, axis=0)
    told = (total > LEAST_VARIATION * np.sqrt(chance)) & (size > 0)
    curve = _of_curve(problem.states, parameters.theta, statistics.spliced, covariance)
    share = curve * size / np.where(told, total, 1.0)
    return np.where(told, np.clip(share, 0.0, 1.0), np.nan)


def _found(data: LayerData, *, counts: bool) -> FloatArray:
    """Sums of each gene: of V, of its variance under chance alone, and of squared sizes, ``(3, genes)``."""
    sums, cross = data.value_per_level.sum(axis=0), data.levels @ data.value_per_level
    mean = sums / float(data.levels @ data.cells_per_level)
    of_size = float(data.levels**2 @ data.cells_per_level)
    total = data.square - 2 * mean * cross + mean**2 * of_size
    chance = 2 * mean**2 * of_size if counts else np.zeros_like(mean)
    return np.stack([total - (sums if counts else 0.0), chance, np.full_like(mean, of_size)])


def _of_curve(states: States, theta: FloatArray, sums: LayerSums, covariance: FloatArray) -> FloatArray:
    """E of each gene, ``(genes,)``."""
    weight = sums.size_powers[1] / sums.size_powers[1].sum()
    mean = states.means(theta)[1]
    found = ((mean - (mean @ weight)[:, None]) ** 2) @ weight
    jacobian = np.zeros((*theta.shape, states.n_states))
    n_times = len(states.times)
    for k, (columns, (_, _, _, own)) in enumerate(zip(states.columns, states.jacobians(theta), strict=True)):
        jacobian[:, columns, k * n_times : (k + 1) * n_times] = own
    jacobian -= (jacobian @ weight)[..., None]
    excess = (jacobian * (covariance @ jacobian)).sum(axis=1) @ weight
    return np.asarray(found - excess)
