"""Curves on a clock that goes round, compiled: means, and the normal equations of the M-step, gene by gene.

Compiled versions of ``kinetics.periodic_means`` and ``kinetics.periodic_jacobian`` (see there for the mathematics), on
the steps of ``switch_curve``. The turn is closed once for each gene; derivatives are added to the sums over states at
once, so none is stored. Genes whose transcription is smooth go by ``smooth_curve``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.backend import LEAST_VARIANCE, CurveTargets
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.numba.smooth_curve import _response, _smooth_derivatives, _smooth_means
from velotime.compute.numba.switch_curve import GENES, _carry, _carry_with_derivatives, _pair
from velotime.compute.threads import over_slices

N_CURVE = 7  # parameters, in the order of ``SwitchParameter`` up to the duration
LONGEST = -0.005  # log duration, as in ``kinetics``: a longer one stands for smooth transcription
_LOW, _HIGH = np.int64(3), np.int64(4)  # of the levels; for a whole number of Python's own each would be compiled apart


@jit(CONTRACT)
def _natural(theta: Any) -> Any:
    """beta, gamma, t_on, both alphas, scaling and duration."""
    b, g = np.exp(theta[0]), np.exp(theta[1])
    return b, g, theta[2], np.exp(theta[3]) * g, np.exp(theta[4]) * g, np.exp(theta[5]), np.exp(theta[6])


@jit(CONTRACT)
def _onset(b: float, g: float, low: float, high: float, duration: float) -> Any:
    """Abundances at the onset and at the end of the pulse, and ``beta exp[-beta, -gamma]`` of a whole turn."""
    u, s = _carry(duration, 0.0, 0.0, high, b, g)
    u, s = _carry(1.0 - duration, u, s, low, b, g)
    turn = b * _pair(-b, -g, np.exp(-b), np.exp(-g))
    u0 = u / -np.expm1(-b)
    s0 = (s + turn * u0) / -np.expm1(-g)
    u1, s1 = _carry(duration, u0, s0, high, b, g)
    return u0, s0, u1, s1, turn


@jit(CONTRACT)
def _fill_means(theta: Any, times: Any, u_out: Any, s_out: Any) -> None:
    """Means of both layers of each gene."""
    for i in range(theta.shape[0]):
        b, g, t_on, low, high, scaling, duration = _natural(theta[i])
        if theta[i, 6] > LONGEST:
            response = _response(b, g)
            for j in range(times.shape[0]):
                u, s = _smooth_means(times[j] - t_on, low, high, b, g, response)
                u_out[i, j], s_out[i, j] = scaling * u, s
            continue
        u0, s0, u1, s1, _ = _onset(b, g, low, high, duration)
        for j in range(times.shape[0]):
            x = times[j] - t_on
            x -= np.floor(x)
            if x < duration:
                u, s = _carry(x, u0, s0, high, b, g)
            else:
                u, s = _carry(x - duration, u1, s1, low, b, g)
            u_out[i, j], s_out[i, j] = scaling * u, s


@jit(CONTRACT)
def _advance(x: float, u0: float, s0: float, alpha: float, level: int, b: float, g: float, slopes: Any) -> Any:
    """Abundances after x, and their derivatives in place of those at the beginning, ``(2, 7)``."""
    u, s, ep, eq, s_u0, u_a, s_a, u_b, s_b, s_g = _carry_with_derivatives(x, u0, s0, alpha, b, g)
    for a in range(N_CURVE):
        slopes[1, a] = eq * slopes[1, a] + s_u0 * slopes[0, a]
        slopes[0, a] *= ep
    slopes[0, 0] += b * u_b
    slopes[1, 0] += b * s_b
    slopes[0, 1] += alpha * u_a
    slopes[1, 1] += g * s_g + alpha * s_a
    slopes[0, level] += alpha * u_a
    slopes[1, level] += alpha * s_a
    return u, s


@jit(CONTRACT)
def _copy(values: Any, out: Any) -> None:
    """``out[:] = values`` of one shape, in a tenth of the time to compile: an error in words is part of that."""
    for i in range(out.shape[0]):
        for a in range(out.shape[1]):
            out[i, a] = values[i, a]


@jit(CONTRACT)
def _close_turn(gene: Any, ends: Any, onset: Any, end: Any) -> None:
    """Derivatives at the onset and at the end of the pulse, where u and s are ``ends``, each ``(2, 7)``."""
    b, g, _, low, high, _, duration = gene
    u0, s0, u1, s1, turn = ends
    onset[:] = 0.0
    u, s = _advance(duration, u0, s0, high, _HIGH, b, g, onset)
    onset[0, 6] += duration * (high - b * u)
    onset[1, 6] += duration * (b * u - g * s)
    u, s = _advance(1.0 - duration, u, s, low, _LOW, b, g, onset)
    onset[0, 6] -= duration * (low - b * u)
    onset[1, 6] -= duration * (b * u - g * s)
    for a in range(N_CURVE):
        onset[0, a] /= -np.expm1(-b)
        onset[1, a] = (onset[1, a] + turn * onset[0, a]) / -np.expm1(-g)
    _copy(onset, end)
    _advance(duration, u0, s0, high, _HIGH, b, g, end)
    end[0, 6] += duration * (high - b * u1)
    end[1, 6] += duration * (b * u1 - g * s1)


@jit(CONTRACT)
def _state_derivatives(x: float, gene: Any, ends: Any, onset: Any, end: Any, slopes: Any) -> Any:
    """Means at a time x after the onset and their derivatives ``(2, 7)``, without the scaling."""
    b, g, _, low, high, _, duration = gene
    u0, s0, u1, s1, _ = ends
    if x < duration:
        _copy(onset, slopes)
        u, s = _advance(x, u0, s0, high, _HIGH, b, g, slopes)
        alpha = high
    else:
        _copy(end, slopes)
        u, s = _advance(x - duration, u1, s1, low, _LOW, b, g, slopes)
        alpha = low
        slopes[0, 6] -= duration * (low - b * u)
        slopes[1, 6] -= duration * (b * u - g * s)
    slopes[0, 2], slopes[1, 2] = b * u - alpha, g * s - b * u
    slopes[0, 5], slopes[1, 5] = u, 0.0
    return u, s


@jit(CONTRACT)
def _fill_information(theta: Any, times: Any, u_in: Any, s_in: Any, gradient: Any, fisher: Any) -> None:
    """Add ``sum_j (Y - n mu)/V dmu`` and ``sum_j n/V dmu dmu^T`` of both layers to each gene's sums."""
    u_value, u_size, u_mean_size, u_variance, u_background = u_in
    s_value, s_size, s_mean_size, s_variance, s_background = s_in
    onset, end, d = np.empty((2, N_CURVE)), np.empty((2, N_CURVE)), np.empty((2, N_CURVE))
    for i in range(theta.shape[0]):
        u_c, s_c = u_variance[:, i], s_variance[:, i]
        u_n, s_n = u_size[min(i, u_size.shape[0] - 1)], s_size[min(i, s_size.shape[0] - 1)]
        gene = _natural(theta[i])
        b, g, t_on, low, high, scaling, duration = gene
        smooth, response = theta[i, 6] > LONGEST, _response(b, g)
        ends = _onset(b, g, low, high, duration)
        if not smooth:
            _close_turn(gene, ends, onset, end)
        for j in range(times.shape[0]):
            if u_n[j] == 0.0 and s_n[j] == 0.0:
                continue
            x = times[j] - t_on
            if smooth:
                u, s = _smooth_derivatives(x, low, high, b, g, response, d)
            else:
                u, s = _state_derivatives(x - np.floor(x), gene, ends, onset, end, d)
            u = scaling * u + u_background[i]
            s += s_background[i]
            u_v = max(u_c[0] + u * (u_c[1] + u_c[2] * u_mean_size[j] * u), LEAST_VARIANCE)
            s_v = max(s_c[0] + s * (s_c[1] + s_c[2] * s_mean_size[j] * s), LEAST_VARIANCE)
            u_w, s_w = scaling * scaling * u_n[j] / u_v, s_n[j] / s_v
            u_r = scaling * (u_value[i, j] - u_n[j] * u) / u_v
            s_r = (s_value[i, j] - s_n[j] * s) / s_v
            for a in range(N_CURVE):
                gradient[i, a] += d[0, a] * u_r + d[1, a] * s_r
                wu, ws = d[0, a] * u_w, d[1, a] * s_w
                for c in range(N_CURVE):
                    fisher[i, a, c] += wu * d[0, c] + ws * d[1, c]


def periodic_means(theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of both layers; see :class:`velotime.compute.Backend`."""
    theta = np.ascontiguousarray(theta)
    u, s = (np.empty((len(theta), len(times))) for _ in range(2))

    def one(at: slice) -> None:
        _fill_means(theta[at], times, u[at], s[at])

    over_slices(len(theta), GENES, one)
    return u, s


def periodic_information(
    theta: FloatArray, times: FloatArray, unspliced: CurveTargets, spliced: CurveTargets
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Fisher information; see :class:`velotime.compute.Backend`."""
    theta, n_genes = np.ascontiguousarray(theta), len(theta)
    gradient, fisher = np.zeros((n_genes, N_CURVE)), np.zeros((n_genes, N_CURVE, N_CURVE))

    def one(at: slice) -> None:
        u, s = unspliced.genes(at), spliced.genes(at)
        _fill_information(theta[at], times, u, s, gradient[at], fisher[at])

    over_slices(n_genes, GENES, one)
    return gradient, fisher
