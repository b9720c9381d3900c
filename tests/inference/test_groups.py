"""Groups in a fit: sums, gains, and the test for rates of their own, on cells from known curves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import kstest, poisson

from velotime.inference import (
    CellLabels,
    NegativeBinomial,
    Observations,
    Poisson,
    SoftEM,
    StoredCurves,
    compare_groups,
    group_gain,
    group_sums,
    restore,
)
from velotime.inference.model.posterior import blocks
from velotime.inference.results.groups import rate_columns
from velotime.inference.states import Layout, States
from velotime.kinetics import SwitchParameter, switch_means

P = SwitchParameter
DISPERSION = 0.2


def random_theta(n, rng):
    theta = np.empty((n, 8))
    theta[:, P.LOG_BETA], theta[:, P.LOG_GAMMA] = rng.normal(2.1, 0.3, n), rng.normal(1.6, 0.3, n)
    theta[:, P.T_ON], theta[:, P.LOG_DURATION] = rng.uniform(0.05, 0.4, n), np.log(rng.uniform(0.2, 0.5, n))
    theta[:, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]] = rng.normal(0.5, 1.0, (n, 3))
    theta[:, P.LOG_SCALING] = -0.5
    return theta


def draw(theta, time, size, rng, dispersion=DISPERSION):
    """Counts of both layers, ``(cells, genes)``."""
    means = [curve.T * size[:, None] for curve in switch_means(theta, time)]
    if dispersion == 0:
        return [rng.poisson(m).astype(np.float32) for m in means]
    return [rng.poisson(m * rng.gamma(1 / dispersion, dispersion, m.shape)).astype(np.float32) for m in means]


def restored(counts, size, theta, noise=None, n_times=48):
    """A fit whose curves are the truth."""
    n_genes = len(theta)
    layers = [sparse.csr_array(layer) for layer in counts]
    stored = StoredCurves(
        theta,
        np.full(n_genes, DISPERSION),
        np.full(n_genes, DISPERSION),
        np.linspace(0, 1, n_times),
        np.full((1, n_times), 1 / n_times),
    )
    method = SoftEM(noise=NegativeBinomial() if noise is None else noise)
    return restore(method, Observations(*layers, size, size), CellLabels.plain(len(size)), stored)


@pytest.fixture(scope="module")
def two_halves():
    """800 cells x 240 genes; in half y the first 40 genes are degraded two and a half times as fast."""
    rng = np.random.default_rng(0)
    n_cells, n_genes = 800, 240
    theta, time = random_theta(n_genes, rng), rng.uniform(size=n_cells)
    size = rng.lognormal(-0.02, 0.2, n_cells)
    half = rng.integers(0, 2, n_cells)
    faster = theta[:40].copy()
    faster[:, P.LOG_GAMMA] += np.log(2.5)
    faster[:, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]] -= np.log(2.5)
    counts = draw(theta, time, size, rng)
    for layer, other in zip(counts, draw(faster, time, size, rng), strict=True):
        layer[half == 1, :40] = other[half == 1]
    return counts, size, theta, time, half


def test_groups_sum_up_to_all_cells(two_halves):
    counts, size, theta, _, half = two_halves
    fit = restored(counts, size, theta)
    whole, _ = fit.problem.expect(fit.parameters, 1.0)
    parts = group_sums(fit, half, 2)
    np.testing.assert_allclose([part.weight.sum() for part in parts], np.bincount(half), rtol=1e-6)
    total = parts[0] + parts[1]
    np.testing.assert_allclose(total.weight, whole.weight, rtol=1e-4, atol=1e-4)
    for one, other in zip(total.layers, whole.layers, strict=True):
        for field in ("value", "size_powers"):
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-4, atol=1e-4)


def test_gain_of_a_group_against_the_obvious_loop():
    """Poisson, where the sums are sufficient: every cell, every state, every gene."""
    rng = np.random.default_rng(1)
    theta, time, size = random_theta(5, rng), rng.uniform(size=60), rng.lognormal(0, 0.2, 60)
    counts = draw(theta, time, size, rng, dispersion=0)
    fit = restored(counts, size, theta, Poisson(), n_times=16)
    group = (time > 0.4).astype(int)
    gain = group_gain(fit, group_sums(fit, group, 2)[1])
    (_, q), order = next(blocks(fit.problem, fit.parameters)), fit.problem.cells.order
    expected = np.zeros(5)
    for layer, data, curve in zip(
        counts, (fit.problem.cells.unspliced, fit.problem.cells.spliced), fit.problem.states.means(theta), strict=True
    ):
        level = np.empty(60)
        level[order] = data.size  # as the fit rounds it
        flat = layer[group == 1].sum(axis=0) / level[group == 1].sum()
        for k, i in enumerate(order):
            if group[i] == 1:
                ahead = poisson.logpmf(layer[i][:, None], level[i] * curve) @ q[k]
                expected += ahead - poisson.logpmf(layer[i], level[i] * flat)
    np.testing.assert_allclose(gain, expected, rtol=1e-4, atol=1e-3)


def test_own_rates_are_found_and_others_are_not(two_halves):
    counts, size, theta, _, half = two_halves
    fit = restored(counts, size, theta)
    _, test = compare_groups(fit, group_sums(fit, half, 2), [0, 1])
    assert np.mean(test.p_value[:40] < 1e-3) > 0.9
    fold = test.own[:40, P.LOG_GAMMA] - test.others[:40, P.LOG_GAMMA]
    assert np.median(fold) == pytest.approx(np.log(2.5), abs=0.2)
    # beta is the same; as the other curves are true for half the cells only, their times are off and it moves a little
    assert np.abs(np.median(test.own[:40, P.LOG_BETA] - test.others[:40, P.LOG_BETA])) < np.log(2.5) / 3
    assert np.mean(test.p_value[40:] < 1e-3) < 0.02
    held = [P.T_ON, P.LOG_DURATION, P.LOG_SCALING]
    np.testing.assert_allclose(test.own[:, held], test.others[:, held], atol=1e-5)


@pytest.mark.parametrize("kind", ["random", "small", "stretches of time"])
def test_p_values_are_uniform_where_rates_are_shared(kind):
    rng = np.random.default_rng(2)
    theta, time, size = random_theta(400, rng), rng.uniform(size=700), rng.lognormal(-0.02, 0.2, 700)
    group = {
        "random": rng.integers(0, 2, 700),
        "small": (rng.uniform(size=700) < 0.08).astype(int),
        "stretches of time": (np.abs(time - 0.6) < 0.15).astype(int),
    }[kind]
    fit = restored(draw(theta, time, size, rng), size, theta)
    (test,) = compare_groups(fit, group_sums(fit, group, 2), [1])
    assert kstest(test.p_value, "uniform").pvalue > 1e-3
    # 400 tests at 5 %: 20 expected, sd 4.4
    assert 0.02 < np.mean(test.p_value < 0.05) < 0.09
    assert np.mean(test.p_value < 0.001) < 0.015
    assert np.all(test.degrees <= 5 + 1e-9)


def test_a_group_that_sees_less_has_fewer_degrees_of_freedom(two_halves):
    counts, size, theta, time, half = two_halves
    fit = restored(counts, size, theta)
    (everywhere,) = compare_groups(fit, group_sums(fit, half, 2), [1])
    (late,) = compare_groups(fit, group_sums(fit, (time > 0.85).astype(int), 2), [1])
    assert np.median(everywhere.degrees) > 4
    assert np.median(late.degrees) < 3


def test_two_groups_mirror_each_other(two_halves):
    counts, size, theta, _, half = two_halves
    fit = restored(counts, size, theta)
    one, other = compare_groups(fit, group_sums(fit, half, 2), [0, 1])
    np.testing.assert_allclose(one.statistic, other.statistic, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one.own, other.others, atol=1e-6)


def test_rates_of_every_lineage_are_free():
    assert rate_columns(Layout(3)).tolist() == [0, 1, 3, 4, 7, 9, 11]
    rng = np.random.default_rng(3)
    theta = np.hstack([random_theta(30, rng), random_theta(30, rng)[:, 6:]])
    lineage, time = rng.integers(0, 2, 500), rng.uniform(size=500)
    states = States(np.array([0.0]), Layout(2))
    counts = [np.empty((500, 30), dtype=np.float32) for _ in range(2)]
    for k in range(2):
        some = np.flatnonzero(lineage == k)
        for layer, drawn in zip(
            counts, draw(theta[:, states.layout.columns(k)], time[some], np.ones(len(some)), rng), strict=True
        ):
            layer[some] = drawn
    stored = StoredCurves(
        theta, np.full(30, DISPERSION), np.full(30, DISPERSION), np.linspace(0, 1, 24), np.full((1, 48), 1 / 48)
    )
    layers = [sparse.csr_array(layer) for layer in counts]
    fit = restore(
        SoftEM(n_lineages=2), Observations(*layers, np.ones(500), np.ones(500)), CellLabels.plain(500), stored
    )
    assert np.corrcoef(fit.latent_time, time)[0, 1] > 0.95
    (test,) = compare_groups(fit, group_sums(fit, rng.integers(0, 2, 500), 2), [0])
    assert np.mean(test.p_value < 0.05) < 0.25
    assert np.all(np.isfinite(test.p_value))
