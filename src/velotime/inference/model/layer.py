"""One layer of the cells: values and size factors, and what follows from them whatever the fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from velotime._types import FloatArray, IntArray
from velotime.compute import Matrix, as_array


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

    def cells(self, index: IntArray) -> LayerData:
        """These cells, in this order."""
        return LayerData(self.values[index], self.levels, self.level[index])

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
        return np.asarray(as_array(indicator @ self.values, np.float64))

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
