"""The cells of a fit in blocks: sums of each block add up, and no more than a few blocks are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import Backend, Block, Blocks, Layer, Sums, SweepModel, split, take_rows
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.blocks.totals import SummedLayer, totals_of_block
from velotime.inference.model.layer import LayerData, size_levels
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import N_LEVELS, RUN_OF_CELLS, Cells
from velotime.inference.model.sums import with_all_rows
from velotime.inference.observations import BlockedObservations, Observations


@dataclass(frozen=True)
class BlockedCells(Cells):
    """The cells in their blocks, and within each in the order in which the sweep is fastest.

    Attributes
    ----------
    blocks
        The counts of both layers: of these cells, or of more.
    place
        Where each of these cells is in the blocks, ``(cells,)``.
    starts
        Where those of each block begin, and their number at last, ``(blocks + 1,)``.
    """

    blocks: Blocks = field(kw_only=True)
    place: IntArray = field(kw_only=True)
    starts: IntArray = field(kw_only=True)

    @classmethod
    def blocked(cls, observations: BlockedObservations, prior_rows: PriorRows) -> BlockedCells:
        """Round size factors, sort each block's cells by them, and gather what does not change, in one pass."""
        u_levels, u_level = size_levels(observations.size_unspliced, N_LEVELS)
        s_levels, s_level = size_levels(observations.size_spliced, N_LEVELS)
        blocks = observations.blocks
        u, s = blocks.fold(totals_of_block, (u_levels, s_levels), split(blocks.bounds, u_level, s_level)).layers
        order = np.lexsort((observations.content_rank, u_level, s_level, block_of(blocks.bounds)))
        nothing = sparse.csr_array((0, blocks.n_genes), dtype=np.float32)
        return cls(
            order,
            SummedLayer(nothing, u_levels, u_level[order], totals=u),
            SummedLayer(nothing, s_levels, s_level[order], totals=s),
            prior_rows.take(order),
            blocks=blocks,
            place=order,
            starts=blocks.bounds,
        )

    def at(self, index: IntArray) -> Cells:
        """Some of the cells, in this order, in memory."""
        block = take_rows(self.blocks, self.place[index])
        u, s = (
            LayerData(values, layer.levels, layer.level[index])
            for values, layer in zip(block, (self.unspliced, self.spliced), strict=True)
        )
        return Cells(self.order[index], u, s, self.prior_rows.take(index))

    @cached_property
    def _parts(self) -> list[tuple[Any, ...]]:
        """Rows within the block, levels and rows of the prior, of each block."""
        row = self.place - self.blocks.bounds[block_of(self.starts)]
        return split(self.starts, row, self.unspliced.level, self.spliced.level, self.prior_row)

    def sweep(self, backend: Backend, model: SweepModel) -> tuple[Sums, float]:
        """Sums under the posterior, a row of weights for each row of the prior, and the log evidence of all cells."""
        shared = backend, model, self.unspliced.levels, self.spliced.levels, self.prior_rows.n_rows
        swept: _Swept = self.blocks.fold(_sweep, shared, self._parts)
        return swept.sums, swept.log_evidence

    def posteriors(self, backend: Backend, model: SweepModel) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, a run of them at a time, in this order."""
        shared = backend, model, self.unspliced.levels, self.spliced.levels
        return in_runs(self.blocks.each(_posterior, shared, self._parts))


def block_of(bounds: IntArray) -> IntArray:
    """Block of each cell, ``(cells,)``."""
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def in_runs(posteriors: Iterator[FloatArray]) -> Iterator[tuple[slice, FloatArray]]:
    """Posteriors of blocks, ``(cells, states)`` each, a run of cells at a time."""
    first = 0
    for q in posteriors:
        for start in range(0, len(q), RUN_OF_CELLS):
            run = q[start : start + RUN_OF_CELLS]
            yield slice(first + start, first + start + len(run)), run
        first += len(q)


def cells_of(observations: Observations, prior_rows: PriorRows, noise: Noise) -> Cells:
    """The cells of a fit, in memory or in blocks, as the observations are."""
    if isinstance(observations, BlockedObservations):
        return BlockedCells.blocked(observations, prior_rows)
    return Cells.of(observations, prior_rows, noise)


def drawn_cells(observations: Observations, prior_rows: PriorRows, noise: Noise, drawn: IntArray) -> Cells:
    """Some cells in memory, of which ``prior_rows`` are; not copied if all are in memory."""
    if isinstance(observations, BlockedObservations):
        return Cells.of(observations.select_cells(drawn), prior_rows, noise)
    return Cells.of(observations, prior_rows, noise, drawn)


@dataclass(frozen=True)
class _Swept:
    """Sums and log evidence of some cells."""

    sums: Sums
    log_evidence: float

    def __add__(self, other: _Swept) -> _Swept:
        return _Swept(self.sums + other.sums, self.log_evidence + other.log_evidence)


def _layers(block: Block, u_levels: FloatArray, s_levels: FloatArray, part: tuple[Any, ...]) -> tuple[Layer, Layer]:
    rows, u_level, s_level, _ = part
    u = Layer.of(block.unspliced, u_level, u_levels[u_level], rows)
    return u, Layer.of(block.spliced, s_level, s_levels[s_level], rows)


def _sweep(block: Block, shared: tuple[Any, ...], part: tuple[Any, ...]) -> _Swept:
    backend, model, u_levels, s_levels, n_rows = shared
    row = part[-1]
    sums, log_evidence = backend.accumulate(*_layers(block, u_levels, s_levels, part), model, row, row)
    return _Swept(with_all_rows(sums, n_rows), float(log_evidence.sum(dtype=np.float64)))


def _posterior(block: Block, shared: tuple[Any, ...], part: tuple[Any, ...]) -> FloatArray:
    backend, model, u_levels, s_levels = shared
    layers, row = _layers(block, u_levels, s_levels, part), part[-1]
    q: FloatArray = backend.posterior(*layers, model, row, cells=slice(0, len(row)))[0]
    return q
