"""What one pass over blocks of counts gathers before a fit: totals of cells and genes, and how often genes are seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from velotime import _keys as keys
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Block, Blocks, split, sums_of_cells
from velotime.data.layers.plausibility import same_values


@dataclass(frozen=True)
class LayerSummary:
    """Of one layer of some cells.

    Attributes
    ----------
    totals
        Sum of each cell, ``(cells,)``.
    detected
        Cells with each gene, ``(genes,)``.
    lowest, highest
        Least and largest count of each gene, ``(genes,)``.
    """

    totals: FloatArray
    detected: IntArray
    lowest: FloatArray
    highest: FloatArray

    @classmethod
    def of(cls, layer: Any) -> LayerSummary:
        """Of a block."""
        detected = np.bincount(layer.indices, minlength=layer.shape[1])
        totals = np.asarray(layer.sum(axis=1, dtype=np.float64)).ravel()
        low, high = (getattr(layer, name)(axis=0).toarray().ravel() for name in ("min", "max"))
        return cls(totals, detected, low, high)

    def __add__(self, other: LayerSummary) -> LayerSummary:
        return LayerSummary(
            np.concatenate([self.totals, other.totals]),
            self.detected + other.detected,
            np.minimum(self.lowest, other.lowest),
            np.maximum(self.highest, other.highest),
        )


@dataclass(frozen=True)
class Summary:
    """Of both layers of some cells.

    Attributes
    ----------
    unspliced, spliced
        Of each layer.
    shared
        Counts of both layers over the cells that have a gene in both, ``(genes,)``.
    same
        Whether both layers hold the same values.
    """

    unspliced: LayerSummary
    spliced: LayerSummary
    shared: FloatArray
    same: bool

    @classmethod
    def of(cls, blocks: Blocks, cells: BoolArray | None = None) -> Summary:
        """Of all cells, or of those marked, in one pass."""
        parts = [(None,)] * (len(blocks.bounds) - 1) if cells is None else split(blocks.bounds, cells)
        whole: Summary = blocks.fold(_summarise, None, parts)
        return whole

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            self.unspliced + other.unspliced,
            self.spliced + other.spliced,
            self.shared + other.shared,
            self.same and other.same,
        )

    @property
    def total(self) -> tuple[float, float]:
        """Sum of each layer."""
        return float(self.unspliced.totals.sum()), float(self.spliced.totals.sum())

    @property
    def status(self) -> Any:
        """For every gene "fitted", or why it cannot be, ``(genes,)``."""
        status = np.full(len(self.shared), keys.FITTED, dtype=object)
        for layer, kind in ((self.spliced, "spliced"), (self.unspliced, "unspliced")):
            status[layer.lowest == layer.highest] = f"constant {kind}"
            status[layer.detected == 0] = f"no {kind} counts"
        return status


def _summarise(block: Block, shared: Any, part: tuple[BoolArray | None]) -> Summary:
    del shared
    u, s = block if part[0] is None or part[0].all() else (layer[part[0]] for layer in block)
    both = (u > 0).multiply(s > 0)
    counts = np.asarray((u + s).multiply(both).sum(axis=0)).ravel()
    return Summary(LayerSummary.of(u), LayerSummary.of(s), counts, same_values(u, s))


def empty_cells(blocks: Blocks) -> BoolArray:
    """Which cells have no counts in the genes of these blocks, ``(cells,)``."""
    return np.asarray(cell_totals(blocks) == 0)


def cell_totals(blocks: Blocks) -> FloatArray:
    """Counts of both layers of each cell in the genes of these blocks, ``(cells,)``."""
    u, s = sums_of_cells(blocks)
    return u + s


def dispersions(blocks: Blocks) -> Callable[[IntArray], FloatArray]:
    """Variance over mean of log-normalised spliced counts, of the genes asked for, in two passes."""

    def of_genes(genes: IntArray) -> FloatArray:
        some = blocks.genes(genes)
        total = np.concatenate(list(some.each(_spliced_totals, None, [None] * (len(some.bounds) - 1))))
        scale = np.median(total) / np.maximum(total, 1)
        moments: FloatArray = some.fold(_log_moments, None, split(some.bounds, scale))
        mean, square = moments / len(total)
        return np.asarray((square - mean**2) / np.maximum(mean, 0.05))

    return of_genes


def _spliced_totals(block: Block, shared: Any, part: Any) -> FloatArray:
    del shared, part
    return np.asarray(block.spliced.sum(axis=1)).ravel()


def _log_moments(block: Block, shared: Any, part: tuple[FloatArray]) -> FloatArray:
    """Sums of the log-normalised counts and of their squares, ``(2, genes)``."""
    del shared
    normal = block.spliced.multiply(part[0][:, None]).tocsr()
    normal.data = np.log1p(normal.data)
    return np.stack([np.asarray(part.sum(axis=0)).ravel() for part in (normal, normal.multiply(normal))])
