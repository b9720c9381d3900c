r"""Pieces of knowledge: observations of a cell that depend on its state and enter the prior.

``w_j`` is the likelihood of the observation if the cell is in state j, relative to an observation
that does not depend on the state. With probability ``strength`` the piece holds for the cell, else it has no effect:

    w_j = strength v_j + (1 - strength),      v_j of mean 1

so that no state is ever ruled out and the counts of a cell can overrule a wrong label; they cannot overrule many right
ones.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from velotime._check import Number, Settings, Text
from velotime._types import FloatArray, IntArray
from velotime.inference.labels import CellLabels
from velotime.inference.states import States

COLUMN = Text("the name of an obs column")
STRENGTH = Number(0, 1, open_least=True, open_most=True)  # a probability that leaves room for doubt


class Knowledge(Settings):
    """Something known of the cells: each cell has a row, each row a log weight of every state.

    Row 0 has weights of zero; cells that a piece is not about, or that have no label, are there.
    """

    strength: float

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is called in reports."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The obs columns that it reads: ``column``, if it has one."""
        column = getattr(self, "column", None)
        return () if column is None else (column,)

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes that it reads."""
        return ()

    @abstractmethod
    def rows(self, labels: CellLabels) -> IntArray:
        """Row of each cell, ``(cells,)``."""

    @abstractmethod
    def places(self, n_rows: int) -> FloatArray:
        """Where on the clock each row is said to be, from 0 to 1, ``(rows,)``; NaN for a row that does not say."""

    @abstractmethod
    def initial(self, states: States, n_rows: int) -> FloatArray:
        """Log weight of each state in each row before the first posterior, ``(rows, states)``."""

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """Log weights from the summed posterior ``(rows, states)`` of each row; as before where nothing is learned."""
        return self.initial(states, len(weight))

    def mixture(self, likelihood: FloatArray) -> FloatArray:
        """Log weights of what holds with probability ``strength`` and else is not informative."""
        return np.asarray(np.log(self.strength * likelihood + (1.0 - self.strength)))

    def below_zeros(self, likelihood: FloatArray) -> FloatArray:
        """The same below a row of zeros, ``(rows, states)``."""
        likelihood = np.atleast_2d(likelihood)
        return np.concatenate([np.zeros((1, likelihood.shape[1])), self.mixture(likelihood)])
