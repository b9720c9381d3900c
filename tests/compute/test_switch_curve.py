"""The compiled switch model against the one of ``kinetics``, and threads after a fork."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime.compute import NUMBA, CurveTargets
from velotime.inference.states import Layout
from velotime.kinetics import switch_jacobian, switch_means

TIMES = np.roll(np.linspace(0.0, 1.0, 23), 7)  # in no order: one curve for all lineages has the times of all of them


def random_theta(rng, layout, n=90):
    theta = np.zeros((n, layout.n_parameters))
    theta[:, :2] = rng.uniform(-1, 5, (n, 2))
    theta[: n // 3, 1] = theta[: n // 3, 0] + rng.choice([0.0, 1e-12, 1e-6, 1e-3, 0.05], n // 3)  # beta near gamma
    theta[:, 2] = rng.uniform(-0.5, 1.1, n)
    theta[:, 3:6] = rng.normal(0, 2, (n, 3))
    theta[:, layout.durations] = rng.uniform(-6, 1, (n, layout.n_lineages))
    theta[:, layout.last_levels] = rng.normal(0, 2, (n, layout.n_lineages))
    return theta


def columns_of(layout):
    return np.stack([layout.columns(k) for k in range(layout.n_lineages)])


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_means_are_those_of_the_kinetics(seed, n_lineages):
    layout = Layout(n_lineages)
    theta = random_theta(np.random.default_rng(seed), layout)
    u, s = NUMBA.curve_means(theta, TIMES, columns_of(layout))
    expected = [switch_means(theta[:, layout.columns(k)], TIMES) for k in range(n_lineages)]
    np.testing.assert_allclose(u, np.hstack([pair[0] for pair in expected]), rtol=1e-12)
    np.testing.assert_allclose(s, np.hstack([pair[1] for pair in expected]), rtol=1e-12)


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_information_is_that_of_the_jacobian(seed, n_lineages):
    layout, rng = Layout(n_lineages), np.random.default_rng(seed)
    theta = random_theta(rng, layout)
    columns, n_states = columns_of(layout), n_lineages * len(TIMES)
    means = NUMBA.curve_means(theta, TIMES, columns)
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
    gradient, fisher = NUMBA.curve_information(theta, TIMES, columns, *layers)
    slow_gradient, slow_fisher = np.zeros_like(gradient), np.zeros_like(fisher)
    for k in range(n_lineages):
        own, of = slice(k * len(TIMES), (k + 1) * len(TIMES)), columns[k]
        u, s, du, ds = switch_jacobian(theta[:, of], TIMES)
        for layer, mean, d in zip(layers, (u, s), (du, ds), strict=True):
            c = layer.variance[..., None]
            mean = mean if layer.background is None else mean + layer.background[:, None]
            variance = c[0] + c[1] * mean + c[2] * layer.mean_size[own] * mean**2
            residual = (layer.value[:, own] - layer.size[own] * mean) / variance
            slow_gradient[:, of] += np.einsum("gpt,gt->gp", d, residual)
            slow_fisher[:, of[:, None], of] += np.einsum("gpt,gqt,gt->gpq", d, d, layer.size[own] / variance)
    for found, slow in ((gradient, slow_gradient), (fisher, slow_fisher)):
        scale = np.abs(slow).reshape(len(slow), -1).max(axis=1).reshape(-1, *[1] * (slow.ndim - 1))
        np.testing.assert_allclose(found / scale, slow / scale, atol=1e-9)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr("velotime.compute.threads.n_threads", lambda: 3)
    layout = Layout(1)
    theta = random_theta(np.random.default_rng(0), layout)
    here = NUMBA.curve_means(theta, TIMES, columns_of(layout))[1]
    child = os.fork()
    if child == 0:  # leave no trace of the test run in the child, whatever happens
        try:
            os._exit(0 if np.array_equal(NUMBA.curve_means(theta, TIMES, columns_of(layout))[1], here) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
