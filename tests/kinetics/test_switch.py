"""Properties of the trajectories, and the switch model at its switches and in single precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime import kinetics as kin
from velotime.kinetics import SwitchParameter as P

rates = st.floats(0.01, 50)
levels = st.floats(0, 10)


@settings(max_examples=200, deadline=None)
@given(levels, levels, levels, rates, rates)
def test_abundances_are_non_negative_and_reach_the_steady_state(u0, s0, alpha, beta, gamma):
    tau = np.concatenate([[0.0], np.logspace(-8, np.log10(60 / min(beta, gamma)), 60)])
    u, s = kin.unspliced(tau, u0, alpha, beta), kin.spliced(tau, u0, s0, alpha, beta, gamma)
    assert np.all(u >= 0)
    assert np.all(s >= 0)
    assert u[0] == u0
    assert s[0] == s0
    u_inf, s_inf = kin.steady_state(alpha, beta, gamma)
    assert u[-1] == pytest.approx(u_inf, rel=1e-12, abs=1e-12)
    assert s[-1] == pytest.approx(s_inf, rel=1e-12, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(levels, levels, rates, rates)
def test_between_steady_states_both_abundances_move_one_way(level_0, level_1, beta, gamma):
    tau = np.linspace(0, 12 / min(beta, gamma), 80)
    u0, s0 = kin.steady_state(level_0 * gamma, beta, gamma)
    u = kin.unspliced(tau, u0, level_1 * gamma, beta)
    s = kin.spliced(tau, u0, s0, level_1 * gamma, beta, gamma)
    up = np.sign(level_1 - level_0)
    assert np.all(up * np.diff(u) >= -1e-13 * (u.max() + 1e-300))
    assert np.all(up * np.diff(s) >= -1e-13 * (s.max() + 1e-300))


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-6, 3), st.floats(1e-6, 3), levels, levels, levels, rates, rates)
def test_two_steps_are_one_long_step(first, second, u0, s0, alpha, beta, gamma):
    first, second = np.array([first]), np.array([second])
    u1, s1 = kin.unspliced(first, u0, alpha, beta), kin.spliced(first, u0, s0, alpha, beta, gamma)
    both = first + second
    # A decay over x multiplies by e^(-rate x), in which the rounding of x counts rate x times.
    tolerance = {"rtol": 1e-14 * (10 + max(beta, gamma) * both[0]), "atol": 1e-300}
    np.testing.assert_allclose(
        kin.unspliced(second, u1, alpha, beta), kin.unspliced(both, u0, alpha, beta), **tolerance
    )
    np.testing.assert_allclose(
        kin.spliced(second, u1, s1, alpha, beta, gamma), kin.spliced(both, u0, s0, alpha, beta, gamma), **tolerance
    )


def genes(n, seed):
    """Genes of all sorts: beta = gamma or nearly, switches before, in and after the window, short pulses."""
    rng = np.random.default_rng(seed)
    theta = np.empty((n, len(P)))
    theta[:, [P.LOG_BETA, P.LOG_GAMMA]] = rng.uniform(-2, 3.5, (n, 2))
    theta[:, P.T_ON] = rng.uniform(-0.5, 1.1, n)
    theta[:, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]] = rng.normal(0, 2, (n, 3))
    theta[:, P.LOG_SCALING] = rng.normal(0, 0.5, n)
    theta[:, P.LOG_DURATION] = rng.normal(-1.5, 1.5, n)
    half = n // 2
    theta[:half, P.LOG_GAMMA] = theta[:half, P.LOG_BETA] + 10 ** rng.uniform(-17, -1, half)
    return theta


def test_means_and_jacobian_agree_to_the_bit():
    """An optimiser compares means of one with means of the other: noise between them would look like progress."""
    theta, t = genes(200, 0), np.linspace(0, 1, 41)
    u, s = kin.switch_means(theta, t)
    u_again, s_again, _, _ = kin.switch_jacobian(theta, t)
    np.testing.assert_array_equal(u, u_again)
    np.testing.assert_array_equal(s, s_again)


def test_single_precision_stays_close_to_double():
    """Rounded parameters in both, so that only the arithmetic differs; a derivative is measured against the curve."""
    theta, t = genes(300, 1).astype(np.float32), np.linspace(0, 1, 33).astype(np.float32)
    single = kin.switch_jacobian(theta, t)
    double = kin.switch_jacobian(theta.astype(np.float64), t.astype(np.float64))
    for value, reference in zip(single[:2], double[:2], strict=True):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, reference, rtol=1e-5)
    for value, reference, mean in zip(single[2:], double[2:], double[:2], strict=True):
        scale = np.maximum(np.abs(reference).max(axis=2, keepdims=True), mean.max(axis=1)[:, None, None])
        assert np.max(np.abs(value - reference) / scale) < 1e-5


def test_a_switch_before_the_window_has_acted_at_time_zero():
    theta = np.zeros((1, len(P)))
    theta[0, P.T_ON], theta[0, P.LOG_DURATION], theta[0, P.LOG_LEVEL_1] = -0.5, np.log(2.0), 1.0
    u, s = kin.switch_means(theta, np.array([0.0]))
    half = np.array([0.5])
    np.testing.assert_allclose(u[0], kin.unspliced(half, 1.0, np.e, 1.0), rtol=1e-14)
    np.testing.assert_allclose(s[0], kin.spliced(half, 1.0, 1.0, np.e, 1.0, 1.0), rtol=1e-14)


def test_at_a_switch_the_jacobian_looks_back_and_the_velocity_ahead():
    """Binary fractions and a duration of e^0 put both switches on the times to the last bit."""
    theta = np.zeros((1, len(P)))
    theta[0, P.T_ON] = 0.25
    theta[0, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]] = 0.0, 1.0, -1.0
    on, off = np.array([0.25]), np.array([1.25])
    _, _, du, ds = kin.switch_jacobian(theta, on)
    assert np.all(du[0, [P.T_ON, P.LOG_LEVEL_1, P.LOG_DURATION, P.LOG_LEVEL_2], 0] == 0)
    assert np.all(ds[0, [P.T_ON, P.LOG_LEVEL_1, P.LOG_DURATION, P.LOG_LEVEL_2], 0] == 0)
    velocity_u, _ = kin.switch_velocity(theta, on)
    assert velocity_u[0, 0] == pytest.approx(np.e - 1)  # alpha_1 - beta u with u = 1
    u, _, du, _ = kin.switch_jacobian(theta, off)
    assert du[0, P.LOG_DURATION, 0] == 0
    assert du[0, P.T_ON, 0] == pytest.approx(-(np.e - u[0, 0]))
    velocity_u, _ = kin.switch_velocity(theta, off)
    assert velocity_u[0, 0] == pytest.approx(np.exp(-1) - u[0, 0])
