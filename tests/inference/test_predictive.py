"""Predictive checks: quiet where the model is true, loud where a curve is off, and not pleased by a large scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velotime.data import restore_soft_fit
from velotime.inference.evidence.gains import gene_gains
from velotime.inference.evidence.predictive import _z_scores, predictive_checks


@pytest.fixture(scope="module")
def spoilt(fitted):
    """A fit, and the same with the onsets of some telling genes moved and, at will, a larger scatter."""
    index, fit = restore_soft_fit(fitted)
    moved = np.argsort(-fitted.var["fit_gain"].to_numpy()[index])[:24:3]
    theta = fit.parameters.theta.copy()
    theta[moved, 2] += 0.15

    def parameters(scatter):
        factor = np.ones(len(theta))
        factor[moved] = scatter
        u, s = fit.parameters.unspliced_scatter * factor, fit.parameters.spliced_scatter * factor
        return replace(fit.parameters, theta=theta, unspliced_scatter=u, spliced_scatter=s)

    return fit.problem, moved, parameters


def test_under_the_model_z_scores_are_standard_normal(fitted):
    for name in ("fit_check_means", "fit_check_zeros"):
        z = fitted.var[name].dropna()
        assert abs(z.mean()) < 0.6
        assert 0.6 < z.std() < 1.5
        assert (z > 1.645).mean() < 0.2


def test_curves_that_are_off_are_seen_however_large_their_scatter(spoilt, monkeypatch):
    problem, moved, parameters = spoilt
    monkeypatch.setattr("velotime.inference.evidence.predictive.STEPS", 0)  # or the curves would be mended
    for scatter in (1, 20):
        checks = predictive_checks(problem, parameters(scatter), np.random.default_rng(0))
        assert np.median(checks.means[moved]) > 4
        assert np.median(np.delete(checks.means, moved)) < 1.5


def test_a_large_scatter_explains_nothing(spoilt):
    problem, moved, parameters = spoilt
    statistics, _ = problem.expect(parameters(1), 1.0)
    plain, inflated = (gene_gains(problem, parameters(k), statistics).deviance_explained[moved] for k in (1, 20))
    assert (inflated <= plain + 0.02).all()
    assert np.nanmedian(plain) < 0.9


def test_z_scores_of_chi_square_are_those_of_the_normal():
    rng = np.random.default_rng(1)
    z = _z_scores(3.0 * rng.chisquare(30, 5000), 3.0 * rng.chisquare(30, (4, 5000)))
    assert z.mean() == pytest.approx(0.0, abs=0.1)
    assert z.std() == pytest.approx(1.0, abs=0.1)
