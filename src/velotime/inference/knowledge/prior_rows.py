"""Rows of the prior, one for each combination of group and knowledge that occurs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.knowledge.base import Knowledge
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.states import States


@dataclass(frozen=True)
class PriorRows:
    r"""Everything known of the cells, as one row of the prior per combination that occurs.

    The prior of a row is ``log pi_j + sum_p log w_pj``: the time prior of its group, and the likelihood of what each
    piece p says of the cell if it is in state j, relative to no knowledge. As a likelihood it is not
    normalised over states: so the M-step of pi stays ``n_j + concentration``, and fits can be compared by
    their bounds, what is known included.

    Attributes
    ----------
    row
        Row of each cell, ``(cells,)``.
    group
        Which group's time prior a row uses, ``(rows,)``.
    sources
        Row of each piece of knowledge that a row here stands for, ``(rows, pieces)``.
    groups
        The groups, of the cells that it was made of.
    knowledge
        The pieces.
    """

    row: IntArray
    group: IntArray
    sources: IntArray
    groups: Groups
    knowledge: tuple[Knowledge, ...]

    @classmethod
    def of(cls, groups: Groups, knowledge: tuple[Knowledge, ...], labels: CellLabels) -> PriorRows:
        """One row for each combination that occurs."""
        every = np.stack([groups.code, *(piece.rows(labels) for piece in knowledge)], axis=1)
        unique, row = np.unique(every, axis=0, return_inverse=True)
        return cls(row.ravel(), unique[:, 0], unique[:, 1:], groups, knowledge)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.group)

    def take(self, cells: IntArray) -> PriorRows:
        """Keep these cells, in this order; all rows stay."""
        return PriorRows(self.row[cells], self.group, self.sources, self.groups, self.knowledge)

    @property
    def silent(self) -> PriorRows:
        """The groups alone, as if nothing else were known."""
        n_groups = len(self.groups.names)
        return PriorRows(
            self.group[self.row], np.arange(n_groups), np.zeros((n_groups, 0), dtype=np.int64), self.groups, ()
        )

    def rows_of(self, piece: Knowledge) -> IntArray:
        """Row of each cell in one of the pieces, ``(cells,)``."""
        return np.asarray(self.sources[self.row, self.knowledge.index(piece)])

    def initial(self, states: States) -> tuple[FloatArray, ...]:
        """Log weights of each piece before the first posterior, ``(rows of the piece, states)`` each."""
        n_rows = self.sources.max(axis=0) + 1
        return tuple(piece.initial(states, int(n)) for piece, n in zip(self.knowledge, n_rows, strict=True))

    def update(self, weight: FloatArray, states: States) -> tuple[FloatArray, ...]:
        """Log weights of each piece from the summed posterior ``(rows, states)``."""
        return tuple(
            piece.update(_add_rows(weight, self.sources[:, p]), states) for p, piece in enumerate(self.knowledge)
        )

    def by_group(self, weight: FloatArray) -> FloatArray:
        """Summed posterior of each group, ``(groups, states)``, from that of the rows."""
        return _add_rows(weight, self.group)

    def log_prior(self, prior: FloatArray, known: tuple[FloatArray, ...], temperature: float = 1.0) -> FloatArray:
        """Log prior of each row, ``(rows, states)``.

        Parameters
        ----------
        prior
            Time prior of each group, ``(groups, states)``.
        known
            Log weights of each piece, ``(rows of the piece, states)`` each.
        temperature
            What is known is divided by it, as the counts' scores are: labels are observations like counts, and keep
            their weight beside them.
        """
        log_prior: FloatArray = np.log(prior)[self.group]
        for source, table in zip(self.sources.T, known, strict=True):
            log_prior = log_prior + table[source] / temperature
        return log_prior

    def expected_time(self, states: States, known: tuple[FloatArray, ...]) -> FloatArray:
        """Mean time of each cell by what is known alone, ``(cells,)``; 0.5 where that is nothing."""
        log_weight = self.log_prior(np.ones((int(self.group.max()) + 1, states.n_states)), known)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        return np.asarray((weight @ states.time / weight.sum(axis=1))[self.row])


def _add_rows(weight: FloatArray, into: IntArray) -> FloatArray:
    total = np.zeros((int(into.max()) + 1, weight.shape[1]))
    np.add.at(total, into, weight)
    return total
