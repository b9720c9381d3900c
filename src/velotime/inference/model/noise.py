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
size), which keeps the estimating equation of the curves unbiased and is exact for equal size factors. The dispersion is
learned with two sizes per state, which have the first three moments of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from scipy.special import gammaln

from velotime._check import Number, Settings
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.compute import LEAST_MEAN, LayerSums, ScoreTables, sum_of_growth, sum_of_logs, sum_of_rises
from velotime.inference.model.layer import LayerData

FIRST_DISPERSION = 0.1
NEAR = 2**15  # numbers of a table that are made at once: they stay in the cache of a core
SHARE_OF_VARIANCE = Number(0, 1, open_least=True, open_most=True)


@runtime_checkable
class Noise(Protocol):
    """What a noise model must offer; ``scatter`` is its one parameter per gene and layer, ``(genes,)``."""

    @property
    def counts(self) -> bool:
        """Whether values must be whole numbers, and size factors are used."""

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """Scatter before any curve is known."""

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """Scores of each level, gene and state."""

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """Coefficients c of the variance of a value, ``l (c_0 + c_1 mu + c_2 l mu^2)``, ``(3, genes)``."""

    def log_likelihood(self, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """Expected log-likelihood of each gene given the posterior, without its constant, ``(genes,)``."""

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """The part of each gene's log-likelihood that depends on no curve, ``(genes,)``."""

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """Return the same part, of each cell, ``(cells,)``."""

    def update_scatter(self, scatter: FloatArray, sums: LayerSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Scatter that raises the expected log-likelihood at these means."""

    def zero_share(self, means: FloatArray, scatter: FloatArray, size: float) -> FloatArray:
        """Probability of a value of zero in a cell of this size factor, ``(genes, states)``."""

    def draw(self, means: FloatArray, scatter: FloatArray, rng: Generator) -> FloatArray:
        """Values with these means (size factors included), ``(cells, genes)``."""


@dataclass(frozen=True)
class NegativeBinomial(Settings):
    """Counts that scatter more than Poisson: variance ``l mu (1 + phi l mu)``. The default.

    Real counts are overdispersed; a Poisson fit is overconfident, as a few genes with many counts decide everything.

    Parameters
    ----------
    least, most
        Bounds of the dispersion phi. The lower one keeps single genes from dominating the fit.
    """

    least: float = 0.01
    most: float = 20.0

    counts = True
    rules: ClassVar = {"least": Number(0, open_least=True), "most": Number(0, open_least=True)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least > self.most:
            raise InputError(
                f"NegativeBinomial(least={self.least}, most={self.most}): least must be most or less. "
                "The defaults are 0.01 and 20."
            )

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """Return a dispersion of 0.1, within the bounds, for every gene: low, so that first curves are not all flat."""
        return np.full(data.n_genes, np.clip(FIRST_DISPERSION, self.least, self.most))

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """``slope = log(mu/(1 + phi l mu))``, ``offset = sum_g log(1 + phi l mu)/phi``."""
        mu = np.maximum(means, LEAST_MEAN)
        base = np.log(mu).astype(np.float32)
        excess = (scatter[:, None] * mu).astype(np.float32)
        inverse = (1.0 / scatter).astype(np.float64)
        slope = np.empty((len(levels), *mu.shape), dtype=np.float32)
        offset = np.empty((len(levels), mu.shape[1]))
        n = max(1, NEAR // mu.size)
        for at in (slice(first, first + n) for first in range(0, len(levels), n)):
            growth = levels[at, None, None].astype(np.float32) * excess
            np.log1p(growth, out=growth)
            np.subtract(base, growth, out=slope[at])
            offset[at] = inverse @ growth
        return ScoreTables(slope, offset)

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """``mu + phi l mu^2``."""
        return np.stack([np.zeros_like(scatter), np.ones_like(scatter), scatter])

    def log_likelihood(self, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j Y log(mu/(1 + phi l mu)) - n log(1 + phi l mu)/(phi l)`` with l the mean size."""
        growth = sum_of_growth(sums.value, sums.size, np.ones_like(sums.size), sums.mean_size, means, scatter)
        return sum_of_logs(sums.value, means) - growth

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_i log Gamma(x + r) - log Gamma(r) - log x! + x log(phi l)`` with r = 1/phi."""
        return sum_of_rises(data.histogram, 1.0 / scatter, np.log(scatter)) + data.count_constant

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """Sum of the same terms over genes."""
        x, gene = data.entries
        r = 1.0 / scatter[gene]
        return data.cell_sums(gammaln(x + r) - gammaln(r) + x * np.log(scatter[gene])) + data.cell_count_constant

    def zero_share(self, means: FloatArray, scatter: FloatArray, size: float) -> FloatArray:
        """``(1 + phi l mu)^(-1/phi)``."""
        return np.asarray(np.exp(-np.log1p(scatter[:, None] * size * means) / scatter[:, None]))

    def draw(self, means: FloatArray, scatter: FloatArray, rng: Generator) -> FloatArray:
        """Poisson counts with a gamma-distributed rate."""
        return rng.poisson(means * rng.gamma(1 / scatter, scatter, means.shape)).astype(float)

    def update_scatter(self, scatter: FloatArray, sums: LayerSums, means: FloatArray, data: LayerData) -> FloatArray:
        """One safeguarded Newton step in log phi towards the maximum of the expected log-likelihood.

        The likelihood of phi needs the counts' histogram and the sums, no further pass over the cells. (The method
        of moments is simpler, but the log-likelihood falls under it.) That sizes differ within a state affects phi
        more than the curves, so two sizes stand for them here.
        """
        found = newton(
            lambda log_phi: self.scatter_log_likelihood(np.exp(log_phi), sums, means, data),
            np.log(scatter),
            np.log(self.least),
            np.log(self.most),
        )
        return np.exp(found)

    def scatter_log_likelihood(
        self, scatter: FloatArray, sums: LayerSums, means: FloatArray, data: LayerData
    ) -> FloatArray:
        """Expected log-likelihood of each gene's dispersion at these means, ``(genes,)``."""
        total = self.constant(data, scatter)
        for size, share in sums.two_sizes:
            total -= sum_of_growth(sums.value, sums.size, share, size, means, scatter)
        return total


def newton(value: Callable[[FloatArray], FloatArray], here: FloatArray, low: float, high: float) -> FloatArray:
    """One Newton step of each of many logarithms within bounds, by differences; the best of four, so none gets worse.

    Parameters
    ----------
    value
        What is to be large, for each of them.
    here
        Where they stand.
    low, high
        Bounds.
    """
    step = 0.2
    tried = [here, np.clip(here - step, low, high), np.clip(here + step, low, high)]
    heights = [value(at) for at in tried]
    slope = (heights[2] - heights[1]) / (2 * step)
    curvature = (heights[2] - 2 * heights[0] + heights[1]) / step**2
    ahead = np.where(curvature < 0, slope / np.maximum(-curvature, 1e-12), np.sign(slope))
    tried.append(np.clip(here + np.clip(ahead, -1.0, 1.0), low, high))
    heights.append(value(tried[3]))
    return np.asarray(np.choose(np.argmax(heights, axis=0), tried))


@dataclass(frozen=True)
class Poisson(Settings):
    """Counts with variance equal to their mean: the limit of no dispersion. Overconfident on real data."""

    counts = True

    def initial_scatter(self, data: LayerData) -> FloatArray:
        """No dispersion."""
        return np.zeros(data.n_genes)

    def tables(self, means: FloatArray, scatter: FloatArray, levels: FloatArray) -> ScoreTables:
        """``slope = log mu``, ``offset = l sum_g mu``."""
        slope = np.log(np.maximum(means, LEAST_MEAN)).astype(np.float32)
        return ScoreTables(
            np.repeat(slope[None], len(levels), axis=0),
            levels[:, None] * np.maximum(means, LEAST_MEAN).sum(axis=0),
        )

    def variance_terms(self, scatter: FloatArray) -> FloatArray:
        """``mu``."""
        return np.stack([np.zeros_like(scatter), np.ones_like(scatter), np.zeros_like(scatter)])

    def log_likelihood(self, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j Y log mu - n mu``."""
        mu = np.maximum(means, LEAST_MEAN)
        return sum_of_logs(sums.value, mu) - np.asarray(mu @ sums.size)

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_i x log l - log x!``."""
        return data.count_constant

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``sum_g x log l - log x!``."""
        return data.cell_count_constant

    def zero_share(self, means: FloatArray, scatter: FloatArray, size: float) -> FloatArray:
        """``exp(-l mu)``."""
        del scatter
        return np.asarray(np.exp(-size * means))

    def draw(self, means: FloatArray, scatter: FloatArray, rng: Generator) -> FloatArray:
        """Poisson counts."""
        del scatter
        return rng.poisson(means).astype(float)

    def update_scatter(self, scatter: FloatArray, sums: LayerSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Nothing to learn."""
        return scatter


@dataclass(frozen=True)
class Gaussian(Settings):
    """Normal scatter with a variance per gene and layer, for moments or normalised values.

    Parameters
    ----------
    least
        Lower bound of the variance, as a share of the gene's variance over all cells.
    """

    least: float = 0.01

    counts = False
    rules: ClassVar = {"least": SHARE_OF_VARIANCE}

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

    def log_likelihood(self, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j (Y mu - n mu^2/2) / sigma^2``."""
        total: FloatArray = (means * (sums.value - 0.5 * sums.size * means)).sum(axis=1)
        return total / scatter

    def constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``-sum_i x^2 / (2 sigma^2) - N/2 log(2 pi sigma^2)``."""
        n_cells = data.n_cells
        return np.asarray(-0.5 * data.square / scatter - 0.5 * n_cells * np.log(2 * np.pi * scatter))

    def cell_constant(self, data: LayerData, scatter: FloatArray) -> FloatArray:
        """``-sum_g x^2 / (2 sigma^2) + log(2 pi sigma^2)/2``."""
        x, gene = data.entries
        return data.cell_sums(-0.5 * x**2 / scatter[gene]) - 0.5 * float(np.log(2 * np.pi * scatter).sum())

    def zero_share(self, means: FloatArray, scatter: FloatArray, size: float) -> FloatArray:
        """No value is exactly zero."""
        del scatter, size
        return np.zeros_like(means)

    def draw(self, means: FloatArray, scatter: FloatArray, rng: Generator) -> FloatArray:
        """Normal values."""
        return np.asarray(rng.normal(means, np.sqrt(scatter)))

    def update_scatter(self, scatter: FloatArray, sums: LayerSums, means: FloatArray, data: LayerData) -> FloatArray:
        """Mean squared residual."""
        squares = data.square - 2 * (sums.value * means).sum(axis=1) + means**2 @ sums.size
        variance = squares / data.n_cells
        return np.asarray(np.maximum(variance, self.least * np.maximum(_variance(data), 1e-12)))


def _variance(data: LayerData) -> FloatArray:
    n_cells = data.n_cells
    mean = data.value_per_level.sum(axis=0) / n_cells
    return np.asarray(data.square / n_cells - mean**2)
