"""Blocks of cells that are chunks of Dask arrays, computed here or by the workers of a ``dask.distributed`` client.

Without a client each block is computed where all others are. With one, tasks go to where the chunks are: what crosses
the network are the model's tables to each worker and the sums back, once an iteration, but no counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from velotime._status import InputError
from velotime._types import IntArray
from velotime.compute import Block, Blocks, LocalBlocks, Task, bounds_of, pairwise_sum
from velotime.data.layers.values import checked_values

LEAST_CELLS = 2**14  # in a block: neighbouring chunks are taken together
ATTEMPTS = 4  # at what was lost with a worker


def is_dask(layer: Any) -> bool:
    """Whether a layer is a Dask array, without importing Dask."""
    return hasattr(layer, "__dask_graph__")


def as_dask(matrix: Any, cells: int = LEAST_CELLS) -> Any:
    """A matrix as a Dask array in blocks of so many cells, as it is if it is one."""
    import dask.array as da

    if is_dask(matrix):
        return matrix
    by_cells = matrix.tocsr() if sparse.issparse(matrix) else matrix
    return da.from_array(by_cells, chunks=(min(cells, max(1, matrix.shape[0])), -1), name=False, asarray=False)


def all_dask(matrices: Sequence[Any]) -> list[Any]:
    """Matrices as Dask arrays in blocks of cells, sparse ones if one of them is sparse."""
    arrays = [as_dask(matrix) for matrix in matrices]
    if not any(map(_is_sparse, arrays)):
        return arrays
    return [array if _is_sparse(array) else array.map_blocks(sparse.csr_matrix) for array in arrays]


def _is_sparse(array: Any) -> bool:
    return bool(sparse.issparse(array._meta))


def dask_blocks(layers: Sequence[Any], names: tuple[str, str]) -> Blocks:
    """Blocks of two layers, one of which at least is a Dask array in chunks along the cells."""
    arrays = [as_dask(layer) for layer in layers]
    for array, name in zip(arrays, names, strict=True):
        if array.numblocks[1] > 1:
            raise InputError(
                f"layer {name!r} is in {array.numblocks[1]} chunks along the genes: the counts of a cell must lie "
                f"together. Rechunk it: adata.layers[{name!r}] = adata.layers[{name!r}].rechunk((10_000, -1))."
            )
    first, second = arrays
    if first.chunks[0] != second.chunks[0]:
        second = second.rechunk((first.chunks[0], -1))
    ends = np.cumsum(first.chunks[0])
    last = np.append(np.flatnonzero(np.diff(ends // LEAST_CELLS)), len(ends) - 1)  # chunks at which blocks end
    groups = [slice(*pair) for pair in pairwise([0, *(last + 1).tolist()])]
    chunks = [array.to_delayed().ravel() for array in (first, second)]
    pieces = tuple(tuple(list(of_layer[group]) for of_layer in chunks) for group in groups)
    bounds = np.concatenate([[0], ends[last]]).astype(np.int64)
    client = _client()
    if client is None:
        return LocalBlocks(_Chunks(bounds, pieces, names), bounds, first.shape[1])
    import dask

    whole = tuple(dask.delayed(_join, pure=False)(u, s, names) for u, s in pieces)
    return DistributedBlocks(client, whole, bounds, first.shape[1])


def _client() -> Any:
    """The ``dask.distributed`` client of this process; None if there is none."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _join(u: list[Any], s: list[Any], names: tuple[str, str]) -> Block:
    """A block of chunks below each other, checked."""
    layers = (
        sparse.vstack(part, format="csr") if sparse.issparse(part[0]) else np.concatenate(part) for part in (u, s)
    )
    one, other = (checked_values(layer, name, counts=True) for layer, name in zip(layers, names, strict=True))
    return Block(one, other)


@dataclass(frozen=True)
class _Chunks:
    """Chunks as a source that this process reads."""

    bounds: IntArray
    pieces: tuple[Any, ...]
    names: tuple[str, str]

    def read(self, first: int, last: int) -> Block:
        """One of the blocks."""
        import dask

        del last
        u, s = self.pieces[int(np.searchsorted(self.bounds, first))]
        (parts,) = dask.compute((u, s), scheduler="synchronous")
        return _join(parts[0], parts[1], self.names)


@dataclass(frozen=True)
class DistributedBlocks:
    """Blocks that workers compute.

    Attributes
    ----------
    client
        To whom tasks are given.
    delayed
        The blocks, each to be computed.
    bounds
        Where blocks begin, and the number of cells at last, ``(blocks + 1,)``.
    n_genes
        Number of genes.
    """

    client: Any
    delayed: tuple[Any, ...]
    bounds: IntArray
    n_genes: int

    def genes(self, index: IntArray) -> DistributedBlocks:
        """These genes only, in this order."""
        import dask

        chosen = dask.delayed(_genes, pure=False)
        return replace(self, delayed=tuple(chosen(one, index) for one in self.delayed), n_genes=len(index))

    def some(self, which: IntArray) -> DistributedBlocks:
        """These blocks only, cells counted from the first of them on."""
        delayed = tuple(self.delayed[k] for k in which)
        return replace(self, delayed=delayed, bounds=bounds_of(self.bounds, which))

    def kept(self) -> DistributedBlocks:
        """Held in the memory of the workers; what is lost with one of them is read again."""
        return replace(self, delayed=tuple(self.client.persist(list(self.delayed))))

    def each(self, task: Task, shared: Any, parts: Sequence[Any]) -> Iterator[Any]:
        """What ``task`` makes of every block, in their order; as many at a time as there are workers."""
        at_once = max(1, len(self.client.scheduler_info()["workers"]))
        for first in range(0, len(self.delayed), at_once):
            some = slice(first, first + at_once)
            yield from self._compute(lambda given, some=some: self._tasks(task, given, parts, some), shared)

    def fold(self, task: Task, shared: Any, parts: Sequence[Any]) -> Any:
        """The sum of what ``task`` makes of the blocks, added pairwise, by the workers too."""
        everything = slice(0, len(self.delayed))
        return self._compute(lambda given: [pairwise_sum(self._tasks(task, given, parts, everything))], shared)[0]

    def _tasks(self, task: Task, shared: Any, parts: Sequence[Any], some: slice) -> list[Any]:
        import dask

        run = dask.delayed(task, pure=False)
        return [
            run(block, shared, dask.delayed(part, pure=False, traverse=False))
            for block, part in zip(self.delayed[some], parts[some], strict=True)
        ]

    def _compute(self, make: Any, shared: Any) -> list[Any]:
        """Results of tasks; what all are given is sent to every worker, again where it was lost with one."""
        from distributed import CancelledError, KilledWorker

        for attempt in range(ATTEMPTS):
            try:
                given = self.client.scatter(shared, broadcast=True, hash=False) if shared is not None else None
                out: list[Any] = self.client.gather(self.client.compute(make(given)))
            except (CancelledError, KilledWorker, TimeoutError, OSError):
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                return out
        raise AssertionError


def _genes(block: Block, index: IntArray) -> Block:
    return block.genes(index)
