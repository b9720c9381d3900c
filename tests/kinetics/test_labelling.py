"""Shares of labelled molecules, against the equations solved step by step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from velotime.kinetics import SwitchParameter as P
from velotime.kinetics import labelled_shares, survival, switch_means


def theta_of(beta, gamma):
    theta = np.zeros((1, 8))
    theta[0, P.LOG_BETA], theta[0, P.LOG_GAMMA] = np.log([beta, gamma])
    theta[0, [P.T_ON, P.LOG_DURATION]] = 0.3, np.log(0.25)
    theta[0, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]] = np.log([0.3, 5.0, 1.0])
    return theta


def labelled(theta, time, window):
    """Labelled abundances at a time: empty when the window begins, made at the gene's own rate since."""
    beta, gamma = np.exp(theta[0, [P.LOG_BETA, P.LOG_GAMMA]])
    on, off = theta[0, P.T_ON], theta[0, P.T_ON] + np.exp(theta[0, P.LOG_DURATION])
    level = np.exp(theta[0, [P.LOG_LEVEL_0, P.LOG_LEVEL_1, P.LOG_LEVEL_2]]) * gamma

    def slope(t, x):
        alpha = level[0] if t < on else level[1] if t < off else level[2]
        return [alpha - beta * x[0], beta * x[0] - gamma * x[1]]

    solved = solve_ivp(slope, (time - window, time), [0.0, 0.0], rtol=1e-9, atol=1e-12, max_step=window / 200)
    return solved.y[:, -1]


@pytest.mark.parametrize(("beta", "gamma"), [(8.0, 5.0), (3.0, 3.0), (40.0, 0.7)])
@pytest.mark.parametrize(("time", "window"), [(0.02, 0.1), (0.35, 0.2), (0.9, 0.02), (0.9, 0.8)])
def test_labelled_molecules_are_those_made_within_the_window(beta, gamma, time, window):
    theta = theta_of(beta, gamma)
    now, before = (switch_means(theta, np.array([t])) for t in (time, time - window))
    shares = labelled_shares(before, now, np.array(window), (np.array(beta), np.array(gamma)))
    expected = labelled(theta, time, window)
    for share, mean, value in zip(shares, now, expected, strict=True):
        assert float((share * mean)[0, 0]) == pytest.approx(value, rel=1e-3)


def test_what_outlives_two_windows_outlives_both():
    """Survival over a whole window is that over its halves, one after the other."""
    beta, gamma = 7.0, 3.0
    half, whole = (survival(np.array(w), beta, gamma) for w in (0.1, 0.2))
    assert whole.unspliced == pytest.approx(half.unspliced**2)
    assert whole.spliced == pytest.approx(half.spliced**2)
    later = half.spliced * half.spliced_of_flux + half.unspliced * half.spliced_of_flux
    assert whole.spliced_of_flux == pytest.approx(later)
