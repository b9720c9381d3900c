"""Smooth transcription on the circle: against quadrature and an integrator, and its derivatives."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from velotime import kinetics as kin


def genes(n, seed):
    rng = np.random.default_rng(seed)
    theta = np.empty((n, 7))
    theta[:, :2] = rng.uniform(np.log(0.7), np.log(60), (n, 2))
    theta[: n // 2, 1] = theta[: n // 2, 0] + 10 ** rng.uniform(-12, -1, n // 2)  # beta nearly gamma
    theta[:, 2] = rng.uniform(-2, 2, n)
    theta[:, 3:5] = rng.normal(0, 2, (n, 2))
    theta[:, 5] = rng.normal(0, 0.5, n)
    theta[:, 6] = kin.WHOLE_TURN
    return theta


def alpha_of(gene):
    low, high = np.exp(gene[3:5] + gene[1])
    return lambda t: 0.5 * (low + high) + 0.5 * (high - low) * mp.sin(2 * mp.pi * (t - gene[2]))


def responses(gene, t):
    """What was made up to t, as much of it as is left: integrals over the past, all turns of it at once, 40 digits."""
    b, g, c = (mp.exp(mp.mpf(float(gene[k]))) for k in (0, 1, 5))
    alpha = alpha_of(gene)

    def left(x, rate):  # of what was made x, and whole turns more, before
        return mp.exp(-rate * x) / -mp.expm1(-rate)

    turn = mp.linspace(0, 1, 5)
    unspliced = mp.quad(lambda x: alpha(t - x) * left(x, b), turn)
    return float(c * unspliced), float(mp.quad(lambda x: alpha(t - x) * b * (left(x, b) - left(x, g)) / (g - b), turn))


def test_means_are_what_the_past_has_left():
    theta, t = genes(2, 0), np.array([0.0, 0.31, 0.77])
    with mp.workdps(40):
        expected = np.array([[responses(gene, time) for time in t] for gene in theta])
    np.testing.assert_allclose(np.stack(kin.periodic_means(theta, t), axis=2), expected, rtol=1e-12)


def test_they_solve_the_equations():
    gene = genes(4, 1)[3]
    b, g, c = np.exp(gene[[0, 1, 5]])
    alpha = alpha_of(gene)
    t = np.array([0.0, 0.2, 0.55, 0.9])
    solved = solve_ivp(
        lambda at, x: [float(alpha(at)) - b * x[0], b * x[0] - g * x[1]],
        (-30 / min(b, g, 1.0), 0.9),
        [0.0, 0.0],
        t_eval=t,
        method="LSODA",
        rtol=1e-8,
        atol=1e-10,
    )
    u, s = kin.periodic_means(gene[None], t)
    np.testing.assert_allclose(np.concatenate([u / c, s]), solved.y, rtol=1e-5)
    velocity_u, velocity_s = kin.periodic_velocity(gene[None], t)
    made = np.array([float(alpha(at)) for at in t])
    np.testing.assert_allclose(velocity_u[0] / c, made - b * u[0] / c, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(velocity_s[0], b * u[0] / c - g * s[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_are_those_of_the_means(seed):
    theta, t, h = genes(8, seed), np.linspace(0.013, 0.987, 7), 1e-5
    u, s, du, ds = kin.periodic_jacobian(theta, t)
    np.testing.assert_array_equal(np.stack([u, s]), np.stack(kin.periodic_means(theta, t)))
    size = np.stack([u.max(1), s.max(1)])[:, :, None]
    for k in range(7):
        up, down = (np.stack(kin.periodic_means(theta + sign * h * np.eye(7)[k], t)) for sign in (1, -1))
        away = (up - down) / (2 * h) - np.stack([du[:, k], ds[:, k]])
        assert (np.abs(away / size) < 1e-7).all()


def test_shapes_stand_side_by_side():
    """Each gene is what it is alone, no switch reads as smooth, and waves know two names."""
    smooth, t = genes(4, 3), np.linspace(0, 1, 9)
    switch = smooth.copy()
    switch[:, 6] = np.log(0.97)
    assert not kin.is_smooth(switch).any()
    for of in (kin.periodic_means, kin.periodic_velocity, kin.periodic_jacobian):
        both = of(np.concatenate([smooth, switch]), t)
        for joined, one, other in zip(both, of(smooth, t), of(switch, t), strict=True):
            np.testing.assert_array_equal(joined, np.concatenate([one, other]))
            assert not np.allclose(one, other, rtol=0.05)
    exchanged = smooth.copy()
    exchanged[:, [3, 4]] = smooth[:, [4, 3]]
    exchanged[:, 2] += 0.5
    for one, other in zip(kin.periodic_means(smooth, t), kin.periodic_means(exchanged, t), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
        assert (one > 0).all()
