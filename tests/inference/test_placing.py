"""One time per cell: exact against brute force, explicit against truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize_scalar

from velotime.inference.states import States
from velotime.inference.two_stage.shared_clock.placing import (
    Curves,
    Exact,
    Explicit,
    GeneTimes,
    score_at,
    weighted_median,
)
from velotime.kinetics import switch_means, switch_velocity
from velotime.simulation import GeneMix, LogNormalRates
from velotime.simulation._genes import draw_theta


def draw(n_cells, n_genes, noise, seed=0):
    """Cells at known times on known curves; noise relative to each gene's mean."""
    rng = np.random.default_rng(seed)
    theta = draw_theta(GeneMix(flat=0.0, pulse=0.35).draw(n_genes, rng), LogNormalRates(), rng)
    time = rng.uniform(0.02, 0.98, n_cells)
    u, s = (curve.T for curve in switch_means(theta, time))
    sd = [noise * layer.mean(axis=0) for layer in (u, s)]
    u, s = (layer + own * rng.normal(size=layer.shape) for layer, own in zip((u, s), sd, strict=True))
    return u, s, time, Curves(theta, sd[0] ** 2, sd[1] ** 2, States.grid(128))


def true_score(t, u, s, curves):
    mu, ms = switch_means(curves.theta, np.array([t]))
    away = (u - mu[:, 0]) ** 2 / curves.unspliced_scatter + (s - ms[:, 0]) ** 2 / curves.spliced_scatter
    return -0.5 * away.sum()


def brute_force(u, s, curves):
    """The best of many local searches, one cell at a time."""
    grid = np.linspace(0, 1, 201)
    around = grid[np.argmax([true_score(t, u, s, curves) for t in grid])]
    bounds = max(around - 0.005, 0), min(around + 0.005, 1)
    return -minimize_scalar(lambda t: -true_score(t, u, s, curves), bounds=bounds, options={"xatol": 1e-10}).fun


@pytest.mark.parametrize("n_genes", [1, 12])
def test_exact_is_the_nearest_point(n_genes):
    u, s, _, curves = draw(12, n_genes, 0.3)
    time, score = Exact().times(u, s, curves)
    constant = 0.5 * (u**2 / curves.unspliced_scatter + s**2 / curves.spliced_scatter).sum(axis=1)
    best = np.array([brute_force(u[i], s[i], curves) for i in range(12)])
    here = np.array([true_score(time[i], u[i], s[i], curves) for i in range(12)])
    assert (here > best - 0.015).all()  # a switch between two times of the finer grid is all that is missed
    np.testing.assert_allclose(score - constant, here, atol=0.02)


def test_exact_reaches_the_fisher_bound():
    u, s, truth, curves = draw(1000, 200, 0.3)
    time, _ = Exact().times(u, s, curves)
    du, ds = switch_velocity(curves.theta, truth)
    information = (du**2 / curves.unspliced_scatter[:, None] + ds**2 / curves.spliced_scatter[:, None]).sum(axis=0)
    known = information > np.quantile(information, 0.2)  # not where all genes have come to rest
    assert ((time - truth) * np.sqrt(information))[known].std() == pytest.approx(1.0, abs=0.08)


def test_explicit_is_the_inverse_where_there_is_no_noise():
    u, s, truth, curves = draw(200, 100, 1e-6)
    time, _ = Explicit().times(u, s, curves)
    assert np.median(np.abs(time - truth)) < 1e-5


def test_explicit_is_robust_against_genes_that_are_wrong():
    u, s, truth, curves = draw(300, 100, 0.1)
    clean = np.median(np.abs(Explicit().times(u, s, curves)[0] - truth))
    u[:, :10], s[:, :10] = u[::-1, :10].copy(), s[::-1, :10].copy()
    assert np.median(np.abs(Explicit().times(u, s, curves)[0] - truth)) < 2 * clean


def test_precision_is_that_of_the_delta_method():
    """The spread of explicit times over draws of the noise, where it is small."""
    _, _, _, curves = draw(1, 8, 0.003)
    genes = GeneTimes.of(curves)
    j = np.argmax((genes.precision > 0).sum(axis=0))
    at = np.repeat(curves.states.times[j], 4000)
    rng = np.random.default_rng(0)
    u, s = (curve.T for curve in switch_means(curves.theta, at))
    u = u + np.sqrt(curves.unspliced_scatter) * rng.normal(size=u.shape)
    s = s + np.sqrt(curves.spliced_scatter) * rng.normal(size=s.shape)
    times, precision = genes.read(u, s)
    sharp = (genes.precision[:, j] > 50.0**2) & (precision > 0).all(axis=0)
    assert sharp.sum() >= 2
    spread = (times - at[:, None])[:, sharp].std(axis=0) * np.sqrt(genes.precision[sharp, j])
    np.testing.assert_allclose(spread, 1.0, atol=0.1)


def test_sparse_is_dense_and_score_is_the_score():
    u, s, _, curves = draw(60, 20, 0.3)
    u, s = np.maximum(u, 0), np.maximum(s, 0)
    dense = Exact().times(u, s, curves)
    thin = Exact().times(sparse.csr_array(u), sparse.csr_array(s), curves)
    np.testing.assert_allclose(dense[0], thin[0], atol=1e-9)
    np.testing.assert_allclose(score_at(u, s, curves, dense[0]), dense[1], atol=0.2)


def test_weighted_median():
    values = np.array([[1.0, 2.0, 10.0], [3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(weighted_median(values, np.array([[1.0, 1.0, 5.0], [0.0, 0.0, 0.0]])), [10.0, 2.0])
