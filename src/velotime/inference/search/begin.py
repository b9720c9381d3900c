"""Before and after a search: which cells and genes it sees, and how its winner hands over to the main run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from velotime._types import BoolArray, IntArray
from velotime.inference.knowledge.pieces import Root, Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.observations import Observations, draw_positions
from velotime.inference.search.starts import Geometry
from velotime.inference.search.trials import Search, Trial, most_variable
from velotime.inference.states import States

MOST_LANDMARKS = 100  # root cells that the starts must hold


@dataclass(frozen=True)
class Starts:
    """The short fits that choose root, direction and lineages: their model and size, and what is known.

    Attributes
    ----------
    noise, prior
        Of the model.
    n_cells, n_genes, n_times
        Cells and genes at most, and times of their grid.
    root, terminals
        What the user knows.
    """

    noise: Noise
    prior: TimePrior
    n_cells: int = 2000
    n_genes: int = 300
    n_times: int = 48
    root: Root | None = None
    terminals: Terminals | None = None

    def search(
        self, observations: Observations, geometry: Geometry, rows: PriorRows, landmarks: IntArray, rng: Generator
    ) -> Search:
        """The search on some of the placed cells, up to 100 of the landmarks among them, and on some genes."""
        cells, groups = rng.spawn(2)
        placed = geometry.take(draw_positions(np.isin(geometry.cells, landmarks), self.n_cells, cells, MOST_LANDMARKS))
        some = observations.select_cells(placed.cells)
        genes = most_variable(some, self.n_genes)
        return Search(
            cells=Cells.of(some.select_genes(np.flatnonzero(genes)), rows.take(placed.cells), self.noise),
            geometry=placed,
            prior_rows=rows.take(placed.cells),
            genes=genes,
            noise=self.noise,
            prior=self.prior,
            n_times=self.n_times,
            root=self.root,
            terminals=self.terminals,
            seed=int(groups.integers(2**31 - 1)),
        )


def hand_over(
    problem: SoftProblem, genes: BoolArray, coarse: States, chosen: Trial, temperature: float
) -> SoftParameters:
    """All cells and genes from the winner of a search on, which knows some of the genes on a coarser clock."""
    handover = replace(problem, states=coarse)
    first = handover.first(handover.expect_by(chosen.run.parameters, genes, temperature))
    prior = problem.time_prior.initial(problem.states, len(first.prior))
    return replace(first, prior=prior, known=problem.cells.prior_rows.initial(problem.states))
