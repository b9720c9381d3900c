"""Evidence for the direction of time: the reported fit against every rival, gene by gene against the closest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.em import Run
from velotime.inference.evidence.rivals import CLEAR_PER_CELL, Rival
from velotime.inference.model.posterior import gene_log_likelihood_by_size
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.cells import SampledCells

CLEAR_MARGIN = 10.0  # nats by which the reported direction must win to be called clear


@dataclass(frozen=True)
class Arrow:
    """Evidence for the direction of time.

    Every rival (the best fit from each other root, and the reversed clock) is fitted with the same schedule, by the
    counts alone: with roots or labels that forbid it, no fit would stay there to be compared. What is known of the
    cells is then weighed under each fit and added. Where values are means over n neighbours, what they say counts as
    1/n of its nats.

    Attributes
    ----------
    log_likelihood_margin
        By how much the reported fit is likelier than the closest rival on all genes, nats.
    n_cells
        Cells that it was measured on.
    gene_evidence
        Each gene's part of that, given the posterior of time of either fit, nats, ``(genes,)``. What is left of the
        margin is how well the times themselves go with their prior, and what is known of the cells.
    share_of_genes
        Share of the genes that prefer the reported direction.
    knowledge_margin
        The part of the margin that comes from what is known of the cells (roots, ends, markers, labels), nats.
    whole_numbers
        Whether Gaussian noise was fitted to whole-number counts: a variance that does not grow with the mean makes much
        of the genes with many counts, and margins come out far too large.
    rivals
        All rivals, on the genes of the search and in two disjoint halves of them.
    misfit
        What the verdict on fit holds against any direction from these counts.
    does_not_fit
        Whether the verdict on fit is "does not fit".
    by_sample
        The part of the margin that comes from the cells of each sample, nats per cell of it, ``(samples,)``; NaN where
        none of its cells were among them. None for one sample.
    """

    log_likelihood_margin: float
    n_cells: int
    gene_evidence: FloatArray
    share_of_genes: float
    knowledge_margin: float = 0.0
    whole_numbers: bool = False
    rivals: tuple[Rival, ...] = ()
    misfit: tuple[str, ...] = ()
    does_not_fit: bool = False
    by_sample: FloatArray | None = None

    @property
    def least_margin(self) -> float:
        """Margin above which it is called clear, nats."""
        return max(CLEAR_MARGIN, CLEAR_PER_CELL * self.n_cells)

    @property
    def contested(self) -> bool:
        """Whether counts and knowledge speak for opposite directions, each by more than the least margin.

        And the counts not by chance: both halves of the genes must prefer the same side as all of them.
        """
        counts = self.log_likelihood_margin - self.knowledge_margin
        opposite = counts * self.knowledge_margin < 0
        large = min(abs(counts), abs(self.knowledge_margin)) > self.least_margin
        halves = [half for rival in self.rivals[:1] for half in rival.halves or ()]
        return opposite and large and not any(half * counts <= 0 for half in halves)

    @property
    def settled_by_knowledge(self) -> bool:
        """Whether what is known of the cells decides by itself."""
        return self.knowledge_margin > self.least_margin

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the direction is not clear, in words; empty if it is."""
        return tuple(self._doubts())

    def _doubts(self) -> Iterator[str]:
        if self.whole_numbers:
            yield "whole-number counts were fitted with Gaussian noise, whose margins mean little"
        if self.contested:
            yield "counts and what is known of the cells speak for opposite directions"
        if not self.log_likelihood_margin > self.least_margin:
            yield (
                f"the closest rival is {self.log_likelihood_margin:,.0f} nats behind on all genes "
                f"({self.least_margin:,.0f} are asked)"
            )
        for rival in self.rivals:
            yield from rival_doubts(rival)
        if self.does_not_fit or not self.settled_by_knowledge:
            yield from self.misfit

    @property
    def verdict(self) -> str:
        """Whether to rely on the direction: "clear" or "unclear"."""
        return "unclear" if self.doubts else "clear"


def rival_doubts(rival: Rival) -> Iterator[str]:
    """Why a rival is not out, in words."""
    name = "the reversed clock" if rival.how == "reversed" else "time from another end"
    if not rival.loses_on_all:
        yield f"{name} is {rival.total:.2f} nats per cell behind ({rival.asked} are asked)"
    elif rival.halves is not None and rival.half_that_prefers is not None:
        lag = rival.halves[rival.half_that_prefers - 1] + rival.known
        yield f"{name} is {rival.total:.2f} nats per cell behind on all genes, but {lag:.2f} in one half of them"


def gene_evidence(
    problem: SoftProblem, ahead: Run[SoftParameters, Sums], behind: Run[SoftParameters, Sums]
) -> FloatArray:
    """How much likelier each gene is under ``ahead``, nats, ``(genes,)``: its counts and the log prior of its curve.

    With q the posterior of the states, the bound is ``sum_g E_q log p(x_g) + log prior of the curves - KL(q | prior)``:
    the genes' parts and, apart from them, how sure the cells are of their times.
    """
    parts = [
        gene_log_likelihood_by_size(problem, run.parameters) - problem.rate_prior.penalty(run.parameters.theta)
        for run in (ahead, behind)
    ]
    return (parts[0] - parts[1]) / problem.cells.n_averaged


def sample_margins(
    problem: SoftProblem, ahead: Run[SoftParameters, Sums], behind: Run[SoftParameters, Sums]
) -> FloatArray | None:
    """How much likelier the cells of each sample are under ``ahead``, nats per cell, ``(samples,)``; None for one."""
    if not isinstance(problem.cells, SampledCells):
        return None
    n_cells = np.diff(problem.cells.starts)
    found = np.full(len(n_cells), np.nan)
    found[n_cells > 0] = _evidence_of_samples(problem, ahead) - _evidence_of_samples(problem, behind)
    return np.asarray(found / np.maximum(n_cells, 1))


def _evidence_of_samples(problem: SoftProblem, run: Run[SoftParameters, Sums]) -> FloatArray:
    """Log-likelihood of the cells of each sample that has some, nats."""
    total = []
    for part, own in problem.strata(run.parameters):
        model, rest = part.sweep_model(own, 1.0)
        total.append(part.sweep(model)[1] + rest)
    return np.array(total)
