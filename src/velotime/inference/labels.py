"""Annotations of the cells that a method may read besides the counts to fit: names, labels, marker genes, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from velotime._check import label_text
from velotime._status import InputError
from velotime._types import FloatArray, IntArray

LEAST_LABELLED = 10  # cells that a label must have to be used
LEAST_GROUP = 5  # cells that a group must have for a time prior of its own
POOLED = "pooled"
NO_LABEL = ""  # of cells whose label is missing
UNLABELLED = "without a label"


def label_texts(values: Any) -> Any:
    """Labels as text, ``(cells,)``: whole numbers without decimals, "" for cells without a label."""
    code, unique = pd.factorize(np.asarray(values))
    texts = np.array([*map(label_text, unique), NO_LABEL], dtype=str)
    return texts[code]  # -1, which stands for none, is the last


@dataclass(frozen=True)
class CellLabels:
    """Names of the cells, and those obs columns and genes that a method asks for.

    Attributes
    ----------
    names
        ``(cells,)``.
    columns
        By name, ``(cells,)`` each.
    genes
        Normalised values of marker genes, by name, ``(cells,)`` each.
    orders
        Labels as text in their order, of those columns that have one (numbers, ordered categories).
    least
        Cells that a label must have to go by it.
    """

    names: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    genes: Mapping[str, FloatArray] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: int = LEAST_LABELLED

    @classmethod
    def plain(cls, n_cells: int) -> CellLabels:
        """Cells numbered from 0, nothing known of them."""
        return cls(np.arange(n_cells).astype(str))

    def take(self, cells: IntArray) -> CellLabels:
        """Keep these cells, in this order; in a part of the cells, labels may have few cells."""
        return CellLabels(
            self.names[cells],
            {name: values[cells] for name, values in self.columns.items()},
            {name: values[cells] for name, values in self.genes.items()},
            self.orders,
            least=0,
        )

    def texts(self, column: str) -> Any:
        """Labels of a column as text, ``(cells,)``: whole numbers without decimals, "" for cells without a label."""
        return label_texts(self.columns[column])

    def codes(self, column: str) -> tuple[Any, IntArray]:
        """Labels of a column in sorted order, and which of them each cell has, ``(cells,)``; -1 for none."""
        texts = self.texts(column)
        names = np.unique(texts[texts != NO_LABEL])
        return names, np.where(texts == NO_LABEL, -1, np.searchsorted(names, texts))

    def find(self, column: str, label: str, least: int = LEAST_LABELLED) -> IntArray:
        """Cells with a label, enough of them to go by.

        Raises
        ------
        InputError
            If the label does not occur or has fewer cells than ``least``, or than these labels need.
        """
        least = min(least, self.least)
        values = self.texts(column)
        found = np.flatnonzero(values == label)
        if len(found) == 0 and least > 0:
            available = sorted(set(values.tolist()) - {NO_LABEL})
            raise InputError(f"label {label!r} not found in obs[{column!r}]; available: {available}.")
        if len(found) < least:
            raise InputError(
                f"label {label!r} of obs[{column!r}] has {len(found)} cells, too few to go by: at least {least} are "
                "needed. Merge it with a neighbouring label or leave it out."
            )
        return found


@dataclass(frozen=True)
class Groups:
    """Groups of cells with a time prior of their own.

    Attributes
    ----------
    code
        Group of each cell, ``(cells,)``.
    names
        One per group.
    pooled
        Labels of fewer than 5 cells, by the name of the group that took them in.
    """

    code: IntArray
    names: tuple[str, ...]
    pooled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: CellLabels, column: str | None) -> Groups:
        """One per label of the column, in sorted order, or one for all.

        Cells without a label are a group like another. Labels of fewer than 5 cells form a group together; if even that
        has fewer than 5, they join the largest.
        """
        if column is None:
            return cls(np.zeros(len(labels.names), dtype=np.int64), ("all",))
        texts = labels.texts(column)
        texts = np.where(texts == NO_LABEL, UNLABELLED, texts)
        given, code, size = np.unique(texts, return_inverse=True, return_counts=True)
        small = size < LEAST_GROUP
        new = given.astype(object)
        if small.any():
            together = size[small].sum() >= LEAST_GROUP or small.all()
            new[small] = POOLED if together else given[size.argmax()]
        names, regroup = np.unique(new.astype(str), return_inverse=True)
        pooled = {str(new[small][0]): tuple(given[small].tolist())} if small.any() else {}
        return cls(regroup[code], tuple(names.tolist()), pooled)


def match_groups(prior: FloatArray, names: tuple[str, ...], wanted: tuple[str, ...]) -> FloatArray:
    """Rows of ``prior`` for the groups ``wanted``; a group that it does not have takes the mean of all rows."""
    rows = [prior[names.index(name)] if name in names else prior.mean(axis=0) for name in wanted]
    return np.stack(rows)
