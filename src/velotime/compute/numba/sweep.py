"""The sweep over cells: posterior of the states and its sums in one pass, on all cores.

Both halves are one kernel, a sparse row times a dense matrix. A cell's score of state j is a sum over its entries,
``sum_g x_g slope[g, j] - offset[j]``; a gene's sum is ``Y_j = sum_i x_i q[i, j]`` over the cells of a chunk. Rows of
``slope`` and ``q`` run along the states, so that the processor works on 8 or 16 states at once; four entries are
taken together, which saves three of four loads and stores of the running sum. So the posterior is held for a few
chunks of cells at a time and a gene's sum stays in the nearest cache.

Sums are float32 within a chunk and float64 from chunk to chunk: float32 over a million cells would lose its digits.
States come in blocks of ``BLOCK``; where the posterior is narrow only blocks that are not negligible are summed.

The cells are cut into a fixed number of parts, added up in their order, so that the result does not depend on the
number of threads. ``fastmath`` is given one flag by name, "contract" (multiply and add in one rounding); the
checks for NaN and infinity stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.layers import BLOCK, CHUNK, Entries, Layer, SweepModel
from velotime.compute.sums import Sums
from velotime.compute.threads import ordered_sum

PARTS = 16  # parts of the cells, each with sums of its own
AT_ONCE = 8  # chunks whose posterior is held at a time: few enough for a cache, enough to be worth a call
NEGLIGIBLE = -18.0  # log posterior, relative to the best state, under which a state is negligible
NARROW = 0.4  # share of blocks in use under which only those are summed
f32 = np.float32  # of counts kept in one or two bytes

_EntriesTuple: TypeAlias = "tuple[IntArray, FloatArray, IntArray, IntArray, IntArray]"


@jit(CONTRACT)
def _add_product(total: Any, entries: Any, row: int, matrix: Any) -> None:
    """Add ``sum_k value_k matrix[index_k, :]`` over the entries of one row to ``total``."""
    indices, values, index_start, value_start, length = entries
    i, v, n = index_start[row], value_start[row], length[row]
    whole = n - n % 8
    for k in range(0, whole, 8):
        x0, x1, x2, x3 = f32(values[v + k]), f32(values[v + k + 1]), f32(values[v + k + 2]), f32(values[v + k + 3])
        x4, x5, x6, x7 = f32(values[v + k + 4]), f32(values[v + k + 5]), f32(values[v + k + 6]), f32(values[v + k + 7])
        m0, m1 = matrix[indices[i + k]], matrix[indices[i + k + 1]]
        m2, m3 = matrix[indices[i + k + 2]], matrix[indices[i + k + 3]]
        m4, m5 = matrix[indices[i + k + 4]], matrix[indices[i + k + 5]]
        m6, m7 = matrix[indices[i + k + 6]], matrix[indices[i + k + 7]]
        for j in range(total.shape[0]):
            total[j] += (
                x0 * m0[j] + x1 * m1[j] + x2 * m2[j] + x3 * m3[j] + (x4 * m4[j] + x5 * m5[j] + x6 * m6[j] + x7 * m7[j])
            )
    for k in range(whole, n):
        x0 = f32(values[v + k])
        m0 = matrix[indices[i + k]]
        for j in range(total.shape[0]):
            total[j] += x0 * m0[j]


@jit(CONTRACT)
def _add_narrow(total: Any, entries: Any, row: int, matrix: Any, active: Any, n_active: Any) -> None:
    """The same, over those blocks of each matrix row that are not negligible."""
    indices, values, index_start, value_start, length = entries
    i, v = index_start[row], value_start[row]
    for k in range(length[row]):
        x = f32(values[v + k])
        index = indices[i + k]
        m = matrix[index]
        for a in range(n_active[index]):
            base = active[index, a]
            for j in range(base, base + BLOCK):
                total[j] += x * m[j]


@jit(CONTRACT)
def _normalise(score: Any, active: Any) -> Any:
    """Turn log weights into a posterior in place.

    Returns the log of their sum and the number of blocks that are not negligible, whose starts go to ``active``.
    """
    best = score[0]
    for j in range(1, score.shape[0]):
        best = max(best, score[j])
    total = np.float32(0.0)
    n_active = 0
    for base in range(0, score.shape[0], BLOCK):
        block = np.float32(0.0)
        for j in range(base, base + BLOCK):
            relative = score[j] - best
            weight = np.exp(relative) if relative > np.float32(NEGLIGIBLE) else np.float32(0.0)
            score[j] = weight
            block += weight
        if block > 0:
            active[n_active] = base
            n_active += 1
        total += block
    inverse = np.float32(1.0) / total
    for j in range(score.shape[0]):
        score[j] *= inverse
    return best + np.log(total), n_active


@jit(CONTRACT)
def _fill_posterior(out: Any, evidence: Any, blocks: Any, first: int, u: Any, s: Any, model: Any, row: Any) -> None:
    """Posterior of the cells from ``first`` on, one per row of ``out``, and in ``blocks`` those that matter to each."""
    active, n_active = blocks
    (u_entries, u_level), (s_entries, s_level) = u, s
    u_slope, u_offset, s_slope, s_offset, log_prior, cooling = model
    n_states = out.shape[1]
    for k in range(evidence.shape[0]):
        i = first + k
        score = out[k]
        du, ds = u_offset[u_level[i]], s_offset[s_level[i]]
        for j in range(n_states):
            score[j] = -du[j] - ds[j]
        _add_product(score, u_entries, i, u_slope[u_level[i]])
        _add_product(score, s_entries, i, s_slope[s_level[i]])
        prior = log_prior[row[i]]
        for j in range(n_states):
            score[j] = score[j] * cooling + prior[j]
        evidence[k], n_active[k] = _normalise(score, active[k])


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
def _add_weights(weight: Any, u_powers: Any, s_powers: Any, q: Any, group: Any, u_size: Any, s_size: Any) -> None:
    """Add the posterior of some cells to the sums without counts: q, and q times powers of l of both layers."""
    for k in range(u_size.shape[0]):
        lu, ls = np.float64(u_size[k]), np.float64(s_size[k])
        row = weight[group[k]]
        for j in range(q.shape[1]):
            p = np.float64(q[k, j])
            row[j] += p
            a, b = p * lu, p * ls
            u_powers[0, j] += a
            u_powers[1, j] += a * lu
            u_powers[2, j] += a * lu * lu
            u_powers[3, j] += a * lu * lu * lu
            s_powers[0, j] += b
            s_powers[1, j] += b * ls
            s_powers[2, j] += b * ls * ls
            s_powers[3, j] += b * ls * ls * ls


def _tuple(entries: Entries) -> _EntriesTuple:
    return (entries.indices, entries.values, entries.index_start, entries.value_start, entries.length)


def _cell_tuple(layer: Layer) -> tuple[_EntriesTuple, IntArray]:
    return _tuple(layer.by_cell), layer.level


def _model_tuple(model: SweepModel) -> tuple[Any, ...]:
    return (
        model.unspliced.slope,
        model.unspliced.offset,
        model.spliced.slope,
        model.spliced.offset,
        model.log_prior,
        np.float32(1.0 / model.temperature),
    )


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
    """

    q: FloatArray
    active: IntArray
    n_active: IntArray
    total: FloatArray

    @classmethod
    def of(cls, n_chunks: int, n_states: int) -> _Room:
        shape = n_chunks, CHUNK
        active, n_active = np.empty((*shape, n_states // BLOCK), dtype=np.int64), np.empty(shape, dtype=np.int64)
        return cls(np.empty((*shape, n_states), dtype=np.float32), active, n_active, np.empty(n_states, np.float32))

    @property
    def by_cell(self) -> tuple[FloatArray, tuple[IntArray, IntArray]]:
        """Posterior and blocks in use, cell after cell."""
        blocks = self.active.reshape(-1, self.active.shape[-1]), self.n_active.ravel()
        return self.q.reshape(-1, self.q.shape[-1]), blocks


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
        q, blocks = room.by_cell
        evidence = self.evidence[cells]
        _fill_posterior(
            q, evidence, blocks, cells.start, *map(_cell_tuple, self.layers), _model_tuple(self.model), self.prior_row
        )
        powers, sizes = [own.size_powers for own in sums.layers], [layer.size[cells] for layer in self.layers]
        _add_weights(sums.weight, *powers, q, self.group[cells], *sizes)
        n, held = len(chunks), (room.active, room.n_active)
        for layer, own in zip(self.layers, sums.layers, strict=True):
            entries = _tuple(layer.by_gene)
            _add_genes(own.value, entries, chunks.start, room.q[:n], held, len(evidence), room.total)


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
    layers = _cell_tuple(unspliced), _cell_tuple(spliced)
    _fill_posterior(out, evidence, blocks, cells.start, *layers, _model_tuple(model), prior_row)
    return out, evidence
