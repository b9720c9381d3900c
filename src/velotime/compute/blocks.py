"""Both layers in blocks of cells, wherever they lie: in memory, in a file, on other machines.

What a fit needs of its cells are sums, and sums of blocks add up. They are added pairwise in a fixed order, ``((1 + 2)
+ (3 + 4)) + ...``: the result has the same bits whoever computes the blocks, and in whichever order they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute.matrix import Matrix


class Block(NamedTuple):
    """Some cells, ``(cells, genes)`` each, CSR, float32, in canonical format, without stored zeros."""

    unspliced: Matrix
    spliced: Matrix

    def genes(self, index: IntArray) -> Block:
        """These genes only."""
        return Block(*(layer[:, index] for layer in self))


#: ``task(block, shared, part)``: what all blocks are given, and what this one is.
Task = Callable[[Block, Any, Any], Any]


class Blocks(Protocol):
    """Aligned rows of both layers, block by block, as often as they are asked for."""

    @property
    def bounds(self) -> IntArray:
        """Where blocks begin, and the number of cells at last, ``(blocks + 1,)``."""

    @property
    def n_genes(self) -> int:
        """Number of genes."""

    def genes(self, index: IntArray) -> Blocks:
        """These genes only, in this order."""

    def some(self, which: IntArray) -> Blocks:
        """These blocks only, cells counted from the first of them on."""

    def kept(self) -> Blocks:
        """The same, read once and held in memory where that takes little."""

    def each(self, task: Task, shared: Any, parts: Sequence[Any]) -> Iterator[Any]:
        """What ``task`` makes of every block, in their order."""

    def fold(self, task: Task, shared: Any, parts: Sequence[Any]) -> Any:
        """The sum of what ``task`` makes of the blocks, added pairwise; see :func:`pairwise_sum`."""


def pairwise_sum(items: Iterable[Any]) -> Any:
    """Add up neighbours, then sums of neighbours, and so on, with as few kept at a time as the depth of this tree."""
    kept: list[tuple[int, Any]] = []
    for one in items:
        item, n = one, 1
        while kept and kept[-1][0] == n:
            item, n = kept.pop()[1] + item, 2 * n
        kept.append((n, item))
    total = kept.pop()[1]
    while kept:
        total = kept.pop()[1] + total
    return total


def row_sums(matrix: Matrix) -> FloatArray:
    """Sum of each row, ``(rows,)``."""
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def sums_of_cells(blocks: Blocks) -> tuple[FloatArray, FloatArray]:
    """Sum of each cell in both layers, ``(cells,)`` each, in one pass."""
    u, s = zip(*blocks.each(_cell_sums, None, [None] * (len(blocks.bounds) - 1)), strict=True)
    return np.concatenate(u), np.concatenate(s)


def _cell_sums(block: Block, shared: Any, part: Any) -> tuple[FloatArray, FloatArray]:
    del shared, part
    return row_sums(block.unspliced), row_sums(block.spliced)


def bounds_of(bounds: IntArray, which: IntArray) -> IntArray:
    """Bounds of some blocks, as if there were no others."""
    return np.append(0, np.cumsum(np.diff(bounds)[which]))


def split(bounds: IntArray, *arrays: Any) -> list[tuple[Any, ...]]:
    """The part of each array, ``(cells, ...)``, that belongs to each block."""
    return [tuple(array[slice(*pair)] for array in arrays) for pair in pairwise(bounds.tolist())]


class Source(Protocol):
    """Something to read blocks from."""

    def read(self, first: int, last: int) -> Block:
        """The cells from ``first`` to before ``last``, all genes."""


@dataclass(frozen=True)
class LocalBlocks:
    """Blocks that this machine computes, each on all cores, while the next one is read.

    Attributes
    ----------
    source
        Where they are read.
    bounds
        Where blocks begin, and the number of cells at last, ``(blocks + 1,)``.
    n_genes
        Number of genes.
    columns
        Which of the source's genes these are, ``(genes,)``; None for all.
    """

    source: Source
    bounds: IntArray
    n_genes: int
    columns: IntArray | None = None

    def genes(self, index: IntArray) -> LocalBlocks:
        """These genes only, in this order."""
        columns = index if self.columns is None else self.columns[index]
        return replace(self, columns=columns, n_genes=len(columns))

    def some(self, which: IntArray) -> LocalBlocks:
        """These blocks only, cells counted from the first of them on."""
        own = bounds_of(self.bounds, which)
        return replace(self, source=_Some(self.source, self.bounds, which, own), bounds=own)

    def kept(self) -> LocalBlocks:
        """Held in memory in four bytes per entry, where so many entries take no more than ``MOST_KEPT``."""
        packed: list[_Packed] = []
        held = 0
        for one in self.each(_pack, None, [None] * (len(self.bounds) - 1)):
            held += 0 if one is None else one.n_bytes
            if one is None or held > MOST_KEPT:
                return self
            packed.append(one)
        return LocalBlocks(_Kept(self.bounds, tuple(packed)), self.bounds, self.n_genes)

    def each(self, task: Task, shared: Any, parts: Sequence[Any]) -> Iterator[Any]:
        """What ``task`` makes of every block, in their order."""
        with ThreadPoolExecutor(1, thread_name_prefix="velotime-read") as reader:
            ahead = reader.submit(self._read, 0)
            for k, part in enumerate(parts):
                block = ahead.result()
                if k + 1 < len(parts):
                    ahead = reader.submit(self._read, k + 1)
                yield task(block, shared, part)

    def fold(self, task: Task, shared: Any, parts: Sequence[Any]) -> Any:
        """The sum of what ``task`` makes of the blocks, added pairwise."""
        return pairwise_sum(self.each(task, shared, parts))

    def _read(self, k: int) -> Block:
        block = self.source.read(int(self.bounds[k]), int(self.bounds[k + 1]))
        return block if self.columns is None else block.genes(self.columns)


@dataclass(frozen=True)
class _Some:
    """Some blocks of a source: ``bounds`` are those of all, ``own`` those of ``which``."""

    source: Source
    bounds: IntArray
    which: IntArray
    own: IntArray

    def read(self, first: int, last: int) -> Block:
        """One of the blocks."""
        del last
        k = self.which[np.searchsorted(self.own, first)]
        return self.source.read(int(self.bounds[k]), int(self.bounds[k + 1]))


MOST_KEPT = 2**31  # bytes of counts held in memory between passes


@dataclass(frozen=True)
class _Packed:
    """A block whose counts and indices of genes take two bytes each."""

    layers: tuple[Any, Any]
    n_genes: int

    @property
    def n_bytes(self) -> int:
        return sum(part.nbytes for layer in self.layers for part in layer)

    def unpack(self) -> Block:
        u, s = (
            sparse.csr_array(
                (data.astype(np.float32), indices.astype(np.int32), start), shape=(len(start) - 1, self.n_genes)
            )
            for data, indices, start in self.layers
        )
        return Block(u, s)


def _pack(block: Block, shared: Any, part: Any) -> _Packed | None:
    """In two bytes each; None where a count or the number of genes needs more."""
    del shared, part
    most, n_genes = np.iinfo(np.uint16).max, block.unspliced.shape[1]
    if n_genes > most or any(layer.nnz and layer.data.max() > most for layer in block):
        return None
    u, s = (
        (layer.data.astype(np.uint16), layer.indices.astype(np.uint16), layer.indptr.astype(np.int32))
        for layer in block
    )
    return _Packed((u, s), n_genes)


@dataclass(frozen=True)
class _Kept:
    """Packed blocks as a source."""

    bounds: IntArray
    packed: tuple[_Packed, ...]

    def read(self, first: int, last: int) -> Block:
        """One of the blocks."""
        del last
        return self.packed[int(np.searchsorted(self.bounds, first))].unpack()


def take_rows(blocks: Blocks, cells: IntArray) -> Block:
    """These cells, in this order, in memory: only they are taken from each block."""
    order = np.argsort(cells, kind="stable")
    inside = np.searchsorted(cells[order], blocks.bounds)
    parts = [
        cells[order[low:high]] - first
        for low, high, first in zip(inside[:-1], inside[1:], blocks.bounds[:-1], strict=True)
    ]
    taken = list(blocks.each(_take, None, parts))
    back = np.empty(len(cells), dtype=np.int64)
    back[order] = np.arange(len(cells))
    u, s = (sparse.csr_array(sparse.vstack(layer, format="csr"))[back] for layer in zip(*taken, strict=True))
    return Block(u, s)


def _take(block: Block, shared: Any, rows: IntArray) -> Block:
    del shared
    return Block(*(layer[rows] for layer in block))
