"""The last choice before the main run: the search's winner and the best fit that runs against it, on all genes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from numpy.random import Generator

from velotime._types import BoolArray
from velotime.compute import Sums
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.evidence.agreement import listen
from velotime.inference.evidence.arrow import Arrow, weigh
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.observations import Observations
from velotime.inference.search.trials import Outcome, Search, Trial

ALL_GENES = Schedule(annealing=8, hottest=5.0, longest=4, tolerance=0.0)  # on the cells of the search


@dataclass(frozen=True)
class Finalist:
    """A trial, its fit to all genes by the counts alone, and what else is known of the cells says of it, nats.

    ``worth`` is how many independent cells say as much as these: where values are means over neighbours the counts are
    weighed as in the arrow, so that the direction that is reported is the likelier one there as well.
    """

    trial: Trial
    run: Run[SoftParameters, Sums]
    known: float
    worth: float

    @property
    def log_likelihood(self) -> float:
        """All that speaks for it, nats."""
        return self.run.bound * self.worth + self.known


def finals(search: Search, observations: Observations, outcome: Outcome, rng: Generator) -> tuple[Trial, Arrow]:
    """The likelier of the two on all genes, and the evidence for its direction; each gets the same schedule.

    Parameters
    ----------
    search, outcome
        The search and what it found.
    observations
        All cells and genes.
    rng
        Draws the genes of the bootstrap.
    """
    some = observations.select_cells(search.geometry.cells)
    problem = replace(outcome.problem, cells=Cells.of(some, search.prior_rows, search.noise))
    forward, backward = (_on_all_genes(problem, search.genes, trial) for trial in (outcome.best, outcome.backwards))
    ahead, behind = (forward, backward) if forward.log_likelihood >= backward.log_likelihood else (backward, forward)
    arrow = _weigh(problem, ahead, behind, rng)
    if search.root is not None and ahead is backward and arrow.log_likelihood_margin < arrow.least_margin:
        ahead, arrow = forward, _weigh(problem, forward, backward, rng)  # noise does not overrule a root
    return ahead.trial, replace(arrow, whole_numbers=not search.noise.counts and some.holds_whole_numbers)


def _weigh(problem: SoftProblem, ahead: Finalist, behind: Finalist, rng: Generator) -> Arrow:
    return weigh(problem.silent, ahead.run, behind.run, ahead.known - behind.known, rng)


def _on_all_genes(problem: SoftProblem, genes: BoolArray, trial: Trial) -> Finalist:
    silent = replace(problem.silent, restarts=frozenset({ALL_GENES.annealing}))
    start = replace(trial.run.parameters, known=())
    first = silent.first(silent.expect_by(start, genes, ALL_GENES.hottest))
    statistics, _ = silent.expect(first, ALL_GENES.hottest)
    run = run_em(silent, first, statistics, ALL_GENES)
    known = (listen(problem, run).bound - run.bound) * problem.cells.n_cells
    return Finalist(trial, run, known, problem.cells.worth)
