"""E- and M-step of single genes' curves, for all genes at once.

The six parameters of a gene are log amplitudes U and S of unspliced and spliced, log r = log gamma/beta, log x_ (time
on in units of 1/beta), log sigma and the log ratio of the sigmas of the two layers, relative to their spreads over
cells. An E-step leaves normal equations of these; the M-step takes a Levenberg-Marquardt step with a damping a gene. A
step that made a gene worse is taken back, and genes that no longer gain are left out of the E-step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import sparse

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.backends import N_NODES, CurveSums, Matrix, sum_over_posterior, sum_over_times
from velotime.inference._gene_population import GenePopulation
from velotime.inference._observations import Observations

LOG_U, LOG_S, LOG_R, LOG_X, LOG_SIGMA, LOG_SIGMA_RATIO = range(6)
LOWER = np.array([-np.inf, -np.inf, np.log(0.02), np.log(0.05), np.log(0.01), -1.5])
UPPER = np.array([np.inf, np.inf, np.log(50.0), np.log(30.0), np.log(2.0), 1.5])
PSEUDO = 1.0  # cells that each node is thought to have beside those of the data
LONGEST_STEP = 0.7
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-2, 1e-5, 1e5
PATIENCE = 2  # steps in a row without gain after which a gene is done
BLOCK_OF_GENES = 64


@dataclass(frozen=True)
class CurveData:
    """What the kernels read.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``, dense or CSC.
    spread
        Standard deviation of both layers over cells, ``(genes, 2)``.
    """

    unspliced: Matrix
    spliced: Matrix
    spread: FloatArray

    @classmethod
    def of(cls, observations: Observations) -> CurveData:
        """Dense values are not copied."""
        u, s = (
            sparse.csc_array(values) if sparse.issparse(values) else values
            for values in (observations.unspliced, observations.spliced)
        )
        data = cls(u, s, np.empty((observations.n_genes, 2)))
        for genes, *blocks in data.blocks():
            for k, block in enumerate(blocks):
                data.spread[genes, k] = block.std(axis=0, dtype=np.float64)
        return data

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.unspliced.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced.shape[1])

    def blocks(self) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Some genes at a time: which, and dense values of both layers."""
        for first in range(0, self.n_genes, BLOCK_OF_GENES):
            genes = slice(first, min(first + BLOCK_OF_GENES, self.n_genes))
            yield genes, _dense(self.unspliced, genes), _dense(self.spliced, genes)


def _dense(values: Matrix, genes: slice) -> FloatArray:
    block = values[:, genes]
    return np.asarray(block.toarray() if sparse.issparse(block) else block)


@dataclass(frozen=True)
class Curves:
    """A curve a gene.

    Attributes
    ----------
    theta
        Parameters, ``(genes, 6)``.
    log_prior
        Log weights of the nodes of each curve, ``(genes, nodes)``.
    """

    theta: FloatArray
    log_prior: FloatArray

    def where(self, mask: BoolArray, other: Curves) -> Curves:
        """These genes' own where ``mask`` holds, the other's elsewhere."""
        pick = mask[:, None]
        return Curves(np.where(pick, self.theta, other.theta), np.where(pick, self.log_prior, other.log_prior))


class Times(Protocol):
    """How cells get their times in an E-step."""

    def sums(self, data: CurveData, genes: IntArray, curves: Curves) -> CurveSums:
        """Sums over cells for some genes, ``genes`` their columns and ``curves`` theirs."""


@dataclass(frozen=True)
class ExplicitTimes:
    """The explicit inverse: from u, or from s~ where that has the smaller variance; the nearest branch stays."""

    def sums(self, data: CurveData, genes: IntArray, curves: Curves) -> CurveSums:
        """Sums at the explicit times."""
        return sum_over_times(data.unspliced, data.spliced, genes, curves.theta, data.spread[genes], exact=False)


@dataclass(frozen=True)
class ExactTimes:
    """The nearest point of the curve, distances in units of the noise."""

    def sums(self, data: CurveData, genes: IntArray, curves: Curves) -> CurveSums:
        """Sums at the nearest points, with derivatives that know that these move."""
        return sum_over_times(data.unspliced, data.spliced, genes, curves.theta, data.spread[genes], exact=True)


@dataclass(frozen=True)
class PosteriorTimes:
    """Every time on the curve, weighted by its posterior; how often each is visited is learned."""

    def sums(self, data: CurveData, genes: IntArray, curves: Curves) -> CurveSums:
        """Sums under the posterior."""
        return sum_over_posterior(
            data.unspliced, data.spliced, genes, curves.theta, data.spread[genes], curves.log_prior
        )


@dataclass(frozen=True)
class Climb:
    """Where the optimiser of each gene stands.

    Attributes
    ----------
    tried
        Curves whose sums the next E-step finds.
    best, sums
        Best curves so far and their sums.
    seen
        Whether ``sums`` are there.
    damping
        Of Levenberg and Marquardt, ``(genes,)``.
    still
        Steps in a row that gained next to nothing, ``(genes,)``.
    """

    tried: Curves
    best: Curves
    sums: CurveSums
    seen: bool
    damping: FloatArray
    still: IntArray

    @classmethod
    def begin(cls, curves: Curves) -> Climb:
        """Stand at these curves, whose sums are not known yet."""
        n = len(curves.theta)
        return cls(curves, curves, CurveSums.empty(n), False, np.full(n, FIRST_DAMPING), np.zeros(n, dtype=np.int64))

    @property
    def active(self) -> BoolArray:
        """Genes that have not converged, ``(genes,)``."""
        return np.asarray((self.still < PATIENCE) & (self.damping < MOST_DAMPING))


@dataclass(frozen=True)
class CurveProblem:
    """E- and M-step of all genes.

    Attributes
    ----------
    data
        The cells.
    times
        How they get their times.
    population
        Prior of the parameters.
    tolerance
        A gene is done when its objective a cell gains less twice in a row, nats.
    """

    data: CurveData
    times: Times
    population: GenePopulation
    tolerance: float

    def expect(self, climb: Climb, temperature: float) -> tuple[CurveSums, float]:
        """Sums of the curves that are tried, and the bound a cell: that of the better of tried and best, all genes."""
        del temperature
        genes = np.flatnonzero(climb.active)
        sums = CurveSums(*(array.copy() for array in climb.sums.arrays))
        if len(genes):
            tried = Curves(climb.tried.theta[genes], climb.tried.log_prior[genes])
            for into, found in zip(sums.arrays, self.times.sums(self.data, genes, tried).arrays, strict=True):
                into[genes] = found
        better = np.maximum(self.objective(climb.tried, sums), self._best(climb))
        return sums, float(np.where(climb.active, better, self._best(climb)).sum() / self.data.n_cells)

    def objective(self, curves: Curves, sums: CurveSums) -> FloatArray:
        """Log posterior density of each gene, nats, ``(genes,)``."""
        visited = sums.weight.any(axis=1)
        pull = visited * PSEUDO * curves.log_prior.sum(axis=1)
        return np.asarray(sums.value + self.population.log_density(curves.theta) + pull)

    def _best(self, climb: Climb) -> FloatArray:
        best = self.objective(climb.best, climb.sums)
        return best if climb.seen else np.full_like(best, -np.inf)

    def judge(self, climb: Climb, sums: CurveSums) -> Climb:
        """Keep what was tried where it is better than the best."""
        gain = self.objective(climb.tried, sums) - self._best(climb)
        good = (gain > 0) & climb.active
        tiny = good & (gain < self.tolerance * self.data.n_cells)
        damping = climb.damping * np.where(good, 0.3, np.where(climb.active, 4.0, 1.0))
        kept = climb.tried.where(good, climb.best)
        return Climb(
            tried=kept,
            best=kept,
            sums=sums.where(good, climb.sums),
            seen=True,
            damping=np.maximum(damping, LEAST_DAMPING),
            still=np.where(tiny, climb.still + 1, np.where(good, 0, climb.still)),
        )

    def maximise(self, climb: Climb, statistics: CurveSums, iteration: int) -> Climb:
        """A damped step from the best curves, and the weights of their nodes."""
        del iteration
        here = self.judge(climb, statistics)
        gradient = here.sums.gradient + self.population.gradient(here.best.theta)
        square = here.sums.square + self.population.precision
        diagonal = np.einsum("gpp->gp", square)
        diagonal += diagonal * here.damping[:, None] + 1e-9  # a view: this writes to the matrix
        step = np.linalg.solve(square, gradient[..., None])[..., 0]
        theta = np.clip(here.best.theta + np.clip(step, -LONGEST_STEP, LONGEST_STEP), LOWER, UPPER)
        weight = here.sums.weight + PSEUDO
        visited = here.sums.weight.any(axis=1, keepdims=True)
        log_prior = np.where(visited, np.log(weight / weight.sum(axis=1, keepdims=True)), here.best.log_prior)
        return replace(here, tried=Curves(theta, log_prior))


def first_curves(data: CurveData) -> tuple[Curves, FloatArray]:
    """Curves from the steady-state ratio, and that ratio, ``(genes,)``; NaN or 0 where it is degenerate.

    The ratio gamma/beta (in the units of the data) is the slope through the origin of unspliced on spliced over the
    cells in the top 2 % of spliced (extreme-quantile regression, La Manno et al. 2018), whose mean is taken for the
    steady state; capture is taken to be the ratio of the spreads, as in scVelo.
    """
    n = data.n_genes
    top, slope = np.empty(n), np.empty(n)
    for genes, u, s in data.blocks():
        high = s >= np.quantile(s, 0.98, axis=0)
        square = (s * s * high).sum(axis=0, dtype=np.float64)
        slope[genes] = (u * s * high).sum(axis=0, dtype=np.float64) / np.where(square > 0, square, np.nan)
        top[genes] = (s * high).sum(axis=0, dtype=np.float64) / high.sum(axis=0)
    theta = np.zeros((n, 6))
    ratio = np.where(np.isfinite(slope) & (slope > 0), slope, 1.0)
    theta[:, LOG_S] = np.log(np.where(top > 0, top, 1.0))
    theta[:, LOG_U] = np.log(ratio) + theta[:, LOG_S]
    spread = np.where(data.spread > 0, data.spread, 1.0)
    theta[:, LOG_R] = np.log(np.clip(ratio * spread[:, 1] / spread[:, 0], 0.1, 10.0))
    theta[:, LOG_X], theta[:, LOG_SIGMA] = np.log(2.0), np.log(0.3)
    return Curves(theta, np.full((n, N_NODES), -np.log(N_NODES))), slope
