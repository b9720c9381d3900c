"""A lineage more for each small fate that halves of the genes find in those of the winner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import as_array
from velotime.inference.em import Stage
from velotime.inference.journal import Chapter
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Start, share_early
from velotime.inference.search.number.agreed import LEAST_AGREEMENT
from velotime.inference.search.number.small_fates import SmallFate, small_fates
from velotime.inference.search.rivals import N_WAYS, REVERSED_CLOCK, Candidate, halves_by
from velotime.inference.search.roots import Outcome, Search
from velotime.inference.search.trials import most_variable, on_all_genes

HOTTEST = 2.0  # temperature: at 5 or 10 a lineage of few cells takes up what else cells differ in before it cools
MOST_GENES = 2000  # that vary most: of more, values of 3,000 cells take too much memory


@dataclass(frozen=True)
class PlacedCells:
    """All cells that geometry knows, of which a search takes some.

    Attributes
    ----------
    cells
        Which of all cells they are, ``(placed,)``.
    observations
        Their counts, of all genes.
    rows
        What is known of them.
    """

    cells: IntArray
    observations: Observations
    rows: PriorRows

    def small_fates(self, search: Search, outcome: Outcome) -> list[SmallFate]:
        """Small fates in the lineages of the winner, with the weights of the cells that the search takes.

        By times and lineages of all genes: what uncertain times leave of a way looks like another fate (by 200 genes
        the pancreas had its small fates with three seeds of five).
        """
        order = np.argsort(self.cells)
        taken = order[np.searchsorted(self.cells, search.geometry.cells, sorter=order)]
        counts = cells_of(self.observations.select_cells(taken), search.prior_rows, search.noise)
        problem = replace(outcome.problem, cells=counts)
        search.watch(Stage("small fates"))
        curves = on_all_genes(problem, search.genes, outcome.best).parameters
        everyone = cells_of(self.observations, self.rows.silent, search.noise)
        time, lineages = time_and_lineage(replace(problem, cells=everyone), curves)
        some = self.observations.select_genes(np.flatnonzero(most_variable(self.observations, MOST_GENES)))
        spliced = as_array(some.spliced, np.float64)
        values = np.log1p(spliced / some.size_spliced[:, None])
        ways = [halves_by(spliced.sum(axis=0), way) for way in range(N_WAYS)]
        found = small_fates(values, ways, time, lineages.argmax(axis=1), search.seed)
        return [replace(fate, weight=fate.weight[taken]) for fate in found]


def grown(search: Search, outcome: Outcome, placed: PlacedCells) -> tuple[Search, Outcome]:
    """The search with a lineage more for each small fate, as long as halves of the genes agree on it when fitted, too.

    Every candidate that is not far behind goes on with the same cells in lineages of their own, so that rivals have as
    many lineages; the clock is reversed as ever.
    """
    assert search.votes is not None
    room = max(search.votes.most - outcome.n_lineages, 0)
    fates = placed.small_fates(search, outcome)[:room] if room else []
    while fates:
        votes = replace(search.votes, small_fates=tuple((fate.n_cells, fate.agreement, fate.auc) for fate in fates))
        more = replace(search, votes=votes, journal=Chapter(search.journal, f"{len(fates)} small fates"))
        close = [one for one in outcome.candidates if one.halves is not None and one.trial.start.how != REVERSED_CLOCK]
        found = more.run_from([[_start(outcome, one, fates)] for one in close])
        if found.least_lineage_agreement >= LEAST_AGREEMENT:
            return more, found
        fates = fates[:-1]
    return search, outcome


def _start(outcome: Outcome, candidate: Candidate, fates: list[SmallFate]) -> Start:
    """A candidate's times and lineages, and cells of the small fates in lineages of their own."""
    time, lineages = time_and_lineage(outcome.problem, candidate.trial.run.parameters)
    own = np.stack([fate.weight for fate in fates], axis=1)
    own /= np.maximum(own.sum(axis=1, keepdims=True), 1.0)
    rest: FloatArray = lineages * (1.0 - own.sum(axis=1, keepdims=True))
    return Start(candidate.trial.start.root, "small fates", time, share_early(time, np.hstack([rest, own])), HOTTEST)
