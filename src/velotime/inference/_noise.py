r"""Noise models: how counts scatter around the curve.

Each is linear in the values once its parameters and the size factor are fixed, which is what the sweep asks for
(``ScoreTables``), and each has a score of the form ``(x - l mu) / (l V) dmu`` with a variance function V, which is
what the M-step asks for. With ``l`` the size factor, ``mu`` the curve and ``phi`` the dispersion of a gene and layer:

=================  =====================================  ====================
noise              log p(x) up to terms without mu        variance of x
=================  =====================================  ====================
NegativeBinomial   x log(mu/(1 + phi l mu))               l mu (1 + phi l mu)
                   - log(1 + phi l mu)/phi
Poisson            x log mu - l mu                        l mu
Gaussian           (x mu - mu^2/2)/sigma^2                sigma^2
=================  =====================================  ====================

The M-step sees sums over cells only. For the negative binomial these are not quite sufficient, as the weight
``1/(1 + phi l mu)`` differs between cells of one state; it is taken at the state's mean size factor (weighted by
size), which keeps the estimating equation unbiased and is exact for equal size factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from velotime._types import FloatArray, IntArray
from velotime.backends import LayerStatistics, Matrix, ScoreTables

MEAN_FLOOR = 1e-8  # expected counts below it are taken as it: its log is finite


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
    size
        ``sum_i q_ij l_i``, ``(states,)``.
    mean_size
        ``sum_i q_ij l_i^2 / sum_i q_ij l_i``, ``(states,)``.
    """

    value: FloatArray
    size: FloatArray
    mean_size: FloatArray

    @classmethod
    def of(cls, statistics: LayerStatistics, n_states: int) -> StateSums:
        """From the sweep's sums, without the states that only fill up a block."""
        size = statistics.size[:n_states]
        mean_size = np.where(size > 0, statistics.size_squared[:n_states] / np.maximum(size, 1e-300), 1.0)
        return cls(np.ascontiguousarray(statistics.value[:, :n_states]), size, mean_size)

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
        size = np.add.reduceat(self.size, starts)
        weighted = np.add.reduceat(self.size * self.mean_size, starts)
        return StateSums(
            np.add.reduceat(self.value, starts, axis=1),
            size,
            np.where(size > 0, weighted / np.maximum(size, 1e-300), 1.0),
        )

    def over_lineages(self, n_lineages: int) -> StateSums:
        """Sum the states of one time over lineages."""
        size = self.size.reshape(n_lineages, -1).sum(axis=0)
        weighted = (self.size * self.mean_size).reshape(n_lineages, -1).sum(axis=0)
        value = self.value.reshape(self.value.shape[0], n_lineages, -1).sum(axis=1)
        return StateSums(value, size, np.where(size > 0, weighted / np.maximum(size, 1e-300), 1.0))

    def genes(self, index: IntArray | slice) -> StateSums:
        """These genes only."""
        return StateSums(self.value[index], self.size, self.mean_size)


class Noise(Protocol):
    """What a noise model must offer; ``scatter`` is its one parameter a gene and layer, ``(genes,)``."""

    @property
    def counts(self) -> bool:
        """Whether values must be whole numbers, and size factors are used."""

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """Scatter before any curve is known."""

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """Scores of each level, gene and state."""

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """Coefficients c of the variance of a value, ``l (c_0 + c_1 mu + c_2 l mu^2)``, ``(3, genes)``."""

    def log_likelihood(self, sums: StateSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """Expected log-likelihood of each gene given the posterior, without its constant, ``(genes,)``."""

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """The part of each gene's log-likelihood that depends on no curve, ``(genes,)``."""

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """Return the same part, of each cell, ``(cells,)``."""

    def update_scatter(self, scatter: FloatArray, sums: StateSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Scatter that raises the expected log-likelihood at these means."""


@dataclass(frozen=True)
class NegativeBinomial:
    """Counts that scatter more than Poisson: variance ``l mu (1 + phi l mu)``. The default.

    Real counts are overdispersed; a Poisson fit is overconfident, as a few genes with many counts decide everything.

    Parameters
    ----------
    least, most
        Bounds of the dispersion phi. The lower one keeps any single gene from being trusted like a ruler.
    """

    least: float = 0.01
    most: float = 20.0

    counts = True

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """Return a dispersion of 0.1 for every gene, low so that the first curves are not all flat."""
        return np.full(data.n_genes, 0.1)

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """``slope = log(mu/(1 + phi l mu))``, ``offset = sum_g log(1 + phi l mu)/phi``."""
        mu = np.maximum(means, MEAN_FLOOR)
        base = np.log(mu).astype(np.float32)
        excess = (scatter[:, None] * mu).astype(np.float32)
        inverse = (1.0 / scatter).astype(np.float64)
        slope = np.empty((len(levels), *mu.shape), dtype=np.float32)
        offset = np.empty((len(levels), mu.shape[1]))
        for k, level in enumerate(levels.astype(np.float32)):
            growth = np.log1p(level * excess)
            np.subtract(base, growth, out=slope[k])
            offset[k] = inverse @ growth
        return ScoreTables(slope, offset)

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """``mu + phi l mu^2``."""
        return np.stack([np.zeros_like(scatter), np.ones_like(scatter), scatter])

    def log_likelihood(self, sums: StateSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j Y log(mu/(1 + phi l mu)) - n log(1 + phi l mu)/(phi l)`` with l the mean size."""
        mu = np.maximum(means, MEAN_FLOOR)
        rate = scatter[:, None] * sums.mean_size
        growth = np.log1p(rate * mu)
        total: FloatArray = (sums.value * (np.log(mu) - growth) - sums.size * growth / rate).sum(axis=1)
        return total

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_i log Gamma(x + r) - log Gamma(r) - log x! + x log(phi l)`` with r = 1/phi."""
        gene, count, times = data.histogram
        r = 1.0 / scatter
        gammas = gammaln(count + r[gene]) - gammaln(r[gene]) + count * np.log(scatter[gene])
        return np.bincount(gene, gammas * times, minlength=data.n_genes) + data.count_constant

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """Sum of the same terms over genes."""
        x, gene = data.entries
        r = 1.0 / scatter[gene]
        return data.cell_sums(gammaln(x + r) - gammaln(r) + x * np.log(scatter[gene])) + data.cell_count_constant

    def update_scatter(self, scatter: FloatArray, sums: StateSums, means: FloatArray, data: LayerData) -> FloatArray:
        """One safeguarded Newton step in log phi towards the maximum of the expected log-likelihood.

        The likelihood of phi needs the counts' histogram and the sums, no further pass over the cells. (The method
        of moments is simpler, but the log-likelihood falls under it.)
        """

        def value(log_phi: FloatArray) -> FloatArray:
            phi = np.exp(log_phi)
            return self.log_likelihood(sums, means, phi) + self.constant(data, phi)

        here = np.log(scatter)
        step, low, high = 0.2, np.log(self.least), np.log(self.most)
        tried = [here, np.clip(here - step, low, high), np.clip(here + step, low, high)]
        heights = [value(at) for at in tried]
        slope = (heights[2] - heights[1]) / (2 * step)
        curvature = (heights[2] - 2 * heights[0] + heights[1]) / step**2
        newton = np.where(curvature < 0, slope / np.maximum(-curvature, 1e-12), np.sign(slope))
        tried.append(np.clip(here + np.clip(newton, -1.0, 1.0), low, high))
        heights.append(value(tried[3]))
        best = np.argmax(heights, axis=0)
        return np.asarray(np.exp(np.choose(best, tried)))


@dataclass(frozen=True)
class Poisson:
    """Counts with variance equal to their mean: the limit of no dispersion. Overconfident on real data."""

    counts = True

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """No dispersion."""
        return np.zeros(data.n_genes)

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """``slope = log mu``, ``offset = l sum_g mu``."""
        slope = np.log(np.maximum(means, MEAN_FLOOR)).astype(np.float32)
        return ScoreTables(
            np.repeat(slope[None], len(levels), axis=0),
            levels[:, None] * np.maximum(means, MEAN_FLOOR).sum(axis=0),
        )

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """``mu``."""
        return np.stack([np.zeros_like(scatter), np.ones_like(scatter), np.zeros_like(scatter)])

    def log_likelihood(self, sums: StateSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j Y log mu - n mu``."""
        mu = np.maximum(means, MEAN_FLOOR)
        total: FloatArray = (sums.value * np.log(mu) - sums.size * mu).sum(axis=1)
        return total

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_i x log l - log x!``."""
        return data.count_constant

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_g x log l - log x!``."""
        return data.cell_count_constant

    def update_scatter(self, scatter: FloatArray, sums: StateSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Nothing to learn."""
        return scatter


@dataclass(frozen=True)
class Gaussian:
    """Normal scatter with a variance per gene and layer, for moments or normalised values.

    Parameters
    ----------
    least
        Lower bound of the variance, as a share of the gene's variance over all cells.
    """

    least: float = 0.01

    counts = False

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """Variance over all cells."""
        return np.asarray(np.maximum(_variance(data), 1e-12))

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """``slope = mu / sigma^2``, ``offset = sum_g mu^2 / (2 sigma^2)``."""
        weighted = means / scatter[:, None]
        return ScoreTables(weighted[None].astype(np.float32), 0.5 * (means * weighted).sum(axis=0)[None])

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """``sigma^2``."""
        return np.stack([scatter, np.zeros_like(scatter), np.zeros_like(scatter)])

    def log_likelihood(self, sums: StateSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j (Y mu - n mu^2/2) / sigma^2``."""
        total: FloatArray = (means * (sums.value - 0.5 * sums.size * means)).sum(axis=1)
        return total / scatter

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``-sum_i x^2 / (2 sigma^2) - N/2 log(2 pi sigma^2)``."""
        n_cells = data.values.shape[0]
        return np.asarray(-0.5 * data.square / scatter - 0.5 * n_cells * np.log(2 * np.pi * scatter))

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``-sum_g x^2 / (2 sigma^2) + log(2 pi sigma^2)/2``."""
        x, gene = data.entries
        return data.cell_sums(-0.5 * x**2 / scatter[gene]) - 0.5 * float(np.log(2 * np.pi * scatter).sum())

    def update_scatter(self, scatter: FloatArray, sums: StateSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Mean squared residual."""
        squares = data.square - 2 * (sums.value * means).sum(axis=1) + means**2 @ sums.size
        variance = squares / data.values.shape[0]
        return np.asarray(np.maximum(variance, self.least * np.maximum(_variance(data), 1e-12)))


def _variance(data: LayerData) -> FloatArray:
    n_cells = data.values.shape[0]
    mean = data.value_per_level.sum(axis=0) / n_cells
    return np.asarray(data.square / n_cells - mean**2)
