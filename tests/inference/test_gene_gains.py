"""What curves explain: all of it where they are the truth, never more than all."""

from dataclasses import replace

import numpy as np

from velotime.data import restore_soft_fit
from velotime.inference.results.genes import gene_gains


def test_curves_of_the_true_model_explain_nearly_all_and_no_more(fitted):
    explained = fitted.var["fit_deviance_explained"].to_numpy()
    telling = fitted.var["fit_gain"].to_numpy() > 20
    assert telling.sum() > 50
    assert (explained[telling] > 0.9).mean() > 0.95
    assert np.nanmax(explained) <= 1.0


def test_explained_is_at_most_one_and_less_where_the_curve_is_off(fitted):
    _, fit = restore_soft_fit(fitted)
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    found = gene_gains(fit.problem, fit.parameters, statistics).deviance_explained
    assert np.nanmax(found) <= 1.0
    theta = fit.parameters.theta.copy()
    theta[:, 3:5] = theta[:, [4, 3]]  # induction for repression
    wrong = replace(fit.parameters, theta=theta)
    assert np.nanmedian(gene_gains(fit.problem, wrong, statistics).deviance_explained) < np.nanmedian(found) - 0.3
