r"""The two-stage EM on the clock that all genes share: every cell at one time, not a posterior of times.

    E   tau_i: the genes' explicit times averaged, in the first stage; argmin_t of the squared distance, in the last
        (``placing``)
    M   the same as ``SoftEM``'s with Gaussian noise, given each cell's time: curves, then variances

What the loop sees is the log-likelihood of the values *at* the assigned times (the classification likelihood of Celeux
and Govaert 1992). With exact times neither half can lower it. It is no likelihood of the curves, as it takes each time
as known: it rewards curves that follow the noise.

A cell between two times of the grid is counted at both, in proportion. Root, direction and first curves come from the
same starts as ``SoftEM``'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.random import Generator

from velotime._check import Number, Settings, Whole
from velotime._status import InputError, Status
from velotime._types import FloatArray
from velotime.inference.em import Run, Schedule, Trace, Watcher, run_em, watch_nothing
from velotime.inference.evidence.arrow import Arrow
from velotime.inference.evidence.gains import GeneGains, gene_gains
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import UniformPrior
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.model.noise import Gaussian
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.observations import Observations
from velotime.inference.search.begin import Starts, hand_over
from velotime.inference.search.finals import finals
from velotime.inference.search.geometry.starts import Geometry
from velotime.inference.states import States
from velotime.inference.two_stage.shared_clock.placing import Curves, Exact, Explicit, PlacedSums, Placing

HANDOVER = 5.0  # temperature at which the starts end and the stages begin
RESTARTS = frozenset({4})  # iteration of each stage in which every gene is tried again from scratch


@dataclass(frozen=True)
class HardProblem:
    """E- and M-step with one time per cell.

    Attributes
    ----------
    soft
        Cells, states and the M-step; its noise is Gaussian and its states have one lineage.
    placing
        How cells are placed.
    """

    soft: SoftProblem
    placing: Placing

    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[PlacedSums, float]:
        """Times, sums at them, and the log-likelihood per cell at them with the prior of the rates."""
        del temperature  # one time is as narrow as it gets
        curves = curves_of(self.soft, parameters)
        u, s = self.soft.cells.unspliced, self.soft.cells.spliced
        when, score = self.placing.times(u.values, s.values, curves)
        constant = self.soft.noise.constant(u, parameters.unspliced_scatter) + self.soft.noise.constant(
            s, parameters.spliced_scatter
        )
        penalty = self.soft.rate_prior.penalty(parameters.theta)
        bound = float(score.sum() + constant.sum() - penalty.sum()) / self.soft.cells.n_cells
        return PlacedSums.at(u.values, s.values, when, self.soft.states.n_states), bound

    def maximise(self, parameters: SoftParameters, statistics: PlacedSums, iteration: int) -> SoftParameters:
        """Curves, then variances."""
        return self.soft.maximise(parameters, statistics.sums, iteration)


def curves_of(problem: SoftProblem, parameters: SoftParameters) -> Curves:
    """What placing a cell takes."""
    return Curves(
        parameters.theta, parameters.unspliced_scatter, parameters.spliced_scatter, States.grid(problem.states.n_states)
    )


@dataclass(frozen=True)
class HardBeginning:
    """Where the starts end: the problem of all cells and genes, first parameters, what was tried, direction."""

    problem: SoftProblem
    first: SoftParameters
    starts: pd.DataFrame
    arrow: Arrow


@dataclass(frozen=True)
class SharedClockFit:
    """Result of the two-stage EM on a shared clock.

    Attributes
    ----------
    status
        How the last loop ended.
    trace
        Log-likelihood per cell at the assigned times, with the prior of the rates, of all iterations of both stages.
    first_stage
        How many of them used explicit times.
    log_likelihood
        Log-likelihood of the values at the assigned times, nats.
    parameters
        Curves and variances.
    time
        Time of each cell, ``(cells,)``.
    genes
        What the curve of each gene explains.
    starts, arrow
        Of the short fits that chose root and direction.
    seconds_starts, seconds
        Wall time of the starts, and of everything.
    """

    status: Status
    trace: Trace
    first_stage: int
    log_likelihood: float
    parameters: SoftParameters
    time: FloatArray
    genes: GeneGains
    starts: pd.DataFrame
    arrow: Arrow
    seconds_starts: float
    seconds: float


@dataclass(frozen=True)
class SharedClock(Settings):
    """Settings of the two-stage EM on a shared clock.

    Parameters
    ----------
    explicit_iterations
        Iterations of the first stage at most; 0 leaves it out.
    max_iterations
        Iterations of the last stage at most; 0 leaves it out.
    tolerance
        A stage has converged when the log-likelihood per cell changes by less twice in a row, in nats.
    n_times
        Times of the grid that curves are fitted on; cells lie between them.
    """

    explicit_iterations: int = 10
    max_iterations: int = 100
    tolerance: float = 2e-3
    n_times: int = 128

    rules: ClassVar = {
        "explicit_iterations": Whole(0),
        "max_iterations": Whole(0),
        "tolerance": Number(0),
        "n_times": Whole(8),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.explicit_iterations == self.max_iterations == 0:
            raise InputError(
                "SharedClock(explicit_iterations=0, max_iterations=0): one of them must be 1 or more. "
                "The defaults are 10 and 100."
            )

    def fit(
        self, observations: Observations, geometry: Geometry, *, rng: Generator, watch: Watcher = watch_nothing
    ) -> SharedClockFit:
        """Fit the model; arguments as for ``SoftEM``."""
        began = time.perf_counter()
        start = self.begin(observations, geometry, rng, watch)
        seconds_starts = time.perf_counter() - began
        problem = start.problem
        stages = list(self.run(problem, start.first, watch))
        run = stages[-1]
        when = np.empty(problem.cells.n_cells)
        when[problem.cells.order] = run.statistics.time
        penalty = float(problem.rate_prior.penalty(run.parameters.theta).sum())
        return SharedClockFit(
            status=run.status,
            trace=Trace(*(np.concatenate([getattr(r.trace, f) for r in stages]) for f in ("bound", "temperature"))),
            first_stage=len(stages[0].trace.bound) if self.explicit_iterations else 0,
            log_likelihood=run.bound * problem.cells.n_cells + penalty,
            parameters=run.parameters,
            time=when,
            genes=gene_gains(problem, run.parameters, run.statistics.sums),
            starts=start.starts,
            arrow=start.arrow,
            seconds_starts=seconds_starts,
            seconds=time.perf_counter() - began,
        )

    def begin(
        self, observations: Observations, geometry: Geometry, rng: Generator, watch: Watcher = watch_nothing
    ) -> HardBeginning:
        """Root, direction and first curves by the starts of ``SoftEM``."""
        searching, sampling = rng.spawn(2)
        noise, prior, states = Gaussian(), UniformPrior(), States.grid(self.n_times)
        labels = CellLabels.plain(observations.n_cells)
        rows = PriorRows.of(Groups.of(labels, None), (), labels)
        no_cells = np.zeros(0, dtype=np.int64)
        search = Starts(noise, prior).search(observations, geometry, rows, no_cells, searching)
        search = replace(search, watch=watch)
        outcome = search.run(1)
        final = finals(search, observations, outcome, sampling)
        cells = Cells.of(observations, rows, noise)
        problem = SoftProblem(cells, states, noise, prior, RatePrior(states.layout), restarts=RESTARTS)
        first = hand_over(problem, search.genes, outcome.problem.states, final.trial, HANDOVER)
        return HardBeginning(problem, first, search.table(outcome, final.trial), final.arrow)

    def run(
        self, problem: SoftProblem, first: SoftParameters, watch: Watcher = watch_nothing
    ) -> Iterator[Run[SoftParameters, PlacedSums]]:
        """Both stages, one after the other, from given curves."""
        parameters = first
        stages: tuple[tuple[Placing, int], ...] = (
            (Explicit(), self.explicit_iterations),
            (Exact(), self.max_iterations),
        )
        for placing, longest in stages:
            if longest == 0:
                continue
            hard = HardProblem(problem, placing)
            statistics, _ = hard.expect(parameters, 1.0)
            run = run_em(hard, parameters, statistics, Schedule(0, 1.0, longest, self.tolerance), watch)
            parameters = run.parameters
            yield run
