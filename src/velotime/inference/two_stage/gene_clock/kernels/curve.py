r"""One gene's curve with a clock of its own.

**The curve.** In units of 1/beta, with r = gamma/beta and the steady state as unit of both layers, a gene switched on
at x = 0 is at

    u(x) = 1 - e^(-x)                        s(x) = 1 - e^(-rx) - r x D(x)
    D(x) = exp[-x, -rx] = (e^(-x) - e^(-rx)) / ((r - 1) x)

and, switched off at x_, a time y later at ``u = u(x_) e^(-y)``, ``s = s(x_) e^(-ry) + r u(x_) y D(y)``. So four numbers
make the curve: both amplitudes, r and x_. The derivative by r that is needed is ``D_r = (e^(-rx) - D)/(r - 1)``; where
(r - 1) x is small, both come from their series. (Bergen et al. 2020, eq. 2 to 5, in other units.)

**Nodes.** A branch is cut at fixed fractions f of what decays with the mean lifetime m = 1 + 1/r of a molecule:
``x_k = -m log(1 - f_k (1 - e^(-x_/m)))`` when on and ``y_k = -m log(1 - f_k)`` when off. The first node and the
last but one are the off state; the last, (1, 1), is the steady state when on.

Compiled versions of ``kinetics`` for loops over single cells; the tests compare the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime.compute.jit import REASSOC, jit

N_BRANCH = 32  # nodes per branch
N_NODES = 2 * N_BRANCH + 1
N_PARAMETERS = 6  # log amplitudes of u and s, log r, log x_, log sigma, log ratio of the two sigmas
CLOSE = 1e-3  # |(r - 1) x| below which the series is used
FRACTIONS = np.linspace(0.0, 1.0, N_BRANCH)


@jit(REASSOC)
def _difference(x: float, r: float, ex: float, er: float) -> Any:
    """D and dD/dr."""
    d = (r - 1.0) * x
    if abs(d) < CLOSE:
        return ex * (1.0 - d * (0.5 - d / 6.0)), -ex * x * (0.5 - d * (1.0 / 3.0 - d / 8.0))
    value = (ex - er) / d
    return value, (er - value) / (r - 1.0)


@jit(REASSOC)
def on_state(x: float, r: float) -> Any:
    """u, s and ds/dlog r, switched on a time x ago."""
    ex, er = np.exp(-x), np.exp(-r * x)
    d, d_r = _difference(x, r, ex, er)
    return 1.0 - ex, 1.0 - er - r * x * d, r * x * (er - d - r * d_r)


@jit(REASSOC)
def off_state(y: float, r: float, u0: float, s0: float, s0_r: float) -> Any:
    """u, s and ds/dlog r, switched off a time y ago."""
    ey, er = np.exp(-y), np.exp(-r * y)
    d, d_r = _difference(y, r, ey, er)
    return u0 * ey, s0 * er + r * u0 * y * d, s0_r * er - r * y * s0 * er + r * u0 * y * (d + r * d_r)


@jit(REASSOC)
def fill_nodes(r: float, x_: float, curve: Any, time: Any) -> None:
    """Fill ``curve`` (nodes, 6): u, s and their derivatives by log r and log x_, and ``time`` (nodes,)."""
    n = N_BRANCH
    m = 1.0 + 1.0 / r
    whole = -np.expm1(-x_ / m)
    u0, s0, s0_r = on_state(x_, r)
    u0_x, s0_x = x_ * (1.0 - u0), x_ * r * (u0 - s0)
    for k in range(n):
        f = FRACTIONS[k]
        left = 1.0 - f * whole
        x = -m * np.log(left)
        x_x = f * (1.0 - whole) / left * x_
        x_r = (-x + x_x) / (r * m)
        u, s, s_r = on_state(x, r)
        du, ds = 1.0 - u, r * (u - s)
        time[k] = x
        curve[k, 0], curve[k, 1] = u, s
        curve[k, 2], curve[k, 3] = du * x_r, s_r + ds * x_r
        curve[k, 4], curve[k, 5] = du * x_x, ds * x_x
        # f = 1 would be infinitely late; the last node of this branch is the off state itself, as is f = 0 of the other
        y = -m * np.log(1.0 - f) if f < 1.0 else 60.0 * m
        u, s, s_r = off_state(y, r, u0, s0, s0_r)
        eu, es = np.exp(-y), np.exp(-r * y)
        d, _ = _difference(y, r, eu, es)
        y_r = -y / (r * m)
        j = n + k
        time[j] = y
        curve[j, 0], curve[j, 1] = u, s
        curve[j, 2], curve[j, 3] = -u * y_r, s_r + r * (u - s) * y_r
        curve[j, 4], curve[j, 5] = u0_x * eu, s0_x * es + r * u0_x * y * d
    j = 2 * n
    time[j] = x_
    curve[j, 0], curve[j, 1] = 1.0, 1.0
    curve[j, 2:] = 0.0


@jit(REASSOC)
def scale(theta: Any, spread: Any) -> Any:
    """Amplitudes over noise sd of both layers, and the two sds."""
    sigma_u = spread[0] * np.exp(theta[4] + 0.5 * theta[5])
    sigma_s = spread[1] * np.exp(theta[4] - 0.5 * theta[5])
    return np.exp(theta[0]) / sigma_u, np.exp(theta[1]) / sigma_s, sigma_u, sigma_s
