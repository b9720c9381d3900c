"""The periodic switch: against many turns of the switch in high precision, and its derivatives."""

from __future__ import annotations

import mpmath as mp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime import kinetics as kin


def genes(n, seed):
    rng = np.random.default_rng(seed)
    theta = np.empty((n, 7))
    theta[:, :2] = rng.uniform(np.log(0.3), np.log(100), (n, 2))
    theta[: n // 2, 1] = theta[: n // 2, 0] + 10 ** rng.uniform(-12, -1, n // 2)  # beta nearly gamma
    theta[:, 2] = rng.uniform(-2, 2, n)
    theta[:, 3:5] = rng.normal(0, 2, (n, 2))
    theta[:, 5] = rng.normal(0, 0.5, n)
    theta[:, 6] = np.log(rng.uniform(0.02, 0.98, n))
    return theta


def many_turns(gene, t, turns=300):
    """Unspliced and spliced after so many turns from nothing, 60 digits, by the textbook formula."""
    b, g, t_on, low, high, c, d = (mp.mpf(float(x)) for x in gene)
    b, g, c, d = mp.exp(b), mp.exp(g), mp.exp(c), mp.exp(d)
    steps = [(mp.exp(high) * g, d), (mp.exp(low) * g, 1 - d)] * turns
    since = (mp.mpf(float(t)) - t_on) % 1
    steps += [(mp.exp(high) * g, min(since, d)), (mp.exp(low) * g, max(since - d, 0))]
    u = s = mp.mpf(0)
    for alpha, x in steps:
        eb, eg = mp.exp(-b * x), mp.exp(-g * x)
        s = s * eg + alpha / g * (1 - eg) + (alpha - b * u) / (g - b) * (eg - eb)
        u = u * eb + alpha / b * (1 - eb)
    return float(c * u), float(s)


def test_means_are_what_many_turns_come_to():
    theta, t = genes(8, 0), np.array([0.0, 0.31, 0.77, 5.5])
    found = kin.periodic_means(theta, t)
    with mp.workdps(60):
        expected = np.array([[many_turns(gene, time) for time in t] for gene in theta])
    np.testing.assert_allclose(np.stack(found, axis=2), expected, rtol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_derivatives_are_those_of_the_means(seed):
    theta, t, h = genes(6, seed), np.linspace(0.013, 0.987, 7), 1e-6
    u, s, du, ds = kin.periodic_jacobian(theta, t)
    np.testing.assert_array_equal(np.stack([u, s]), np.stack(kin.periodic_means(theta, t)))
    since = (t - theta[:, [2]]) % 1
    smooth = (np.abs(since - np.exp(theta[:, [6]])) > 1e-4) & (np.abs(since - 0.5) < 0.4999)
    size = np.stack([np.abs(u).max(1), np.abs(s).max(1)])[:, :, None]
    for k in range(7):
        step = h * np.eye(7)[k]
        up, down = (np.stack(kin.periodic_means(theta + sign * step, t)) for sign in (1, -1))
        away = (up - down) / (2 * h) - np.stack([du[:, k], ds[:, k]])
        assert (np.abs(away / size / np.exp(theta[:, [0]]).max())[:, smooth] < 1e-7).all()
    up, down = (np.stack(kin.periodic_means(theta, t + sign * h)) for sign in (1, -1))
    away = (up - down) / (2 * h) - np.stack(kin.periodic_velocity(theta, t))
    assert (np.abs(away / size / np.exp(theta[:, [0]]).max())[:, smooth] < 1e-7).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_a_turn_makes_no_difference_and_a_pulse_is_a_dip_of_the_rest(seed):
    theta, t = genes(6, seed), np.linspace(0, 1, 9)
    dip = theta.copy()
    d = np.exp(theta[:, 6])
    dip[:, 2], dip[:, 6] = theta[:, 2] + d, np.log1p(-d)
    dip[:, [3, 4]] = theta[:, [4, 3]]
    for one, turned, other in zip(
        kin.periodic_means(theta, t), kin.periodic_means(theta, t + 3), kin.periodic_means(dip, t), strict=True
    ):
        np.testing.assert_allclose(turned, one, rtol=1e-9)
        np.testing.assert_allclose(other, one, rtol=1e-9)


def test_dilution_is_a_loss_at_both_steps_and_a_scaling_of_unspliced():
    """Euler steps of the equations with growth, against the periodic switch at rates with ln 2 added."""
    beta, gamma, growth, d = 6.0, 3.0, np.log(2), 0.4
    u = s = 0.0
    n = 20_000
    for k in range(12 * n):
        alpha = 5.0 if k % n < d * n else 1.0
        u, s = u + (alpha - (beta + growth) * u) / n, s + (beta * u - (gamma + growth) * s) / n
    with_dilution = np.array([beta + growth, gamma + growth])
    levels = np.array([1.0, 5.0]) * beta / with_dilution[0] / with_dilution[1]
    theta = np.array([[*np.log(with_dilution), 0.0, *np.log(levels), np.log(with_dilution[0] / beta), np.log(d)]])
    found = kin.periodic_means(theta, np.zeros(1))
    np.testing.assert_allclose(np.concatenate(found, axis=None), [u, s], rtol=1e-3)
