"""Intervals of time: quantiles of the mixture that is stated, within the clock, whatever the posterior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import norm, truncnorm

from velotime.compute import NormalMixtures, mixture_quantiles
from velotime.inference.results.intervals import pooled_interval, time_intervals, within_grid

TIMES = np.linspace(0, 1, 253)
STEP_SD = np.sqrt(within_grid(TIMES))


def moments(q, time, widening=1.0, clock_sd=0.0):
    """Mean and sd as the cell table has them."""
    mean = q @ time
    own = (q * (time - mean[:, None]) ** 2).sum(axis=1) + within_grid(TIMES)
    return mean, np.sqrt(own * widening + clock_sd**2)


def of_points(*points, cells=1):
    """A posterior on ``TIMES`` from (index, weight)."""
    q = np.zeros((cells, len(TIMES)))
    for index, weight in points:
        q[:, index] = weight
    return q


def monte_carlo(q, time, mean, sd, rng, n=200_000):
    """5 % and 95 % quantile of the mixture of one cell, drawn from it."""
    own = (q * (time - mean) ** 2).sum()
    k = np.sqrt(sd**2 - own)
    at = rng.choice(time, size=n, p=q)
    drawn = truncnorm.rvs((0 - at) / k, (1 - at) / k, loc=at, scale=k, random_state=rng)
    return np.quantile(drawn, (0.05, 0.95))


def test_point_mass_gives_a_normal_of_the_sd_that_is_left():
    q = of_points((126, 1.0))
    mean, sd = moments(q, TIMES, clock_sd=0.003)
    low, high = time_intervals(q, TIMES, mean, sd)
    np.testing.assert_allclose(sd, np.hypot(0.003, STEP_SD))
    np.testing.assert_allclose([low[0], high[0]], 0.5 + norm.ppf([0.05, 0.95]) * sd[0], atol=1e-5)


@pytest.mark.parametrize("end", [0, 252])
def test_point_mass_at_an_end_stays_on_the_clock(end):
    q = of_points((end, 1.0))
    mean, sd = moments(q, TIMES, clock_sd=0.01)
    (low,), (high,) = time_intervals(q, TIMES, mean, sd)
    assert 0 <= low <= mean[0] <= high <= 1
    np.testing.assert_allclose(high - low, norm.ppf(0.975) * sd[0], atol=1e-5)  # half a normal


def test_wide_posterior_has_its_own_quantiles():
    rng = np.random.default_rng(0)
    q = np.exp(-0.5 * ((TIMES - rng.uniform(0.2, 0.8, (20, 1))) / rng.uniform(0.1, 0.4, (20, 1))) ** 2)
    q /= q.sum(axis=1, keepdims=True)
    edges = np.concatenate([[0], (TIMES[1:] + TIMES[:-1]) / 2, [1]])
    exact = [np.interp((0.05, 0.95), np.append(0, np.cumsum(row)), edges) for row in q]
    found = time_intervals(q, TIMES, *moments(q, TIMES))
    np.testing.assert_allclose(np.stack(found, axis=1), exact, atol=0.15 * TIMES[1])


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_draws_from_the_stated_mixture(seed):
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.full(253, 0.01), size=4)
    mean, sd = moments(q, TIMES, widening=rng.uniform(1, 2), clock_sd=rng.uniform(0, 0.03))
    found = np.stack(time_intervals(q, TIMES, mean, sd), axis=1)
    for cell in range(4):
        if found[cell, 0] < mean[cell] < found[cell, 1]:
            cut = monte_carlo(q[cell], TIMES, mean[cell], sd[cell], rng)
            level = (0.05, 0.95)
            inside = [mixture_below(q[cell], TIMES, mean[cell], sd[cell], x) for x in (*found[cell], *cut)]
            np.testing.assert_allclose(inside[:2], level, atol=2e-3)
            np.testing.assert_allclose(inside[2:], level, atol=3e-3)  # so the mixture here is the one drawn from


def mixture_below(q, time, mean, sd, x):
    """Distribution function of the mixture, written out."""
    k = np.sqrt(sd**2 - (q * (time - mean) ** 2).sum())
    total = 0.0
    for weight, at in zip(q, time, strict=True):
        if weight > 0:
            a, b = norm.cdf(-at / k), norm.cdf((1 - at) / k)
            total += weight * (norm.cdf((x - at) / k) - a) / (b - a)
    return total


@given(
    st.lists(st.tuples(st.integers(0, 252), st.floats(1e-5, 1.0)), min_size=1, max_size=6, unique_by=lambda p: p[0]),
    st.floats(1.0, 20.0),
    st.floats(0.0, 0.3),
)
@settings(max_examples=200, deadline=None)
def test_within_the_clock_and_six_sd_and_around_the_mean(points, widening, clock_sd):
    q = of_points(*points)
    q /= q.sum()
    mean, sd = moments(q, TIMES, widening, clock_sd)
    (low,), (high,) = time_intervals(q, TIMES, mean, sd)
    assert 0 <= low <= mean[0] + 1e-12
    assert mean[0] - 1e-12 <= high <= 1
    assert high - low <= 6 * sd[0] * (1 + 1e-9)
    assert high - low >= 0.5 * STEP_SD


def test_three_points_are_drawn_in_to_six_sd():
    q = of_points((0, 0.0501), (126, 0.8998), (252, 0.0501))
    mean, sd = moments(q, TIMES)
    low, high = time_intervals(q, TIMES, mean, sd)
    np.testing.assert_allclose(high - low, 6 * sd)
    assert q[0, (low[0] <= TIMES) & (high[0] >= TIMES)].sum() >= 8 / 9


def test_dense_and_csr_over_lineages_agree_with_one_lineage():
    rng = np.random.default_rng(1)
    q = rng.dirichlet(np.full(253, 0.05), size=50)
    share = rng.random((50, 1))
    twice = np.hstack([share * q, (1 - share) * q])
    mean, sd = moments(q, TIMES, 1.2, 0.01)
    one = time_intervals(q, TIMES, mean, sd)
    both = np.tile(TIMES, 2)
    np.testing.assert_allclose(time_intervals(csr_array(twice), both, mean, sd), one, atol=5e-5)
    np.testing.assert_allclose(time_intervals(twice, both, mean, sd), one, atol=5e-5)


def test_quantiles_of_far_components_and_many_cells():
    indptr = np.arange(0, 20_001, 2)
    rng = np.random.default_rng(2)
    at, sd, weight = rng.random(20_000), np.full(20_000, 1e-4), np.tile([0.5, 2.0], 10_000)
    found = mixture_quantiles(NormalMixtures(indptr, weight, at, sd), 0.1, np.zeros(10_000))
    first, second = at[::2], at[1::2]
    expected = np.where(first < second, norm.ppf(0.5, first, sd[::2]), norm.ppf(0.125, second, sd[1::2]))
    apart = (np.abs(first - second) > 0.01) & (np.minimum(first, second) > 0.001)
    np.testing.assert_allclose(found[apart], expected[apart], atol=2e-5)


def test_pooled_posteriors_within_the_clock_and_of_their_mixture():
    rng = np.random.default_rng(3)
    mean, sd = rng.uniform(-0.05, 1.05, (8, 30)), rng.uniform(0.002, 0.1, (8, 30))
    total = np.sqrt((sd**2).mean(axis=0) + mean.var(axis=0, ddof=1))
    low, high = pooled_interval(mean, sd, total)
    assert (low >= 0).all()
    assert (high <= 1).all()
    at = np.clip(mean, 0, 1)
    for cell in range(30):
        drawn = truncnorm.rvs(
            -at[:, cell] / sd[:, cell],
            (1 - at[:, cell]) / sd[:, cell],
            loc=at[:, cell],
            scale=sd[:, cell],
            size=(20_000, 8),
            random_state=rng,
        )
        np.testing.assert_allclose([(drawn < low[cell]).mean(), (drawn < high[cell]).mean()], [0.05, 0.95], atol=4e-3)
