"""Which cells a fit holds for not cycling, and the fit of the others as if there were none besides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Sums
from velotime.inference.em import Run
from velotime.inference.labels import CellLabels
from velotime.inference.model.layer import LayerData
from velotime.inference.model.leaving.state import NotCycling
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import N_LEVELS, Cells, SoftParameters, SoftProblem
from velotime.inference.model.sums import sums_under
from velotime.inference.observations import BlockedObservations, Observations

LIKELY = 0.5  # probability from which on a cell counts as one that does not cycle


@dataclass(frozen=True)
class Beside:
    """Cells that do not cycle, beside those that do.

    Attributes
    ----------
    state
        Their means and share; None where all cells cycle.
    probability
        Of each cell that it is one of them, in the caller's order, ``(cells,)``.
    """

    state: NotCycling | None
    probability: FloatArray

    @classmethod
    def of(cls, problem: SoftProblem, parameters: SoftParameters) -> Beside:
        """As the posterior has them."""
        state, probability = parameters.not_cycling, np.zeros(problem.cells.n_cells)
        if state is not None:
            for cells, q in blocks(problem, parameters):
                probability[problem.cells.order[cells]] = 1.0 - q.sum(axis=1, dtype=np.float64)
        return cls(state, np.clip(probability, 0.0, 1.0))

    @property
    def share(self) -> float:
        """Of the cells, as it was learned."""
        return 0.0 if self.state is None else self.state.share

    @property
    def on_clock(self) -> BoolArray | None:
        """Marks of the cells that are likely to cycle, ``(cells,)``; None where all do."""
        return None if self.state is None else self.probability <= LIKELY

    def without(
        self, problem: SoftProblem, run: Run[SoftParameters, Sums]
    ) -> tuple[SoftProblem, Run[SoftParameters, Sums]]:
        """The same fit of cells that are likely to cycle, as if there were no others."""
        if self.on_clock is None:
            return problem, run
        part = replace(problem, cells=some_cells(problem.cells, self.on_clock))
        parameters = replace(run.parameters, not_cycling=None)
        statistics, bound = part.expect(parameters, 1.0)
        return part, replace(run, parameters=parameters, statistics=statistics, bound=bound)

    def labels(self, labels: CellLabels) -> CellLabels:
        """Of cells that are likely to cycle."""
        return labels if self.on_clock is None else labels.take(np.flatnonzero(self.on_clock))

    def counts(self, observations: Observations) -> Observations:
        """Of these cells."""
        return observations if self.on_clock is None else observations.select_cells(np.flatnonzero(self.on_clock))


def some_cells(cells: Cells, keep: BoolArray) -> Cells:
    """Marked cells, ``(cells,)`` in the caller's order, as if there were no others."""
    some = cells.at(np.flatnonzero(keep[cells.order]))
    return replace(some, order=np.argsort(np.argsort(some.order)))


def first_state(
    observations: Observations | BlockedObservations, placed: IntArray, off_clock: IntArray | None
) -> NotCycling | None:
    """The state that cells among the placed ones begin in which the search found off the clock; None for no such."""
    if off_clock is None:
        return None
    some = observations.select_cells(placed)
    u = LayerData.of(some.unspliced, some.size_unspliced, N_LEVELS)
    s = LayerData.of(some.spliced, some.size_spliced, N_LEVELS)
    off = np.isin(placed, off_clock)
    return NotCycling.of(sums_under(u, s, np.column_stack([~off, off]).astype(np.float32)))
