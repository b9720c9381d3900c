"""Cells of several samples in blocks: a block may hold cells of any of them, and sums of each sample add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import Backend, Block, Layer
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.blocks.cells import BlockedCells, block_of, in_runs
from velotime.inference.model.blocks.totals import BothTotals, SummedLayer, Totals
from velotime.inference.model.layer import LayerData
from velotime.inference.model.samples.swept import SampleLevels, Swept, TablesInTurn, levels_of
from velotime.inference.model.scores import Scoring
from velotime.inference.model.sums import with_all_rows
from velotime.inference.observations import BlockedObservations


class AddsUp(Protocol):
    """What has a sum."""

    def __add__(self, other: Any, /) -> Any: ...


T = TypeVar("T", bound=AddsUp)


class Run(NamedTuple):
    """The cells of one sample in a block: rows in the block, levels among those of the sample, rows of the prior."""

    sample: int
    rows: IntArray
    u_level: IntArray
    s_level: IntArray
    prior_row: IntArray


@dataclass(frozen=True)
class BySample(Generic[T]):
    """Something that adds up, of each sample that has some of the cells."""

    found: dict[int, T]

    def __add__(self, other: BySample[T]) -> BySample[T]:
        both = self.found | other.found
        common = self.found.keys() & other.found.keys()
        return BySample(both | {b: self.found[b] + other.found[b] for b in common})


@dataclass(frozen=True)
class SampledBlocks(BlockedCells):
    """Cells in their blocks, within each in the order of their samples; a level of a layer is a sample and a size.

    Attributes
    ----------
    names
        Of the samples.
    sample
        Of each cell, in this order, ``(cells,)``.
    level_starts
        Where levels of each sample begin, and their number, ``(2, samples + 1)``.
    totals
        What does not change during a fit, of each sample; None of one without cells.
    """

    names: tuple[str, ...] = field(kw_only=True)
    sample: IntArray = field(kw_only=True)
    level_starts: IntArray = field(kw_only=True)
    totals: tuple[BothTotals | None, ...] = field(kw_only=True)

    @classmethod
    def of_samples(cls, observations: BlockedObservations, prior_rows: PriorRows) -> SampledBlocks:
        """Round size factors within samples, sort each block's cells, and gather what does not change, in one pass."""
        assert observations.sample is not None
        blocks, names, (u, s) = observations.blocks, observations.sample_names, levels_of(observations)
        ranks = observations.content_rank, u.level, s.level, observations.sample
        order = np.lexsort((*ranks, block_of(blocks.bounds)))
        sample, rows = observations.sample[order], prior_rows.take(order)
        row = order - blocks.bounds[block_of(blocks.bounds)]
        levels = [one.level[order] - one.starts[sample] for one in (u, s)]
        runs = _runs(blocks.bounds, sample, row, *levels, rows.row)
        found: BySample[BothTotals] = blocks.fold(_totals, (u, s), runs)
        totals = tuple(found.found.get(b) for b in range(len(names)))
        return cls(
            order,
            _summed(u, order, [one.layers[0] for one in totals if one is not None]),
            _summed(s, order, [one.layers[1] for one in totals if one is not None]),
            rows,
            blocks=blocks,
            place=order,
            starts=blocks.bounds,
            names=names,
            sample=sample,
            level_starts=np.stack([u.starts, s.starts]),
            totals=totals,
        )

    @cached_property
    def parts(self) -> tuple[BlockedCells, ...]:
        """The cells of each sample in the blocks that hold some of them; a sample may have none."""
        return tuple(self._part(b) for b in range(len(self.names)))

    def _part(self, b: int) -> BlockedCells:
        index = np.flatnonzero(self.sample == b)
        block = block_of(self.starts)[index]
        which, counts = np.unique(block, return_counts=True)
        blocks = self.blocks.some(which)
        row = self.place[index] - self.blocks.bounds[block]
        u, s = (self._layer_of(b, k, index) for k in (0, 1))
        return BlockedCells(
            self.order[index],
            u,
            s,
            self.prior_rows.take(index),
            blocks=blocks,
            place=np.repeat(blocks.bounds[:-1], counts) + row,
            starts=np.append(0, np.cumsum(counts)),
        )

    def _layer_of(self, b: int, k: int, index: IntArray) -> LayerData:
        layer, totals = (self.unspliced, self.spliced)[k], self.totals[b]
        levels = slice(*self.level_starts[k, b : b + 2])
        level = layer.level[index] - levels.start
        if totals is None:
            return LayerData(layer.given, layer.levels[levels], level)
        return SummedLayer(layer.given, layer.levels[levels], level, totals=totals.layers[k])

    @cached_property
    def _in_blocks(self) -> list[tuple[Run, ...]]:
        row = self.place - self.blocks.bounds[block_of(self.starts)]
        layers = zip((self.unspliced, self.spliced), self.level_starts, strict=True)
        levels = [layer.level - starts[self.sample] for layer, starts in layers]
        return _runs(self.starts, self.sample, row, *levels, self.prior_row)

    def _in_turn(self, scorings: Sequence[Scoring]) -> TablesInTurn:
        return TablesInTurn(dict(zip(np.unique(self.sample).tolist(), scorings, strict=True)))

    def sweep_each(self, backend: Backend, scorings: Sequence[Scoring]) -> Iterator[Swept]:
        """What a sweep tells of each sample that has cells, in one pass over the blocks."""
        shared = backend, self._in_turn(scorings), self.prior_rows.n_rows
        found: BySample[Swept] = self.blocks.fold(_sweep, shared, self._in_blocks)
        return (found.found[b] for b in sorted(found.found))

    def posteriors_each(self, backend: Backend, scorings: Sequence[Scoring]) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, a run of them at a time, in this order; ``scorings`` as above."""
        return in_runs(self.blocks.each(_posterior, (backend, self._in_turn(scorings)), self._in_blocks))


def _runs(starts: IntArray, sample: IntArray, *arrays: IntArray) -> list[tuple[Run, ...]]:
    """Runs of cells of one sample in each block."""
    out = []
    for first, last in pairwise(starts.tolist()):
        cuts = first + np.flatnonzero(np.diff(sample[first:last])) + 1
        ends = [first, *cuts, last] if last > first else []
        pairs = [slice(*pair) for pair in pairwise(ends)]
        out.append(tuple(Run(int(sample[at.start]), *(array[at] for array in arrays)) for at in pairs))
    return out


def _summed(of_samples: SampleLevels, order: IntArray, totals: list[Totals]) -> SummedLayer:
    """A layer of all samples."""
    nothing = sparse.csr_array((0, len(totals[0].square)), dtype=np.float32)
    whole = Totals.side_by_side(totals)
    return SummedLayer(nothing, of_samples.levels, of_samples.level[order], totals=whole)


def _totals(block: Block, shared: tuple[SampleLevels, SampleLevels], part: tuple[Run, ...]) -> BySample[BothTotals]:
    found = {}
    for run in part:
        u, s = _layers(block, run, (shared[0].of_sample(run.sample), shared[1].of_sample(run.sample)))
        found[run.sample] = BothTotals((Totals.of(u), Totals.of(s)))
    return BySample(found)


def _layers(block: Block, run: Run, levels: tuple[FloatArray, FloatArray]) -> tuple[LayerData, LayerData]:
    u = LayerData(block.unspliced, levels[0], run.u_level, run.rows)
    return u, LayerData(block.spliced, levels[1], run.s_level, run.rows)


def _as_swept(layers: tuple[LayerData, LayerData]) -> tuple[Layer, Layer]:
    u, s = (Layer.of(layer.given, layer.level, layer.size, layer.rows) for layer in layers)
    return u, s


def _sweep(block: Block, shared: tuple[Any, ...], part: tuple[Run, ...]) -> BySample[Swept]:
    backend, tables, n_rows = shared
    return BySample({run.sample: _sweep_run(block, backend, tables, n_rows, run) for run in part})


def _sweep_run(block: Block, backend: Backend, tables: TablesInTurn, n_rows: int, run: Run) -> Swept:
    model, (u, s) = tables.of_sample(run.sample)
    layers = _layers(block, run, tables.levels(run.sample))
    sums, log_evidence = backend.accumulate(*_as_swept(layers), model, run.prior_row, run.prior_row)
    left_out = u.left_out(layers[0]), s.left_out(layers[1])
    return Swept(with_all_rows(sums, n_rows), float(log_evidence.sum(dtype=np.float64)), left_out)


def _posterior(block: Block, shared: tuple[Any, ...], part: tuple[Run, ...]) -> FloatArray:
    backend, tables = shared
    return np.concatenate([_posterior_of_run(block, backend, tables, run) for run in part])


def _posterior_of_run(block: Block, backend: Backend, tables: TablesInTurn, run: Run) -> FloatArray:
    model, _ = tables.of_sample(run.sample)
    layers = _as_swept(_layers(block, run, tables.levels(run.sample)))
    q: FloatArray = backend.posterior(*layers, model, run.prior_row, cells=slice(0, len(run.rows)))[0]
    return q
