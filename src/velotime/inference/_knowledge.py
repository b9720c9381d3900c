"""What the user knows of the cells: labels, roots, terminal states; each enters the prior, never as a hard cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.inference._params import States

LEAST_LABELLED = 10  # cells that a label must have to say anything


@dataclass(frozen=True)
class CellLabels:
    """Names of the cells and those obs columns that a method asks for.

    Attributes
    ----------
    names
        ``(cells,)``.
    columns
        By name, ``(cells,)`` each.
    """

    names: Any
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def plain(cls, n_cells: int) -> CellLabels:
        """Cells numbered from 0, nothing known of them."""
        return cls(np.arange(n_cells).astype(str))

    def take(self, cells: IntArray) -> CellLabels:
        """Keep these cells, in this order."""
        return CellLabels(self.names[cells], {name: values[cells] for name, values in self.columns.items()})

    def find(self, column: str, label: str) -> IntArray:
        """Cells with a label, enough of them to go by.

        Raises
        ------
        InputError
            If the label does not occur or has fewer than 10 cells.
        """
        values = self.columns[column].astype(str)
        found = np.flatnonzero(values == str(label))
        if len(found) == 0:
            raise InputError(
                f"label {label!r} not found in obs[{column!r}]; available: {sorted(set(values.tolist()))}."
            )
        if len(found) < LEAST_LABELLED:
            raise InputError(
                f"label {label!r} of obs[{column!r}] has {len(found)} cells, too few to go by: at least "
                f"{LEAST_LABELLED} are needed. Merge it with a neighbouring label or leave it out."
            )
        return found


class Knowledge(Protocol):
    """Something known of the cells: each cell has a row, each row a log weight of every state."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The obs columns that it reads."""

    def rows(self, labels: CellLabels) -> IntArray:
        """Row of each cell, ``(cells,)``."""

    def log_weight(self, states: States) -> FloatArray:
        """Log prior weight of each state in each row, up to a constant a row, ``(rows, states)``."""


@dataclass(frozen=True)
class Terminals:
    """Labels of terminal cells: one lineage each.

    Parameters
    ----------
    column
        An obs column.
    labels
        Its labels that are terminal, two or more; lineage k ends in ``labels[k]``.
    strength
        Prior probability that a cell of a terminal label belongs to its lineage. The default, 0.95, lets counts
        overrule a wrong label and settles what they leave open.
    """

    column: str
    labels: tuple[str, ...]
    strength: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise InputError(f"Terminals(labels={self.labels}): give two or more labels, each once.")
        if not 0 < self.strength < 1:
            raise InputError(f"Terminals(strength={self.strength}): must be between 0 and 1, e.g. 0.95.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def rows(self, labels: CellLabels) -> IntArray:
        """Row k + 1 for cells of label k, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        for k, label in enumerate(self.labels):
            row[labels.find(self.column, label)] = k + 1
        return row

    def log_weight(self, states: States) -> FloatArray:
        """``strength`` on the label's own lineage, the rest shared by the others."""
        k = len(self.labels)
        own = np.log(self.strength * (k - 1) / (1 - self.strength))
        weight = np.zeros((k + 1, states.n_states))
        for lineage in range(k):
            weight[lineage + 1, states.lineage == lineage] = own
        return weight


@dataclass(frozen=True)
class Root:
    """Where time begins: replaces the search over tips of the diffusion map.

    Parameters
    ----------
    column, label
        A label of an obs column; the root is that one of its cells that lies farthest from all others.
    cell
        Or the name of a cell.
    """

    column: str | None = None
    label: str | None = None
    cell: str | None = None

    def __post_init__(self) -> None:
        by_label = self.column is not None and self.label is not None
        if by_label == (self.cell is not None) or (self.column is None) != (self.label is None):
            raise InputError(f"{self}: give a column and a label, Root('clusters', 'Ductal'), or Root(cell='...').")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, if there is one."""
        return () if self.column is None else (self.column,)

    def candidates(self, labels: CellLabels) -> IntArray:
        """Cells that may be the root.

        Raises
        ------
        InputError
            If there is no such label or cell.
        """
        if self.cell is None:
            return labels.find(str(self.column), str(self.label))
        found = np.flatnonzero(labels.names == self.cell)
        if len(found) == 0:
            raise InputError(f"root cell {self.cell!r} not found; cell names look like {labels.names[:3].tolist()}.")
        return found


@dataclass(frozen=True)
class PriorRows:
    """Everything known of the cells, brought to one row a kind of cell.

    Attributes
    ----------
    row
        Row of each cell, ``(cells,)``.
    group
        Which group's time prior a row uses, ``(rows,)``.
    sources
        Row of each piece of knowledge that a row here stands for, ``(rows, pieces)``.
    knowledge
        The pieces.
    """

    row: IntArray
    group: IntArray
    sources: IntArray
    knowledge: tuple[Knowledge, ...]

    @classmethod
    def of(cls, group: IntArray, knowledge: tuple[Knowledge, ...], labels: CellLabels) -> PriorRows:
        """One row for each combination that occurs."""
        every = np.stack([group, *(piece.rows(labels) for piece in knowledge)], axis=1)
        unique, row = np.unique(every, axis=0, return_inverse=True)
        return cls(row.ravel(), unique[:, 0], unique[:, 1:], knowledge)

    @property
    def n_groups(self) -> int:
        """Number of groups with a time prior of their own."""
        return int(self.group.max()) + 1

    def take(self, cells: IntArray) -> PriorRows:
        """Keep these cells, in this order; all rows stay."""
        return PriorRows(self.row[cells], self.group, self.sources, self.knowledge)

    def log_prior(self, prior: FloatArray, states: States) -> FloatArray:
        """Log prior of each row, normalised, ``(rows, states)``, from the groups' priors ``(groups, states)``."""
        log_prior: FloatArray = np.log(prior)[self.group]
        for column, piece in enumerate(self.knowledge):
            log_prior = log_prior + piece.log_weight(states)[self.sources[:, column]]
        top = log_prior.max(axis=1, keepdims=True)
        return np.asarray(log_prior - top - np.log(np.exp(log_prior - top).sum(axis=1, keepdims=True)))


def label_groups(labels: CellLabels, column: str | None) -> IntArray:
    """Group of each cell: one a label of the column in sorted order, or one for all, ``(cells,)``."""
    if column is None:
        return np.zeros(len(labels.names), dtype=np.int64)
    return np.unique(labels.columns[column].astype(str), return_inverse=True)[1]
