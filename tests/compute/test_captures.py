"""What samples say of captures and of common curves, against NumPy."""

from __future__ import annotations

import numpy as np

from velotime.compute import add_sample, capture_scores


def samples(rng):
    """Sums of 3 samples, 5 genes and 19 states, means and what samples have of their own."""
    value, size, mean_size = rng.gamma(1, 5, (5, 3, 19)), rng.uniform(1, 9, (3, 19)), rng.uniform(0.5, 2, (3, 19))
    mean, capture, besides = rng.gamma(1, 2, (5, 19)), rng.lognormal(0, 0.5, (5, 3)), rng.uniform(0, 0.4, (5, 3))
    return (value, size, mean_size), mean, capture, besides, rng.uniform(0.05, 1, 5)


def test_scores_of_captures_are_derivatives():
    rng = np.random.default_rng(0)
    (value, size, length), mean, capture, besides, phi = samples(rng)

    def log_likelihood(log_capture):
        m = np.exp(log_capture)[:, :, None] * mean[:, None] + besides[:, :, None]
        growth = np.log1p(phi[:, None, None] * length * m)
        return (value * (np.log(m) - growth) - size / (phi[:, None, None] * length) * growth).sum(axis=2)

    slope, information = capture_scores((value, size, length), mean, capture, besides, phi)
    step = 1e-5
    numeric = (log_likelihood(np.log(capture) + step) - log_likelihood(np.log(capture) - step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6)
    m = capture[:, :, None] * mean[:, None]
    weight = m / ((m + besides[:, :, None]) * (1 + phi[:, None, None] * length * (m + besides[:, :, None])))
    np.testing.assert_allclose(information, (weight * size * m).sum(axis=2), rtol=1e-12)


def test_a_gene_that_is_not_captured_says_nothing():
    sums, mean, capture, _, phi = samples(np.random.default_rng(1))
    capture[2, 1] = np.exp(-800.0)  # zero
    slope, information = capture_scores(sums, mean, capture, np.zeros_like(capture), phi)
    assert slope[2, 1] == information[2, 1] == 0.0


def test_samples_add_up_to_residuals_of_the_common_curve():
    rng = np.random.default_rng(2)
    (value, size, length), mean, capture, besides, phi = samples(rng)
    total = np.zeros_like(mean), np.zeros_like(mean)
    terms = np.stack([np.full(5, 0.1), np.ones(5), phi])
    residual = np.zeros_like(mean)
    for b in range(3):
        own = capture[:, b], besides[:, b]
        add_sample((value[:, b], size[b], length[b]), mean, own, terms, total)
        a, m = own[0][:, None], own[0][:, None] * mean + own[1][:, None]
        variance = 0.1 + m + phi[:, None] * length[b] * m**2
        residual += a * (value[:, b] - size[b] * m) / variance
    np.testing.assert_allclose(total[0] - total[1] * mean, residual, rtol=1e-10, atol=1e-10)
