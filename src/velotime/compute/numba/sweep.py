"""The sweep over cells: posterior of the states and its sums in one pass, on all cores.

Both halves are one kernel, a sparse row times a dense matrix. A cell's score of state j is a sum over its entries,
``sum_g x_g slope[g, j] - offset[j]``; a gene's sum is ``Y_j = sum_i x_i q[i, j]`` over the cells of a chunk. Rows of
``slope`` and ``q`` run along the states, so that the processor works on 8 or 16 states at once, and the running sums of
64 states are held in registers (``velotime.compute.rows``): what is left to wait for are rows on their way from the
second cache. So the posterior is held for a few chunks of cells at a time, and scores of one layer are computed for
some cells before those of the other.

Sums are float32 within a chunk and float64 from chunk to chunk: float32 over a million cells would lose its digits.
States come in blocks of ``BLOCK``; where the posterior is narrow only blocks that are not negligible are summed.

The cells are cut into a fixed number of parts, added up in their order, so that the result does not depend on the
number of threads. ``fastmath`` is given flags by name, "contract" (multiply and add in one rounding) and for one sum
"reassoc"; the checks for NaN and infinity stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, REASSOC, jit
from velotime.compute.layers import BLOCK, CHUNK, Entries, Layer, SweepModel
from velotime.compute.numba.exponentials import room_for_weights, take_weights
from velotime.compute.rows import add_rows
from velotime.compute.sums import Sums
from velotime.compute.threads import ordered_sum

PARTS = 16  # parts of the cells, each with sums of its own
RUN = 64  # cells whose scores of one layer are computed before those of the other
AT_ONCE = 8  # chunks whose posterior is held at a time: few enough for a cache, enough to be worth a call
NEGLIGIBLE = -18.0  # log posterior, relative to the best state, under which a state is negligible
NARROW = 0.4  # share of blocks in use under which only those are summed
_add_wide, _add_block = add_rows(4), add_rows(1)
WIDE = 4 * BLOCK  # states whose sums are in registers at a time

_EntriesTuple: TypeAlias = "tuple[IntArray, FloatArray, IntArray, IntArray, IntArray]"


@jit(CONTRACT)
def _add_product(total: Any, entries: Any, row: int, matrix: Any) -> None:
    """Add ``sum_k value_k matrix[index_k, :]`` over the entries of one row to ``total``."""
    indices, values, index_start, value_start, length = entries
    i, v, n = index_start[row], value_start[row], length[row]
    whole = total.shape[0] - total.shape[0] % WIDE
    for start in range(0, whole, WIDE):
        _add_wide(total, start, indices, values, i, v, n, matrix)
    for start in range(whole, total.shape[0], BLOCK):
        _add_block(total, start, indices, values, i, v, n, matrix)


@jit(CONTRACT)
def _add_narrow(total: Any, entries: Any, row: int, matrix: Any, active: Any, n_active: Any) -> None:
    """The same, over those blocks of each matrix row that are not negligible."""
    indices, values, index_start, value_start, length = entries
    i, v = index_start[row], value_start[row]
    for k in range(length[row]):
        index = indices[i + k]
        for a in range(n_active[index]):
            _add_block(total, active[index, a], indices, values, i + k, v + k, 1, matrix)


@jit(CONTRACT)
def _best(score: Any, room: Any) -> Any:
    """The largest of some scores."""
    for j in range(BLOCK):
        room[j] = score[j]
    for base in range(BLOCK, score.shape[0], BLOCK):
        for j in range(BLOCK):
            room[j] = max(room[j], score[base + j])
    best = room[0]
    for j in range(1, BLOCK):
        best = max(best, room[j])
    return best


@jit(REASSOC)
def _sum(weight: Any, start: int) -> Any:
    """Of one block."""
    total = np.float32(0.0)
    for j in range(start, start + BLOCK):
        total += weight[j]
    return total


@jit(CONTRACT)
def _normalise(score: Any, bits: Any, active: Any, room: Any) -> Any:
    """Turn log weights into a posterior in place; ``bits`` are the same memory as whole numbers.

    Returns the log of their sum and the number of blocks that are not negligible, whose starts go to ``active``.
    """
    best = _best(score, room[0])
    take_weights(score, bits, best, np.float32(NEGLIGIBLE), room)
    total = np.float32(0.0)
    n_active = 0
    for base in range(0, score.shape[0], BLOCK):
        block = _sum(score, base)
        if block > 0:
            active[n_active] = base
            n_active += 1
        total += block
    inverse = np.float32(1.0) / total
    for j in range(score.shape[0]):
        score[j] *= inverse
    return best + np.log(total), n_active


@jit(CONTRACT)
def _fill_scores(out: Any, first: int, u: Any, s: Any, model: Any) -> None:
    """Log-likelihood of the cells from ``first`` on, one per row of ``out``.

    One layer of all cells before the other, so that only the tables of one need to stay in a cache.
    """
    (u_entries, u_level), (s_entries, s_level) = u, s
    u_slope, u_offset, s_slope, s_offset = model
    for k in range(out.shape[0]):
        i, score = first + k, out[k]
        du, ds = u_offset[u_level[i]], s_offset[s_level[i]]
        for j in range(score.shape[0]):
            score[j] = -du[j] - ds[j]
        _add_product(score, u_entries, i, u_slope[u_level[i]])
    for k in range(out.shape[0]):
        i = first + k
        _add_product(out[k], s_entries, i, s_slope[s_level[i]])


@jit(CONTRACT)
def _fill_posterior(out: Any, evidence: Any, first: int, u: Any, s: Any, model: Any, row: Any, room: Any) -> None:
    """Posterior of the cells from ``first`` on, one per row of ``out``, and what of it matters to each."""
    q, bits, active, n_active = out
    tables, log_prior, cooling = model
    for start in range(0, evidence.shape[0], RUN):
        stop = min(start + RUN, evidence.shape[0])
        _fill_scores(q[start:stop], first + start, u, s, tables)
        for k in range(start, stop):
            score, prior = q[k], log_prior[row[first + k]]
            for j in range(score.shape[0]):
                score[j] = score[j] * cooling + prior[j]
            evidence[k], n_active[k] = _normalise(score, bits[k], active[k], room)


@jit(CONTRACT)
def _add_genes(sums: Any, entries: Any, chunk: int, matrices: Any, blocks: Any, n_cells: int, total: Any) -> None:
    """Add ``sum_i x_ig matrix[i, :]`` over the cells of some chunks to row g of ``sums``, for all genes."""
    n_genes, n_states = sums.shape
    for c in range(matrices.shape[0]):
        matrix, active, n_active = matrices[c], blocks[0][c], blocks[1][c]
        n = min(CHUNK, n_cells - c * CHUNK)
        in_use = 0
        for k in range(n):
            in_use += n_active[k]
        narrow = in_use < NARROW * n * active.shape[1]
        for g in range(n_genes):
            row = (chunk + c) * n_genes + g
            for j in range(n_states):
                total[j] = 0
            if narrow:
                _add_narrow(total, entries, row, matrix, active, n_active)
            else:
                _add_product(total, entries, row, matrix)
            for j in range(n_states):
                sums[g, j] += total[j]


@jit(CONTRACT)
def _add_powers(powers: Any, q: Any, size: Any) -> None:
    """Add the posterior of a cell times powers of its size factor to these sums."""
    factor = np.float64(1.0)
    for power in range(powers.shape[0]):
        factor *= size
        for j in range(q.shape[0]):
            powers[power, j] += factor * q[j]


@jit(CONTRACT)
def _add_weights(weight: Any, u_powers: Any, s_powers: Any, q: Any, group: Any, u_size: Any, s_size: Any) -> None:
    """Add the posterior of some cells to the sums without counts: q, and q times powers of l of both layers."""
    for k in range(u_size.shape[0]):
        row, own = weight[group[k]], q[k]
        for j in range(own.shape[0]):
            row[j] += own[j]
        _add_powers(u_powers, own, u_size[k])
        _add_powers(s_powers, own, s_size[k])


def _tuple(entries: Entries) -> _EntriesTuple:
    return (entries.indices, entries.values, entries.index_start, entries.value_start, entries.length)


def _cell_tuple(layer: Layer) -> tuple[_EntriesTuple, IntArray]:
    return _tuple(layer.by_cell), layer.level


def _model_tuple(model: SweepModel) -> tuple[Any, ...]:
    tables = (
        model.unspliced.slope,
        model.unspliced.offset,
        model.spliced.slope,
        model.spliced.offset,
    )
    return tables, model.log_prior, np.float32(1.0 / model.temperature)


@dataclass(frozen=True)
class _Room:
    """Where the posterior of some chunks is held.

    Attributes
    ----------
    q
        ``(chunks, CHUNK, states)``, float32.
    active, n_active
        First states of the blocks that are not negligible, and their number, of each cell.
    total
        For the sum of one gene, ``(states,)``.
    work
        For weights.
    """

    q: FloatArray
    active: IntArray
    n_active: IntArray
    total: FloatArray
    work: tuple[Any, ...]

    @classmethod
    def of(cls, n_chunks: int, n_states: int) -> _Room:
        shape = n_chunks, CHUNK
        active, n_active = np.empty((*shape, n_states // BLOCK), dtype=np.int64), np.empty(shape, dtype=np.int64)
        q, total = np.empty((*shape, n_states), dtype=np.float32), np.empty(n_states, np.float32)
        return cls(q, active, n_active, total, room_for_weights(n_states))

    @property
    def by_cell(self) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
        """Posterior, the same as whole numbers, and blocks in use, cell after cell."""
        q = self.q.reshape(-1, self.q.shape[-1])
        return q, q.view(np.int32), self.active.reshape(-1, self.active.shape[-1]), self.n_active.ravel()


@dataclass(frozen=True)
class _Sweep:
    """The sweep over runs of cells. Each step is a kernel of its own, for the types of counts of one layer."""

    layers: tuple[Layer, Layer]
    model: SweepModel
    prior_row: IntArray
    group: IntArray
    evidence: FloatArray

    def add_run(self, sums: Sums, room: _Room, chunks: range) -> None:
        """Add the cells of these chunks, at most as many as there is room for."""
        cells = slice(chunks.start * CHUNK, min(chunks.stop * CHUNK, len(self.evidence)))
        held, evidence, model = room.by_cell, self.evidence[cells], _model_tuple(self.model)
        layers = map(_cell_tuple, self.layers)
        _fill_posterior(held, evidence, cells.start, *layers, model, self.prior_row, room.work)
        powers, sizes = [own.size_powers for own in sums.layers], [layer.size[cells] for layer in self.layers]
        _add_weights(sums.weight, *powers, held[0], self.group[cells], *sizes)
        n, blocks = len(chunks), (room.active, room.n_active)
        for layer, own in zip(self.layers, sums.layers, strict=True):
            entries = _tuple(layer.by_gene)
            _add_genes(own.value, entries, chunks.start, room.q[:n], blocks, len(evidence), room.total)


def accumulate(
    unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, group: IntArray
) -> tuple[Sums, FloatArray]:
    """Sums and log evidence; see :class:`velotime.compute.Backend`."""
    n_cells, n_states = unspliced.n_cells, model.log_prior.shape[1]
    n_genes, n_groups = model.unspliced.slope.shape[1], int(group.max()) + 1
    n_chunks = -(-n_cells // CHUNK)
    bounds = np.linspace(0, n_chunks, min(PARTS, n_chunks) + 1).astype(np.int64).tolist()
    sweep = _Sweep((unspliced, spliced), model, prior_row, group, np.empty(n_cells, dtype=np.float32))

    def one_part(part: int) -> Sums:
        sums, chunks = Sums.zero(n_genes, n_groups, n_states), range(bounds[part], bounds[part + 1])
        room = _Room.of(min(AT_ONCE, len(chunks)), n_states)
        for first in range(0, len(chunks), AT_ONCE):
            sweep.add_run(sums, room, chunks[first : first + AT_ONCE])
        return sums

    return ordered_sum(one_part, len(bounds) - 1), sweep.evidence


def posterior(
    unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, *, cells: slice
) -> tuple[FloatArray, FloatArray]:
    """Posterior and log evidence of a run of cells; see :class:`velotime.compute.Backend`."""
    n = cells.stop - cells.start
    out = np.empty((n, model.log_prior.shape[1]), dtype=np.float32)
    evidence = np.empty(n, dtype=np.float32)
    blocks = np.empty((n, out.shape[1] // BLOCK), dtype=np.int64), np.empty(n, dtype=np.int64)
    room, layers = room_for_weights(out.shape[1]), (_cell_tuple(unspliced), _cell_tuple(spliced))
    own = out, out.view(np.int32), *blocks
    _fill_posterior(own, evidence, cells.start, *layers, _model_tuple(model), prior_row, room)
    return out, evidence
