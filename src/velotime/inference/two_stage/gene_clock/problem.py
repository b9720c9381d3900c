"""E- and M-step of single genes' curves, for all genes at once.

An E-step leaves normal equations; the M-step takes a step (``steps``) with a caution per gene, which falls while
steps gain what they promise. A step that made a gene worse is undone, and genes whose best step promises little are
left out of the E-step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from velotime._check import Settings
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.two_stage.gene_clock.curves import Curves
from velotime.inference.two_stage.gene_clock.kernels import CurveSums, PointSource, sum_over_posterior, sum_over_times
from velotime.inference.two_stage.gene_clock.population import GenePopulation
from velotime.inference.two_stage.gene_clock.steps import PSEUDO, take_steps

FIRST_CAUTION, LEAST_CAUTION, MOST_CAUTION = 0.5, 1e-3, 1e5
SURE = 0.5  # caution above which a small promise means little


class Times(Protocol):
    """How cells get their times in an E-step."""

    @property
    def nodes(self) -> bool:
        """Whether times are a posterior over the nodes of the curve."""

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums over cells for some genes, ``genes`` their columns, ``curves`` and ``spread`` theirs."""


@dataclass(frozen=True)
class ExplicitTimes(Settings):
    """The explicit inverse: from u, or from s~ where that has the smaller variance; the nearest branch stays."""

    nodes = False

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums at the explicit times."""
        return sum_over_times(source, genes, curves.theta, spread, exact=False)


@dataclass(frozen=True)
class ExactTimes(Settings):
    """The nearest point of the curve, distances in units of the noise."""

    nodes = False

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums at the nearest points, with derivatives that include their motion."""
        return sum_over_times(source, genes, curves.theta, spread, exact=True)


@dataclass(frozen=True)
class PosteriorTimes(Settings):
    """Every time on the curve, weighted by its posterior; how often each is visited is learned."""

    nodes = True

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums under the posterior."""
        return sum_over_posterior(source, genes, curves.theta, spread, curves.log_prior)


@dataclass(frozen=True)
class Climb:
    """Where the optimiser of each gene stands.

    Attributes
    ----------
    tried
        Curves whose sums the next E-step finds.
    best, sums
        Best curves so far and their sums.
    fresh
        Whether nothing has been tried yet but ``best``.
    promised
        What the step to ``tried`` should gain, nats, ``(genes,)``.
    caution
        Between an EM step and a Newton step, see ``steps``, ``(genes,)``.
    converged
        Whether the best step from ``best`` promises almost nothing, ``(genes,)``.
    """

    tried: Curves
    best: Curves
    sums: CurveSums
    fresh: bool
    promised: FloatArray
    caution: FloatArray
    converged: BoolArray

    @property
    def active(self) -> BoolArray:
        """Genes that have neither converged nor come to an end otherwise, ``(genes,)``."""
        return np.asarray(~self.converged & (self.caution < MOST_CAUTION))

    @property
    def attempt(self) -> tuple[IntArray, Curves]:
        """Active genes, and what they try."""
        genes = np.flatnonzero(self.active)
        return genes, self.tried.of(genes)


@dataclass(frozen=True)
class CurveProblem:
    """E- and M-step of all genes.

    Attributes
    ----------
    source
        The cells, or points that stand for them.
    n_cells
        How many cells.
    spread
        Standard deviation of both layers over cells, ``(genes, 2)``.
    times
        How cells get their times.
    population
        Prior of the parameters.
    tolerance
        A gene is done when a step would gain less per cell, nats.
    """

    source: PointSource
    n_cells: int
    spread: FloatArray
    times: Times
    population: GenePopulation
    tolerance: float

    def begin(self, curves: Curves, caution: FloatArray | None) -> Climb:
        """Stand at these curves, with so much caution, or as much as there is at first."""
        n = len(curves.theta)
        sums = self.times.sums(self.source, np.arange(n), curves, self.spread)
        first = np.full(n, FIRST_CAUTION) if caution is None else np.minimum(caution, FIRST_CAUTION)
        return Climb(curves, curves, sums, True, np.zeros(n), first, np.zeros(n, dtype=bool))

    def expect(self, climb: Climb, temperature: float) -> tuple[CurveSums, float]:
        """Sums of the curves that are tried, active genes only; and the bound per cell, all genes at their best."""
        del temperature
        genes, tried = climb.attempt
        sums = self.times.sums(self.source, genes, tried, self.spread[genes])
        bound = self._best(climb)
        bound[genes] = np.maximum(bound[genes], self.objective(tried, sums))
        return sums, float(bound.sum() / self.n_cells)

    def objective(self, curves: Curves, sums: CurveSums) -> FloatArray:
        """Log posterior density of each gene, nats, ``(genes,)``."""
        pull = self.times.nodes * PSEUDO * curves.log_prior.sum(axis=1)
        return np.asarray(sums.value + self.population.log_density(curves.theta) + pull)

    def _best(self, climb: Climb) -> FloatArray:
        return self.objective(climb.best, climb.sums)

    def judge(self, climb: Climb, sums: CurveSums) -> Climb:
        """Keep what was tried where it is better than the best; the less it gained of its promise, the more caution."""
        if climb.fresh:
            return replace(climb, fresh=False)
        genes, tried = climb.attempt
        gain = self.objective(tried, sums) - self._best(climb)[genes]
        good = gain > 0
        better = np.flatnonzero(good)
        kept = climb.best.put(genes[better], tried.of(better))
        here = replace(climb, tried=kept, best=kept, sums=climb.sums.put(genes[better], sums.of(better)))
        held, old, caution = (
            gain / np.maximum(climb.promised[genes], 1e-300),
            climb.caution[genes],
            climb.caution.copy(),
        )
        new = np.where(held > 0.5, np.minimum(old, 1.0) / 2, np.where(held > 0.25, old, 2 * old))
        caution[genes] = np.maximum(np.where(good, new, 4 * old + 0.02), LEAST_CAUTION)
        return replace(here, caution=caution)

    def maximise(self, climb: Climb, statistics: CurveSums, iteration: int) -> Climb:
        """A step from the best curves."""
        del iteration
        here = self.judge(climb, statistics)
        promised, caution, converged = here.promised.copy(), here.caution.copy(), here.converged.copy()
        genes = np.flatnonzero(here.active)
        steps = take_steps(here.best.of(genes), here.sums.of(genes), self.population, caution[genes])
        promised[genes], caution[genes] = steps.promised, steps.caution
        converged[genes] = (steps.left < self.tolerance * self.n_cells) & (steps.caution <= SURE)
        tried = here.best.put(genes, steps.curves)
        return replace(here, tried=tried, promised=promised, caution=caution, converged=converged)
