"""Whether a fit has a background: settings of ``SoftEM``, and the decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from velotime._check import Number, Settings
from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.em import Run, Schedule, Stage, Watcher, run_em
from velotime.inference.journal import NO_JOURNAL, Journal
from velotime.inference.model.background.learning import learn_background, shares
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.layer import LayerData
from velotime.inference.model.mstep import begin, finish, improve
from velotime.inference.model.problem import Iterate, SoftParameters, SoftProblem

ROUNDS = 12  # steps of the shares, given the posterior without a background, before it is decided whether it may pay
SURE = 3  # after so many of which both may be zero, and then stay so
TRIED_TIMES = 32  # of the clock on which it is tried

SoftRun = Run[SoftParameters, Sums]


@runtime_checkable
class Background(Protocol):
    """What is done about molecules that are in every cell whatever its state."""

    def settle(
        self,
        problem: SoftProblem,
        run: SoftRun,
        schedule: Schedule,
        watch: Watcher,
        journal: Journal = NO_JOURNAL,
    ) -> SoftRun:
        """Go on from a fit without a background."""


@dataclass(frozen=True)
class NoBackground(Settings):
    """All counts of a cell are its own."""

    def settle(
        self,
        problem: SoftProblem,
        run: SoftRun,
        schedule: Schedule,
        watch: Watcher,
        journal: Journal = NO_JOURNAL,
    ) -> SoftRun:
        """The fit as it is."""
        del problem, schedule, watch, journal
        return run


@dataclass(frozen=True)
class LearnedBackground(Settings):
    """A share of all counts, one per layer, learned with the curves; zero where it does not pay.

    A droplet holds molecules of broken cells besides those of its own, in proportion to how many there are of each
    gene: ``mean = l_i (curve_g(t_i) + e p_g)`` with ``p_g`` the gene's mean count and ``e`` the share. Curves,
    velocities and fitted means are those without it.

    Parameters
    ----------
    least_gain
        Nats per cell by which the fit must gain, or else the background is zero and the fit the same as without: by
        default 0.02, some ten times what cells without a background gain by chance.
    """

    least_gain: float = 0.02

    rules: ClassVar = {"least_gain": Number(0)}

    def settle(
        self,
        problem: SoftProblem,
        run: SoftRun,
        schedule: Schedule,
        watch: Watcher,
        journal: Journal = NO_JOURNAL,
    ) -> SoftRun:
        """Learn it given the posterior first; if that pays, go on with it, and keep it if the fit gains by it."""
        if not problem.noise.counts:
            return run
        profile = mean_counts(problem)
        genes = problem.gene_problem(run.parameters, run.statistics)
        theta, background, gain = tried_background(genes, run.parameters.theta, profile)
        if gain < self.least_gain * problem.cells.n_cells:
            return run
        watch(Stage("background"))
        learning = replace(problem.restarting, profile=profile)
        first = replace(run.parameters, theta=theta, background=background)
        first = replace(first, damping=np.full(len(theta), 1e-2)) if isinstance(first, Iterate) else first
        later = run_em(learning, first, run.statistics, replace(schedule, annealing=0), watch, journal)
        best = later if later.bound > run.bound + self.least_gain else run
        return replace(best, trace=run.trace.followed_by(later.trace))


def background_shares(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """Share of all unspliced and of all spliced counts that is background, ``(2,)``."""
    return np.zeros(2) if parameters.background is None else shares(parameters.background, mean_counts(problem))


def mean_counts(problem: SoftProblem) -> FloatArray:
    """Mean count of each gene over all cells at size factor 1, ``(2, genes)``."""
    return np.stack([_mean_count(layer) for layer in (problem.cells.unspliced, problem.cells.spliced)])


def _mean_count(layer: LayerData) -> FloatArray:
    return np.asarray(layer.value_per_level.sum(axis=0) / layer.size.sum())


def tried_background(
    genes: GeneProblem, theta: FloatArray, profile: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Curves and background given the posterior, and how many nats they gain over as many steps without one."""
    genes = genes.coarse(TRIED_TIMES)
    without = finish(genes, begin(genes, theta), ROUNDS)
    fit, background = without, np.zeros_like(profile)
    for k in range(ROUNDS):
        problem = replace(genes, background=background)
        fit, background = learn_background(
            problem, improve(problem, begin(problem, fit.theta, fit.damping), 1), profile
        )
        if k + 1 == SURE and not background.any():
            return without.theta, background, 0.0
    problem = replace(genes, background=background)
    fit = finish(problem, begin(problem, fit.theta, fit.damping), ROUNDS)
    return fit.theta, background, float(without.loss.sum() - fit.loss.sum())
