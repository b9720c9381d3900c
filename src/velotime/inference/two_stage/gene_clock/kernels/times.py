"""Sums over cells with one time each on a gene's curve, the explicit or that of the nearest point, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime.compute.jit import REASSOC, jit
from velotime.inference.two_stage.gene_clock.kernels.curve import N_NODES, fill_nodes, off_state, on_state, scale
from velotime.inference.two_stage.gene_clock.kernels.posterior import CELLS, fill_upper, pack

ON, OFF, STEADY_ON = 0, 1, 2  # where a cell is; the steady state when off is the far end of OFF
ACCURACY = 1e-3  # of the last step, relative; Newton's method squares it
STEPS = 30  # of Newton's method within a bracket; three or four do mostly


@jit(REASSOC)
def _nearest_on_branch(
    a: float, b: float, off: bool, r: float, end: Any, a_u: float, a_s: float, lo: float, start: float, hi: float
) -> Any:
    """Time in ``[lo, hi]`` at which a branch is nearest to ``(a, b)``, by Newton steps within a bracket.

    With residual e and tangent T half the squared distance has derivatives ``-e T`` and ``T T - e T'``.
    """
    u0, s0, s0_r = end
    x, gain, d = start, 0.0, 0.0
    for _ in range(STEPS):
        if off:
            u, s, _ = off_state(x, r, u0, s0, s0_r)
            du = -u
        else:
            u, s, _ = on_state(x, r)
            du = 1.0 - u
        ds = r * (u - s)
        e_u, e_s = a - a_u * u, b - a_s * s
        d, gain = e_u * e_u + e_s * e_s, 0.0
        t_u, t_s = a_u * du, a_s * ds
        slope = -(e_u * t_u + e_s * t_s)
        bend = t_u * t_u + t_s * t_s + e_u * t_u - e_s * a_s * r * (du - ds)
        if (slope > 0 and x <= lo) or (slope <= 0 and x >= hi):
            break  # an end of the branch
        if slope > 0:
            hi = x
        else:
            lo = x
        new = x - slope / bend if bend > 0 else np.inf
        if lo < new < hi:
            gain = slope * slope / bend  # of a parabola, which the squared distance is so close to its least
        else:
            new = 0.5 * (lo + hi)
        close = abs(new - x) < ACCURACY * (1.0 + x)
        x = new
        if close:
            break
    return x, d - gain


@jit(REASSOC)
def _segment(curve: Any, first: int, last: int, a_u: float, a_s: float) -> Any:
    """Longest step between neighbouring nodes of a branch."""
    longest = 0.0
    for k in range(first, last - 1):
        u, s = a_u * (curve[k + 1, 0] - curve[k, 0]), a_s * (curve[k + 1, 1] - curve[k, 1])
        longest = max(longest, u * u + s * s)
    return np.sqrt(longest)


@jit(REASSOC)
def _nearest_nodes(
    a: Any, b: Any, curve: Any, first: int, last: int, a_u: float, a_s: float, best: Any, at: Any
) -> None:
    """Squared distance to, and index of, the nearest of some nodes for a run of cells."""
    best[:] = np.inf
    for k in range(first, last):
        u, s = np.float32(a_u * curve[k, 0]), np.float32(a_s * curve[k, 1])
        for i in range(a.shape[0]):
            d = (a[i] - u) * (a[i] - u) + (b[i] - s) * (b[i] - s)
            closer = d < best[i]
            best[i] = d if closer else best[i]
            at[i] = np.int32(k) if closer else at[i]


@jit(REASSOC)
def _project(
    a: Any, b: Any, r: float, x_: float, a_u: float, a_s: float, curve: Any, time: Any, where: Any, tau: Any, work: Any
) -> None:
    """Nearest point of the whole curve to each of a run of cells: branch and time since its switch.

    The nearest node of either branch is refined; the farther one only if its segments could come closer.
    """
    best_on, best_off, at_on, at_off = work
    n = (curve.shape[0] - 1) // 2
    end = on_state(x_, r)
    _nearest_nodes(a, b, curve, 0, n, a_u, a_s, best_on, at_on)
    _nearest_nodes(a, b, curve, n, 2 * n, a_u, a_s, best_off, at_off)
    reach_on, reach_off = _segment(curve, 0, n, a_u, a_s), _segment(curve, n, 2 * n, a_u, a_s)
    for i in range(a.shape[0]):
        k, j = at_on[i], at_off[i]
        ahead_on = best_on[i] <= best_off[i]
        found = np.inf
        for turn in range(2):
            if (turn == 0) == ahead_on:
                if turn == 1 and np.sqrt(best_on[i]) - reach_on > np.sqrt(found):
                    continue
                lo, hi = time[max(k - 1, 0)], time[min(k + 1, n - 1)]
                x, d = _nearest_on_branch(a[i], b[i], False, r, end, a_u, a_s, lo, time[k], hi)
                kind = ON
            else:
                if turn == 1 and np.sqrt(best_off[i]) - reach_off > np.sqrt(found):
                    continue
                lo, hi = time[max(j - 1, n)], time[min(j + 1, 2 * n - 1)]
                x, d = _nearest_on_branch(a[i], b[i], True, r, end, a_u, a_s, lo, time[j], hi)
                kind = OFF
            if d < found:
                found, tau[i], where[i] = d, x, kind
        d = (a[i] - a_u) ** 2 + (b[i] - a_s) ** 2
        if d < found:
            tau[i], where[i] = x_, STEADY_ON


@jit(REASSOC)
def _decay(first: float, left: float, rate: float, longest: float) -> Any:
    """Time in which ``first`` has fallen to ``left`` at a rate; 0 before, ``longest`` past the asymptote."""
    share = left / first if first != 0 else 0.0
    if share >= 1.0:
        return 0.0
    if share <= 0.0:
        return longest
    return min(-np.log(share) / rate, longest)


@jit(REASSOC)
def _explicit_time(a: float, b: float, r: float, u0: float, s0: float, target: float, longest: float, p: Any) -> Any:
    """Time on a branch from u, or from w = (1 - 1/r) s - u where that has the smaller variance.

    u relaxes to ``target`` (1 on, 0 off) at rate 1, w to ``-target/r`` at rate r (``kinetics.inverse``, in these
    units); ``p`` are the noise sds of u and s in units of the steady state. By the delta method the variance of a time
    is that of what it is read off over the square of rate times distance to the asymptote.
    """
    from_u = _decay(u0 - target, a - target, 1.0, longest)
    k = (r - 1.0) / r
    w0, w = k * s0 - u0 + target / r, k * b - a + target / r
    from_w = _decay(w0, w, r, longest)
    steep_u = (u0 - target) * np.exp(-from_u)
    steep_w = r * w0 * np.exp(-r * from_w)
    variance_w = (k * p[1]) ** 2 + p[0] ** 2
    return from_u if p[0] ** 2 * steep_w**2 <= variance_w * steep_u**2 else from_w


@jit(REASSOC)
def _explicit(a: Any, b: Any, r: float, x_: float, a_u: float, a_s: float, where: Any, tau: Any) -> None:
    """The same by explicit times: each branch and both steady states are tried, the nearest stays."""
    end = on_state(x_, r)
    u0, s0, s0_r = end
    noise = (1.0 / a_u, 1.0 / a_s)
    longest = 60.0 * (1.0 + 1.0 / r)
    for i in range(a.shape[0]):
        u, s = a[i] / a_u, b[i] / a_s
        x = _explicit_time(u, s, r, 0.0, 0.0, 1.0, x_, noise)
        y = _explicit_time(u, s, r, u0, s0, 0.0, longest, noise)
        p_u, p_s, _ = on_state(x, r)
        tau[i], where[i] = x, ON
        best = (a[i] - a_u * p_u) ** 2 + (b[i] - a_s * p_s) ** 2
        p_u, p_s, _ = off_state(y, r, u0, s0, s0_r)
        d = (a[i] - a_u * p_u) ** 2 + (b[i] - a_s * p_s) ** 2
        if d < best:
            best, tau[i], where[i] = d, y, OFF
        d = a[i] ** 2 + b[i] ** 2
        if d < best:
            best, tau[i], where[i] = d, longest, OFF
        if (a[i] - a_u) ** 2 + (b[i] - a_s) ** 2 < best:
            tau[i], where[i] = x_, STEADY_ON


@jit(REASSOC)
def _slopes(where: int, tau: float, gene: Any, end: Any) -> Any:
    """State in units of the noise, its derivatives by the parameters at a fixed time, and by time where that moves."""
    r, x_, a_u, a_s = gene
    u0, s0, s0_r = end
    du_x, ds_x, s_r, moves = 0.0, 0.0, 0.0, False
    if where == ON:
        u, s, s_r = on_state(tau, r)
        du, ds = 1.0 - u, r * (u - s)
        moves = 0.0 < tau < x_
        if tau >= x_:
            du_x, ds_x = du * x_, ds * x_
    elif where == OFF:
        u, s, s_r = off_state(tau, r, u0, s0, s0_r)
        du, ds = -u, r * (u - s)
        moves = tau > 0
        du0, ds0 = x_ * (1.0 - u0), x_ * r * (u0 - s0)
        du_x, ds_x, _ = off_state(tau, r, du0, ds0, 0.0)
    else:
        u, s, du, ds = 1.0, 1.0, 0.0, 0.0
    slopes = ((a_u * u, 0.0), (0.0, a_s * s), (0.0, a_s * s_r), (a_u * du_x, a_s * ds_x))
    return a_u * u, a_s * s, slopes, (a_u * du, a_s * ds), moves


@jit(REASSOC)
def _add_residual(
    a: float, b: float, mass: float, where: int, tau: float, gene: Any, end: Any, sums: Any, profile: bool
) -> Any:
    """Add one cell's residual times slopes, and the slopes squared; returns its squared distance.

    With ``profile`` the time is that of least distance and moves with the parameters: then only what is normal to the
    curve counts, and what lies along it is missing (the gradient is the same, as the residual is normal anyway).
    """
    gradient, complete, missing = sums
    u, s, slopes, tangent, moves = _slopes(where, tau, gene, end)
    e_u, e_s = a - u, b - s
    length = tangent[0] * tangent[0] + tangent[1] * tangent[1]
    along = mass / length if profile and moves and length > 1e-12 else 0.0
    for p in range(4):
        p_u, p_s = slopes[p]
        gradient[p] += mass * (p_u * e_u + p_s * e_s)
        p_t = along * (p_u * tangent[0] + p_s * tangent[1])
        for o in range(p + 1):
            o_u, o_s = slopes[o]
            complete[p, o] += mass * (p_u * o_u + p_s * o_s)
            missing[p, o] += p_t * (o_u * tangent[0] + o_s * tangent[1])
    return mass * (e_u * e_u + e_s * e_s)


@jit(REASSOC)
def hard_genes(points: Any, theta: Any, spread: Any, exact: bool, out: Any, places: Any) -> None:
    """The same sums with one time per cell; places and times are kept where ``places`` has room for them.

    The density of a cell is normal with one degree of freedom: the other was spent on its time.
    """
    unspliced, spliced, mass, start = points
    value, gradient, complete, missing = out
    keep = places[0].shape[0] > 0
    curve, time = np.empty((N_NODES, 6)), np.empty(N_NODES)
    u, s = np.empty(CELLS, dtype=np.float32), np.empty(CELLS, dtype=np.float32)
    where, tau = np.empty(CELLS, dtype=np.int8), np.empty(CELLS)
    best_on, best_off = np.empty(CELLS, dtype=np.float32), np.empty(CELLS, dtype=np.float32)
    at_on, at_off = np.zeros(CELLS, dtype=np.int32), np.zeros(CELLS, dtype=np.int32)
    for g in range(theta.shape[0]):
        r, x_ = np.exp(theta[g, 2]), np.exp(theta[g, 3])
        fill_nodes(r, x_, curve, time)
        a_u, a_s, sigma_u, sigma_s = scale(theta[g], spread[g])
        gene, end = (r, x_, a_u, a_s), on_state(x_, r)
        lost = np.zeros(complete[g].shape)
        sums = gradient[g], complete[g], lost
        per_u, per_s = np.float32(1.0 / sigma_u), np.float32(1.0 / sigma_s)
        distance, cells = 0.0, 0.0
        for at in range(start[g], start[g + 1], CELLS):
            n = min(CELLS, start[g + 1] - at)
            for i in range(n):
                u[i], s[i] = unspliced[at + i] * per_u, spliced[at + i] * per_s
            if exact:
                work = (best_on[:n], best_off[:n], at_on, at_off)
                _project(u[:n], s[:n], r, x_, a_u, a_s, curve, time, where, tau, work)
            else:
                _explicit(u[:n], s[:n], r, x_, a_u, a_s, where, tau)
            for i in range(n):
                distance += _add_residual(u[i], s[i], mass[at + i], where[i], tau[i], gene, end, sums, exact)
                cells += mass[at + i]
                if keep:
                    k = at - start[g] + i
                    places[0][g, k], places[1][g, k] = where[i], tau[i]
        value[g] = -0.5 * distance - cells * 0.5 * np.log(2 * np.pi * sigma_u * sigma_s)
        gradient[g, 4] = distance - cells
        complete[g, 4, 4], complete[g, 5, 5] = 2.0 * cells, 1.0
        fill_upper(complete[g])
        pack(lost, missing[g])


@jit(REASSOC)
def states_genes(theta: Any, where: Any, tau: Any, u: Any, s: Any) -> None:
    """U and s, relative to their steady states when on, at given places of each gene's curve."""
    for g in range(where.shape[0]):
        r, x_ = np.exp(theta[g, 2]), np.exp(theta[g, 3])
        u0, s0, s0_r = on_state(x_, r)
        for i in range(where.shape[1]):
            if where[g, i] == ON:
                u[g, i], s[g, i], _ = on_state(tau[g, i], r)
            elif where[g, i] == OFF:
                u[g, i], s[g, i], _ = off_state(tau[g, i], r, u0, s0, s0_r)
            else:
                u[g, i], s[g, i] = 1.0, 1.0
