r"""Smooth transcription on a clock that goes round, in closed form.

alpha swings between alpha_0 and alpha_1, each positive, and passes their middle upwards at t_on:

    alpha(t) = (alpha_0 + alpha_1)/2 + (alpha_1 - alpha_0)/2 sin(w (t - t_on)),    w = 2 pi,

a cosine whose peak is a quarter of a turn later and whose depth ``(alpha_1 - alpha_0)/(alpha_1 + alpha_0)`` is below
1 for any levels. The equations are linear, so each harmonic follows by itself, ``u_k = alpha_k/(beta + i w k)`` and
``s_k = beta u_k/(gamma + i w k)``; with ``A = 1/(beta + i w)``, ``B = beta A/(gamma + i w)`` and
``E = e^(i w (t - t_on))``

    u = (alpha_0 + alpha_1)/(2 beta)  + (alpha_1 - alpha_0)/2 Im(E A)
    s = (alpha_0 + alpha_1)/(2 gamma) + (alpha_1 - alpha_0)/2 Im(E B)

Both are positive, as ``|A| < 1/beta`` and ``|B| < 1/gamma``. Derivatives: ``beta dA/dbeta = -beta A^2``,
``beta dB/dbeta = B (1 - beta A)``, ``gamma dB/dgamma = -gamma B/(gamma + i w)``, ``dE/dt = i w E``. Complex numbers are
written as pairs of real ones, which every array library has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from velotime.kinetics.splicing import SwitchParameter

TURN = 2 * np.pi


class _Pair(NamedTuple):
    """A complex number."""

    re: Any
    im: Any

    def times(self, other: _Pair) -> _Pair:
        """The product."""
        return _Pair(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    def scaled(self, factor: Any) -> _Pair:
        """A real multiple."""
        return _Pair(factor * self.re, factor * self.im)


def _over(rate: Any) -> _Pair:
    """``1/(rate + i w)``."""
    size = rate**2 + TURN**2
    return _Pair(rate / size, -TURN / size)


class _Swing(NamedTuple):
    """One gene: rates, both alphas, the factor of unspliced, each ``(genes, 1)``; A, B and E ``(genes, times)``."""

    beta: Any
    gamma: Any
    low: Any
    high: Any
    scaling: Any
    u: _Pair
    s: _Pair
    turned: _Pair

    @classmethod
    def of(cls, theta: Any, t: Any) -> _Swing:
        xp, p = array_namespace(theta), SwitchParameter
        natural = xp.exp(theta)
        beta, gamma = (natural[:, k : k + 1] for k in (int(p.LOG_BETA), int(p.LOG_GAMMA)))
        low, high = (natural[:, k : k + 1] * gamma for k in (int(p.LOG_LEVEL_0), int(p.LOG_LEVEL_1)))
        phase = TURN * (t[None, :] - theta[:, p.T_ON : p.T_ON + 1])
        u = _over(beta)
        s = u.times(_over(gamma)).scaled(beta)
        scaling = natural[:, p.LOG_SCALING : p.LOG_SCALING + 1]
        return cls(beta, gamma, low, high, scaling, u, s, _Pair(xp.cos(phase), xp.sin(phase)))

    @property
    def height(self) -> Any:
        """Half the way from the lower level to the higher one."""
        return 0.5 * (self.high - self.low)

    def means(self) -> tuple[Any, Any]:
        """Both layers, without the factor of unspliced."""
        middle = 0.5 * (self.high + self.low)
        u, s = (self.height * self.turned.times(of).im for of in (self.u, self.s))
        return middle / self.beta + u, middle / self.gamma + s

    def velocity(self) -> tuple[Any, Any]:
        """Rates of change of both layers, without the factor of unspliced."""
        u, s = (TURN * self.height * self.turned.times(of).re for of in (self.u, self.s))
        return u, s


def smooth_means(theta: Any, t: Any) -> tuple[Any, Any]:
    """Unspliced and spliced means, each ``(genes, times)``.

    Parameters
    ----------
    theta
        Parameters, ``(genes, 6 or more)``: the first six columns of :class:`SwitchParameter`.
    t
        Times, ``(times,)``, in turns of the clock.

    Returns
    -------
    Unspliced, times the scaling c of its capture, and spliced.
    """
    swing = _Swing.of(theta, t)
    u, s = swing.means()
    return swing.scaling * u, s


def smooth_velocity(theta: Any, t: Any) -> tuple[Any, Any]:
    """Rates of change of :func:`smooth_means`, per turn."""
    swing = _Swing.of(theta, t)
    u, s = swing.velocity()
    return swing.scaling * u, s


def smooth_jacobian(theta: Any, t: Any) -> tuple[Any, Any, Any, Any]:
    """Means and their derivatives by the first seven parameters, of which there is no duration: its are zero.

    Returns
    -------
    Unspliced and spliced means, each ``(genes, times)``, and their derivatives, each ``(genes, 7, times)``.
    """
    xp = array_namespace(theta, t)
    swing = _Swing.of(theta, t)
    means, out = swing.means(), []
    for mean, moving, (half, sine), rates in zip(
        means, swing.velocity(), _shares(swing), _by_rates(swing), strict=True
    ):
        levels = [swing.low * (half - sine), swing.high * (half + sine)]
        by_gamma = rates[1] + mean  # alpha is level gamma
        out.append(xp.stack([rates[0], by_gamma, -moving, *levels, 0.0 * mean, 0.0 * mean], axis=1))
    out[0][:, SwitchParameter.LOG_SCALING, :] = means[0]
    return swing.scaling * means[0], means[1], swing.scaling[:, :, None] * out[0], out[1]


def _shares(swing: _Swing) -> list[tuple[Any, Any]]:
    """What of each layer's mean comes of each level: with a half of it, less and more than that by half a sine."""
    rates, layers = (swing.beta, swing.gamma), (swing.u, swing.s)
    return [(0.5 / rate, 0.5 * swing.turned.times(of).im) for rate, of in zip(rates, layers, strict=True)]


def _by_rates(swing: _Swing) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Derivatives of both layers by log beta and by log gamma at fixed alphas."""
    beta, gamma, height, E = swing.beta, swing.gamma, swing.height, swing.turned
    middle = 0.5 * (swing.high + swing.low)
    late = _Pair(1.0 - beta * swing.u.re, -beta * swing.u.im)  # 1 - beta A
    u_beta = -middle / beta - height * beta * E.times(swing.u.times(swing.u)).im
    s_beta = height * E.times(swing.s.times(late)).im
    s_gamma = -middle / gamma - height * gamma * E.times(swing.s.times(_over(gamma))).im
    return (u_beta, 0.0 * u_beta), (s_beta, s_gamma)
