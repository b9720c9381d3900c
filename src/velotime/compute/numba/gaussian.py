"""The sweep of a Gaussian mixture: responsibilities and their sums in one pass, in float64.

The other sweep wants scores that are linear in the values; a variance for each component makes them quadratic, and
``E[x^2] - E[x]^2`` loses all digits where a component is narrow for its distance from zero. So both halves work on
differences: scores from ``(x - m)^2 / v``, sums of ``x - c`` and its square about the means c that the E-step used,
which are near those of the M-step to come.

Matrices run along the components, so that the processor works on several at once without changing the order of any
sum. The responsibilities of one chunk of cells are held at a time; chunks go to parts of the cells whose number is
fixed, added up in their order, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.layers import CHUNK
from velotime.compute.matrix import Matrix, as_array
from velotime.compute.threads import ordered_sum

PARTS = 8  # parts of the cells, each with sums of its own


@dataclass(frozen=True)
class GaussianComponents:
    """Components of a mixture with diagonal covariances, of one layer.

    Attributes
    ----------
    mean, variance
        ``(genes, components)``.
    """

    mean: FloatArray
    variance: FloatArray

    @property
    def plain(self) -> GaussianComponents:
        """In the one layout that kernels are compiled for."""
        return GaussianComponents(np.ascontiguousarray(self.mean), np.ascontiguousarray(self.variance))


@dataclass(frozen=True)
class CentredSums:
    """Sums over cells about the means ``c`` of the components, weighted by the responsibilities ``r``.

    Not a record of :class:`velotime.compute.Sums`: squares are summed as well, and each component has a centre of its
    own, which only sums of one E-step share. Those add up.

    Attributes
    ----------
    weight
        ``sum_i r_ik``, ``(components,)``.
    first
        ``sum_i r_ik (x_ig - c_gk)``, ``(genes, components)`` of each layer.
    second
        ``sum_i r_ik (x_ig - c_gk)^2``, ``(genes, components)`` of each layer.
    log_evidence
        ``sum_i log sum_k w_k p(x_i | k)^(1/temperature)``.
    """

    weight: FloatArray
    first: tuple[FloatArray, ...]
    second: tuple[FloatArray, ...]
    log_evidence: float

    def __add__(self, other: CentredSums) -> CentredSums:
        first, second = (
            tuple(a + b for a, b in zip(mine, theirs, strict=True))
            for mine, theirs in ((self.first, other.first), (self.second, other.second))
        )
        return CentredSums(self.weight + other.weight, first, second, self.log_evidence + other.log_evidence)


@jit(CONTRACT)
def _add_squares(total: Any, x: Any, mean: Any, precision: Any) -> None:
    """Add ``-sum_g (x_g - m_gk)^2 p_gk / 2`` to each row of ``total``."""
    for i in range(x.shape[0]):
        row = total[i]
        for g in range(x.shape[1]):
            value, m, p = x[i, g], mean[g], precision[g]
            for k in range(row.shape[0]):
                away = value - m[k]
                row[k] -= 0.5 * away * away * p[k]


@jit(CONTRACT)
def _add_moments(first: Any, second: Any, x: Any, centre: Any, r: Any) -> None:
    """Add ``sum_i r_ik (x_ig - c_gk)`` and its squares."""
    for g in range(x.shape[1]):
        c, one, two = centre[g], first[g], second[g]
        for i in range(x.shape[0]):
            value, weight = x[i, g], r[i]
            for k in range(c.shape[0]):
                away = value - c[k]
                one[k] += weight[k] * away
                two[k] += weight[k] * away * away


def accumulate_gaussian(
    values: tuple[Matrix, ...], components: tuple[GaussianComponents, ...], weight: FloatArray, temperature: float = 1.0
) -> CentredSums:
    """Responsibilities of every cell, summed up in one pass.

    Parameters
    ----------
    values
        One matrix per layer, each ``(cells, genes)``, sparse or dense.
    components
        One record per layer.
    weight
        Of the components, ``(components,)``.
    temperature
        Log-densities are divided by it.
    """
    n_cells, components = values[0].shape[0], tuple(layer.plain for layer in components)
    parts = np.array_split(np.arange(-(-n_cells // CHUNK)), min(PARTS, -(-n_cells // CHUNK)))

    def one_part(part: int) -> CentredSums:
        chunks = parts[part]
        first, second = (tuple(np.zeros_like(layer.mean) for layer in components) for _ in range(2))
        total, weights = 0.0, np.zeros(len(weight))
        rows = slice(int(chunks[0]) * CHUNK, min((int(chunks[-1]) + 1) * CHUNK, n_cells))
        for _, blocks, r, evidence in _chunks(values, components, weight, temperature, rows):
            total += float(evidence.sum())
            weights += r.sum(axis=0)
            for x, layer, one, two in zip(blocks, components, first, second, strict=True):
                _add_moments(one, two, x, layer.mean, r)
        return CentredSums(weights, first, second, total)

    return ordered_sum(one_part, len(parts))


def responsibilities(
    values: tuple[Matrix, ...], components: tuple[GaussianComponents, ...], weight: FloatArray
) -> FloatArray:
    """``r_ik``, the posterior of each cell's component, ``(cells, components)``; arguments as above."""
    out = np.empty((values[0].shape[0], len(weight)))
    plain = tuple(layer.plain for layer in components)
    for cells, _, r, _ in _chunks(values, plain, weight, 1.0, slice(0, len(out))):
        out[cells] = r
    return out


def _chunks(
    values: tuple[Matrix, ...],
    components: tuple[GaussianComponents, ...],
    weight: FloatArray,
    temperature: float,
    rows: slice,
) -> Iterator[tuple[slice, list[FloatArray], FloatArray, FloatArray]]:
    """Cells, their values of each layer, responsibilities and log evidence, a chunk at a time."""
    precisions = [1.0 / layer.variance for layer in components]
    constant = sum(-0.5 * np.log(2 * np.pi * layer.variance).sum(axis=0) for layer in components) / temperature
    constant = constant + np.log(np.maximum(weight, 1e-300))
    for start in range(rows.start, rows.stop, CHUNK):
        cells = slice(start, min(start + CHUNK, rows.stop))
        blocks = [np.ascontiguousarray(as_array(layer[cells], np.float64)) for layer in values]
        score = np.zeros((cells.stop - cells.start, len(weight)))
        for x, layer, precision in zip(blocks, components, precisions, strict=True):
            _add_squares(score, x, layer.mean, precision)
        score /= temperature
        score += constant
        best = score.max(axis=1, keepdims=True)
        r = np.exp(score - best)
        total = r.sum(axis=1, keepdims=True)
        yield cells, blocks, r / total, (best + np.log(total))[:, 0]
