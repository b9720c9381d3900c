"""Evidence for the direction of time: the best fit forwards against the best backwards, gene by gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.em import Run
from velotime.inference.model.posterior import gene_log_likelihood
from velotime.inference.model.problem import SoftParameters, SoftProblem

CLEAR_MARGIN = 10.0  # nats by which the reported direction must win to be called clear
CLEAR_PER_CELL = 0.05  # nats a cell, likewise: genes that do not change at all reach 0.02
CLEAR_PROBABILITY = 0.95  # share of bootstrap samples of the genes that must agree
N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Arrow:
    """Evidence for the direction of time, on the cells of the starts and all genes.

    Both directions are fitted from the best start of their own, with the same schedule, by the counts alone: with roots
    or labels that forbid it, no fit would stay backwards to be compared. What is known of the cells is then weighed
    under either fit and added. Where values are means over n neighbours, what they say counts as 1/n of its nats.

    Attributes
    ----------
    log_likelihood_margin
        By how much the reported direction is likelier than the best fit backwards, nats.
    n_cells
        Cells that it was measured on.
    gene_evidence
        Each gene's part of that, given the posterior of time of either fit, nats, ``(genes,)``. What is left of the
        margin is how well the times themselves go with their prior, and what is known of the cells.
    share_of_genes
        Share of the genes that prefer the reported direction.
    probability
        Share of 2,000 bootstrap samples of the genes in which the margin is for the reported direction. Genes are
        taken as independent given the direction, so that this is an upper bound where they are not.
    knowledge_margin
        The part of the margin that comes from what is known of the cells (roots, ends, markers, labels), nats.
    counts_probability
        The same share without what is known of the cells.
    whole_numbers
        Whether Gaussian noise was fitted to whole-number counts: a variance that does not grow with the mean makes much
        of the genes with many counts, and margins come out far too large.
    verdict
        "clear" if the margin is over 10 nats and 0.05 nats a cell, the probability 0.95 or more, counts and knowledge
        do not contradict each other by as many nats, and the noise can go with the values; else "unclear".
    """

    log_likelihood_margin: float
    n_cells: int
    gene_evidence: FloatArray
    share_of_genes: float
    probability: float
    knowledge_margin: float = 0.0
    counts_probability: float = 1.0
    whole_numbers: bool = False

    @property
    def least_margin(self) -> float:
        """Margin above which it is called clear, nats."""
        return max(CLEAR_MARGIN, CLEAR_PER_CELL * self.n_cells)

    @property
    def contested(self) -> bool:
        """Whether counts and knowledge speak for opposite directions, each by more than the least margin.

        And the counts not by chance: 0.95 of the bootstrap samples of the genes must agree on their direction.
        """
        counts = self.log_likelihood_margin - self.knowledge_margin
        decided = max(self.counts_probability, 1.0 - self.counts_probability) >= CLEAR_PROBABILITY
        opposite = counts * self.knowledge_margin < 0
        return decided and opposite and min(abs(counts), abs(self.knowledge_margin)) > self.least_margin

    @property
    def verdict(self) -> str:
        """Whether to rely on the direction."""
        decided = self.log_likelihood_margin > self.least_margin and self.probability >= CLEAR_PROBABILITY
        return "clear" if decided and not self.contested and not self.whole_numbers else "unclear"


def weigh(
    problem: SoftProblem,
    ahead: Run[SoftParameters, Sums],
    behind: Run[SoftParameters, Sums],
    known: float,
    rng: Generator,
) -> Arrow:
    """Evidence for ``ahead`` over ``behind``.

    Parameters
    ----------
    problem, ahead, behind
        Two fits of one problem, by the counts alone.
    known
        By how many nats what is known of the cells speaks for ``ahead``.
    rng
        Draws the genes of the bootstrap.
    """
    evidence = (_gene_evidence(problem, ahead) - _gene_evidence(problem, behind)) / problem.cells.n_averaged
    n_genes = len(evidence)
    drawn = rng.multinomial(n_genes, np.full(n_genes, 1.0 / n_genes), size=N_BOOTSTRAP)
    by_counts = (ahead.bound - behind.bound) * problem.cells.worth
    margins = by_counts + drawn @ evidence - evidence.sum()
    return Arrow(
        log_likelihood_margin=by_counts + known,
        n_cells=problem.cells.n_cells,
        gene_evidence=evidence,
        share_of_genes=float((evidence > 0).mean()),
        probability=float((margins + known > 0).mean()),
        knowledge_margin=known,
        counts_probability=float((margins > 0).mean()),
    )


def _gene_evidence(problem: SoftProblem, run: Run[SoftParameters, Sums]) -> FloatArray:
    """A gene's part of the bound: expected log-likelihood of its counts, and log prior of its curve, ``(genes,)``."""
    return gene_log_likelihood(problem, run.parameters, run.statistics) - problem.rate_prior.penalty(
        run.parameters.theta
    )
