"""How many lineages there are, and whether time begins in the middle of a line: asked of held-out counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from velotime.inference.heldout.scores import heldout_by_curves
from velotime.inference.heldout.thinning import ThinnedCounts
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Start
from velotime.inference.search.geometry.tree import middle_start
from velotime.inference.search.number.agreed import agreed
from velotime.inference.search.number.grown import PlacedCells, grown
from velotime.inference.search.roots import Outcome, Search
from velotime.inference.search.trials import begin_trial, go_on
from velotime.inference.tally import Tally

LEAST_GAIN = 0.05  # nats per cell, and
ERRORS = 2.0  # standard errors, by which two lineages from the middle must predict unseen counts better than a line


def searched(search: Search, observations: Observations, placed: PlacedCells, rng: Generator) -> tuple[Search, Outcome]:
    """The search with the number of lineages that geometry and halves of the genes find, and of a line held-out counts.

    Parameters
    ----------
    search
        The search, the number left to it.
    observations
        All cells and genes.
    placed
        The cells that geometry knows: small fates are looked for among them, where values are counts of one sample.
    rng
        Thins the counts.
    """
    search, outcome = _without_small_fates(search, observations, rng)
    if not search.noise.counts or placed.observations.sample is not None:
        return search, outcome  # means over neighbours join halves of the genes, and samples differ by themselves
    return grown(search, outcome, placed)


def _without_small_fates(search: Search, observations: Observations, rng: Generator) -> tuple[Search, Outcome]:
    """The number of geometry, halves of the genes agreeing; of a line, two fates from its middle."""
    search, outcome = agreed(search)
    assert search.votes is not None
    if outcome.n_lineages > 1 or search.votes.most == 1 or search.root is not None or not search.noise.counts:
        return search, outcome
    some = observations.select_cells(search.geometry.cells).select_genes(np.flatnonzero(search.genes))
    if not begins_in_the_middle(search, some, outcome.best.start, rng):
        return search, outcome
    return search, search.from_the_middle.run(2)


def begins_in_the_middle(search: Search, observations: Observations, line: Start, rng: Generator) -> bool:
    """Whether two lineages from the middle of the longest way predict unseen counts better than a line.

    Parameters
    ----------
    search
        The search.
    observations
        Its cells and genes, counts.
    line
        The best start of one lineage.
    rng
        Thins the counts.
    """
    parts = ThinnedCounts.of(observations, rng)
    thinned = replace(search, cells=cells_of(parts.train, search.prior_rows, search.noise))
    scores, tally = [], Tally(search.watch)
    tally.begin("lineages from the middle", 4)
    for n_lineages, start in ((1, line), (2, middle_start(search.tree))):
        problem = thinned.problem(n_lineages)
        trial = tally.counted(go_on(problem, tally.counted(begin_trial(problem, start))))
        scores.append(heldout_by_curves(problem, trial.run.parameters, parts.test))
    gain = scores[1] - scores[0]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return bool(gain.mean() > max(ERRORS * error, LEAST_GAIN))
