"""Cells of several samples, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import Matrix
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.blocks.cells import cells_of as cells_of_one
from velotime.inference.model.blocks.cells import drawn_cells
from velotime.inference.model.layer import LayerData, size_levels
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import N_LEVELS, Cells
from velotime.inference.observations import BlockedObservations, Observations


@dataclass(frozen=True)
class SampledCells(Cells):
    """Cells in the order of their samples; a level of a layer is a pair of sample and size factor.

    Attributes
    ----------
    names
        Of the samples.
    starts
        Where the cells of each sample begin, and their number, ``(samples + 1,)``.
    level_starts
        The same of the levels of both layers, ``(2, samples + 1)``.
    """

    names: tuple[str, ...] = field(kw_only=True)
    starts: IntArray = field(kw_only=True)
    level_starts: IntArray = field(kw_only=True)

    @cached_property
    def parts(self) -> tuple[Cells, ...]:
        """The cells of each sample, some perhaps none."""
        return tuple(self._part(b) for b in range(len(self.names)))

    def _part(self, b: int) -> Cells:
        at = slice(int(self.starts[b]), int(self.starts[b + 1]))
        unspliced, spliced = (
            _slice(layer, at, slice(int(starts[b]), int(starts[b + 1])))
            for layer, starts in zip((self.unspliced, self.spliced), self.level_starts, strict=True)
        )
        rows = self.prior_rows.take(np.arange(at.start, at.stop))
        return Cells(self.order[at], unspliced, spliced, rows, self.n_averaged)


def _slice(layer: LayerData, cells: slice, levels: slice) -> LayerData:
    level = layer.level[cells] - levels.start
    if layer.rows is None:
        return LayerData(layer.given[cells], layer.levels[levels], level)
    return LayerData(layer.given, layer.levels[levels], level, layer.rows[cells])


def cells_of(observations: Observations | BlockedObservations, prior_rows: PriorRows, noise: Noise) -> Cells:
    """The cells of a fit: sample by sample where there are several."""
    if isinstance(observations, BlockedObservations) or observations.sample is None:
        return cells_of_one(observations, prior_rows, noise)
    n_samples, sample = len(observations.sample_names), observations.sample
    rank = np.empty(observations.n_cells, dtype=np.int64)
    rank[observations.content_order] = np.arange(observations.n_cells)
    layers = [_levels(size, sample, n_samples) for size in (observations.size_unspliced, observations.size_spliced)]
    order = np.lexsort((rank, layers[0][1], layers[1][1], sample))
    unspliced, spliced = (
        _ordered(values, levels, level, order)
        for values, (levels, level, _) in zip((observations.unspliced, observations.spliced), layers, strict=True)
    )
    counts = np.bincount(sample, minlength=n_samples)
    return SampledCells(
        order,
        unspliced,
        spliced,
        prior_rows.take(order),
        observations.n_averaged,
        names=observations.sample_names,
        starts=np.append(0, np.cumsum(counts)),
        level_starts=np.stack([starts for _, _, starts in layers]),
    )


def cells_drawn(
    observations: Observations | BlockedObservations, prior_rows: PriorRows, noise: Noise, drawn: IntArray
) -> Cells:
    """Some of the cells, in memory; ``prior_rows`` are those of all."""
    if observations.sample is None:
        return drawn_cells(observations, prior_rows.take(drawn), noise, drawn)
    return cells_of(observations.select_cells(drawn), prior_rows.take(drawn), noise)


def _levels(size: FloatArray, sample: IntArray, n_samples: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Levels of all samples, which of them each cell has, and where those of each sample begin."""
    level, levels, starts = np.zeros(len(size), dtype=np.int64), [], [0]
    for b in range(n_samples):
        own = np.flatnonzero(sample == b)
        if len(own):
            found, which = size_levels(size[own], N_LEVELS)
            level[own] = starts[-1] + which
            levels.append(found)
        starts.append(starts[-1] + (len(found) if len(own) else 0))
    return np.concatenate(levels), level, np.array(starts)


def _ordered(values: Matrix, levels: FloatArray, level: IntArray, order: IntArray) -> LayerData:
    if sparse.issparse(values):
        return LayerData(values, levels, level[order], order)
    return LayerData(values[order], levels, level[order])
