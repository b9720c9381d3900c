"""What curves explain: all of it where they are the truth, never more than all."""

from dataclasses import replace

import numpy as np

from velotime.data import restore_soft_fit
from velotime.inference.results.genes import gene_gains


def test_true_curves_explain_everything_and_no_more(fitted):
    """Sums that lie on the curve, which turns within the pieces that have a mean of their own."""
    _, fit = restore_soft_fit(fitted)
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    genes = fit.problem.gene_problem(fit.parameters, statistics)
    exact = {}
    for name, mean in zip(("unspliced", "spliced"), fit.problem.states.means(fit.parameters.theta), strict=True):
        sums = getattr(statistics, name)
        value = np.zeros_like(sums.value)
        value[:, : mean.shape[1]] = mean * getattr(genes, name).size
        exact[name] = replace(sums, value=value)
    explained = gene_gains(fit.problem, fit.parameters, replace(statistics, **exact)).deviance_explained
    np.testing.assert_allclose(explained, 1.0, atol=1e-12)


def test_explained_is_at_most_one_and_less_where_the_curve_is_off(fitted):
    _, fit = restore_soft_fit(fitted)
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    found = gene_gains(fit.problem, fit.parameters, statistics).deviance_explained
    assert np.nanmax(found) <= 1.0
    theta = fit.parameters.theta.copy()
    theta[:, 3:5] = theta[:, [4, 3]]  # induction for repression
    wrong = replace(fit.parameters, theta=theta)
    assert np.nanmedian(gene_gains(fit.problem, wrong, statistics).deviance_explained) < np.nanmedian(found) - 0.3
