"""Compiled curves on the circle, of both shapes, against those of ``kinetics``."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveBackend

from velotime.compute import NUMBA, CurveTargets
from velotime.compute.numba import periodic_curve
from velotime.kinetics.circle import periodic

TIMES = np.arange(19) / 19


def random_theta(rng, n=30):
    theta = rng.normal(0, 2, (n, 7))
    theta[:, :2] = rng.uniform(-1, 5, (n, 2))
    theta[: n // 3, 1] = theta[: n // 3, 0] + rng.choice([0.0, 1e-12, 1e-6, 1e-3, 0.05], n // 3)  # beta near gamma
    theta[:, 2] = rng.uniform(-2, 2, n)
    theta[:, 6] = np.where(np.arange(n) % 3 == 1, 0.0, np.log(rng.uniform(0.01, 0.99, n)))  # a third is smooth
    return theta


def test_kernels_and_kinetics_agree_from_which_duration_on_transcription_is_smooth():
    """It stands in both, as the cache of compiled kernels knows no sources but theirs."""
    assert periodic_curve.LONGEST == periodic.LONGEST


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_means_and_information_are_those_of_the_kinetics(seed):
    rng = np.random.default_rng(seed)
    theta, n_states = random_theta(rng), len(TIMES)
    means, slow = NUMBA.periodic_means(theta, TIMES), NaiveBackend().periodic_means(theta, TIMES)
    for found, expected in zip(means, slow, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    layers = [
        CurveTargets(
            rng.gamma(2.0, m * 5),
            np.where(np.arange(n_states) == 3, 0.0, rng.uniform(1, 20, n_states)),  # a state without cells
            rng.uniform(0.5, 2, n_states),
            rng.uniform(0, 1, (3, len(theta))),
            background,
        )
        for m, background in zip(means, (rng.uniform(0, 1, len(theta)), None), strict=True)
    ]
    for layer in layers:
        layer.value[:, 3] = 0
    found, expected = (backend.periodic_information(theta, TIMES, *layers) for backend in (NUMBA, NaiveBackend()))
    for one, other in zip(found, expected, strict=True):
        scale = np.abs(other).reshape(len(other), -1).max(axis=1).reshape(-1, *[1] * (other.ndim - 1))
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-9)
