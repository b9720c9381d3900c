"""How well each state explains the counts of each cell, one layer at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import ScoreTables, SweepModel, on_all_cores, pad_states
from velotime.inference.model.background.means import Pair, with_background
from velotime.inference.model.layer import LayerData
from velotime.inference.model.leaving.state import NotCycling
from velotime.inference.model.noise import Noise
from velotime.inference.states import States

#: States that score alike: runs of neighbouring times, first and after the last, and the lineages that are one there.
Together: TypeAlias = tuple[tuple[int, int, tuple[int, ...]], ...]

#: The same as columns of a table, a run of each of these lineages.
Alike: TypeAlias = Sequence[tuple[slice, ...]]

CENTRING = 4  # every so many states are looked at for the mean of a table


@dataclass(frozen=True)
class CentredTables:
    """Tables of one layer with their mean over some states taken off, which would cost precision in float32.

    Attributes
    ----------
    tables
        For the sweep.
    centre, middle
        What was taken off the slopes, ``(levels, genes)``, and off the offsets, ``(levels,)``; None where scores of
        some genes are asked for, whose sum has no meaning.
    """

    tables: ScoreTables
    centre: FloatArray | None
    middle: FloatArray

    @classmethod
    def of(
        cls, noise: Noise, means: FloatArray, scatter: FloatArray, levels: FloatArray, alike: Alike
    ) -> CentredTables:
        """Of all genes; ``means`` are ``(genes, states)``, some of which score alike."""
        padded = _padded(means)
        centre = np.empty((len(levels), len(means)), dtype=np.float32)
        looked_at = np.zeros(padded.shape[1], dtype=np.float32)
        looked_at[::CENTRING] = 1.0 / len(looked_at[::CENTRING])

        def centred(slope: FloatArray, at: slice, out: FloatArray) -> None:
            np.matmul(slope, looked_at, out=centre[at])
            np.subtract(slope, centre[at][..., None], out=out)

        tables = _threaded_tables(noise, padded, scatter, levels, centred, alike)
        middle = tables.offset.mean(axis=1)
        return cls(ScoreTables(tables.slope, (tables.offset - middle[:, None]).astype(np.float32)), centre, middle)

    @classmethod
    def of_some(
        cls, noise: Noise, means: FloatArray, scatter: FloatArray, levels: FloatArray, genes: BoolArray
    ) -> CentredTables:
        """Of marked genes, ``(all genes,)``, whose means and scatter are given; the others say nothing."""
        tables = _threaded_tables(noise, _padded(means), scatter, levels, _as_it_is, ())
        wide = np.zeros((len(levels), len(genes), tables.slope.shape[2]), dtype=np.float32)
        wide[:, genes] = tables.slope
        middle = tables.offset.mean(axis=1)
        return cls(ScoreTables(wide, (tables.offset - middle[:, None]).astype(np.float32)), None, middle)

    def left_out(self, data: LayerData) -> float:
        """The part of the log-likelihood of these cells that the tables leave out, nats."""
        if self.centre is None:
            return 0.0
        taken_off = self.centre * data.value_per_level
        return float(taken_off.sum() - self.middle @ data.cells_per_level)


@dataclass(frozen=True)
class Scoring:
    """What tables are made of, of cells that share their parameters: small enough to be kept, or sent, many times.

    Attributes
    ----------
    noise, states
        The model.
    theta, scatter, background
        Parameters of the curves, of the noise in both layers, and what is in every cell.
    levels
        Size factors of both layers.
    log_prior
        Of each row of the prior, ``(rows, states)``, padded.
    temperature
        Of the posterior.
    genes
        Which genes score, of which the parameters are then, ``(genes,)``; None for all.
    not_cycling
        The last state, of cells that do not cycle; None where all do.
    together
        Lineages that are still one: their states score alike.
    """

    noise: Noise
    states: States
    theta: FloatArray
    scatter: Pair
    background: FloatArray | None
    levels: Pair
    log_prior: FloatArray
    temperature: float
    genes: BoolArray | None
    not_cycling: NotCycling | None = None
    together: Together = ()

    def layers(self) -> tuple[CentredTables, CentredTables]:
        """Tables of both layers."""
        means = with_background(self.states.means(self.theta), self.background)
        means = means if self.not_cycling is None else self.not_cycling.beside(means)
        alike = columns_of(self.together, len(self.states.times))
        u, s = (
            CentredTables.of(self.noise, *layer, alike)
            if self.genes is None
            else CentredTables.of_some(self.noise, *layer, self.genes)
            for layer in zip(means, self.scatter, self.levels, strict=True)
        )
        return u, s

    def model(self, layers: tuple[CentredTables, CentredTables]) -> SweepModel:
        """As the sweep reads them."""
        u, s = layers
        return SweepModel(u.tables, s.tables, self.log_prior, self.temperature)


def together(parting: FloatArray | None, states: States) -> Together:
    """Where lineages are still one.

    Parameters
    ----------
    parting
        Time from which on counts tell two lineages apart, ``(lineages, lineages)``; None: always.
    states
        Lineages and times.
    """
    if parting is None:
        return ()
    runs: list[tuple[int, int, tuple[int, ...]]] = []
    for at, time in enumerate(states.times):
        _, group = connected_components(time < parting, directed=False)
        for k in np.unique(group):
            lineages = tuple(np.flatnonzero(group == k).tolist())
            if len(lineages) > 1:
                runs.append((at, at + 1, lineages))
    return _joined(runs)


def _joined(runs: list[tuple[int, int, tuple[int, ...]]]) -> Together:
    """Runs of the same lineages one after the other as one."""
    out: dict[tuple[int, tuple[int, ...]], int] = {}  # from the first time and the lineages to where the run ends
    for first, end, lineages in runs:
        before = next((key for key, last in out.items() if key[1] == lineages and last == first), (first, lineages))
        out[before] = end
    return tuple((first, end, lineages) for (first, lineages), end in out.items())


def columns_of(together: Together, n_times: int) -> Alike:
    """Columns of a table whose states are numbered lineage by lineage."""
    return [tuple(slice(k * n_times + first, k * n_times + end) for k in ks) for first, end, ks in together]


def average(table: FloatArray, columns: tuple[slice, ...]) -> None:
    """Put the mean of some runs of columns, of one length, in place of each of them."""
    mean = sum(table[..., own] for own in columns) / len(columns)
    for own in columns:
        table[..., own] = mean


def _padded(means: FloatArray) -> FloatArray:
    """Means with as many states as tables have."""
    padded = np.empty((len(means), pad_states(means.shape[1])))
    padded[:, : means.shape[1]] = means
    padded[:, means.shape[1] :] = means[:, -1:]
    return padded


def _as_it_is(slope: FloatArray, at: slice, out: FloatArray) -> None:
    del at
    out[:] = slope


def _threaded_tables(
    noise: Noise,
    means: FloatArray,
    scatter: FloatArray,
    levels: FloatArray,
    put: Callable[[FloatArray, slice, FloatArray], None],
    alike: Alike,
) -> ScoreTables:
    """``noise.tables``, a few levels at a time on all cores; ``put`` takes the slopes of some levels to their place."""
    slope = np.empty((len(levels), *means.shape), dtype=np.float32)

    def fill(at: slice) -> FloatArray:
        table = noise.tables(means, scatter, levels[at])
        for columns in alike:
            average(table.slope, columns)
            average(table.offset, columns)
        put(table.slope, at, slope[at])  # at once into the whole: on a fine grid the tables are large
        return table.offset

    bounds = np.linspace(0, len(levels), min(len(levels), 4) + 1).astype(int)
    pieces = [slice(*pair) for pair in itertools.pairwise(bounds.tolist())]
    return ScoreTables(slope, np.concatenate(list(on_all_cores(fill, pieces))))


def state_scores(noise: Noise, data: LayerData, means: FloatArray, scatter: FloatArray) -> FloatArray:
    """Log-likelihood of a layer's counts in each state, up to terms without a state, ``(cells, states)``.

    Parameters
    ----------
    noise
        How counts scatter.
    data
        The layer.
    means, scatter
        Of its genes, ``(genes, states)`` and ``(genes,)``.
    """
    tables = noise.tables(means, scatter, data.levels)
    total: FloatArray = np.zeros((data.n_cells, means.shape[1]))
    order = np.argsort(data.level, kind="stable")
    values, level = data.values[order], data.level[order]
    if sparse.issparse(values):
        total[order] = _side_by_side(values, level, len(data.levels)) @ tables.slope.reshape(-1, means.shape[1])
    else:
        for k in np.unique(level):
            total[order[level == k]] = values[level == k] @ tables.slope[k].astype(np.float64)
    return total - tables.offset[data.level]


def _side_by_side(values: sparse.csr_array, level: IntArray, n_levels: int) -> sparse.csr_array:
    """The values of each level in columns of its own, ``(cells, levels x genes)``: one product then does for all."""
    n_cells, n_genes = values.shape
    column = values.indices + np.repeat(level * n_genes, np.diff(values.indptr))
    parts = (values.data.astype(np.float64), column, values.indptr)
    return sparse.csr_array(parts, shape=(n_cells, n_levels * n_genes))
