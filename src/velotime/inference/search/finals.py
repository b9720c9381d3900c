"""The last choice before the main run: the search's winner and its closest rival, on all genes; and does it fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from velotime._types import BoolArray
from velotime.compute import Sums
from velotime.inference.em import Run, Stage
from velotime.inference.evidence.agreement import listen
from velotime.inference.evidence.arrow import Arrow, gene_evidence, sample_margins
from velotime.inference.evidence.coherence import coherence
from velotime.inference.evidence.fit_verdict import LEAST_EXPLAINED, FitVerdict
from velotime.inference.evidence.gains import gene_gains
from velotime.inference.evidence.steps import steps_of
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.observations import Observations
from velotime.inference.search.rivals import Candidate
from velotime.inference.search.roots import Outcome, Search
from velotime.inference.search.trials import Trial, on_all_genes
from velotime.inference.tally import Tally

TELLS_OF_TIME = 20.0  # nats over a constant mean from which on a gene does


@dataclass(frozen=True)
class Finalist:
    """A candidate, its fit to all genes by the counts alone, and what else is known of the cells says of it, nats.

    ``worth`` is how many independent cells say as much as these: where values are means over neighbours the counts are
    weighed as in the arrow, so that the direction that is reported is the likelier one there as well.
    """

    candidate: Candidate
    run: Run[SoftParameters, Sums]
    known: float
    worth: float

    @property
    def log_likelihood(self) -> float:
        """All that speaks for it, nats."""
        return self.run.bound * self.worth + self.known


@dataclass(frozen=True)
class Verdict:
    """What the main run begins with, and how far to rely on it.

    Attributes
    ----------
    trial
        The winner's short fit.
    curves
        Its parameters after the fit of all genes by the counts alone, on the coarse clock.
    arrow, fit
        Evidence for its direction, and whether the model fits.
    """

    trial: Trial
    curves: SoftParameters
    arrow: Arrow
    fit: FitVerdict


def finals(search: Search, observations: Observations, outcome: Outcome, rng: Generator) -> Verdict:
    """The likelier of the two on all genes, and the evidence for its direction; each gets the same schedule.

    Parameters
    ----------
    search, outcome
        The search and what it found.
    observations
        All cells and genes.
    rng
        Draws counts from the fit.
    """
    some = observations.select_cells(search.geometry.cells)
    problem = replace(outcome.problem, cells=cells_of(some, search.prior_rows, search.noise))
    tally = Tally(search.watch)
    tally.begin("root and direction on all genes", 2)
    forward, backward = (tally.counted(_finalist(problem, search.genes, one)) for one in outcome.candidates[:2])
    ahead, behind = (forward, backward) if forward.log_likelihood >= backward.log_likelihood else (backward, forward)
    arrow = _weigh(problem, ahead, behind)
    if search.root is not None and ahead is backward and arrow.log_likelihood_margin < arrow.least_margin:
        ahead, arrow = forward, _weigh(problem, forward, backward)  # noise does not overrule a root
    left_out = search.left_out(outcome.problem.states.layout.n_lineages)
    search.watch(Stage("whether the model fits"))
    fit = verdict_on_fit(outcome.problem, ahead.candidate, rng)
    fit = replace(fit, left_out=left_out, ring=search.ring)
    arrow = replace(
        arrow,
        whole_numbers=not search.noise.counts and some.holds_whole_numbers,
        rivals=tuple(
            one.as_rival_of(ahead.candidate, search.geometry.cells, problem.cells.n_averaged)
            for one in outcome.candidates
            if one is not ahead.candidate
        ),
        misfit=fit.doubts,
        does_not_fit=fit.word == "does not fit",
    )
    if arrow.doubts:
        fit = replace(fit, off_cycle=search.share_off())
    return Verdict(ahead.candidate.trial, ahead.run.parameters, arrow, fit)


def verdict_on_fit(problem: SoftProblem, candidate: Candidate, rng: Generator) -> FitVerdict:
    """Whether the model fits, by a candidate's short fit and its halves of the genes."""
    run = candidate.trial.run
    gains = gene_gains(problem, run.parameters, run.statistics)
    telling = gains.gain > TELLS_OF_TIME
    poor = gains.deviance_explained[telling] < LEAST_EXPLAINED
    halves, alone = candidate.halves, problem.cells.n_averaged == 1
    return FitVerdict(
        agreement=float("nan") if halves is None else halves.agreement,
        lineage_agreement=float("nan") if halves is None else halves.lineage_agreement,
        coherence=coherence(problem, run.parameters, rng) if alone else None,
        steps=steps_of(problem, run.parameters, rng) if alone else None,
        gain=float(gains.gain.sum()) / problem.cells.n_cells,
        poor_genes=float(np.mean(poor)) if telling.any() else float("nan"),
    )


def _weigh(problem: SoftProblem, ahead: Finalist, behind: Finalist) -> Arrow:
    """Evidence for ``ahead`` over ``behind``."""
    evidence = gene_evidence(problem.silent, ahead.run, behind.run)
    return Arrow(
        log_likelihood_margin=ahead.log_likelihood - behind.log_likelihood,
        n_cells=problem.cells.n_cells,
        gene_evidence=evidence,
        share_of_genes=float((evidence > 0).mean()),
        knowledge_margin=ahead.known - behind.known,
        by_sample=sample_margins(problem.silent, ahead.run, behind.run),
    )


def _finalist(problem: SoftProblem, genes: BoolArray, candidate: Candidate) -> Finalist:
    run = on_all_genes(problem, genes, candidate.trial)
    known = (listen(problem, run).bound - run.bound) * problem.cells.n_cells
    return Finalist(candidate, run, known, problem.cells.worth)
