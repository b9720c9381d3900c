"""The loop of expectation-maximisation and its monitor, shared by all methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from velotime._status import FitError, Status
from velotime._types import FloatArray
from velotime.inference.journal import NO_JOURNAL, Journal

P = TypeVar("P")
S = TypeVar("S")


class Problem(Protocol[P, S]):
    """A model of some data, as the loop sees it."""

    def expect(self, parameters: P, temperature: float) -> tuple[S, float]:
        """E-step: statistics under the posterior, and the bound (log-likelihood and log prior) per cell."""

    def maximise(self, parameters: P, statistics: S, iteration: int) -> P:
        """M-step: parameters that raise the bound given the statistics.

        In some iterations others may be tried, which can lower it; in none beyond the schedule's last.
        """


@dataclass(frozen=True)
class Schedule:
    """How long the loop runs, and at which temperatures.

    Parameters
    ----------
    annealing
        Iterations over which the temperature falls from ``hottest`` to 1, evenly in its logarithm.
    hottest
        Temperature of the first iteration. With hundreds of genes the posterior of time is so narrow that cells
        hardly move; a high temperature widens it.
    longest
        Iterations at temperature 1 after which the loop stops in any case.
    tolerance
        Converged when the bound per cell changes by less than this twice in a row, in nats.
    patience
        Or this many times in a row, where steps may be undone and an unchanged bound does not mean convergence.
    """

    annealing: int
    hottest: float
    longest: int
    tolerance: float
    patience: int = 2

    @property
    def n_iterations(self) -> int:
        """Iterations at most."""
        return self.annealing + self.longest

    def temperature(self, iteration: int) -> float:
        """Temperature of the E-step that closes iteration ``iteration`` (from 0)."""
        if iteration >= self.annealing:
            return 1.0
        return float(self.hottest ** (1.0 - iteration / self.annealing))


@dataclass(frozen=True)
class Progress:
    """One iteration, for a progress bar."""

    iteration: int
    n_iterations: int
    bound: float
    temperature: float


@dataclass(frozen=True)
class Stage:
    """What comes next, for a progress bar; iterations that follow belong to it."""

    name: str


@dataclass(frozen=True)
class ShortFits:
    """Short fits that are done, and how many there may be at most in this stage, for a progress bar."""

    done: int
    most: int


#: Called once per iteration, after each short fit, and where another part of the work begins.
Watcher = Callable[[Progress | ShortFits | Stage], None]


def watch_nothing(progress: Progress | ShortFits | Stage) -> None:
    """Show nothing."""


@dataclass
class Monitor:
    """Watches the bound per cell once the temperature is 1.

    Parameters
    ----------
    tolerance
        Smaller changes count as none.
    patience
        Iterations in a row without change, or below the best, after which the loop ends.
    """

    tolerance: float
    patience: int = 2
    best: float = -np.inf
    _last: float = field(default=-np.inf, repr=False)
    _still: int = field(default=0, repr=False)
    _below: int = field(default=0, repr=False)

    def falls(self, bound: float) -> bool:
        """Whether it is below the last one by more than what counts as no change."""
        return bound < self._last - self.tolerance

    def record(self, bound: float) -> Status | None:
        """Take in the bound of one iteration; a status when the loop should end."""
        if not np.isfinite(bound):
            raise FitError(
                "the log-likelihood is not finite, so the fit cannot go on. "
                "Check the input for extreme values, or try noise=Poisson()."
            )
        self._still = self._still + 1 if abs(bound - self._last) < self.tolerance else 0
        self._below = self._below + 1 if bound < self.best - self.tolerance else 0
        self._last = bound
        self.best = max(self.best, bound)
        if self._below > self.patience:
            return Status.BOUND_FELL
        if self._still >= self.patience:
            return Status.CONVERGED
        return None


@dataclass(frozen=True)
class Trace:
    """Record of a run, one entry per iteration.

    Attributes
    ----------
    bound
        Log-likelihood plus log prior per cell, at that iteration's temperature, in nats.
    temperature
        What the log-likelihoods were divided by.
    """

    bound: FloatArray
    temperature: FloatArray

    def followed_by(self, later: Trace) -> Trace:
        """Both runs, one after the other."""
        return Trace(np.append(self.bound, later.bound), np.append(self.temperature, later.temperature))


@dataclass(frozen=True)
class Run(Generic[P, S]):
    """End of a run: the best parameters, and statistics and bound of an E-step at temperature 1 with just these."""

    parameters: P
    statistics: S
    bound: float
    status: Status
    trace: Trace


@dataclass(frozen=True)
class Place(Generic[P, S]):
    """Where a run is after an iteration: all that it needs to go on.

    Attributes
    ----------
    parameters, statistics
        Of the last iteration.
    monitor
        What it has seen of the bound.
    trace
        Of all iterations so far.
    best
        Parameters, statistics and bound at temperature 1; None before that.
    status
        Why the run ends here; None if it goes on.
    """

    parameters: P
    statistics: S
    monitor: Monitor
    trace: Trace
    best: tuple[P, S, float] | None = None
    status: Status | None = None

    @property
    def iteration(self) -> int:
        """Iterations done."""
        return len(self.trace.bound)

    def after(self, parameters: P, statistics: S, bound: float, temperature: float) -> Place[P, S]:
        """The place after one more iteration; this one stays what it is."""
        trace = self.trace.followed_by(Trace(np.array([bound]), np.array([temperature])))
        if temperature > 1.0:
            return replace(self, parameters=parameters, statistics=statistics, trace=trace)
        monitor = replace(self.monitor)
        status = monitor.record(bound)
        best = (parameters, statistics, bound) if self.best is None or bound > self.best[2] else self.best
        return Place(parameters, statistics, monitor, trace, best, status)


def run_em(
    problem: Problem[P, S],
    parameters: P,
    statistics: S,
    schedule: Schedule,
    watch: Watcher = watch_nothing,
    journal: Journal = NO_JOURNAL,
) -> Run[P, S]:
    """Alternate M- and E-steps from ``statistics`` on until the bound no longer changes.

    Every iteration ends with an E-step, so parameters and statistics that come back belong together. One at temperature
    1 in which the bound falls is done again with nothing tried. Each is noted in the journal, from where a run that was
    cut off goes on.
    """
    place: Place[P, S] | None = journal.read("place")
    if place is None:
        nothing = Trace(np.zeros(0), np.zeros(0))
        place = Place(parameters, statistics, Monitor(schedule.tolerance, schedule.patience), nothing)
    while place.status is None and place.iteration < schedule.n_iterations:
        temperature = schedule.temperature(place.iteration)
        parameters = problem.maximise(place.parameters, place.statistics, place.iteration)
        statistics, bound = problem.expect(parameters, temperature)
        if temperature <= 1.0 and place.monitor.falls(bound):  # what was tried in this iteration did not pay
            parameters = problem.maximise(place.parameters, place.statistics, schedule.n_iterations)
            statistics, bound = problem.expect(parameters, temperature)
        place = place.after(parameters, statistics, bound, temperature)
        journal.note("place", place)
        watch(Progress(place.iteration, schedule.n_iterations, bound, temperature))
    best = place.best
    if best is None:
        statistics, bound = problem.expect(place.parameters, 1.0)
        best = place.parameters, statistics, bound
    return Run(*best, place.status or Status.MAX_ITER, place.trace)


def continue_em(
    problem: Problem[P, S],
    run: Run[P, S],
    schedule: Schedule,
    watch: Watcher = watch_nothing,
    journal: Journal = NO_JOURNAL,
) -> Run[P, S]:
    """Go on from where a run ended, reheated where the schedule begins hot; the better of both ends, both traces."""
    statistics = run.statistics
    if schedule.annealing:
        statistics, _ = problem.expect(run.parameters, schedule.temperature(0))
    later = run_em(problem, run.parameters, statistics, schedule, watch, journal)
    best = later if later.bound > run.bound else run
    return replace(best, trace=run.trace.followed_by(later.trace))
