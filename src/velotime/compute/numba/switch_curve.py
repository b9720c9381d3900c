"""The switch model on a time grid, compiled: means, and the normal equations of the M-step, gene by gene.

Compiled versions of ``kinetics.switch_means`` and ``kinetics.switch_jacobian`` (see there for the mathematics, and
``kinetics.divided_differences`` for the divided differences); the tests compare the two. Written out for one gene at
a time, most of the work is saved: before its onset a gene is in steady state, and the end of its pulse is computed
once for all later times. Derivatives are added to the sums over states at once, so none is stored.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.backend import LEAST_VARIANCE, CurveTargets
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.threads import over_slices

SPREAD = 0.1  # of the arguments, below which a divided difference is taken from its series
TERMS = 8  # of the series
GENES = 512  # genes per task at most
N_CURVE = 8  # parameters of one lineage's curve, in the order of ``SwitchParameter``
_INVERSE_FACTORIAL = np.array([1.0 / factorial(k) for k in range(TERMS + 4)])


@jit(CONTRACT)
def _from_zero(p: float, ep: float) -> Any:
    """``exp[0, p]``, given e^p."""
    if p == 0.0:
        return 1.0
    return np.expm1(p) / p if p > -0.5 else (ep - 1.0) / p


@jit(CONTRACT)
def _pair(p: float, q: float, ep: float, eq: float) -> Any:
    """``exp[p, q]``."""
    gap = abs(p - q)
    if gap > 0.5:
        return (ep - eq) / (p - q)
    return max(ep, eq) * (1.0 if gap == 0.0 else np.expm1(-gap) / -gap)


@jit(CONTRACT)
def _series3(first: float, e_first: float, y: float, z: float) -> Any:
    """``exp[first, y, z]`` for arguments close together."""
    b, c = y - first, z - first
    mean = (b + c) / 3.0
    a, b, c = -mean, b - mean, c - mean
    e2, e3 = a * b + (a + b) * c, a * b * c
    h0, h1, h2 = 1.0, 0.0, -e2
    total = _INVERSE_FACTORIAL[2] + h2 * _INVERSE_FACTORIAL[4]
    for k in range(3, TERMS):
        h0, h1, h2 = h1, h2, e3 * h0 - e2 * h1
        total += h2 * _INVERSE_FACTORIAL[k + 2]
    return e_first * np.exp(mean) * total


@jit(CONTRACT)
def _series4(first: float, e_first: float, x: float, y: float, z: float) -> Any:
    """``exp[first, x, y, z]`` for arguments close together."""
    b, c, d = x - first, y - first, z - first
    mean = (b + c + d) / 4.0
    a, b, c, d = -mean, b - mean, c - mean, d - mean
    ab, cd = a * b, c * d
    e2, e3, e4 = ab + cd + (a + b) * (c + d), ab * (c + d) + cd * (a + b), ab * cd
    h0, h1, h2, h3 = 0.0, 1.0, 0.0, -e2  # h of -1 is zero
    total = _INVERSE_FACTORIAL[3] + h3 * _INVERSE_FACTORIAL[5]
    for k in range(3, TERMS):
        h0, h1, h2, h3 = h1, h2, h3, e3 * h1 - e2 * h2 - e4 * h0
        total += h3 * _INVERSE_FACTORIAL[k + 3]
    return e_first * np.exp(mean) * total


@jit(CONTRACT)
def _differences(p: float, q: float) -> Any:
    """e^p, e^q and ``exp[0, p]``, ``exp[0, q]``, ``exp[p, q]``, ``exp[0, p, q]``, for p, q <= 0."""
    ep, eq = np.exp(p), np.exp(q)
    op, oq, pq = _from_zero(p, ep), _from_zero(q, eq), _pair(p, q, ep, eq)
    lowest = min(p, q)
    opq = _series3(0.0, 1.0, p, q) if lowest > -SPREAD else (pq - max(op, oq)) / lowest
    return ep, eq, op, oq, pq, opq


@jit(CONTRACT)
def _carry(x: float, u0: float, s0: float, alpha: float, b: float, g: float) -> Any:
    """Abundances after x."""
    ep, eq, op, _, pq, opq = _differences(-b * x, -g * x)
    made = alpha * x
    return u0 * ep + made * op, s0 * eq + b * x * (u0 * pq + made * opq)


@jit(CONTRACT)
def _carry_with_derivatives(x: float, u0: float, s0: float, alpha: float, b: float, g: float) -> Any:
    """The same, and what ``kinetics.splicing._Step`` holds, in its order."""
    p, q = -b * x, -g * x
    ep, eq, op, oq, pq, opq = _differences(p, q)
    gap, lowest = q - p, min(p, q)
    opp = _series3(0.0, 1.0, p, p) if p > -SPREAD else (ep - op) / p
    oqq = _series3(0.0, 1.0, q, q) if q > -SPREAD else (eq - oq) / q
    if abs(gap) < SPREAD:
        ppq, pqq = _series3(p, ep, p, q), _series3(p, ep, q, q)
    else:
        ppq, pqq = (pq - ep) / gap, (eq - pq) / gap
    if lowest > -SPREAD:
        oppq, opqq = _series4(0.0, 1.0, p, p, q), _series4(0.0, 1.0, p, q, q)
    elif gap < 0:
        oppq, opqq = (ppq - opp) / lowest, (pqq - opq) / lowest
    else:
        oppq, opqq = (ppq - opq) / lowest, (pqq - oqq) / lowest
    bx, made = b * x, alpha * x
    x_u0, xx_alpha = x * u0, alpha * (x * x)
    u, s = u0 * ep + made * op, s0 * eq + bx * (u0 * pq + made * opq)
    du_db = -x_u0 * ep - xx_alpha * opp
    ds_db = x_u0 * (pq - bx * ppq) + xx_alpha * (opq - bx * oppq)
    ds_dg = -x * (s0 * eq) - bx * (x_u0 * pqq + xx_alpha * opqq)
    return u, s, ep, eq, bx * pq, x * op, bx * (x * opq), du_db, ds_db, ds_dg


@jit(CONTRACT)
def _natural(theta: Any, columns: Any) -> Any:
    """beta, gamma, t_on, the three alphas, scaling and duration of one lineage."""
    b, g = np.exp(theta[columns[0]]), np.exp(theta[columns[1]])
    levels = np.exp(theta[columns[3]]), np.exp(theta[columns[4]]), np.exp(theta[columns[7]])
    alphas = levels[0] * g, levels[1] * g, levels[2] * g
    return b, g, theta[columns[2]], alphas, np.exp(theta[columns[5]]), np.exp(theta[columns[6]])


@jit(CONTRACT)
def _fill_means(theta: Any, times: Any, columns: Any, u_out: Any, s_out: Any) -> None:
    """Means of both layers of each gene, lineage by lineage."""
    n = times.shape[0]
    for i in range(theta.shape[0]):
        for k in range(columns.shape[0]):
            b, g, t_on, alphas, scaling, duration = _natural(theta[i], columns[k])
            u0, s0 = alphas[0] / b, alphas[0] / g
            u1, s1 = _carry(duration, u0, s0, alphas[1], b, g)
            for j in range(n):
                x = times[j] - t_on
                u, s = u0, s0
                if x > duration:
                    u, s = _carry(x - duration, u1, s1, alphas[2], b, g)
                elif x > 0:
                    u, s = _carry(x, u0, s0, alphas[1], b, g)
                u_out[i, k * n + j], s_out[i, k * n + j] = scaling * u, s


@jit(CONTRACT)
def _after_pulse(x: float, start: Any, alpha: float, b: float, g: float, du: Any, ds: Any) -> Any:
    """Derivatives by log beta, log gamma, both first levels, after a pulse of x; u and s there."""
    u0, s0 = start
    u, s, ep, eq, s_u0, u_a, s_a, u_b, s_b, s_g = _carry_with_derivatives(x, u0, s0, alpha, b, g)
    du[3], ds[3] = ep * u0, eq * s0 + s_u0 * u0
    du[4], ds[4] = alpha * u_a, alpha * s_a
    du[0], ds[0] = b * u_b - du[3], b * s_b - s_u0 * u0
    du[1], ds[1] = du[3] + du[4], g * s_g + s_u0 * u0 + ds[4]
    return u, s


@jit(CONTRACT)
def _state_derivatives(x: float, gene: Any, start: Any, end: Any, early: Any, du: Any, ds: Any) -> Any:
    """Means at a time x after the onset and their derivatives by the eight parameters, without the scaling.

    ``early`` holds the derivatives at the end of the pulse, where u and s are ``end``.
    """
    b, g, _, alphas, _, duration = gene
    du[:] = 0.0
    ds[:] = 0.0
    if x <= 0:
        u, s = start
        du[0], du[1], du[3], ds[3] = -u, u, u, s
    elif x <= duration:
        u, s = _after_pulse(x, start, alphas[1], b, g, du, ds)
        du[2], ds[2] = b * u - alphas[1], g * s - b * u
    else:
        u1, s1 = end
        u, s, ep, eq, s_u0, u_a, s_a, u_b, s_b, s_g = _carry_with_derivatives(x - duration, u1, s1, alphas[2], b, g)
        early_u, early_s = early
        for a in (0, 1, 3, 4):
            du[a], ds[a] = ep * early_u[a], eq * early_s[a] + s_u0 * early_u[a]
        du[7], ds[7] = alphas[2] * u_a, alphas[2] * s_a
        du[0] += b * u_b
        ds[0] += b * s_b
        du[1] += du[7]
        ds[1] += g * s_g + ds[7]
        du[2], ds[2] = b * u - alphas[2], g * s - b * u
        u_x, s_x = alphas[1] - b * u1, b * u1 - g * s1
        du[6] = duration * (ep * u_x + du[2])
        ds[6] = duration * (eq * s_x + s_u0 * u_x + ds[2])
    du[5] = u
    return u, s


@jit(CONTRACT)
def _fill_information(theta: Any, times: Any, columns: Any, u_in: Any, s_in: Any, gradient: Any, fisher: Any) -> None:
    """Add ``sum_j (Y - n mu)/V dmu`` and ``sum_j n/V dmu dmu^T`` of both layers to each gene's sums."""
    u_value, u_size, u_mean_size, u_variance, u_background = u_in
    s_value, s_size, s_mean_size, s_variance, s_background = s_in
    n = times.shape[0]
    du, ds = np.empty(N_CURVE), np.empty(N_CURVE)
    early = np.zeros(N_CURVE), np.zeros(N_CURVE)
    slope, square = np.empty(N_CURVE), np.empty((N_CURVE, N_CURVE))
    for i in range(theta.shape[0]):
        u_c, s_c = u_variance[:, i], s_variance[:, i]
        for k in range(columns.shape[0]):
            gene = _natural(theta[i], columns[k])
            b, g, t_on, alphas, scaling, duration = gene
            start = alphas[0] / b, alphas[0] / g
            end = _after_pulse(duration, start, alphas[1], b, g, early[0], early[1])
            slope[:] = 0.0
            square[:] = 0.0
            for j in range(n):
                at = k * n + j
                if u_size[at] == 0.0 and s_size[at] == 0.0:
                    continue
                u, s = _state_derivatives(times[j] - t_on, gene, start, end, early, du, ds)
                u = scaling * u + u_background[i]
                s += s_background[i]
                u_v = max(u_c[0] + u * (u_c[1] + u_c[2] * u_mean_size[at] * u), LEAST_VARIANCE)
                s_v = max(s_c[0] + s * (s_c[1] + s_c[2] * s_mean_size[at] * s), LEAST_VARIANCE)
                u_w, s_w = scaling * scaling * u_size[at] / u_v, s_size[at] / s_v
                u_r = scaling * (u_value[i, at] - u_size[at] * u) / u_v
                s_r = (s_value[i, at] - s_size[at] * s) / s_v
                for a in range(N_CURVE):
                    slope[a] += du[a] * u_r + ds[a] * s_r
                    wu, ws = du[a] * u_w, ds[a] * s_w
                    for c in range(N_CURVE):
                        square[a, c] += wu * du[c] + ws * ds[c]
            for a in range(N_CURVE):
                gradient[i, columns[k, a]] += slope[a]
                for c in range(N_CURVE):
                    fisher[i, columns[k, a], columns[k, c]] += square[a, c]


def curve_means(theta: FloatArray, times: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Means of both layers; see :class:`velotime.compute.Backend`."""
    u, s = (np.empty((len(theta), len(columns) * len(times))) for _ in range(2))

    def one(at: slice) -> None:
        _fill_means(theta[at], times, columns, u[at], s[at])

    over_slices(len(theta), GENES, one)
    return u, s


def curve_information(
    theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Fisher information; see :class:`velotime.compute.Backend`."""
    n_genes, n_parameters = theta.shape
    gradient, fisher = np.zeros((n_genes, n_parameters)), np.zeros((n_genes, n_parameters, n_parameters))

    def one(at: slice) -> None:
        u, s = unspliced.genes(at), spliced.genes(at)
        _fill_information(theta[at], times, columns, u, s, gradient[at], fisher[at])

    over_slices(n_genes, GENES, one)
    return gradient, fisher
