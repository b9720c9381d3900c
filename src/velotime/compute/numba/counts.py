"""Sums over states of the logarithms that log-likelihoods of counts are made of, gene by gene, compiled.

A row is done in a few passes over arrays that stay in the nearest cache, each of them simple enough for the compiler to
take several states at once. So the logarithm is written out here (Tang's reduction and the polynomials of fdlibm): that
of the C library takes one number at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, REASSOC, jit
from velotime.compute.threads import over_slices

GENES = 512  # genes per task at most
LEAST_MEAN = 1e-8  # expected counts below it are taken as it: its log is finite

_HALF_ROOT = 0x3FE6A09E667F3BCD  # bits of the square root of 1/2
_LN2, _LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_C1, _C2, _C3, _C4 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
)
_C5, _C6, _C7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01


@jit(CONTRACT)
def _take_logs(x: Any, power: Any, mantissa: Any, out: Any) -> None:
    """``log x`` of positive numbers, by powers of two and what is left of them, which two arrays are given for."""
    bits, rest = x.view(np.int64), mantissa.view(np.int64)
    for j in range(x.shape[0]):
        k = (bits[j] - _HALF_ROOT) >> 52
        rest[j] = bits[j] - (k << 52)
        power[j] = k
    for j in range(x.shape[0]):
        f = mantissa[j] - 1.0
        s = f / (2.0 + f)
        z = s * s
        r = z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * (_C6 + z * _C7))))))
        half = 0.5 * f * f
        out[j] = power[j] * _LN2 - ((half - (s * (half + r) + power[j] * _LN2_REST)) - f)


@jit(REASSOC)
def _fill_logs(value: Any, mean: Any, total: Any) -> None:
    """``sum_j Y_j log mu_j`` of each gene."""
    n = mean.shape[1]
    work = np.empty((4, n))
    x, logs = work[0], work[3]
    for g in range(mean.shape[0]):
        for j in range(n):
            x[j] = max(mean[g, j], LEAST_MEAN)
        _take_logs(x, work[1], work[2], logs)
        for j in range(n):
            total[g] += value[g, j] * logs[j]


@jit(REASSOC)
def _fill_growth(value: Any, sizes: Any, first: int, mean: Any, scatter: Any, total: Any) -> None:
    """``sum_j share_j (Y_j + ratio_j/phi) log(1 + phi l_j mu_j)`` of each gene.

    The first gene has number ``first``. Sizes are ratio, share and l of some sets of states, which genes have in turn.
    """
    n = mean.shape[1]
    work = np.empty((4, n))
    x, logs = work[0], work[3]
    for g in range(mean.shape[0]):
        phi, inverse, of_set = scatter[g], 1.0 / scatter[g], (first + g) % sizes[0].shape[0]
        ratio, share, at_size = sizes[0][of_set], sizes[1][of_set], sizes[2][of_set]
        for j in range(n):
            x[j] = 1.0 + phi * at_size[j] * max(mean[g, j], LEAST_MEAN)
        _take_logs(x, work[1], work[2], logs)
        for j in range(n):
            total[g] += share[j] * (value[g, j] + ratio[j] * inverse) * logs[j]


@jit(CONTRACT)
def _take_log_gammas(z: Any, work: Any) -> None:
    """``log Gamma z`` less ``log(2 pi)/2``, in place of z > 0.

    Stirling's series at z + 8, where it has all digits, and ``Gamma(z) = Gamma(z + 8) / (z (z + 1) ... (z + 7))``.
    """
    x, power, mantissa, logs = work
    for j in range(z.shape[0]):
        x[j] = z[j] + 8.0
    _take_logs(x, power, mantissa, logs)
    for j in range(z.shape[0]):
        y, up = x[j], z[j] * (z[j] + 7.0)  # the products in pairs
        x[j] = up * (up + 6.0) * (up + 10.0) * (up + 12.0)
        one = 1.0 / y
        square = one * one
        tail = square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - square * (691 / 360360))))
        z[j] = (y - 0.5) * logs[j] - y + one * (1 / 12 - square * (1 / 360) + square * tail)
    _take_logs(x, power, mantissa, logs)
    for j in range(z.shape[0]):
        z[j] -= logs[j]


@jit(CONTRACT)
def _add_rises(histogram: Any, start: Any, slope: Any, rooms: Any, total: Any) -> None:
    """``sum times (log Gamma(x + r) - log Gamma(r) + x slope)`` of each gene."""
    gene, count, times = histogram
    (base, base_work), (z, work) = rooms
    for g in range(start.shape[0]):
        base[g] = start[g]
    _take_log_gammas(base, base_work)
    for e in range(gene.shape[0]):
        z[e] = start[gene[e]] + count[e]
    _take_log_gammas(z, work)
    for e in range(gene.shape[0]):
        g = gene[e]
        total[g] += times[e] * (z[e] - base[g] + count[e] * slope[g])


def plain(values: FloatArray) -> FloatArray:
    """In the one form that these kernels, and those of captures, are compiled for."""
    return np.ascontiguousarray(values, dtype=np.float64)


def sum_of_logs(value: FloatArray, mean: FloatArray) -> FloatArray:
    """``sum_j Y_j log mu_j`` of each gene, of arrays ``(genes, states)``."""
    value, mean, total = plain(value), plain(mean), np.zeros(len(mean))
    over_slices(len(mean), GENES, lambda at: _fill_logs(value[at], mean[at], total[at]))
    return total


def sum_of_growth(
    value: FloatArray, size: FloatArray, share: FloatArray, at_size: FloatArray, mean: FloatArray, scatter: FloatArray
) -> FloatArray:
    """``sum_j share_j (Y_j + n_j/(phi l_j)) log(1 + phi l_j mu_j)`` of each gene, ``(genes,)``.

    A gene may be there several times, for sets of states with sizes of their own, ``(genes * sets, states)``.

    Parameters
    ----------
    value, mean
        Summed counts Y and means mu, ``(genes, states)``.
    size, share, at_size
        Summed sizes n, what is asked for of each state, and the size l that stands for them, ``(states,)`` or ``(sets,
        states)``.
    scatter
        Dispersion phi, ``(genes,)``.
    """
    value, mean, scatter, total = plain(value), plain(mean), plain(scatter), np.zeros(len(mean))
    sizes = tuple(plain(np.atleast_2d(one)) for one in (size / at_size, share, at_size))
    over_slices(len(mean), GENES, lambda at: _fill_growth(value[at], sizes, at.start, mean[at], scatter[at], total[at]))
    return total


def sum_of_rises(
    histogram: tuple[IntArray, FloatArray, FloatArray], start: FloatArray, slope: FloatArray
) -> FloatArray:
    """``sum times (log Gamma(count + start) - log Gamma(start) + count slope)`` of each gene, ``(genes,)``.

    Parameters
    ----------
    histogram
        Distinct counts: (gene, count, times), of one length.
    start, slope
        Of each gene, ``(genes,)``.
    """
    gene, count, times = histogram
    total = np.zeros(len(start))
    rooms = tuple((np.empty(n), tuple(np.empty((4, n)))) for n in (len(start), len(gene)))
    _add_rises((gene, plain(count), plain(times)), plain(start), plain(slope), rooms, total)
    return total
