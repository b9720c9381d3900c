"""Before and after a search: which cells and genes it sees, and how its winner hands over to the main run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from velotime._types import BoolArray, IntArray
from velotime.inference.knowledge.pieces import Root, Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.observations import Observations, draw_positions
from velotime.inference.search.geometry.ring import ring_of
from velotime.inference.search.geometry.starts import Geometry, farthest
from velotime.inference.search.geometry.tree import geodesics_of, most_ends, tree_of, votes_of
from velotime.inference.search.roots import Search
from velotime.inference.search.trials import Trial, most_variable
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
    most_lineages
        Bound of their number where it is counted.
    """

    noise: Noise
    prior: TimePrior
    n_cells: int = 1200
    n_genes: int = 200
    n_times: int = 32
    root: Root | None = None
    terminals: Terminals | None = None
    most_lineages: int = 5

    def search(
        self,
        observations: Observations,
        geometry: Geometry,
        rows: PriorRows,
        landmarks: IntArray,
        rng: Generator,
        *,
        counted: bool = False,
    ) -> Search:
        """The search on some genes and some of the placed cells, up to 100 of the landmarks and all ends among them.

        ``counted`` asks for the number of lineages, by draws of the placed cells.
        """
        cells, groups, drawing = rng.spawn(3)
        geodesics = geodesics_of(geometry.components)
        tree, root = tree_of(geodesics, most_ends(self.most_lineages)), self._root_among(geometry, rows)
        ends = tree.ends if root is None else np.append(tree.ends, root)
        drawn = draw_positions(np.isin(geometry.cells, landmarks), self.n_cells, cells, MOST_LANDMARKS)
        kept = np.union1d(ends, drawn)
        placed = geometry.take(kept)
        some = observations.select_cells(placed.cells)
        genes = most_variable(some, self.n_genes)
        return Search(
            cells=cells_of(some.select_genes(np.flatnonzero(genes)), rows.take(placed.cells), self.noise),
            geometry=placed,
            tree=tree.take(kept),
            ring=ring_of(geodesics, tree),
            from_root=None if root is None else geodesics.distances(root)[kept],
            votes=votes_of(geometry.components, drawing, self.most_lineages) if counted else None,
            prior_rows=rows.take(placed.cells),
            genes=genes,
            noise=self.noise,
            prior=self.prior,
            n_times=self.n_times,
            root=self.root,
            terminals=self.terminals,
            seed=int(groups.integers(2**31 - 1)),
        )

    def _root_among(self, geometry: Geometry, rows: PriorRows) -> int | None:
        """The placed cell that is the given root, the tip of its kind; None if none is given."""
        if self.root is None:
            return None
        return farthest(geometry, np.flatnonzero(rows.take(geometry.cells).rows_of(self.root) == 1))


def hand_over(
    problem: SoftProblem, genes: BoolArray, coarse: States, chosen: Trial, temperature: float
) -> SoftParameters:
    """All cells and genes from the winner of a search on, which knows some of the genes on a coarser clock."""
    handover = replace(problem, states=coarse, restart=restart_by_shapes)
    return go_on(problem, handover.first(handover.expect_by(chosen.run.parameters, genes, temperature)))


def go_on(problem: SoftProblem, curves: SoftParameters) -> SoftParameters:
    """All cells, on a finer clock, from curves of all genes on: those of the last choice, which need no restart."""
    prior = problem.time_prior.initial(problem.states, len(curves.prior))
    return replace(curves, prior=prior, known=problem.cells.prior_rows.initial(problem.states))
