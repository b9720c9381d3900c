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
from velotime.inference.model.background.learning import learn_background
from velotime.inference.model.gene_problem import GeneProblem
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
        profile = problem.background_profile
        genes = problem.gene_problem(run.parameters, run.statistics)
        theta, found, gain = tried_background(genes, run.parameters.theta, profile)
        if gain < self.least_gain * problem.cells.n_cells:
            return run
        watch(Stage("background"))
        learning = replace(problem.restarting, profile=profile)
        first = problem.with_background_of(found, replace(run.parameters, theta=theta))
        first = replace(first, damping=np.full(len(theta), 1e-2)) if isinstance(first, Iterate) else first
        later = run_em(learning, first, run.statistics, replace(schedule, annealing=0), watch, journal)
        best = later if later.bound > run.bound + self.least_gain else run
        return replace(best, trace=run.trace.followed_by(later.trace))


def background_shares(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """Share of all unspliced and of all spliced counts that is background, ``(2,)``."""
    besides, counts = np.zeros(2), np.zeros(2)
    for part, own in problem.strata(parameters):
        size = np.array([layer.size.sum() for layer in (part.cells.unspliced, part.cells.spliced)])
        counts += size * part.background_profile.sum(axis=1)
        besides += 0.0 if own.background is None else size * own.background.sum(axis=1)
    return np.asarray(besides / np.maximum(counts, 1e-12))


def tried_background(
    genes: GeneProblem, theta: FloatArray, profile: FloatArray
) -> tuple[FloatArray, GeneProblem, float]:
    """Curves and a problem with the background, given the posterior, and how many nats they gain over none."""
    genes = genes.merged(TRIED_TIMES)
    without = finish(genes, begin(genes, theta), ROUNDS)
    fit, problem = without, genes
    for k in range(ROUNDS):
        fit = improve(problem, begin(problem, fit.theta, fit.damping), 1)
        fit, problem = learn_background(problem, fit, profile)
        if k + 1 == SURE and not problem.shares(profile).any():
            return without.theta, genes, 0.0
    fit = finish(problem, begin(problem, fit.theta, fit.damping), ROUNDS)
    return fit.theta, problem, float(without.loss.sum() - fit.loss.sum())
