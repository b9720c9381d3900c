"""The search on a clock that goes round: no root and no end, but an order round the circle and its direction."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from velotime.inference.curves.circle import PERIODIC
from velotime.inference.model.problem import SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.blocks import SampledBlocks
from velotime.inference.model.samples.cells import SampledCells
from velotime.inference.model.samples.problem import problem_of
from velotime.inference.search.circle.leavers import cycling_cells
from velotime.inference.search.circle.orders import circular_orders
from velotime.inference.search.geometry.starts import Start
from velotime.inference.search.roots import Search
from velotime.inference.states import States


@dataclass(frozen=True)
class CycleSearch(Search):
    """Short fits of circular orders of the cells, each in both directions."""

    @classmethod
    def of(cls, search: Search) -> CycleSearch:
        """The same cells and genes; that they go round is then no fault."""
        return cls(**{field.name: getattr(search, field.name) for field in fields(search)} | {"ring": 0.0})

    def problem(self, n_lineages: int) -> SoftProblem:  # noqa: ARG002 - a circle has one
        """The short fits' problem."""
        states = States.grid(self.n_times, 1, PERIODIC)
        prior = RatePrior(states.layout, self.cells.n_cells, self.cells.n_averaged)
        return problem_of(self.cells, states, self.noise, self.prior, prior)

    def starts(self, n_lineages: int) -> list[list[Start]]:  # noqa: ARG002 - likewise
        """Every order both ways round."""
        orders = circular_orders(self.geometry)
        return [[Start(int(np.argmin(time)), "angle", time)] for order in orders for time in (order, 1.0 - order)]

    def left_out(self, n_lineages: int) -> int:
        """None: a circle has no branches, and cells that lie beside it are no lineage of it."""
        del n_lineages
        return 0

    def share_off(self) -> float:
        """Share of the cells that do not cycle, where that was not asked before."""
        of_samples = isinstance(self.cells, SampledCells | SampledBlocks)
        if self.off_clock is not None or of_samples or self.cells.n_averaged > 1:
            return 0.0
        off_clock = cycling_cells(self).off_clock
        return 0.0 if off_clock is None else len(off_clock) / self.cells.n_cells
