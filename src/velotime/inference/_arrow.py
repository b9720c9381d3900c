"""Evidence for the direction of time: the best fit forwards against the best backwards, gene by gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from velotime._types import FloatArray
from velotime.inference._em import Run
from velotime.inference._soft_problem import SoftParameters, SoftProblem, SoftStatistics
from velotime.inference._summary import gene_log_likelihood

CLEAR_MARGIN = 10.0  # nats by which the reported direction must win to be called clear
CLEAR_PER_CELL = 0.05  # nats a cell, likewise: genes that do not change at all reach 0.02
CLEAR_PROBABILITY = 0.95  # share of bootstrap samples of the genes that must agree
N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Arrow:
    """Evidence for the direction of time, on the cells of the starts and all genes.

    Both directions are fitted from the best start of their own, with the same schedule.

    Attributes
    ----------
    log_likelihood_margin
        By how much the reported direction is likelier than the best fit backwards, nats.
    n_cells
        Cells that it was measured on.
    gene_evidence
        The same for each gene, given the posterior of time of either fit, nats, ``(genes,)``.
    share_of_genes
        Share of the genes that prefer the reported direction.
    probability
        Share of 2,000 bootstrap samples of the genes in which their summed evidence is for the reported direction.
        Genes are taken as independent given the direction, so that this is an upper bound where they are not.
    verdict
        "clear" if the margin is over 10 nats and 0.05 nats a cell and the probability 0.95 or more, else "unclear".
    """

    log_likelihood_margin: float
    n_cells: int
    gene_evidence: FloatArray
    share_of_genes: float
    probability: float

    @property
    def verdict(self) -> str:
        """Whether to rely on the direction."""
        least = max(CLEAR_MARGIN, CLEAR_PER_CELL * self.n_cells)
        clear = self.log_likelihood_margin > least and self.probability >= CLEAR_PROBABILITY
        return "clear" if clear else "unclear"


def weigh(
    problem: SoftProblem,
    ahead: Run[SoftParameters, SoftStatistics],
    behind: Run[SoftParameters, SoftStatistics],
    rng: Generator,
) -> Arrow:
    """Evidence for ``ahead`` over ``behind``, two fits of one problem."""
    evidence = gene_log_likelihood(problem, ahead) - gene_log_likelihood(problem, behind)
    n_genes = len(evidence)
    counts = rng.multinomial(n_genes, np.full(n_genes, 1.0 / n_genes), size=N_BOOTSTRAP)
    return Arrow(
        log_likelihood_margin=(ahead.bound - behind.bound) * problem.cells.n_cells,
        n_cells=problem.cells.n_cells,
        gene_evidence=evidence,
        share_of_genes=float((evidence > 0).mean()),
        probability=float((counts @ evidence > 0).mean()),
    )
