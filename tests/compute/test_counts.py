"""Sums of logarithms against numpy's, from means of almost nothing to large ones, in any layout."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

from velotime.compute import LEAST_MEAN, sum_of_growth, sum_of_logs, sum_of_rises

N_GENES, N_STATES = 700, 37  # more genes than a task takes, and states that fill no register


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    mean = np.exp(rng.uniform(-25, 12, (N_GENES, N_STATES)))
    mean[0], mean[1, ::2] = 1.0, 0.0  # log of 1, and of what is taken as LEAST_MEAN
    return rng.gamma(1.0, 5.0, mean.shape), mean


@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
def test_logs_are_those_of_numpy(values, order):
    value, mean = map(order, values)
    expected = (value * np.log(np.maximum(mean, LEAST_MEAN))).sum(axis=1)
    np.testing.assert_allclose(sum_of_logs(value, mean), expected, rtol=1e-13, atol=1e-12)


def test_growth_is_that_of_numpy(values):
    rng = np.random.default_rng(1)
    value, mean = values
    size, share, at_size = rng.uniform(0, 50, N_STATES), rng.uniform(0, 1, N_STATES), rng.uniform(0.1, 10, N_STATES)
    scatter = np.exp(rng.uniform(-5, 3, N_GENES))
    rate = scatter[:, None] * at_size
    expected = (share * (value + size / rate) * np.log1p(rate * np.maximum(mean, LEAST_MEAN))).sum(axis=1)
    found = sum_of_growth(value, size, share, at_size, mean, scatter)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_rises_are_those_of_log_gammas():
    rng = np.random.default_rng(2)
    gene = np.repeat(np.arange(N_GENES), 5)
    count, times = np.floor(np.exp(rng.uniform(0, 10, len(gene)))), rng.integers(1, 50, len(gene)).astype(float)
    start, slope = np.exp(rng.uniform(-3, 5, N_GENES)), rng.normal(size=N_GENES)
    terms = times * (gammaln(count + start[gene]) - gammaln(start[gene]) + count * slope[gene])
    expected = np.bincount(gene, terms, minlength=N_GENES)
    scale = np.bincount(gene, times * (gammaln(count + start[gene]) + count), minlength=N_GENES)
    found = sum_of_rises((gene, count, times), start, slope)
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-13)
