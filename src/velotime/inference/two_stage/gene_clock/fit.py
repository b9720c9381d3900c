"""The two-stage EM with a clock of its own for every gene: scVelo's dynamical model (Bergen et al. 2020)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from velotime._check import Instance, Number, Settings, Whole
from velotime._status import InputError, Status
from velotime._types import BoolArray, FloatArray
from velotime.inference.em import Schedule, Trace, Watcher, run_em, watch_nothing
from velotime.inference.observations import Observations
from velotime.inference.two_stage.gene_clock.consensus import GeneClocks, align, noise_sd
from velotime.inference.two_stage.gene_clock.curves import Curves, first_curves
from velotime.inference.two_stage.gene_clock.kernels import gather
from velotime.inference.two_stage.gene_clock.kernels.data import CurveData
from velotime.inference.two_stage.gene_clock.population import GenePopulation
from velotime.inference.two_stage.gene_clock.problem import (
    Climb,
    CurveProblem,
    ExactTimes,
    ExplicitTimes,
    PosteriorTimes,
    Times,
)
from velotime.inference.two_stage.gene_clock.steps import information
from velotime.inference.two_stage.gene_clock.summary import CurveCells, CurveGenes, summarise_curves

ROUND = 4  # iterations of the last stage after which the population prior is estimated again
LOOKS = 3
FINISH = 10  # iterations on all cells at most, after those on points
SQUARE, WIDE_SQUARE = 1 / 3, 1 / 2  # sides of the squares whose cells are one point, in noise sds; wide ones at first
PATIENCE = 6  # iterations in which every gene's step is undone, after which the loop ends


@dataclass(frozen=True)
class GeneClockFit:
    """Result of the two-stage EM on genes' own clocks.

    Attributes
    ----------
    status
        Converged if every gene is.
    trace
        Log posterior density per cell of all iterations of both stages.
    first_stage
        How many of them used explicit times.
    log_likelihood
        Of the values, at the times of the last stage, nats.
    fitted
        Which of the genes given have a steady-state ratio; all else is of these, ``(genes given,)``.
    theta
        Log amplitudes of both layers, log gamma/beta, log time on in units of 1/beta, log sigma and log ratio of the
        sigmas relative to the spreads, ``(genes, 6)``.
    spread
        Standard deviations of both layers over cells, ``(genes, 2)``.
    sigma
        Noise sds of both layers, ``(genes, 2)``.
    steady_state_ratio
        Slope of unspliced on spliced over the cells with most spliced, ``(genes,)``.
    converged
        Which genes have nothing more to gain, ``(genes,)``.
    loss
        Minus the log-likelihood per cell, nats, ``(genes,)``.
    population
        The population prior, learned from all genes.
    cells, genes
        What the curves say of cells and genes.
    time
        Shared time of each cell, ``(cells,)``.
    clocks
        Where the genes' clocks stand on it.
    seconds
        Wall time.
    """

    status: Status
    trace: Trace
    first_stage: int
    log_likelihood: float
    fitted: BoolArray
    theta: FloatArray
    spread: FloatArray
    sigma: FloatArray
    steady_state_ratio: FloatArray
    converged: BoolArray
    loss: FloatArray
    population: GenePopulation
    cells: CurveCells
    genes: CurveGenes
    time: FloatArray
    clocks: GeneClocks
    seconds: float


@dataclass(frozen=True)
class Stage:
    """How one run of the loop ended.

    Attributes
    ----------
    curves
        The genes' curves.
    value
        Log-likelihood of each gene, nats, ``(genes,)``.
    converged
        Which genes have nothing more to gain, ``(genes,)``.
    population
        Prior of the parameters.
    trace
        Record of the run.
    """

    curves: Curves
    value: FloatArray
    converged: BoolArray
    population: GenePopulation
    trace: Trace


@dataclass(frozen=True)
class GeneClock(Settings):
    """Settings of the two-stage EM on genes' own clocks.

    Moments are means over neighbours, which share most of their cells: where each is a mean of n, all of them together
    are taken to say no more than a share 1/n of them would, and so the prior learned from all genes has more weight
    (``docs/studies/against_scvelo.md`` has the effect).

    Parameters
    ----------
    last
        How cells get their times while curves are fitted in the last stage: ``PosteriorTimes()`` (default) or
        ``ExactTimes()``. Where noise is not small (values that are not averaged, moments of few counts) the nearest
        point mistakes noise across the curve for curvature, and gamma/beta is less accurate
        (``docs/studies/hard_soft_free.md``, ``docs/studies/two_stages.md``). The times that are reported are exact
        either way.
    explicit_iterations
        Iterations of the first stage, with explicit times, at most; 0 leaves it out.
    max_iterations
        Iterations of the last stage at most, on points that stand for cells with nearly the same values; 10 more at
        most follow on all cells.
    tolerance
        A gene has converged when a Newton step, on all cells, promises to gain less per cell, in nats.
    """

    last: Times = field(default_factory=PosteriorTimes)
    explicit_iterations: int = 6
    max_iterations: int = 60
    tolerance: float = 2e-4

    rules: ClassVar = {
        "last": Instance(
            (PosteriorTimes, ExactTimes, ExplicitTimes), "PosteriorTimes(), ExactTimes() or ExplicitTimes()"
        ),
        "explicit_iterations": Whole(0),
        "max_iterations": Whole(0),
        "tolerance": Number(0),
    }

    def fit(self, observations: Observations, *, rng: Generator, watch: Watcher = watch_nothing) -> GeneClockFit:
        """Fit the genes one by one, then bring their clocks together."""
        began = time.perf_counter()
        data = CurveData.of(observations)
        curves, ratio = first_curves(data)
        fitted = np.isfinite(ratio) & (ratio > 0) & (data.spread > 0).all(axis=1)
        if not fitted.any():
            raise InputError(
                f"no gene of {len(fitted)} has a steady-state ratio: the cells with most spliced have no unspliced. "
                "Check that the two layers belong together and are not swapped."
            )
        if not fitted.all():
            data = CurveData.of(observations.select_genes(np.flatnonzero(fitted)))
            curves, ratio = first_curves(data)
        stages = list(self.run(data, curves, watch))
        ended, theta = stages[-1], stages[-1].curves.theta
        when, clocks = align(data, theta, rng)
        cells, genes = summarise_curves(data, theta, ratio, clocks, exact=not isinstance(self.last, ExplicitTimes))
        return GeneClockFit(
            status=Status.CONVERGED if ended.converged.all() else Status.MAX_ITER,
            trace=Trace(*(np.concatenate([getattr(s.trace, f) for s in stages]) for f in ("bound", "temperature"))),
            first_stage=len(stages[0].trace.bound) if self.explicit_iterations else 0,
            log_likelihood=float(ended.value.sum()),
            fitted=fitted,
            theta=theta,
            spread=data.spread,
            sigma=noise_sd(theta, data.spread),
            steady_state_ratio=ratio,
            converged=ended.converged,
            loss=-ended.value / data.n_cells,
            population=ended.population,
            cells=cells,
            genes=genes,
            time=when,
            clocks=clocks,
            seconds=time.perf_counter() - began,
        )

    def run(self, data: CurveData, curves: Curves, watch: Watcher = watch_nothing) -> Iterator[Stage]:
        """Both stages; the last in rounds, before each of which the population prior is estimated again.

        All but the very last see points that stand for cells with nearly the same values.
        """
        population, learned_from = GenePopulation.weak(data.n_averaged), None
        rounds = [min(ROUND, self.max_iterations)] * LOOKS
        stages: list[tuple[Times, int]] = [
            (ExplicitTimes(), self.explicit_iterations),
            *((self.last, n) for n in rounds),
            (self.last, self.max_iterations - sum(rounds)),
        ]
        caution = None
        for times, longest in stages:
            if longest <= 0:
                continue
            population = population.learn(*learned_from) if learned_from else population
            side = SQUARE if (times, longest) == stages[-1] else WIDE_SQUARE
            points = gather(data.cells, side * noise_sd(curves.theta, data.spread))
            problem = CurveProblem(points, data.n_cells, data.spread, times, population, self.tolerance)
            climb, trace = _climb(problem, curves, caution, longest, watch)
            curves, caution = climb.best, climb.caution if times.nodes else None
            learned_from = curves.theta, information(climb.sums)
            yield Stage(curves, climb.sums.value, climb.converged, population, trace)
            del climb  # its sums
        problem = CurveProblem(data.cells, data.n_cells, data.spread, self.last, population, self.tolerance)
        climb, trace = _climb(problem, curves, caution, min(FINISH, self.max_iterations), watch)
        yield Stage(climb.best, climb.sums.value, climb.converged, population, trace)


def _climb(
    problem: CurveProblem, curves: Curves, caution: FloatArray | None, longest: int, watch: Watcher
) -> tuple[Climb, Trace]:
    """The loop from these curves on: where it ends, and its record."""
    climb = problem.begin(curves, caution)
    run = run_em(problem, climb, climb.sums, Schedule(0, 1.0, longest, 1e-9, PATIENCE), watch)
    return problem.maximise(run.parameters, run.statistics, 0), run.trace
