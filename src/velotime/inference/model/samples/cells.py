"""Cells of several samples, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import Backend, Matrix
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.model.blocks.cells import cells_of as cells_of_one
from velotime.inference.model.blocks.cells import drawn_cells
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import Cells
from velotime.inference.model.samples.blocks import SampledBlocks
from velotime.inference.model.samples.swept import Swept, levels_of
from velotime.inference.model.scores import Scoring
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

    @property
    def _with_cells(self) -> list[Cells]:
        return [part for part in self.parts if part.n_cells]

    def sweep_each(self, backend: Backend, scorings: Sequence[Scoring]) -> Iterator[Swept]:
        """What a sweep tells of each sample that has cells; tables of one sample at a time."""
        for part, scoring in zip(self._with_cells, scorings, strict=True):
            yield _sweep(part, backend, scoring)

    def posteriors_each(self, backend: Backend, scorings: Sequence[Scoring]) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, a run of them at a time, in this order; ``scorings`` as above."""
        start = 0
        for part, scoring in zip(self._with_cells, scorings, strict=True):
            for at, q in part.posteriors(backend, scoring.model(scoring.layers())):
                yield slice(start + at.start, start + at.stop), q
            start += part.n_cells


def _sweep(cells: Cells, backend: Backend, scoring: Scoring) -> Swept:
    u, s = layers = scoring.layers()
    sums, log_evidence = cells.sweep(backend, scoring.model(layers))
    return Swept(sums, log_evidence, (u.left_out(cells.unspliced), s.left_out(cells.spliced)))


def _slice(layer: LayerData, cells: slice, levels: slice) -> LayerData:
    level = layer.level[cells] - levels.start
    if layer.rows is None:
        return LayerData(layer.given[cells], layer.levels[levels], level)
    return LayerData(layer.given, layer.levels[levels], level, layer.rows[cells])


def cells_of(observations: Observations | BlockedObservations, prior_rows: PriorRows, noise: Noise) -> Cells:
    """The cells of a fit: sample by sample where there are several."""
    if observations.sample is None:
        return cells_of_one(observations, prior_rows, noise)
    if isinstance(observations, BlockedObservations):
        return SampledBlocks.of_samples(observations, prior_rows)
    sample, layers = observations.sample, levels_of(observations)
    order = np.lexsort((observations.content_rank, layers[0].level, layers[1].level, sample))
    unspliced, spliced = (
        _ordered(values, one.levels, one.level, order)
        for values, one in zip((observations.unspliced, observations.spliced), layers, strict=True)
    )
    counts = np.bincount(sample, minlength=len(observations.sample_names))
    return SampledCells(
        order,
        unspliced,
        spliced,
        prior_rows.take(order),
        observations.n_averaged,
        names=observations.sample_names,
        starts=np.append(0, np.cumsum(counts)),
        level_starts=np.stack([one.starts for one in layers]),
    )


def cells_drawn(
    observations: Observations | BlockedObservations, prior_rows: PriorRows, noise: Noise, drawn: IntArray
) -> Cells:
    """Some of the cells, in memory; ``prior_rows`` are those of all."""
    if observations.sample is None:
        return drawn_cells(observations, prior_rows.take(drawn), noise, drawn)
    return cells_of(observations.select_cells(drawn), prior_rows.take(drawn), noise)


def _ordered(values: Matrix, levels: FloatArray, level: IntArray, order: IntArray) -> LayerData:
    if sparse.issparse(values):
        return LayerData(values, levels, level[order], order)
    return LayerData(values[order], levels, level[order])
