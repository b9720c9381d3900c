"""Kinetics against 60-digit arithmetic."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime import kinetics as kin

mp.mp.dps = 60


def exact_divided(*points):
    """Divided difference of exp by its definition, points nudged apart by far less than the result's accuracy."""
    points = [mp.mpf(p) + k * mp.mpf(10) ** -18 for k, p in enumerate(points)]
    with mp.workdps(120):
        total = mp.mpf(0)
        for i, p in enumerate(points):
            weight = mp.mpf(1)
            for j, other in enumerate(points):
                if i != j:
                    weight *= p - other
            total += mp.exp(p) / weight
        return total


def exact_unspliced(tau, u0, alpha, beta):
    tau, u0, alpha, beta = map(mp.mpf, (tau, u0, alpha, beta))
    return u0 * mp.exp(-beta * tau) + alpha / beta * -mp.expm1(-beta * tau)


def exact_spliced(tau, u0, s0, alpha, beta, gamma):
    tau, u0, s0, alpha, beta, gamma = map(mp.mpf, (tau, u0, s0, alpha, beta, gamma))
    with mp.workdps(120):
        if abs(gamma - beta) < mp.mpf(10) ** -30 * beta:
            gamma = beta * (1 + mp.mpf(10) ** -30)
        eb, eg = mp.exp(-beta * tau), mp.exp(-gamma * tau)
        return s0 * eg + alpha / gamma * (1 - eg) + (alpha - beta * u0) / (gamma - beta) * (eg - eb)


def draws(n, seed=0):
    """Random parameters: tau 1e-8 to 50, rates apart, close, and equal to the last digit."""
    rng = np.random.default_rng(seed)
    tau = 10 ** rng.uniform(-8, np.log10(50), n)
    beta = 10 ** rng.uniform(-1, 1, n)
    gamma = 10 ** rng.uniform(-1, 1, n)
    close = rng.integers(0, 3, n)
    gamma = np.where(close == 1, beta * (1 + 10 ** rng.uniform(-16, 0, n) * rng.choice([-0.5, 1], n)), gamma)
    gamma = np.where(close == 2, beta, gamma)
    u0, s0, alpha = (rng.uniform(0, 5, n) * (rng.uniform(size=n) > 0.2) for _ in range(3))
    return tau, u0, s0, alpha, beta, gamma


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_unspliced_and_spliced_against_exact_arithmetic(dtype, bound):
    arguments = [a.astype(dtype) for a in draws(1500)]
    tau, u0, s0, alpha, beta, gamma = arguments
    u, s = kin.unspliced(tau, u0, alpha, beta), kin.spliced(tau, u0, s0, alpha, beta, gamma)
    assert u.dtype == dtype
    assert s.dtype == dtype
    tiny = 1e-30 if dtype == np.float32 else 1e-290  # below, numbers are denormal and have no digits to lose
    for i in range(len(tau)):
        one = [float(a[i]) for a in arguments]
        exact_u = exact_unspliced(one[0], one[1], one[3], one[4])
        exact_s = exact_spliced(*one)
        for value, exact in ((u[i], exact_u), (s[i], exact_s)):
            assert abs(mp.mpf(float(value)) - exact) <= bound * exact + tiny, one


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_velocity_and_steady_state_against_exact_arithmetic(dtype, bound):
    """A velocity is a difference, so its error is measured against its terms."""
    tau, u0, s0, alpha, beta, gamma = (a.astype(dtype) for a in draws(500, seed=1))
    alpha = np.maximum(alpha, dtype(1e-3))
    u, s = kin.unspliced(tau, u0, alpha, beta), kin.spliced(tau, u0, s0, alpha, beta, gamma)
    du, ds = kin.velocity(u, s, alpha, beta, gamma)
    u_inf, s_inf = kin.steady_state(alpha, beta, gamma)
    for i in range(len(tau)):
        one = [float(a[i]) for a in (tau, u0, s0, alpha, beta, gamma)]
        exact_u, exact_s = exact_unspliced(one[0], one[1], one[3], one[4]), exact_spliced(*one)
        a, b, g = (mp.mpf(v) for v in one[3:])
        assert abs(mp.mpf(float(du[i])) - (a - b * exact_u)) <= bound * (a + b * exact_u)
        assert abs(mp.mpf(float(ds[i])) - (b * exact_u - g * exact_s)) <= bound * (b * exact_u + g * exact_s)
        assert abs(mp.mpf(float(u_inf[i])) - a / b) <= bound * a / b
        assert abs(mp.mpf(float(s_inf[i])) - a / g) <= bound * a / g


def test_divided_differences_in_any_order():
    rng = np.random.default_rng(2)
    for _ in range(300):
        x, y, z = -(10 ** rng.uniform(-9, 1.5, 3))
        if rng.uniform() < 0.3:
            y = x
        one, two = exact_divided(x, y), exact_divided(x, y, z)
        for a, b in ((x, y), (y, x)):
            assert abs(float(kin.exp1(np.float64(a), np.float64(b))) / one - 1) < 1e-13
        for a, b, c in ((x, y, z), (z, x, y), (y, z, x)):
            assert abs(float(kin.exp2(np.float64(a), np.float64(b), np.float64(c))) / two - 1) < 1e-12


def random_theta(n, seed):
    rng = np.random.default_rng(seed)
    theta = np.column_stack(
        [
            rng.normal(2, 0.7, n),
            rng.normal(1.5, 0.7, n),
            rng.uniform(-0.2, 0.8, n),
            *rng.normal(0, 1.5, (2, n)),
            rng.normal(0, 1, n),
            rng.normal(-1, 0.5, n),
            rng.normal(0, 1.5, n),
        ]
    )
    theta[: n // 4, 1] = theta[: n // 4, 0]  # beta = gamma
    return theta


def exact_switch(theta, t):
    """Unspliced and spliced of one gene at one time, 60 digits."""
    beta, gamma = mp.exp(theta[0]), mp.exp(theta[1])
    levels = [mp.exp(theta[k]) for k in (3, 4, 7)]
    t_on, t_off = theta[2], theta[2] + mp.exp(theta[6])
    u, s = levels[0] * gamma / beta, levels[0]
    if t > t_on:
        x = min(t, t_off) - t_on
        u, s = exact_unspliced(x, u, levels[1] * gamma, beta), exact_spliced(x, u, s, levels[1] * gamma, beta, gamma)
    if t > t_off:
        x = t - t_off
        u, s = exact_unspliced(x, u, levels[2] * gamma, beta), exact_spliced(x, u, s, levels[2] * gamma, beta, gamma)
    return mp.exp(theta[5]) * u, s


TIMES = np.array([0.0, 0.03, 0.21, 0.47, 0.733, 0.99])


def test_switch_means_against_exact_arithmetic():
    theta = random_theta(40, 3)
    u, s = kin.switch_means(theta, TIMES)
    for g in range(len(theta)):
        for j, t in enumerate(TIMES):
            exact_u, exact_s = exact_switch([mp.mpf(float(p)) for p in theta[g]], mp.mpf(float(t)))
            assert abs(mp.mpf(float(u[g, j])) / exact_u - 1) < 1e-12
            assert abs(mp.mpf(float(s[g, j])) / exact_s - 1) < 1e-12


def test_jacobian_against_differences_in_60_digits():
    theta = random_theta(12, 4)
    u, s, du, ds = kin.switch_jacobian(theta, TIMES)
    means = kin.switch_means(theta, TIMES)
    np.testing.assert_allclose(u, means[0], rtol=1e-11)
    np.testing.assert_allclose(s, means[1], rtol=1e-11)
    h = mp.mpf(10) ** -20
    for g in range(len(theta)):
        point = [mp.mpf(float(p)) for p in theta[g]]
        for k in range(8):
            up, down = list(point), list(point)
            up[k] += h
            down[k] -= h
            for j, t in enumerate(TIMES):
                high, low = exact_switch(up, mp.mpf(float(t))), exact_switch(down, mp.mpf(float(t)))
                for layer, jacobian in enumerate((du, ds)):
                    exact = (high[layer] - low[layer]) / (2 * h)
                    scale = max(abs(float(exact)), float(means[layer][g].max()))
                    assert abs(jacobian[g, k, j] - float(exact)) < 1e-9 * scale, (g, k, j, layer)


def test_switch_velocity_is_the_slope_of_the_means():
    theta = random_theta(30, 5)
    t = np.linspace(0.013, 0.987, 57)
    h = 1e-6
    velocity = kin.switch_velocity(theta, t)
    ahead, behind = kin.switch_means(theta, t + h), kin.switch_means(theta, t - h)
    switches = np.stack([theta[:, 2], theta[:, 2] + np.exp(theta[:, 6])])
    away = np.all(np.abs(t[None, None] - switches[..., None]) > 2 * h, axis=0)
    for layer in range(2):
        slope = (ahead[layer] - behind[layer]) / (2 * h)
        scale = ahead[layer].max(axis=1, keepdims=True)
        assert np.all(np.abs(velocity[layer] - slope)[away] < (1e-6 * scale * np.ones_like(slope))[away] * 50)


rates = st.floats(0.1, 20)
levels = st.floats(0.0, 10)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-4, 2), levels, levels, st.floats(0.1, 10), rates, rates, st.booleans())
def test_inverse_after_forward_returns_tau(tau, u0, s0, alpha, beta, gamma, equal):
    gamma = beta if equal else gamma
    arguments = [np.array([v]) for v in (tau, u0, s0, alpha, beta, gamma)]
    tau_, u0_, s0_, alpha_, beta_, gamma_ = arguments
    u = kin.unspliced(tau_, u0_, alpha_, beta_)
    s = kin.spliced(tau_, u0_, s0_, alpha_, beta_, gamma_)
    # Far along, a value is at its steady state to the last digits and the time is lost: allow for what is left.
    left_u = abs(float(u[0] - alpha / beta)) / max(abs(float(u[0])), alpha / beta)
    if abs(u0 - alpha / beta) > 1e-3 and left_u > 1e-6:
        back = kin.time_from_unspliced(u, u0_, alpha_, beta_, longest=100.0)
        assert abs(float(back[0]) - tau) < 1e-12 / left_u * (1 + tau)
    w_inf = -alpha * beta / gamma
    w0 = (gamma - beta) * s0 - beta * u0
    w = (gamma - beta) * float(s[0]) - beta * float(u[0])
    size = abs(gamma - beta) * float(s[0]) + beta * float(u[0]) + abs(w_inf)
    if abs(w0 - w_inf) > 1e-3 and abs(w - w_inf) > 1e-6 * size:
        back = kin.time_from_spliced(u, s, u0_, s0_, alpha_, beta_, gamma_, longest=100.0)
        assert abs(float(back[0]) - tau) < 1e-11 * size / abs(w - w_inf) * (1 + 1 / gamma)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-6, 3), levels, levels, levels, rates, rates)
def test_the_auxiliary_variable_decays_with_gamma_alone(tau, u0, s0, alpha, beta, gamma):
    """s~ = s - beta~ u with beta~ = beta/(gamma - beta): s~ - s~_inf = (s~_0 - s~_inf) e^(-gamma tau)."""
    if abs(gamma - beta) < 0.01 * beta:
        return
    u = float(kin.unspliced(np.float64(tau), np.float64(u0), np.float64(alpha), np.float64(beta)))
    s = float(kin.spliced(*(np.float64(v) for v in (tau, u0, s0, alpha, beta, gamma))))
    b = beta / (gamma - beta)
    end = -alpha * beta / (gamma * (gamma - beta))
    left, right = s - b * u - end, (s0 - b * u0 - end) * np.exp(-gamma * tau)
    scale = s + abs(b) * u + abs(end) + s0 + abs(b) * u0
    assert abs(left - right) <= 1e-12 * scale + 1e-300


def test_values_past_the_asymptote_are_clipped_not_nan():
    u = np.array([-1.0, 0.0, 2.0, 5.0, 1.0])
    back = kin.time_from_unspliced(u, np.zeros(5), np.full(5, 2.0), np.ones(5), longest=7.0)
    np.testing.assert_allclose(back, [0.0, 0.0, 7.0, 7.0, np.log(2)])
    back = kin.time_from_spliced(
        u,
        np.array([0.0, 9.0, 1.0, 0.0, 0.5]),
        np.zeros(5),
        np.zeros(5),
        np.full(5, 2.0),
        np.ones(5),
        np.ones(5),
        longest=7.0,
    )
    assert np.all((back >= 0) & (back <= 7))
    nowhere = kin.time_from_unspliced(np.ones(1), np.full(1, 2.0), np.full(1, 2.0), np.ones(1), longest=7.0)
    assert nowhere[0] == 7.0  # it started in the steady state
