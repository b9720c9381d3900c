"""What does not change during a fit, of cells in blocks: it adds up, and histograms of counts merge by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import Block
from velotime.inference.model.layer import LayerData


@dataclass(frozen=True)
class Totals:
    """What does not change during a fit, of one layer of some cells.

    Attributes
    ----------
    value_per_level
        Sum of the values over the cells of each level, ``(levels, genes)``.
    square
        Sum of the squared values, ``(genes,)``.
    histogram
        Each gene's distinct non-zero counts: (gene, count, how many cells).
    """

    value_per_level: FloatArray
    square: FloatArray
    histogram: tuple[IntArray, FloatArray, FloatArray]

    @classmethod
    def of(cls, layer: LayerData) -> Totals:
        """Of cells in memory."""
        return cls(layer.value_per_level, layer.square, layer.histogram)

    @classmethod
    def side_by_side(cls, parts: Sequence[Totals]) -> Totals:
        """Of cells whose levels are not the same: those of each part after each other."""
        values = np.concatenate([part.value_per_level for part in parts])
        return cls(values, np.sum([part.square for part in parts], axis=0), _merged(parts))

    def __add__(self, other: Totals) -> Totals:
        value_per_level = self.value_per_level + other.value_per_level
        return Totals(value_per_level, self.square + other.square, _merged((self, other)))


def _merged(parts: Sequence[Totals]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Their histograms as one."""
    gene, count, times = (np.concatenate(all_of) for all_of in zip(*(part.histogram for part in parts), strict=True))
    base = int(count.max(initial=0)) + 1
    code, where = np.unique(gene * base + count.astype(np.int64), return_inverse=True)
    return code // base, (code % base).astype(float), np.bincount(where, times, minlength=len(code)).astype(float)


@dataclass(frozen=True)
class SummedLayer(LayerData):
    """A layer of which sums over the cells are known, and whose values lie elsewhere."""

    totals: Totals = field(kw_only=True)

    @cached_property
    def value_per_level(self) -> FloatArray:
        """Sum of the values over the cells of each level, ``(levels, genes)``."""
        return self.totals.value_per_level

    @cached_property
    def square(self) -> FloatArray:
        """Sum of the squared values of each gene, ``(genes,)``."""
        return self.totals.square

    @cached_property
    def histogram(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Each gene's distinct non-zero counts: (gene, count, how many cells), three arrays of one length."""
        return self.totals.histogram


@dataclass(frozen=True)
class BothTotals:
    """Totals of both layers."""

    layers: tuple[Totals, Totals]

    def __add__(self, other: BothTotals) -> BothTotals:
        u, s = (mine + theirs for mine, theirs in zip(self.layers, other.layers, strict=True))
        return BothTotals((u, s))


def totals_of_block(
    block: Block, levels: tuple[FloatArray, FloatArray], level: tuple[IntArray, IntArray]
) -> BothTotals:
    """Totals of a block at these levels."""
    u, s = (LayerData(*layer) for layer in zip(block, levels, level, strict=True))
    return BothTotals((Totals.of(u), Totals.of(s)))
