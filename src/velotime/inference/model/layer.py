"""One layer of the cells: what does not change during a fit, and what the M-step sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerStatistics, Matrix

LEAST_SPREAD = 1e-5  # of sizes within a state, relative to their mean, below which they count as one


@dataclass(frozen=True)
class LayerData:
    """One layer of the cells with what does not change during a fit.

    Attributes
    ----------
    values
        ``(cells, genes)``.
    levels
        The size factors that occur, ``(levels,)``, ascending.
    level
        Which of them a cell has, ``(cells,)``.
    """

    values: Matrix
    levels: FloatArray
    level: IntArray

    @classmethod
    def of(cls, values: Matrix, size: FloatArray, n_levels: int) -> LayerData:
        """Round the size factors to a geometric ladder of at most ``n_levels`` steps.

        A table of scores is needed a level, so levels should be few; with 32 over a tenfold range the rounding is
        within 4 %, well inside what a size factor is known to.
        """
        if np.ptp(size) == 0 or n_levels == 1:
            return cls(values, np.array([float(size.mean())]), np.zeros(size.shape[0], dtype=np.int64))
        low, high = np.log(size.min()), np.log(size.max())
        step = (high - low) / n_levels
        index = np.minimum(((np.log(size) - low) / step).astype(np.int64), n_levels - 1)
        used, level = np.unique(index, return_inverse=True)
        return cls(values, np.exp(low + (used + 0.5) * step), level)

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.values.shape[1])

    @property
    def size(self) -> FloatArray:
        """Rounded size factor of each cell, ``(cells,)``."""
        return self.levels[self.level]

    @cached_property
    def cells_per_level(self) -> FloatArray:
        """Cells of each level, ``(levels,)``."""
        return np.bincount(self.level, minlength=len(self.levels)).astype(float)

    @cached_property
    def value_per_level(self) -> FloatArray:
        """Sum of the values over the cells of each level, ``(levels, genes)``."""
        indicator = sparse.csr_array(
            (np.ones(len(self.level)), (self.level, np.arange(len(self.level)))),
            shape=(len(self.levels), len(self.level)),
        )
        return _as_array(indicator @ self.values)

    @cached_property
    def square(self) -> FloatArray:
        """Sum of the squared values of each gene, ``(genes,)``."""
        if sparse.issparse(self.values):
            data = self.values.data.astype(np.float64)
            return np.asarray(np.bincount(self.values.indices, data**2, minlength=self.n_genes), dtype=np.float64)
        return np.asarray(np.einsum("ig,ig->g", self.values, self.values, dtype=np.float64))

    @cached_property
    def histogram(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Each gene's distinct non-zero counts: (gene, count, how many cells), three arrays of one length."""
        values = self.values if sparse.issparse(self.values) else sparse.csr_array(self.values)
        gene, count = values.indices.astype(np.int64), values.data.astype(np.int64)
        base = int(count.max(initial=0)) + 1
        code, times = np.unique(gene * base + count, return_counts=True)
        gene, count = code // base, (code % base).astype(float)
        return gene[count > 0], count[count > 0], times[count > 0].astype(float)

    @cached_property
    def count_constant(self) -> FloatArray:
        """``sum_i x log l - log x!`` of each gene, ``(genes,)``."""
        gene, count, times = self.histogram
        factorials = np.bincount(gene, gammaln(count + 1) * times, minlength=self.n_genes)
        return np.log(self.levels) @ self.value_per_level - factorials

    @cached_property
    def entries(self) -> tuple[FloatArray, IntArray]:
        """Value and gene of each non-zero entry, cell by cell."""
        values = self.values if sparse.issparse(self.values) else sparse.csr_array(self.values)
        return values.data.astype(np.float64), values.indices

    def cell_sums(self, terms: FloatArray) -> FloatArray:
        """Sum one term an entry over the entries of each cell, ``(cells,)``."""
        values = self.values if sparse.issparse(self.values) else sparse.csr_array(self.values)
        cell = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
        return np.asarray(np.bincount(cell, terms, minlength=values.shape[0]), dtype=np.float64)

    @cached_property
    def cell_count_constant(self) -> FloatArray:
        """``sum_g x log l - log x!`` of each cell, ``(cells,)``."""
        x, _ = self.entries
        return self.cell_sums(x) * np.log(self.size) - self.cell_sums(gammaln(x + 1))


def _as_array(matrix: Matrix) -> FloatArray:
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    return np.asarray(dense, dtype=np.float64)


@dataclass(frozen=True)
class StateSums:
    """What the M-step knows of one layer: sums over cells, weighted by the posterior.

    Attributes
    ----------
    value
        ``sum_i q_ij x_ig``, ``(genes, states)``.
    size_powers
        ``sum_i q_ij l_i^p`` for p = 1 to 4, ``(4, states)``.
    """

    value: FloatArray
    size_powers: FloatArray

    @classmethod
    def of(cls, statistics: LayerStatistics, n_states: int) -> StateSums:
        """From the sweep's sums, without the states that only fill up a block."""
        return cls(np.ascontiguousarray(statistics.value[:, :n_states]), statistics.size_powers[:, :n_states])

    @classmethod
    def alike(cls, value: FloatArray, size: FloatArray, mean_size: FloatArray) -> StateSums:
        """Of cells that have one size in each state: their summed size factors and that size, each ``(states,)``."""
        return cls(value, size * mean_size ** np.arange(4)[:, None])

    @cached_property
    def size(self) -> FloatArray:
        """``sum_i q_ij l_i``, ``(states,)``."""
        return np.asarray(self.size_powers[0])

    @cached_property
    def mean_size(self) -> FloatArray:
        """``sum_i q_ij l_i^2 / sum_i q_ij l_i``, the mean weighted by size, ``(states,)``; 1 without cells."""
        return self._moment(1)

    @cached_property
    def two_sizes(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Two sizes and their shares of the summed size that have its first three moments, each ``(states,)``.

        Gauss's rule: with mean m, sd and skewness g of the size, weighted by size, and ``h = sqrt(1 + g^2/4)``, sizes
        ``m + sd (g/2 + h)`` and ``m + sd (g/2 - h)`` with shares ``(1 - g/(2h))/2`` and ``(1 + g/(2h))/2``.
        """
        mean = self.mean_size
        variance = np.maximum(self._moment(2) - mean**2, 0.0)
        third = self._moment(3) - 3 * mean * variance - mean**3
        sd = np.sqrt(variance)
        spread = sd > LEAST_SPREAD * mean
        half = np.where(spread, 0.5 * third / np.where(spread, sd, 1.0) ** 3, 0.0)
        root = np.sqrt(1 + half**2)
        high = 0.5 * (1 - half / root)
        return (mean + sd * (half + root), high), (np.maximum(mean + sd * (half - root), 1e-12), 1 - high)

    def _moment(self, power: int) -> FloatArray:
        filled = self.size > 0
        return np.where(filled, self.size_powers[power] / np.where(filled, self.size, 1.0), 1.0)

    def means(self, credit: float = 0.0) -> FloatArray:
        """Free means, ``(genes, states)``: the M-step of a mixture, where every state is a component of its own.

        ``credit`` is the number of cells' worth of the overall mean that each state is given.
        """
        overall = self.value.sum(axis=1, keepdims=True) / self.size.sum()
        size = self.size + credit
        return np.asarray(np.where(size > 0, self.value + credit * overall, 0.0) / np.where(size > 0, size, 1.0))

    def merge(self, n_times: int, factor: int) -> StateSums:
        """Sum runs of ``factor`` neighbouring times, lineage by lineage."""
        starts = np.concatenate(
            [np.arange(first, first + n_times, factor) for first in range(0, self.size.shape[0], n_times)]
        )
        return StateSums(*(np.add.reduceat(sums, starts, axis=1) for sums in (self.value, self.size_powers)))

    def over_lineages(self, n_lineages: int) -> StateSums:
        """Sum the states of one time over lineages."""
        pair = (sums.reshape(len(sums), n_lineages, -1).sum(axis=1) for sums in (self.value, self.size_powers))
        return StateSums(*pair)

    def genes(self, index: IntArray | slice) -> StateSums:
        """These genes only."""
        return StateSums(self.value[index], self.size_powers)
