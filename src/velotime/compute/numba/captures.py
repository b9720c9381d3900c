"""What counts of several samples say of their captures, and of the curves common to them, compiled.

A sample has means ``m = A mu + p`` of which mu is common to all samples, A and p are its own of each gene.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.backend import LEAST_VARIANCE
from velotime.compute.jit import CONTRACT, REASSOC, jit
from velotime.compute.numba.counts import plain

LEAST_DIVISOR = 1e-300


@jit(REASSOC)
def _fill_scores(sums: Any, mean: Any, own: Any, slope: Any, information: Any) -> None:
    value, size, mean_size = sums
    capture, besides, scatter = own
    for g in range(mean.shape[0]):
        for b in range(size.shape[0]):
            a, p, phi = capture[g, b], besides[g, b], scatter[g]
            first, second = 0.0, 0.0
            for j in range(mean.shape[1]):
                caught = a * mean[g, j]
                m = caught + p
                weight = caught / (max(m, LEAST_DIVISOR) * (1.0 + phi * mean_size[b, j] * m))
                first += weight * (value[g, b, j] - size[b, j] * m)
                second += weight * size[b, j] * caught
            slope[g, b], information[g, b] = first, second


@jit(CONTRACT)
def _add_sample(sums: Any, mean: Any, own: Any, variance: Any, value: Any, weight: Any) -> None:
    summed, size, mean_size = sums
    capture, besides = own
    for g in range(mean.shape[0]):
        a, p = capture[g], besides[g]
        constant, linear, quadratic = variance[0, g], variance[1, g], variance[2, g]
        for j in range(mean.shape[1]):
            m = a * mean[g, j] + p
            each = a / max(constant + m * (linear + quadratic * mean_size[j] * m), LEAST_VARIANCE)
            value[g, j] += each * (summed[g, j] - p * size[j])
            weight[g, j] += each * a * size[j]


def capture_scores(
    sums: tuple[FloatArray, FloatArray, FloatArray],
    mean: FloatArray,
    capture: FloatArray,
    besides: FloatArray,
    scatter: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Derivative of the log-likelihood by log A and its information, each ``(genes, samples)``.

    ``sum_j w (Y - n m)`` and ``sum_j w n A mu`` with ``w = A mu / (m (1 + phi l m))``.

    Parameters
    ----------
    sums
        Counts Y ``(genes, samples, states)``, sizes n and mean sizes l ``(samples, states)``.
    mean
        Common means mu, ``(genes, states)``.
    capture, besides
        A and p, ``(genes, samples)``.
    scatter
        Dispersion phi, ``(genes,)``.
    """
    slope, information = np.empty(capture.shape), np.empty(capture.shape)
    own = plain(capture), plain(besides), plain(scatter)
    _fill_scores(tuple(map(plain, sums)), plain(mean), own, slope, information)
    return slope, information


def add_sample(
    sums: tuple[FloatArray, FloatArray, FloatArray],
    mean: FloatArray,
    own: tuple[FloatArray, FloatArray],
    variance: FloatArray,
    total: tuple[FloatArray, FloatArray],
) -> None:
    """Add what a sample says of the common curves to ``total``: values and their weights, ``(genes, states)`` each.

    With ``a = A/V`` these are ``a (Y - n p)`` and ``a A n``.

    Parameters
    ----------
    sums
        Counts Y ``(genes, states)``, sizes n and mean sizes l ``(states,)``.
    mean
        Common means mu, ``(genes, states)``.
    own
        A and p of the sample, ``(genes,)`` each.
    variance
        Terms c of ``V = c_0 + c_1 m + c_2 l m^2``, ``(3, genes)``.
    total
        What is added to.
    """
    _add_sample(tuple(map(plain, sums)), plain(mean), tuple(map(plain, own)), plain(variance), *total)
