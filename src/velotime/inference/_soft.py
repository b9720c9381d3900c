"""``SoftEM``: one clock for all genes, a posterior of time for every cell."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.random import Generator

from velotime._status import InputError, Status
from velotime._types import BoolArray, IntArray
from velotime.inference._em import Run, Schedule, Trace, Watcher, run_em, watch_nothing
from velotime.inference._noise import NegativeBinomial, Noise
from velotime.inference._observations import Observations
from velotime.inference._params import States
from velotime.inference._priors import LearnedPrior, RatePrior, TimePrior
from velotime.inference._soft_problem import Cells, SoftParameters, SoftProblem, SoftStatistics
from velotime.inference._starts import Geometry, Trial, halve, orderings, reversed_trial
from velotime.inference._summary import CellTable, GeneTable, cell_table, gene_log_likelihood, gene_table

CLEAR_MARGIN = 10.0  # nats by which the best direction must win to be called clear
CLEAR_SHARE = 0.5  # share of genes that must prefer it


@dataclass(frozen=True)
class Arrow:
    """Evidence for the direction of time: the best fit against the best one backwards, on the cells of the starts.

    Attributes
    ----------
    log_likelihood_margin
        Difference in log-likelihood, nats.
    n_cells
        Cells that it was measured on.
    share_of_genes
        Share of the genes that prefer the reported direction.
    verdict
        "clear" or "unclear".
    """

    log_likelihood_margin: float
    n_cells: int
    share_of_genes: float
    verdict: str


@dataclass(frozen=True)
class SoftFit:
    """Result of ``SoftEM``.

    Attributes
    ----------
    status
        How the loop ended.
    trace
        Bound and temperature of each iteration.
    log_likelihood
        Log-likelihood of the counts, nats.
    states
        The states: times and lineages.
    parameters
        Curves, scatter and time prior.
    cells, genes
        Results a cell and a gene.
    starts
        Table of the starts tried: root cell, spacing, log-likelihood on the cells of the starts below the best.
    arrow
        Evidence for the direction of time.
    seconds_starts, seconds
        Wall time of the starts, and of everything.
    """

    status: Status
    trace: Trace
    log_likelihood: float
    states: States
    parameters: SoftParameters
    cells: CellTable
    genes: GeneTable
    starts: pd.DataFrame
    arrow: Arrow
    seconds_starts: float
    seconds: float


@dataclass(frozen=True)
class SoftEM:
    """Expectation-maximisation with a soft assignment of every cell to the times of one clock.

    Every gene follows the switch model on a clock that all genes share; the E-step finds the posterior of each cell's
    time from all genes, the M-step the curves from the sums over cells.

    Parameters
    ----------
    noise
        How counts scatter: ``NegativeBinomial()`` (default, as real counts are overdispersed), ``Poisson()`` or
        ``Gaussian()`` (for normalised values).
    prior
        Prior of time: ``LearnedPrior()`` (default, as cells never cover the clock evenly), ``UniformPrior()`` or
        ``FixedPrior(weights)``.
    n_times
        Times of the grid. The default, 64, is finer than most cells can be placed.
    hottest
        Temperature at which the annealing begins, 30 by default.
    annealing
        Iterations of annealing.
    max_iterations
        Iterations at temperature 1 after which the fit stops.
    tolerance
        Converged when the bound a cell changes by less, in nats.
    start_cells, start_genes, start_times
        Size of the short fits that choose root and direction.
    """

    noise: Noise = field(default_factory=NegativeBinomial)
    prior: TimePrior = field(default_factory=LearnedPrior)
    n_times: int = 64
    hottest: float = 10.0
    annealing: int = 16
    max_iterations: int = 40
    tolerance: float = 2e-3
    start_cells: int = 1500
    start_genes: int = 300
    start_times: int = 32

    def __post_init__(self) -> None:
        for name, least in (
            ("n_times", 8),
            ("max_iterations", 1),
            ("start_cells", 20),
            ("start_genes", 2),
            ("start_times", 8),
        ):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= least):
                raise InputError(f"SoftEM({name}={value!r}): must be a whole number, {least} or more.")
        if not self.hottest >= 1:
            raise InputError(f"SoftEM(hottest={self.hottest!r}): must be 1 or more; 1 means no annealing.")

    def fit(
        self,
        observations: Observations,
        geometry: Geometry,
        *,
        rng: Generator,
        group: IntArray | None = None,
        watch: Watcher = watch_nothing,
    ) -> SoftFit:
        """Fit the model.

        Parameters
        ----------
        observations
            Counts of the genes to fit.
        geometry
            Where some of the cells lie; the starts come from there.
        rng
            Draws the cells of the short fits.
        group
            Row of the time prior of each cell, ``(cells,)``; one for all by default.
        watch
            Called once an iteration.
        """
        began = time.perf_counter()
        group = np.zeros(observations.n_cells, dtype=np.int32) if group is None else group
        search = _Search.of(self, observations, geometry, group, rng)
        trials, backwards = search.run()
        seconds_starts = time.perf_counter() - began
        problem = self._problem(Cells.of(observations, group, self.noise), self.n_times)
        run = self._main_run(problem, search, trials[0], watch)
        cells = cell_table(problem, run.parameters)
        return SoftFit(
            status=run.status,
            trace=run.trace,
            log_likelihood=run.bound * problem.cells.n_cells
            + float(problem.rate_prior.penalty(run.parameters.theta).sum()),
            states=problem.states,
            parameters=run.parameters,
            cells=cells,
            genes=gene_table(problem, run.parameters, run.statistics),
            starts=_table(trials, backwards, search.problem.cells.n_cells),
            arrow=_arrow(search.problem, trials[0], backwards),
            seconds_starts=seconds_starts,
            seconds=time.perf_counter() - began,
        )

    def _problem(self, cells: Cells, n_times: int, restarts: frozenset[int] = frozenset()) -> SoftProblem:
        states = States.grid(n_times)
        return SoftProblem(cells, states, self.noise, self.prior, RatePrior(states.layout), restarts)

    def _main_run(
        self, problem: SoftProblem, search: _Search, trial: Trial, watch: Watcher
    ) -> Run[SoftParameters, SoftStatistics]:
        schedule = Schedule(self.annealing, self.hottest, self.max_iterations, self.tolerance)
        handover = replace(problem, states=search.problem.states)
        coarse = handover.expect_by(trial.run.parameters, search.genes, self.hottest / 2)
        first = handover.first(coarse)
        first = replace(first, prior=problem.time_prior.initial(problem.states, len(first.prior)))
        statistics, _ = problem.expect(first, self.hottest)
        problem = replace(problem, restarts=frozenset({self.annealing // 2, self.annealing}))
        return run_em(problem, first, statistics, schedule, watch)


@dataclass(frozen=True)
class _Search:
    """Short fits on some cells and genes."""

    problem: SoftProblem
    geometry: Geometry
    genes: BoolArray

    @classmethod
    def of(
        cls, method: SoftEM, observations: Observations, geometry: Geometry, group: IntArray, rng: Generator
    ) -> _Search:
        n = len(geometry.cells)
        keep = np.sort(rng.permutation(n)[: method.start_cells])
        geometry = Geometry(geometry.cells[keep], geometry.diffusion[keep], geometry.components[keep])
        some = observations.select_cells(geometry.cells)
        genes = most_variable(some, method.start_genes)
        cells = Cells.of(some.select_genes(np.flatnonzero(genes)), group[geometry.cells], method.noise)
        return cls(method._problem(cells, method.start_times), geometry, genes)

    def run(self) -> tuple[list[Trial], Trial]:
        """All trials, best first, and the best one given the same chances backwards."""
        trials = halve(self.problem, list(orderings(self.geometry)), lambda: None)
        when = cell_table(self.problem, trials[0].run.parameters).mean
        backwards = reversed_trial(self.problem, when, self.geometry.cells, lambda: None)
        if backwards.bound > trials[0].bound:
            return [backwards, *trials], trials[0]
        return trials, backwards


def most_variable(observations: Observations, n_genes: int) -> BoolArray:
    """Mark the ``n_genes`` genes whose normalised spliced counts vary most for their mean, ``(genes,)``."""
    normal = observations.spliced / np.maximum(observations.size_spliced, 1e-12)[:, None]
    mean = np.asarray(normal.mean(axis=0)).ravel()
    square = np.asarray((normal * normal).mean(axis=0)).ravel()
    excess = (square - mean**2) / np.maximum(mean, 0.05)
    keep = np.zeros(len(mean), dtype=bool)
    keep[np.argsort(-excess, kind="stable")[:n_genes]] = True
    return keep


def _table(trials: list[Trial], backwards: Trial, n_cells: int) -> pd.DataFrame:
    every = trials if backwards in trials else [*trials, backwards]
    best = max(trial.bound for trial in every)
    return pd.DataFrame(
        {
            "root_cell": [trial.start.root for trial in every],
            "start": [trial.start.spacing for trial in every],
            "log_likelihood": [(trial.bound - best) * n_cells for trial in every],
        }
    )


def _arrow(problem: SoftProblem, best: Trial, backwards: Trial) -> Arrow:
    n_cells = problem.cells.n_cells
    gains = gene_log_likelihood(problem, best.run) - gene_log_likelihood(problem, backwards.run)
    margin, share = (best.bound - backwards.bound) * n_cells, float((gains > 0).mean())
    clear = margin > CLEAR_MARGIN and share > CLEAR_SHARE
    return Arrow(margin, n_cells, share, "clear" if clear else "unclear")
