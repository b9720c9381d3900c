"""Quantiles of mixtures of normals that are truncated to [0, 1], of many cells on all cores.

The distribution function, with ``a_c = Phi(-m_c/s_c)`` before 0 and ``b_c = Phi((1 - m_c)/s_c)`` before 1,

    F(x) = sum_c p_c (Phi((x - m_c)/s_c) - a_c) / (b_c - a_c),

rises from 0 to 1, and its density is known: Newton's method inside a bracket, which is halved where Newton leaves it
or does not halve what is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.threads import over_slices

FAR = 6.5  # sd from a component at which all or nothing of it lies below, to 1e-10
CLOSE = 1e-5  # of the clock: a quantile is found when it moves by less
MOST_STEPS = 100  # five or so are taken
LONGEST = 4096  # cells in one task
ROOT_HALF = math.sqrt(0.5)
DENSITY = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class NormalMixtures:
    """One mixture of truncated normals for each cell, as in CSR.

    Attributes
    ----------
    indptr
        Components of cell i are ``indptr[i]`` to ``indptr[i + 1]``, at least one, ``(cells + 1,)``.
    weight
        Weights, of any positive sum for each cell, ``(components,)``.
    at, sd
        Mean, from 0 to 1, and sd of each component before it is truncated, ``(components,)``.
    """

    indptr: IntArray
    weight: FloatArray
    at: FloatArray
    sd: FloatArray


def mixture_quantiles(mixtures: NormalMixtures, level: float, start: FloatArray) -> FloatArray:
    """Quantile of each cell's mixture, ``(cells,)``, searched from ``start``."""
    out = np.clip(start, 0.0, 1.0)
    arrays = (mixtures.indptr.astype(np.int64, copy=False), mixtures.weight, mixtures.at, mixtures.sd)

    def part(cells: slice) -> None:
        _quantiles(*arrays, level, cells.start, cells.stop, out)

    over_slices(len(out), LONGEST, part)
    return out


@jit(CONTRACT)
def _quantiles(indptr: Any, weight: Any, at: Any, sd: Any, level: float, first: int, last: int, out: Any) -> None:
    longest = 0
    for i in range(first, last):
        longest = max(longest, indptr[i + 1] - indptr[i])
    share, before = np.empty(longest), np.empty(longest)
    for i in range(first, last):
        begin, end = indptr[i], indptr[i + 1]
        _truncate(weight[begin:end], at[begin:end], sd[begin:end], share, before)
        out[i] = _quantile(at[begin:end], sd[begin:end], share, before, level, out[i])


@jit(CONTRACT)
def _below(z: Any) -> Any:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-z * ROOT_HALF)


@jit(CONTRACT)
def _truncate(weight: Any, at: Any, sd: Any, share: Any, before: Any) -> None:
    """Weight of each component over its mass on [0, 1], summing to one with it, and its mass before 0."""
    total = weight.sum()
    for c in range(len(weight)):
        before[c] = _below(-at[c] / sd[c]) if at[c] < FAR * sd[c] else 0.0
        after = _below((at[c] - 1) / sd[c]) if 1 - at[c] < FAR * sd[c] else 0.0
        share[c] = weight[c] / total / (1 - before[c] - after)


@jit(CONTRACT)
def _quantile(at: Any, sd: Any, share: Any, before: Any, level: float, x: float) -> Any:
    low, high, last = 0.0, 1.0, 2.0
    for _ in range(MOST_STEPS):
        off, density = -level, 0.0
        for c in range(len(at)):
            z = (x - at[c]) / sd[c]
            if z > FAR:
                off += share[c] * (1 - before[c])
            elif z > -FAR:
                off += share[c] * (_below(z) - before[c])
                density += share[c] / sd[c] * DENSITY * math.exp(-0.5 * z * z)
        if off < 0:
            low = x
        else:
            high = x
        following = x - off / max(density, 1e-300)
        if not low <= following <= high or abs(off) > 0.5 * last:
            following = 0.5 * (low + high)
        last, moved, x = abs(off), abs(following - x), following
        if moved < CLOSE:
            break
    return x
