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
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.threads import over_slices

GENES = 512  # genes per task at most
N_CURVE = 8  # parameters of one lineage's curve, in the order of ``SwitchParameter``
CLOSE = 0.1  # of (g - b) x, below which h is taken from its series
TERMS = 10  # of the series
_INVERSE_FACTORIAL = np.array([1.0 / factorial(k) for k in range(TERMS + 2)])
_U, _S = 3, 6  # functions of either layer
_FIRST = np.int64(0)  # a row; for a whole number of Python's own the function would be compiled once more


@jit(CONTRACT)
def _functions(j: int, x: float, b: float, g: float, fu: Any, fs: Any) -> None:
    """The functions of both layers at x, to row j."""
    eb, eg, gap = np.exp(-b * x), np.exp(-g * x), g - b
    d = gap * x
    if abs(d) > CLOSE:
        h = (eb - eg) / gap
        hb, hg = (h - x * eb) / gap, (x * eg - h) / gap
    else:  # h = x exp(-b x) int exp(-d w) dw, w from 0 to 1; its derivatives have w and 1 - w under the integral
        h, hb, hg = 0.0, 0.0, 0.0
        for k in range(TERMS - 1, -1, -1):
            h = _INVERSE_FACTORIAL[k + 1] - d * h
            hb = _INVERSE_FACTORIAL[k + 2] - d * hb
            hg = (k + 1) * _INVERSE_FACTORIAL[k + 2] - d * hg
        first = x * eb
        h, hb, hg = first * h, -x * first * hb, -x * first * hg
    fu[j, 0], fu[j, 1], fu[j, 2] = 1.0, eb, x * eb
    fs[j, 0], fs[j, 1], fs[j, 2], fs[j, 3], fs[j, 4], fs[j, 5] = 1.0, eg, x * eg, h, hb, hg


@jit(CONTRACT)
def _piece(b: float, g: float, start: Any, alpha: Any, onset: Any, ju: Any, js: Any, curve: Any) -> None:
    """The coefficients J of a piece, and ``u0 - U`` and the like, of which u and s are made.

    Of transcription and of both abundances at the beginning the first entry is the value, the others are derivatives by
    the parameters; ``onset`` has those of the time at which the piece begins.
    """
    to_u, to_s = 1.0 / b, 1.0 / g
    U, S = alpha[0] * to_u, alpha[0] * to_s
    c, e = start[0, 0] - U, start[1, 0] - S
    k = b * c
    curve[0], curve[1], curve[2], curve[3], curve[4] = U, c, S, e, k
    for a in range(N_CURVE):
        dU, dS = alpha[a + 1] * to_u, alpha[a + 1] * to_s
        if a == 0:
            dU -= U
        elif a == 1:
            dS -= S
        dc, de, later = start[0, a + 1] - dU, start[1, a + 1] - dS, onset[a]
        ju[0, a], ju[1, a], ju[2, a] = dU, dc + k * later, 0.0
        js[0, a], js[1, a], js[2, a], js[3, a] = dS, de + (g * e - k) * later, 0.0, b * (dc + k * later)
        js[4, a], js[5, a] = 0.0, 0.0
    ju[2, 0] = -k  # what b and g change within the functions
    js[3, 0] += k
    js[2, 1], js[4, 0], js[5, 1] = -g * e, k * b, k * g


@jit(CONTRACT)
def _end_of_pulse(duration: float, b: float, g: float, ju: Any, js: Any, curve: Any, f: Any, start: Any) -> None:
    """Abundances at the end of the pulse and their derivatives, in place of those at its beginning."""
    u, s = f[0], f[1]
    _functions(_FIRST, duration, b, g, u, s)
    start[0, 0], start[1, 0] = curve[0] + curve[1] * u[0, 1], curve[2] + curve[3] * s[0, 1] + curve[4] * s[0, 3]
    for a in range(N_CURVE):
        du, ds = 0.0, 0.0
        for m in range(_U):
            du += ju[m, a] * u[0, m]
        for m in range(_S):
            ds += js[m, a] * s[0, m]
        start[0, a + 1], start[1, a + 1] = du, ds
    for layer in range(2):  # by the onset it is minus that by time; the onset stays, and a longer pulse ends later
        start[layer, 7], start[layer, 3] = -duration * start[layer, 3], 0.0


@jit(CONTRACT)
def _pieces(theta: Any, own: Any, ju: Any, js: Any, curve: Any, pulse: Any, f: Any, work: Any) -> Any:
    """All three pieces of a curve: before the onset, the pulse, after it; splicing and degradation rate."""
    b, g, duration = np.exp(theta[own[0]]), np.exp(theta[own[1]]), np.exp(theta[own[6]])
    start, alpha, onset = work
    start[:] = 0.0
    onset[:] = 0.0
    pulse[0], pulse[1] = theta[own[2]], duration
    for piece, level in ((0, 3), (1, 4), (2, 7)):
        alpha[:] = 0.0
        alpha[0] = g * np.exp(theta[own[level]])
        alpha[2], alpha[1 + level] = alpha[0], alpha[0]
        if piece == 0:  # a steady state
            u0, s0 = alpha[0] / b, alpha[0] / g
            start[0, 0], start[0, 1], start[0, 2], start[0, 4] = u0, -u0, u0, u0
            start[1, 0], start[1, 4] = s0, s0
        elif piece == 1:
            onset[2] = 1.0
        else:
            _end_of_pulse(duration, b, g, ju[1], js[1], curve[1], f, start)
            onset[6] = duration
        _piece(b, g, start, alpha, onset, ju[piece], js[piece], curve[piece])
    for piece in range(3):  # the scaling multiplies u
        ju[piece, 0, 5], ju[piece, 1, 5] = curve[piece, 0], curve[piece, 1]
    return b, g


@jit(CONTRACT)
def _fill_states(times: Any, rates: Any, curve: Any, pulse: Any, f: Any, means: Any, piece: Any) -> None:
    """Functions and means of both layers in all states of a lineage, and the piece that each of them lies in."""
    b, g = rates
    for j in range(times.shape[0]):
        x = times[j] - pulse[0]
        p = 0 if x <= 0.0 else 1 if x <= pulse[1] else 2
        x = 0.0 if p == 0 else x if p == 1 else x - pulse[1]
        _functions(j, x, b, g, f[0], f[1])
        means[0, j] = curve[p, 0] + curve[p, 1] * f[0, j, 1]
        means[1, j] = curve[p, 2] + curve[p, 3] * f[1, j, 1] + curve[p, 4] * f[1, j, 3]
        piece[j] = p


@jit(CONTRACT)
def _weigh(mean: Any, factor: float, i: int, first: int, layer: Any, weight: Any, residual: Any) -> None:
    """``n/V`` and ``(Y - n mu)/V`` of all states, times the factor as often as the derivative has it."""
    value, size, mean_size, terms, background = layer
    c0, c1, c2, besides = terms[0, i], terms[1, i], terms[2, i], background[i]
    for j in range(mean.shape[0]):
        n, mu = size[first + j], factor * mean[j] + besides
        inverse = factor / max(c0 + mu * (c1 + c2 * mean_size[first + j] * mu), LEAST_VARIANCE)
        weight[j], residual[j] = factor * n * inverse, (value[i, first + j] - n * mu) * inverse


@jit(CONTRACT)
def _sum_up(layer: int, m: int, f: Any, weights: Any, piece: Any, sums: Any) -> None:
    """``sum_j w_j f_j f_j^T`` of the first m functions, and in the row after them ``sum_j r_j f_j``, of each piece."""
    sums[:] = 0.0
    for j in range(piece.shape[0]):
        p, weight, residual = piece[j], weights[2 * layer, j], weights[2 * layer + 1, j]
        for a in range(m if p > 0 else 1):  # in the steady state all but the first are multiplied by zeros
            factor = weight * f[layer, j, a]
            sums[p, m, a] += residual * f[layer, j, a]
            for c in range(a + 1):
                sums[p, a, c] += factor * f[layer, j, c]


@jit(CONTRACT)
def _add_product(layer: int, p: int, m: int, n: int, J: Any, sums: Any, slope: Any, fisher: Any) -> None:
    """Add ``J^T linear`` and ``J^T square J`` of the first n of the m functions that were summed up."""
    for i in range(n):
        for a in range(N_CURVE):
            left = J[layer, p, i, a]
            if left == 0.0:
                continue
            slope[a] += left * sums[p, m, i]
            for k in range(n):
                factor = left * (sums[p, i, k] if k <= i else sums[p, k, i])
                for c in range(N_CURVE):
                    fisher[a, c] += factor * J[layer, p, k, c]


@jit(CONTRACT)
def _add_lineage(f: Any, J: Any, piece: Any, weights: Any, sums: Any, slope: Any, fisher: Any) -> None:
    """Add what all states of a lineage, in any order of their times, say of its eight parameters."""
    for layer, m in ((0, _U), (1, _S)):
        _sum_up(layer, m, f, weights, piece, sums)
        for p in range(3):
            if sums[p, 0, 0] > 0.0:
                _add_product(layer, p, m, m if p > 0 else 1, J, sums, slope, fisher)


@jit(CONTRACT)
def _fill_information(theta: Any, times: Any, columns: Any, u_in: Any, s_in: Any, room: Any, out: Any) -> None:
    """Add ``sum_j (Y - n mu)/V dmu`` and ``sum_j n/V dmu dmu^T`` of both layers to each gene's sums, ``out``."""
    gradient, fisher = out
    n = times.shape[0]
    f, means, weights, piece, J, curve, pulse, sums, work, slope, square = room
    for i in range(theta.shape[0]):
        for k in range(columns.shape[0]):
            own = columns[k]
            rates = _pieces(theta[i], own, J[0], J[1], curve, pulse, f, work)
            _fill_states(times, rates, curve, pulse, f, means, piece)
            _weigh(means[0], np.exp(theta[i, own[5]]), i, k * n, u_in, weights[0], weights[1])
            _weigh(means[1], 1.0, i, k * n, s_in, weights[2], weights[3])
            slope[:] = 0.0
            square[:] = 0.0
            _add_lineage(f, J, piece, weights, sums, slope, square)
            for a in range(N_CURVE):
                gradient[i, own[a]] += slope[a]
                for c in range(N_CURVE):
                    fisher[i, own[a], own[c]] += square[a, c]


def _room(n: int) -> tuple[Any, ...]:
    """Arrays for one gene at a time on ``n`` times; made here, as each ``np.empty`` of a kernel has to be compiled."""
    work = np.empty((2, 1 + N_CURVE)), np.empty(1 + N_CURVE), np.empty(N_CURVE)
    of_times = np.zeros((2, n, _S)), np.empty((2, n)), np.empty((4, n)), np.empty(n, dtype=np.int64)
    of_pieces = np.empty((2, 3, _S, N_CURVE)), np.empty((3, 5)), np.empty(2), np.empty((3, _S + 1, _S))
    return *of_times, *of_pieces, work, np.empty(N_CURVE), np.empty((N_CURVE, N_CURVE))


def curve_information(
    theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Fisher information; see :class:`velotime.compute.Backend`."""
    theta, times = np.ascontiguousarray(theta), np.ascontiguousarray(times)
    n_genes, n_parameters = theta.shape
    gradient, fisher = np.zeros((n_genes, n_parameters)), np.zeros((n_genes, n_parameters, n_parameters))

    def one(at: slice) -> None:
        u, s = unspliced.genes(at), spliced.genes(at)
        _fill_information(theta[at], times, columns, u, s, _room(len(times)), (gradient[at], fisher[at]))

    over_slices(n_genes, GENES, one)
    return gradient, fisher
