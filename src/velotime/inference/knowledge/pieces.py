"""What the user knows of the cells: roots, ends, fates.

Root and end cells have a fixed likelihood, an exponential density at their end of the clock. What gives an order only,
time labels and markers, is in ``order``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from velotime._check import Label, Labels, Optional, Text
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.inference.knowledge.base import COLUMN, STRENGTH, Knowledge
from velotime.inference.labels import CellLabels
from velotime.inference.states import States

END_SCALE = 0.15  # of the clock: mean distance of a root cell from the beginning, of an end cell from the end


@dataclass(frozen=True)
class Terminals(Knowledge):
    """Labels of terminal cells: one lineage each.

    It says which lineage they belong to; :class:`Ends` says that they are late.

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

    rules: ClassVar = {"column": COLUMN, "labels": Labels(2), "strength": STRENGTH}

    @property
    def title(self) -> str:
        """Column and labels."""
        return f"Terminals({self.column}: {', '.join(self.labels)})"

    def rows(self, labels: CellLabels) -> IntArray:
        """Row k + 1 for cells of label k, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        for k, label in enumerate(self.labels):
            row[labels.find(self.column, label)] = k + 1
        return row

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - the labels are given
        """In the middle for every row: it is not about time."""
        return np.array([np.nan, *(0.5 for _ in self.labels)])

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002 - the labels are given
        """``strength`` on the label's own lineage, the rest shared by the others."""
        k = len(self.labels)
        weight = np.zeros((k + 1, states.n_states))
        for lineage in range(k):
            own = states.lineage == lineage
            weight[lineage + 1] = np.log(k * np.where(own, self.strength, (1 - self.strength) / (k - 1)))
        return weight


class AtAnEnd(Knowledge):
    """Cells at one end of the clock: an exponential density of the distance from there."""

    place: ClassVar[float]  # on the clock

    @abstractmethod
    def candidates(self, labels: CellLabels) -> IntArray:
        """Cells that it is about.

        Raises
        ------
        InputError
            If there are none.
        """

    def rows(self, labels: CellLabels) -> IntArray:
        """Row 1 for the cells that it is about, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        row[self.candidates(labels)] = 1
        return row

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - always two
        """The end."""
        return np.array([np.nan, self.place])

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002 - always two
        """Exponential from the end on, of mean 1 over the states."""
        density = np.exp(-np.abs(states.time - self.place) / END_SCALE)
        return self.below_zeros(density * (states.n_states / density.sum()))


@dataclass(frozen=True)
class Root(AtAnEnd):
    """Where time begins. Replaces the search over tips of the diffusion map; its cells are known to be early.

    Parameters
    ----------
    column, label
        A label of an obs column, text or a number; the fits start from that one of its cells that lies farthest from
        all others.
    cell
        Or the name of a cell.
    strength
        Prior probability that a cell with this label is early: at a distance from the beginning that is exponentially
        distributed with mean 0.15 of the clock. Otherwise it may be anywhere. With the default, 0.95, a
        labelled cell at the end of the clock costs 4.7 nats more than one at its beginning. A single cell contributes
        no more than that, so name a label where the direction is in doubt.
    """

    column: str | None = None
    label: str | None = None
    cell: str | None = None
    strength: float = 0.95

    place: ClassVar = 0.0
    rules: ClassVar = {
        "column": Optional(COLUMN),
        "label": Optional(Label()),
        "cell": Optional(Text("the name of a cell")),
        "strength": STRENGTH,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        by_label = self.column is not None and self.label is not None
        if by_label == (self.cell is not None) or (self.column is None) != (self.label is None):
            raise InputError(f"{self}: give a column and a label, Root('clusters', 'Ductal'), or Root(cell='...').")

    @property
    def title(self) -> str:
        """Column and label, or the cell."""
        return f"Root({self.cell})" if self.cell is not None else f"Root({self.column}: {self.label})"

    def candidates(self, labels: CellLabels) -> IntArray:
        """Cells that may be the root; a label may have few, as a single cell may be named as well.

        Raises
        ------
        InputError
            If there is no such label or cell.
        """
        if self.cell is None:
            return labels.find(str(self.column), str(self.label), least=1)
        found = np.flatnonzero(labels.names == self.cell)
        if len(found) == 0:
            raise InputError(f"root cell {self.cell!r} not found; cell names look like {labels.names[:3].tolist()}.")
        return found


@dataclass(frozen=True)
class Ends(AtAnEnd):
    """Labels of cells known to be late.

    Parameters
    ----------
    column
        An obs column.
    labels
        One or more of its labels.
    strength
        Prior probability that a cell with one of these labels is late: at a distance from the end that is exponentially
        distributed with mean 0.15 of the clock. Otherwise it may be anywhere. With the default, 0.95, a
        labelled cell at the beginning of the clock costs 4.7 nats more than one at its end.
    """

    column: str
    labels: tuple[str, ...]
    strength: float = 0.95

    place: ClassVar = 1.0
    rules: ClassVar = {"column": COLUMN, "labels": Labels(1), "strength": STRENGTH}

    @property
    def title(self) -> str:
        """Column and labels."""
        return f"Ends({self.column}: {', '.join(self.labels)})"

    def candidates(self, labels: CellLabels) -> IntArray:
        """Cells with one of the labels."""
        return np.concatenate([labels.find(self.column, label) for label in self.labels])
