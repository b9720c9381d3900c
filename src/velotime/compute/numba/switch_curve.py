"""The switch model on a time grid, compiled: means, gene by gene, and the steps that they are made of.

The compiled version of ``kinetics.switch_means`` (see there for the mathematics, and ``kinetics.divided_differences``
for the divided differences); the tests compare the two. Written out for one gene at a time, most of the work is saved:
before its onset a gene is in steady state, and the end of its pulse is computed once for all later times.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.threads import over_slices

SPREAD = 0.1  # of the arguments, below which a divided difference is taken from its series
TERMS = 8  # of the series
GENES = 512  # genes per task at most
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


def curve_means(theta: FloatArray, times: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Means of both layers; see :class:`velotime.compute.Backend`."""
    theta, times = np.ascontiguousarray(theta), np.ascontiguousarray(times)
    u, s = (np.empty((len(theta), len(columns) * len(times))) for _ in range(2))

    def one(at: slice) -> None:
        _fill_means(theta[at], times, columns, u[at], s[at])

    over_slices(len(theta), GENES, one)
    return u, s
