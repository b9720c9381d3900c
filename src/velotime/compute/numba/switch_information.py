r"""The normal equations of the switch model, compiled: sums over states of a few functions of time, gene by gene.

Between two switches, x after the first of them, with b and g the rates, U and S the steady states and u0, s0 the
abundances at x = 0, and with ``h(x) = (exp(-b x) - exp(-g x)) / (g - b)``,

    u = U + (u0 - U) exp(-b x)
    s = S + (s0 - S) exp(-g x) + b (u0 - U) h.

So the derivatives by all parameters are combinations, the same for all states of the piece, of the functions
``1, exp(-b x), x exp(-b x)`` for u, and ``1, exp(-g x), x exp(-g x), h, dh/db, dh/dg`` for s, none of which is singular
where b = g. With J the coefficients, ``(functions, parameters)``, and f the functions, the sums that a step needs are

    sum_j r_j dmu_j = J^T sum_j r_j f_j,        sum_j w_j dmu_j dmu_j^T = J^T (sum_j w_j f_j f_j^T) J:

a sum over states of 6 x 6 numbers at most, and one product per piece, in place of a derivative for every state.
The tests compare this with ``kinetics.switch_jacobian``.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.backend import LEAST_VARIANCE, CurveTargets
from velotime.compute.jit import CONTRACT, REASSOC, jit
from velotime.compute.numba.exponentials import room_for_exps, take_exps
from velotime.compute.threads import over_slices

GENES = 512  # genes per task at most
N_CURVE = 8  # parameters of one lineage's curve, in the order of ``SwitchParameter``
CLOSE = 0.5  # of (g - b) x at the largest x, up to which h is taken from its series
TERMS = 13  # of the series
_INVERSE_FACTORIAL = np.array([1.0 / factorial(k) for k in range(TERMS + 2)])
_LEVELS = (3, 4, 7)  # columns of the levels of the pieces
_U, _S = 3, 6  # functions of either layer
_EB, _EG, _ONE, _XEB, _XEG, _H, _HB, _HG = range(8)  # where each of them stands


@jit(CONTRACT)
def _fill_functions(longest: float, b: float, g: float, x: Any, f: Any, room: Any) -> None:
    """The functions of both layers at all x, to the rows of ``f``; ``room`` is for the first two, the exponentials."""
    n, gap = x.shape[0], g - b
    exponents = room[0]
    for j in range(n):
        exponents[j], exponents[n + j] = -b * x[j], -g * x[j]
    take_exps(room)
    for j in range(n):
        f[_XEB, j], f[_XEG, j] = x[j] * f[_EB, j], x[j] * f[_EG, j]
    if abs(gap) * longest > CLOSE:
        inverse = 1.0 / gap
        for j in range(n):
            h = (f[_EB, j] - f[_EG, j]) * inverse
            f[_H, j], f[_HB, j], f[_HG, j] = h, (h - f[_XEB, j]) * inverse, (f[_XEG, j] - h) * inverse
    else:  # h = x exp(-b x) int exp(-d w) dw, w from 0 to 1; its derivatives have w and 1 - w under the integral
        for j in range(n):
            d, first = gap * x[j], f[_XEB, j]
            h, by_b, by_g = 0.0, 0.0, 0.0
            for k in range(TERMS - 1, -1, -1):
                h = _INVERSE_FACTORIAL[k + 1] - d * h
                by_b = _INVERSE_FACTORIAL[k + 2] - d * by_b
                by_g = (k + 1) * _INVERSE_FACTORIAL[k + 2] - d * by_g
            f[_H, j], f[_HB, j], f[_HG, j] = first * h, -x[j] * first * by_b, -x[j] * first * by_g


@jit(CONTRACT)
def _piece(p: int, b: float, g: float, work: Any, J: Any, curve: Any) -> None:
    """The coefficients J of a piece, and ``u0 - U`` and the like, of which u and s are made.

    Of transcription and of both abundances at the beginning the first entry is the value, the others are derivatives by
    the parameters; ``onset`` has those of the time at which the piece begins.
    """
    start, alpha, onset = work
    to_u, to_s = 1.0 / b, 1.0 / g
    U, S = alpha[0] * to_u, alpha[0] * to_s
    c, e = start[0, 0] - U, start[1, 0] - S
    k = b * c
    curve[p, 0], curve[p, 1], curve[p, 2], curve[p, 3], curve[p, 4] = U, c, S, e, k
    for a in range(N_CURVE):
        dU, dS = alpha[a + 1] * to_u, alpha[a + 1] * to_s
        dU -= U if a == 0 else 0.0
        dS -= S if a == 1 else 0.0
        dc, de, later = start[0, a + 1] - dU, start[1, a + 1] - dS, onset[a]
        J[0, p, 0, a], J[0, p, 1, a], J[0, p, 2, a] = dU, dc + k * later, 0.0
        J[1, p, 0, a], J[1, p, 1, a], J[1, p, 2, a] = dS, de + (g * e - k) * later, 0.0
        J[1, p, 3, a], J[1, p, 4, a], J[1, p, 5, a] = b * (dc + k * later), 0.0, 0.0
    J[0, p, 2, 0] = -k  # what b and g change within the functions
    J[1, p, 3, 0] += k
    J[1, p, 2, 1], J[1, p, 4, 0], J[1, p, 5, 1] = -g * e, k * b, k * g


@jit(CONTRACT)
def _end_of_pulse(duration: float, J: Any, curve: Any, f: Any, start: Any) -> None:
    """Abundances at the end of the pulse and their derivatives, in place of those at its beginning.

    The last column of ``f`` has the functions there.
    """
    m = f.shape[1] - 1
    eb, xeb, eg, xeg, h, hb, hg = f[_EB, m], f[_XEB, m], f[_EG, m], f[_XEG, m], f[_H, m], f[_HB, m], f[_HG, m]
    start[0, 0], start[1, 0] = curve[1, 0] + curve[1, 1] * eb, curve[1, 2] + curve[1, 3] * eg + curve[1, 4] * h
    for a in range(N_CURVE):
        start[0, a + 1] = J[0, 1, 0, a] + J[0, 1, 1, a] * eb + J[0, 1, 2, a] * xeb
        s = J[1, 1, 0, a] + J[1, 1, 1, a] * eg + J[1, 1, 2, a] * xeg
        start[1, a + 1] = s + J[1, 1, 3, a] * h + J[1, 1, 4, a] * hb + J[1, 1, 5, a] * hg
    for layer in range(2):  # by the onset it is minus that by time; the onset stays, and a longer pulse ends later
        start[layer, 7], start[layer, 3] = -duration * start[layer, 3], 0.0


@jit(CONTRACT)
def _fill_pieces(rates: Any, f: Any, work: Any, J: Any, curve: Any) -> None:
    """All three pieces of a curve: before the onset, the pulse, after it."""
    b, g, duration, levels = rates
    start, alpha, onset = work
    start[:] = 0.0
    onset[:] = 0.0
    for p in range(3):
        alpha[:] = 0.0
        alpha[0] = g * levels[p]
        alpha[2], alpha[1 + _LEVELS[p]] = alpha[0], alpha[0]
        if p == 0:  # a steady state
            u0, s0 = alpha[0] / b, alpha[0] / g
            start[0, 0], start[0, 1], start[0, 2], start[0, 4] = u0, -u0, u0, u0
            start[1, 0], start[1, 4] = s0, s0
        elif p == 1:
            onset[2] = 1.0
        else:
            _end_of_pulse(duration, J, curve, f, start)
            onset[6] = duration
        _piece(p, b, g, work, J, curve)
    for p in range(3):  # the scaling multiplies u
        J[0, p, 0, 5], J[0, p, 1, 5] = curve[p, 0], curve[p, 1]


@jit(CONTRACT)
def _place(times: Any, onset: float, duration: float, x: Any, piece: Any) -> float:
    """Time since the last switch before each state, and the piece that it lies in; returns the longest such time.

    The last x is the duration.
    """
    longest, n = duration, times.shape[0]
    for j in range(n):
        since = times[j] - onset
        after = since - duration
        p = 0 if since <= 0.0 else 1 if after <= 0.0 else 2
        piece[j] = p
        x[j] = 0.0 if p == 0 else since if p == 1 else after
        longest = max(longest, x[j])
    x[n] = duration
    return longest


@jit(CONTRACT)
def _fill_means(piece: Any, curve: Any, f: Any, weights: Any) -> None:
    """Means of both layers in all states, without the scaling."""
    for j in range(piece.shape[0]):
        p = piece[j]
        weights[0, j] = curve[p, 0] + curve[p, 1] * f[_EB, j]
        weights[2, j] = curve[p, 2] + curve[p, 3] * f[_EG, j] + curve[p, 4] * f[_H, j]


@jit(CONTRACT)
def _weigh(row: int, factor: float, i: int, first: int, layer: Any, weights: Any) -> None:
    """``n/V`` and ``(Y - n mu)/V`` of all states in place of their means, times the factor as the derivative has it."""
    value, size, mean_size, terms, background = layer
    c0, c1, c2, besides, one = terms[0, i], terms[1, i], terms[2, i], background[i], min(i, size.shape[0] - 1)
    for j in range(weights.shape[1]):
        n, mu = size[one, first + j], factor * weights[row, j] + besides
        inverse = factor / max(c0 + mu * (c1 + c2 * mean_size[first + j] * mu), LEAST_VARIANCE)
        weights[row, j], weights[row + 1, j] = factor * n * inverse, (value[i, first + j] - n * mu) * inverse


@jit(REASSOC)
def _add_steady(layer: int, first: int, last: int, weights: Any, sums: Any) -> None:
    """Add the sums of states before the onset, where all functions but the first are multiplied by zeros."""
    square, linear = sums
    w, r = 0.0, 0.0
    for j in range(first, last):
        w += weights[2 * layer, j]
        r += weights[2 * layer + 1, j]
    square[0, layer, 0, 0] += w
    linear[0, layer, 0] += r


@jit(REASSOC)
def _add_three(layer: int, rows: Any, at: int, p: int, first: int, last: int, weights: Any, f: Any, sums: Any) -> None:
    """Add ``sum_j w_j f_j f_j^T`` and ``sum_j r_j f_j`` of three functions, of which the first is number ``at``."""
    square, linear = sums
    f0, f1, f2 = rows
    s00, s01, s02, s11, s12, s22, l0, l1, l2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(first, last):
        w, r, a, b, c = weights[2 * layer, j], weights[2 * layer + 1, j], f[f0, j], f[f1, j], f[f2, j]
        wa, wb, wc = w * a, w * b, w * c
        s00 += wa * a
        s01 += wa * b
        s02 += wa * c
        s11 += wb * b
        s12 += wb * c
        s22 += wc * c
        l0 += r * a
        l1 += r * b
        l2 += r * c
    square[p, layer, at, at] += s00
    square[p, layer, at, at + 1] += s01
    square[p, layer, at, at + 2] += s02
    square[p, layer, at + 1, at + 1] += s11
    square[p, layer, at + 1, at + 2] += s12
    square[p, layer, at + 2, at + 2] += s22
    linear[p, layer, at] += l0
    linear[p, layer, at + 1] += l1
    linear[p, layer, at + 2] += l2


@jit(REASSOC)
def _add_cross(p: int, first: int, last: int, weights: Any, f: Any, square: Any) -> None:
    """Add ``sum_j w_j f_j g_j^T`` of the first three functions of spliced counts with the last three."""
    s00, s01, s02, s10, s11, s12, s20, s21, s22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(first, last):
        w0, a, b, c = weights[2, j], f[_H, j], f[_HB, j], f[_HG, j]
        w1, w2 = w0 * f[_EG, j], w0 * f[_XEG, j]
        s00 += w0 * a
        s01 += w0 * b
        s02 += w0 * c
        s10 += w1 * a
        s11 += w1 * b
        s12 += w1 * c
        s20 += w2 * a
        s21 += w2 * b
        s22 += w2 * c
    square[p, 1, 0, 3] += s00
    square[p, 1, 0, 4] += s01
    square[p, 1, 0, 5] += s02
    square[p, 1, 1, 3] += s10
    square[p, 1, 1, 4] += s11
    square[p, 1, 1, 5] += s12
    square[p, 1, 2, 3] += s20
    square[p, 1, 2, 4] += s21
    square[p, 1, 2, 5] += s22


@jit(CONTRACT)
def _sum_up(piece: Any, weights: Any, f: Any, sums: Any) -> None:
    """``sum_j w_j f_j f_j^T`` and ``sum_j r_j f_j`` of either layer and each piece, run by run of its states."""
    square, linear = sums
    square[:] = 0.0
    linear[:] = 0.0
    n, first = piece.shape[0], 0
    while first < n:
        p, last = piece[first], first + 1
        while last < n and piece[last] == p:
            last += 1
        if p == 0:
            _add_steady(0, first, last, weights, sums)
            _add_steady(1, first, last, weights, sums)
        else:
            _add_three(0, (_ONE, _EB, _XEB), 0, p, first, last, weights, f, sums)
            _add_three(1, (_ONE, _EG, _XEG), 0, p, first, last, weights, f, sums)
            _add_three(1, (_H, _HB, _HG), 3, p, first, last, weights, f, sums)
            _add_cross(p, first, last, weights, f, square)
        first = last


@jit(CONTRACT)
def _add_product(layer: int, p: int, m: int, J: Any, sums: Any, slope: Any, fisher: Any) -> None:
    """Add ``J^T linear`` and ``J^T square J`` of the first m functions."""
    square, linear = sums
    for i in range(m):
        t0, t1, t2, t3, t4, t5, t6, t7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(m):
            w = square[p, layer, min(i, k), max(i, k)]
            t0 += w * J[layer, p, k, 0]
            t1 += w * J[layer, p, k, 1]
            t2 += w * J[layer, p, k, 2]
            t3 += w * J[layer, p, k, 3]
            t4 += w * J[layer, p, k, 4]
            t5 += w * J[layer, p, k, 5]
            t6 += w * J[layer, p, k, 6]
            t7 += w * J[layer, p, k, 7]
        residual = linear[p, layer, i]
        for a in range(N_CURVE):
            left = J[layer, p, i, a]
            slope[a] += left * residual
            fisher[a, 0] += left * t0
            fisher[a, 1] += left * t1
            fisher[a, 2] += left * t2
            fisher[a, 3] += left * t3
            fisher[a, 4] += left * t4
            fisher[a, 5] += left * t5
            fisher[a, 6] += left * t6
            fisher[a, 7] += left * t7


@jit(CONTRACT)
def _fill_information(onset: Any, natural: Any, grid: Any, u_in: Any, s_in: Any, room: Any, out: Any) -> None:
    """Add ``sum_j (Y - n mu)/V dmu`` and ``sum_j n/V dmu dmu^T`` of both layers to each gene's sums, ``out``."""
    gradient, fisher = out
    times, columns = grid
    n = times.shape[0]
    x, piece, f, exponents, weights, J, curve, sums, work, slope, fish = room
    for i in range(onset.shape[0]):
        for k in range(columns.shape[0]):
            own = columns[k]
            b, g, duration = natural[i, own[0]], natural[i, own[1]], natural[i, own[6]]
            levels = natural[i, own[3]], natural[i, own[4]], natural[i, own[7]]
            longest = _place(times, onset[i], duration, x, piece)
            _fill_functions(longest, b, g, x, f, exponents)
            _fill_pieces((b, g, duration, levels), f, work, J, curve)
            _fill_means(piece, curve, f, weights)
            _weigh(0, natural[i, own[5]], i, k * n, u_in, weights)
            _weigh(2, 1.0, i, k * n, s_in, weights)
            _sum_up(piece, weights, f, sums)
            slope[:] = 0.0
            fish[:] = 0.0
            for p in range(3):
                if sums[0][p, 1, 0, 0] > 0.0 or sums[0][p, 0, 0, 0] > 0.0:
                    _add_product(0, p, _U if p > 0 else 1, J, sums, slope, fish)
                    _add_product(1, p, _S if p > 0 else 1, J, sums, slope, fish)
            for a in range(N_CURVE):
                gradient[i, own[a]] += slope[a]
                for c in range(N_CURVE):
                    fisher[i, own[a], own[c]] += fish[a, c]


def _room(n: int) -> tuple[Any, ...]:
    """Arrays for one gene at a time on ``n`` times; made here, as each ``np.empty`` of a kernel has to be compiled."""
    f = np.ones((8, n + 1))
    of_times = np.empty(n + 1), np.empty(n, dtype=np.int64), f, room_for_exps(f[:2].reshape(-1)), np.empty((4, n))
    sums = np.empty((3, 2, _S, _S)), np.empty((3, 2, _S))
    work = np.empty((2, 1 + N_CURVE)), np.empty(1 + N_CURVE), np.empty(N_CURVE)
    of_pieces = np.empty((2, 3, _S, N_CURVE)), np.empty((3, 5)), sums, work
    return *of_times, *of_pieces, np.empty(N_CURVE), np.empty((N_CURVE, N_CURVE))


def curve_information(
    theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Fisher information; see :class:`velotime.compute.Backend`."""
    n_genes, n_parameters = theta.shape
    onset, natural, times = (
        np.ascontiguousarray(theta[:, 2]),
        np.ascontiguousarray(np.exp(theta)),
        np.ascontiguousarray(times),
    )
    gradient, fisher = np.zeros((n_genes, n_parameters)), np.zeros((n_genes, n_parameters, n_parameters))

    def one(at: slice) -> None:
        layers, out = (unspliced.genes(at), spliced.genes(at)), (gradient[at], fisher[at])
        _fill_information(onset[at], natural[at], (times, columns), *layers, _room(len(times)), out)

    over_slices(n_genes, GENES, one)
    return gradient, fisher
