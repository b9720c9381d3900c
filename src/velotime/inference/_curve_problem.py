"""E- and M-step of single genes' curves, for all genes at once.

An E-step leaves normal equations; the M-step takes a step (``_curve_steps``) with a caution a gene, less of it the
better the steps keep what they promise. A step that made a gene worse is taken back, and genes of which no step
promises much are left out of the E-step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.backends import CurveSums, PointSource, sum_over_posterior, sum_over_times
from velotime.inference._curve_data import Curves
from velotime.inference._curve_steps import PSEUDO, Steps, take_steps
from velotime.inference._gene_population import GenePopulation

FIRST_CAUTION, LEAST_CAUTION, MOST_CAUTION = 0.5, 1e-3, 1e5
SURE = 0.5  # caution above which a small promise means little
BLOCK = 64  # genes whose equations are solved together


class Times(Protocol):
    """How cells get their times in an E-step."""

    @property
    def nodes(self) -> bool:
        """Whether times are a posterior over the nodes of the curve."""

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums over cells for some genes, ``genes`` their columns, ``curves`` and ``spread`` theirs."""


@dataclass(frozen=True)
class ExplicitTimes:
    """The explicit inverse: from u, or from s~ where that has the smaller variance; the nearest branch stays."""

    nodes = False

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums at the explicit times."""
        return sum_over_times(source, genes, curves.theta, spread, exact=False)


@dataclass(frozen=True)
class ExactTimes:
    """The nearest point of the curve, distances in units of the noise."""

    nodes = False

    def sums(self, source: PointSource, genes: IntArray, curves: Curves, spread: FloatArray) -> CurveSums:
        """Sums at the nearest points, with derivatives that know that these move."""
        return sum_over_times(source, genes, curves.theta, spread, exact=True)


@dataclass(frozen=True)
class PosteriorTimes:
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
    seen
        Whether ``sums`` are there.
    promised
        What the step to ``tried`` should gain, nats, ``(genes,)``.
    caution
        Between an EM step and a Newton step, see ``_curve_steps``, ``(genes,)``.
    converged
        Whether the best step from ``best`` promises next to nothing, ``(genes,)``.
    """

    tried: Curves
    best: Curves
    sums: CurveSums
    seen: bool
    promised: FloatArray
    caution: FloatArray
    converged: BoolArray

    @classmethod
    def begin(cls, curves: Curves, times: Times, caution: FloatArray | None = None) -> Climb:
        """Stand at these curves, whose sums are not known yet."""
        n = len(curves.theta)
        first = np.full(n, FIRST_CAUTION) if caution is None else np.minimum(caution, FIRST_CAUTION)
        sums = CurveSums.empty(n, nodes=times.nodes)
        return cls(curves, curves, sums, False, np.zeros(n), first, np.zeros(n, dtype=bool))

    @property
    def active(self) -> BoolArray:
        """Genes that have neither converged nor come to an end otherwise, ``(genes,)``."""
        return np.asarray(~self.converged & (self.caution < MOST_CAUTION))


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
        A gene is done when a step would gain less a cell, nats.
    """

    source: PointSource
    n_cells: int
    spread: FloatArray
    times: Times
    population: GenePopulation
    tolerance: float

    def expect(self, climb: Climb, temperature: float) -> tuple[CurveSums, float]:
        """Sums of the curves that are tried, and the bound a cell: that of the better of tried and best, all genes."""
        del temperature
        genes = np.flatnonzero(climb.active)
        sums = CurveSums(*(array.copy() for array in climb.sums.arrays))
        if len(genes):
            found = self.times.sums(self.source, genes, climb.tried.of(genes), self.spread[genes])
            for into, array in zip(sums.arrays, found.arrays, strict=True):
                into[genes] = array
        better = np.maximum(self.objective(climb.tried, sums), self._best(climb))
        return sums, float(np.where(climb.active, better, self._best(climb)).sum() / self.n_cells)

    def objective(self, curves: Curves, sums: CurveSums) -> FloatArray:
        """Log posterior density of each gene, nats, ``(genes,)``."""
        pull = self.times.nodes * PSEUDO * curves.log_prior.sum(axis=1)
        return np.asarray(sums.value + self.population.log_density(curves.theta) + pull)

    def _best(self, climb: Climb) -> FloatArray:
        best = self.objective(climb.best, climb.sums)
        return best if climb.seen else np.full_like(best, -np.inf)

    def judge(self, climb: Climb, sums: CurveSums) -> Climb:
        """Keep what was tried where it is better than the best; be the more careful the less it held its promise."""
        gain = self.objective(climb.tried, sums) - self._best(climb)
        good = (gain > 0) & climb.active
        kept = climb.tried.where(good, climb.best)
        here = replace(climb, tried=kept, best=kept, sums=sums.where(good, climb.sums), seen=True)
        if not climb.seen:
            return here
        held = gain / np.maximum(climb.promised, 1e-300)
        caution = climb.caution * np.where(held > 0.25, 1.0, 2.0)
        caution = np.where(held > 0.5, np.minimum(climb.caution, 1.0) / 2, caution)
        caution = np.where(good, caution, 4 * climb.caution + 0.02)
        return replace(here, caution=np.where(climb.active, np.maximum(caution, LEAST_CAUTION), climb.caution))

    def maximise(self, climb: Climb, statistics: CurveSums, iteration: int) -> Climb:
        """A step from the best curves."""
        del iteration
        here = self.judge(climb, statistics)
        theta, log_prior = here.best.theta.copy(), here.best.log_prior.copy()
        promised, caution, converged = here.promised.copy(), here.caution.copy(), here.converged.copy()
        active = np.flatnonzero(here.active)
        for first in range(0, len(active), BLOCK):
            genes = active[first : first + BLOCK]
            steps = self._steps(here, genes, caution[genes])
            again = ~(steps.promised > 0) & (caution[genes] < 1)  # no maximum that way
            if again.any():
                caution[genes[again]] = 1.0
                steps = self._steps(here, genes, caution[genes])
            theta[genes], log_prior[genes] = steps.curves.theta, steps.curves.log_prior
            promised[genes] = steps.promised
            converged[genes] = (steps.left < self.tolerance * self.n_cells) & (caution[genes] <= SURE)
        return replace(here, tried=Curves(theta, log_prior), promised=promised, caution=caution, converged=converged)

    def _steps(self, climb: Climb, genes: IntArray, caution: FloatArray) -> Steps:
        return take_steps(climb.best.of(genes), climb.sums.of(genes), self.population, caution)
