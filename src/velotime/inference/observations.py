"""What a method is given: counts of two layers and the depth of each cell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy import sparse

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Block, Blocks, Matrix, row_sums, sums_of_cells, take_rows

BLOCK_OF_CELLS = 4096


@dataclass(frozen=True)
class Observations:
    """Unspliced and spliced values of the genes to fit, with size factors.

    Attributes
    ----------
    unspliced, spliced
        Counts (or normalised values, for Gaussian noise), ``(cells, genes)``, CSR or dense.
    size_unspliced, size_spliced
        Size factors, ``(cells,)``, relative: their mean is 1. All ones for normalised values.
    n_averaged
        Cells that each value is a mean of: 1, or for moments a cell and its neighbours. The values of that
        many cells together carry the information of one cell.
    sample, sample_names
        Sample of each cell, ``(cells,)``, and names of the samples; None where there is one.
    """

    unspliced: Matrix
    spliced: Matrix
    size_unspliced: FloatArray
    size_spliced: FloatArray
    n_averaged: float = 1.0
    sample: IntArray | None = None
    sample_names: tuple[str, ...] = ()

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.unspliced.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced.shape[1])

    @property
    def holds_whole_numbers(self) -> bool:
        """Whether all values are whole numbers, as counts are."""
        layers = (layer.data if sparse.issparse(layer) else layer for layer in (self.unspliced, self.spliced))
        return all(np.array_equal(values, np.floor(values)) for values in layers)

    @cached_property
    def content_order(self) -> IntArray:
        """Cells in an order of what they hold, ``(cells,)``, which is the same in whatever order they are given.

        Draws and sums go by it, so that no result depends on the order of the cells in a file. Cells are sorted by a
        hash of their values, and those with the same values by their size factors.
        """
        key = _hashes(self.unspliced, 0) + _hashes(self.spliced, 1)
        return np.lexsort((self.size_spliced, self.size_unspliced, key))

    @property
    def content_rank(self) -> IntArray:
        """Where each cell stands in this order, ``(cells,)``: by it, sums are the same in any order given."""
        rank = np.empty(self.n_cells, dtype=np.int64)
        rank[self.content_order] = np.arange(self.n_cells)
        return rank

    @property
    def totals(self) -> tuple[FloatArray, FloatArray]:
        """Sum of the values of each cell in both layers, ``(cells,)`` each."""
        return row_sums(self.unspliced), row_sums(self.spliced)

    @property
    def contents(self) -> tuple[Any, ...]:
        """What a name of these values is made of."""
        return self.unspliced, self.spliced

    def draw(self, n_cells: int, rng: Generator, include: Any = (), most_included: int = 0) -> IntArray:
        """Draw up to ``n_cells`` cells, at most ``most_included`` of ``include`` first; in the order of content."""
        drawn = draw_positions(np.isin(self.content_order, include), n_cells, rng, most_included)
        return self.content_order[drawn]

    def select_cells(self, cells: IntArray) -> Observations:
        """Keep these cells, in this order; size factors are kept as they are."""
        return replace(
            self,
            unspliced=self.unspliced[cells],
            spliced=self.spliced[cells],
            size_unspliced=self.size_unspliced[cells],
            size_spliced=self.size_spliced[cells],
            sample=None if self.sample is None else self.sample[cells],
        )

    def select_genes(self, genes: IntArray) -> Observations:
        """Keep these genes, in this order."""
        return replace(self, unspliced=self.unspliced[:, genes], spliced=self.spliced[:, genes])

    @property
    def in_memory(self) -> Observations:
        """The same with all values in memory."""
        return self


@dataclass(frozen=True)
class BlockedObservations(Observations):
    """Counts that lie elsewhere, in blocks of cells: ``unspliced`` and ``spliced`` have their genes, and no cells.

    Attributes
    ----------
    blocks
        The counts of both layers.
    """

    blocks: Blocks = field(kw_only=True)

    @classmethod
    def of(cls, blocks: Blocks, size_unspliced: FloatArray, size_spliced: FloatArray) -> BlockedObservations:
        """Counts of the genes to fit with size factors, ``(cells,)`` each."""
        nothing = sparse.csr_array((0, blocks.n_genes), dtype=np.float32)
        return cls(nothing, nothing, size_unspliced, size_spliced, blocks=blocks)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.size_unspliced)

    @property
    def holds_whole_numbers(self) -> bool:
        """Counts are."""
        return True

    @cached_property
    def content_order(self) -> IntArray:
        """Cells in an order of what they hold, ``(cells,)``, as in memory."""
        return np.lexsort((self.size_spliced, self.size_unspliced, self._keys))

    @cached_property
    def _keys(self) -> Any:
        """Hashes of the cells, ``(cells,)``."""
        parts = [None] * (len(self.blocks.bounds) - 1)
        return np.concatenate(list(self.blocks.each(_block_hashes, None, parts)))

    @property
    def totals(self) -> tuple[FloatArray, FloatArray]:
        """Sum of the counts of each cell in both layers, ``(cells,)`` each."""
        return sums_of_cells(self.blocks)

    @property
    def contents(self) -> tuple[Any, ...]:
        """What a name of these values is made of: the hashes of the cells."""
        return (self._keys.view(np.int64),)

    def select_cells(self, cells: IntArray) -> Observations:
        """Keep these cells, in this order, in memory; size factors are kept as they are."""
        u, s = take_rows(self.blocks, cells)
        sizes = self.size_unspliced[cells], self.size_spliced[cells]
        sample = None if self.sample is None else self.sample[cells]
        return Observations(u, s, *sizes, self.n_averaged, sample, self.sample_names)

    def select_genes(self, genes: IntArray) -> BlockedObservations:
        """Keep these genes, in this order."""
        nothing = self.unspliced[:, genes]
        return replace(self, unspliced=nothing, spliced=nothing, blocks=self.blocks.genes(genes))

    @property
    def in_memory(self) -> Observations:
        """The same with all values in memory: of few genes."""
        return self.select_cells(np.arange(self.n_cells))


def _block_hashes(block: Block, shared: Any, part: Any) -> Any:
    del shared, part
    return _hashes(block.unspliced, 0) + _hashes(block.spliced, 1)


def draw_positions(preferred: BoolArray, n: int, rng: Generator, most_preferred: int) -> IntArray:
    """Draw up to ``n`` positions, at most ``most_preferred`` of those marked first, ascending."""
    shuffled = rng.permutation(len(preferred))
    first = preferred[shuffled]
    first &= np.cumsum(first) <= most_preferred
    return np.sort(np.concatenate([shuffled[first], shuffled[~first]])[:n])


def _hashes(values: Matrix, seed: int) -> Any:
    """64 bits of each cell's values, ``(cells,)``: sums of whole numbers, which do not depend on how they are added."""
    n_cells, n_genes = values.shape
    factor = np.random.default_rng(seed).integers(2**63, size=n_genes, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.zeros(n_cells, dtype=np.uint64)
    for first in range(0, n_cells, BLOCK_OF_CELLS):
        block = values[first : first + BLOCK_OF_CELLS]
        if sparse.issparse(block):
            rows = sparse.csr_array(block)
            terms = _mixed_bits(rows.data) * factor[rows.indices]
            total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
            out[first : first + BLOCK_OF_CELLS] = total[rows.indptr[1:]] - total[rows.indptr[:-1]]
        else:
            out[first : first + BLOCK_OF_CELLS] = (_mixed_bits(np.asarray(block)) * factor).sum(axis=1, dtype=np.uint64)
    return out


def _mixed_bits(values: Any) -> Any:
    """The bits of numbers, mixed (Steele, Lea and Flood 2014, splitmix64); 0 stays 0."""
    bits = (np.asarray(values, dtype=np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    bits = (bits ^ (bits >> np.uint64(15))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
