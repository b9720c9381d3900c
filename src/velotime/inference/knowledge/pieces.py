r"""What the user knows of the cells: roots, ends, fates. It enters the prior, never as a hard cut.

A piece of knowledge is read as something observed of a cell that depends on its state: ``w_j``, the likelihood of what
it says if the cell is in state j, over its likelihood if it said nothing. With probability ``strength`` the piece holds
for the cell, else it says nothing of it:

    w_j = strength v_j + (1 - strength),      v_j of mean 1

so that no state is ever ruled out and the counts of a cell can overrule a wrong label; they cannot overrule many right
ones. Root and end cells have ``v`` fixed, an exponential density at their end of the clock. What gives an
order only, time labels and markers, is in ``_order``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.inference.knowledge.labels import CellLabels
from velotime.inference.states import States

END_SCALE = 0.15  # of the clock: mean distance of a root cell from the beginning, of an end cell from the end


class Knowledge(Protocol):
    """Something known of the cells: each cell has a row, each row a log weight of every state."""

    @property
    def title(self) -> str:
        """What it is called in reports."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The obs columns that it reads."""

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes that it reads."""

    def rows(self, labels: CellLabels) -> IntArray:
        """Row of each cell, ``(cells,)``."""

    def places(self, n_rows: int) -> FloatArray:
        """Where on the clock each row is said to be, from 0 to 1, ``(rows,)``; NaN for a row that says nothing."""

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """Log weight of each state in each row before the first posterior, ``(rows, states)``."""

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """Log weights from the summed posterior ``(rows, states)`` of each row."""


@dataclass(frozen=True)
class Terminals:
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise InputError(f"Terminals(labels={self.labels}): give two or more labels, each once.")
        check_strength(self, 0.95)

    @property
    def title(self) -> str:
        """Column and labels."""
        return f"Terminals({self.column}: {', '.join(self.labels)})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def genes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def rows(self, labels: CellLabels) -> IntArray:
        """Row k + 1 for cells of label k, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        for k, label in enumerate(self.labels):
            row[labels.find(self.column, label)] = k + 1
        return row

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - the labels are given
        """In the middle, wherever that is: it says nothing of time."""
        return np.array([np.nan, *(0.5 for _ in self.labels)])

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002 - the labels are given
        """``strength`` on the label's own lineage, the rest shared by the others."""
        k = len(self.labels)
        weight = np.zeros((k + 1, states.n_states))
        for lineage in range(k):
            own = states.lineage == lineage
            weight[lineage + 1] = np.log(k * np.where(own, self.strength, (1 - self.strength) / (k - 1)))
        return weight

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """As before."""
        return self.initial(states, len(weight))


@dataclass(frozen=True)
class Root:
    """Where time begins: replaces the search over tips of the diffusion map, and is known to be early.

    Parameters
    ----------
    column, label
        A label of an obs column; the fits start from that one of its cells that lies farthest from all others.
    cell
        Or the name of a cell.
    strength
        Prior probability that a cell with this label is early: at a distance from the beginning that is exponentially
        distributed with mean 0.15 of the clock. Otherwise it may be anywhere. With the default, 0.95, a
        labelled cell at the end of the clock costs 4.7 nats more than one at its beginning. A single cell says no more
        than that, so name a label where the direction is in doubt.
    """

    column: str | None = None
    label: str | None = None
    cell: str | None = None
    strength: float = 0.95

    def __post_init__(self) -> None:
        by_label = self.column is not None and self.label is not None
        if by_label == (self.cell is not None) or (self.column is None) != (self.label is None):
            raise InputError(f"{self}: give a column and a label, Root('clusters', 'Ductal'), or Root(cell='...').")
        check_strength(self, 0.95)

    @property
    def title(self) -> str:
        """Column and label, or the cell."""
        return f"Root({self.cell})" if self.cell is not None else f"Root({self.column}: {self.label})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, if there is one."""
        return () if self.column is None else (self.column,)

    @property
    def genes(self) -> tuple[str, ...]:
        """None."""
        return ()

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

    def rows(self, labels: CellLabels) -> IntArray:
        """Row 1 for the labelled cells, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        row[self.candidates(labels)] = 1
        return row

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - always two
        """The beginning."""
        return np.array([np.nan, 0.0])

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002
        """Exponential from the beginning on."""
        return np.stack([np.zeros(states.n_states), log_mixture(_near(states.time, states), self.strength)])

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """As before."""
        return self.initial(states, len(weight))


@dataclass(frozen=True)
class Ends:
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

    def __post_init__(self) -> None:
        given = (self.labels,) if isinstance(self.labels, str) else self.labels
        object.__setattr__(self, "labels", tuple(str(label) for label in given))
        if len(self.labels) == 0 or len(set(self.labels)) != len(self.labels):
            raise InputError(f"Ends(labels={self.labels}): give one or more labels, each once.")
        check_strength(self, 0.95)

    @property
    def title(self) -> str:
        """Column and labels."""
        return f"Ends({self.column}: {', '.join(self.labels)})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def genes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def rows(self, labels: CellLabels) -> IntArray:
        """Row 1 for the labelled cells, row 0 for the others."""
        row = np.zeros(len(labels.names), dtype=np.int64)
        for label in self.labels:
            row[labels.find(self.column, label)] = 1
        return row

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - always two
        """The end."""
        return np.array([np.nan, 1.0])

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002
        """Exponential towards the end."""
        return np.stack([np.zeros(states.n_states), log_mixture(_near(1.0 - states.time, states), self.strength)])

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """As before."""
        return self.initial(states, len(weight))


def check_strength(piece: Any, default: float) -> None:
    """Raise an error unless the strength of a piece is a probability that leaves room for doubt."""
    if not 0 < piece.strength < 1:
        kind = type(piece).__name__
        raise InputError(f"{kind}(strength={piece.strength}): must be between 0 and 1, e.g. {default}.")


def log_mixture(likelihood: FloatArray, strength: float) -> FloatArray:
    """Log weights of a piece that holds with probability ``strength`` and else says nothing."""
    return np.asarray(np.log(strength * likelihood + (1.0 - strength)))


def _near(distance: FloatArray, states: States) -> FloatArray:
    """Exponential density of a distance from an end of the clock, of mean 1 over the states, ``(states,)``."""
    density = np.exp(-distance / END_SCALE)
    return np.asarray(density * (states.n_states / density.sum()))
