"""The sweep over cells: posterior of the states and its sums in one pass, on all cores.

Both halves are one kernel, a sparse row times a dense matrix. A cell's score of state j is a sum over its entries,
``sum_g x_g slope[g, j] - offset[j]``; a gene's sum is ``Y_j = sum_i x_i q[i, j]`` over the cells of a chunk. Rows of
``slope`` and ``q`` run along the states, so that the processor works on 8 or 16 states at once; four entries are
taken together, which saves three of four loads and stores of the running sum. So the posterior is held for one
chunk of cells at a time and a gene's sum stays in the nearest cache.

Sums are float32 within a chunk and float64 from chunk to chunk: float32 over a million cells would lose its digits.
States come in blocks of ``BLOCK``; where the posterior is narrow only blocks that are not negligible are summed.

The cells are cut into a fixed number of parts, added up in their order, so that the result does not depend on the
number of threads. ``fastmath`` is given one flag by name, "contract" (multiply and add in one rounding); the
checks for NaN and infinity stay.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.layers import BLOCK, CHUNK, Entries, Layer, SweepModel
from velotime.compute.sums import Sums
from velotime.compute.threads import ordered_sum

PARTS = 16  # parts of the cells, each with sums of its own
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
def _fill_posterior(
    out: Any,
    evidence: Any,
    active: Any,
    n_active: Any,
    first: int,
    u: Any,
    s: Any,
    model: Any,
    prior_row: Any,
) -> None:
    """Posterior of the cells from ``first`` on, one per row of ``out``."""
    u_entries, u_level, s_entries, s_level = u[0], u[1], s[0], s[1]
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
        prior = log_prior[prior_row[i]]
        for j in range(n_states):
            score[j] = score[j] * cooling + prior[j]
        evidence[k], n_active[k] = _normalise(score, active[k])


@jit(CONTRACT)
def _add_genes(sums: Any, entries: Any, chunk: int, matrix: Any, narrow: bool, active: Any, n_active: Any) -> None:
    """Add ``sum_i x_ig matrix[i, :]`` over a chunk's cells to row g of ``sums``, for all genes."""
    n_genes, n_states = sums.shape
    total = np.empty(n_states, dtype=np.float32)
    for g in range(n_genes):
        total[:] = 0
        if narrow:
            _add_narrow(total, entries, chunk * n_genes + g, matrix, active, n_active)
        else:
            _add_product(total, entries, chunk * n_genes + g, matrix)
        for j in range(n_states):
            sums[g, j] += total[j]


@jit(CONTRACT)
def _add_weights(weight: Any, u_powers: Any, s_powers: Any, q: Any, group: Any, u_size: Any, s_size: Any) -> None:
    """Add a chunk's posterior to the sums without counts: q, and q times powers of l of both layers."""
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


@jit(CONTRACT)
def _accumulate_part(
    u: Any, s: Any, model: Any, prior_row: Any, group: Any, chunks: Any, evidence: Any, sums: Any
) -> None:
    """Fill the sums of one part of the cells, the chunks ``chunks[0]`` to ``chunks[1]``."""
    weight, u_powers, u_value, s_powers, s_value = sums
    u_entries, u_size, s_entries, s_size = u[2], u[3], s[2], s[3]
    n_cells, n_states = evidence.shape[0], u_value.shape[1]
    q = np.empty((CHUNK, n_states), dtype=np.float32)
    active = np.empty((CHUNK, n_states // BLOCK), dtype=np.int64)
    n_active = np.empty(CHUNK, dtype=np.int64)
    for chunk in range(chunks[0], chunks[1]):
        first = chunk * CHUNK
        last = min(first + CHUNK, n_cells)
        n = last - first
        _fill_posterior(q, evidence[first:last], active, n_active, first, u, s, model, prior_row)
        narrow = n_active[:n].sum() < NARROW * n * active.shape[1]
        rows, lu, ls = q[:n], u_size[first:last], s_size[first:last]
        _add_weights(weight, u_powers, s_powers, rows, group[first:last], lu, ls)
        _add_genes(u_value, u_entries, chunk, q, narrow, active, n_active)
        _add_genes(s_value, s_entries, chunk, q, narrow, active, n_active)


def _tuple(entries: Entries) -> _EntriesTuple:
    return (entries.indices, entries.values, entries.index_start, entries.value_start, entries.length)


def _layer_tuple(layer: Layer) -> tuple[_EntriesTuple, IntArray, _EntriesTuple, FloatArray]:
    return (_tuple(layer.by_cell), layer.level, _tuple(layer.by_gene), layer.size)


def _model_tuple(model: SweepModel) -> tuple[Any, ...]:
    return (
        model.unspliced.slope,
        model.unspliced.offset,
        model.spliced.slope,
        model.spliced.offset,
        model.log_prior,
        np.float32(1.0 / model.temperature),
    )


def accumulate(
    unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, group: IntArray
) -> tuple[Sums, FloatArray]:
    """Sums and log evidence; see :class:`velotime.compute.Backend`."""
    n_cells, n_states = unspliced.n_cells, model.log_prior.shape[1]
    n_genes, n_groups = model.unspliced.slope.shape[1], int(group.max()) + 1
    n_chunks = -(-n_cells // CHUNK)
    bounds = np.linspace(0, n_chunks, min(PARTS, n_chunks) + 1).astype(np.int64)
    evidence = np.empty(n_cells, dtype=np.float32)
    u, s, packed = _layer_tuple(unspliced), _layer_tuple(spliced), _model_tuple(model)

    def one_part(part: int) -> Sums:
        sums = Sums.zero(n_genes, n_groups, n_states)
        into = sums.weight, *(array for layer in sums.layers for array in (layer.size_powers, layer.value))
        _accumulate_part(u, s, packed, prior_row, group, bounds[part : part + 2], evidence, into)
        return sums

    return ordered_sum(one_part, len(bounds) - 1), evidence


def posterior(
    unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, *, cells: slice
) -> tuple[FloatArray, FloatArray]:
    """Posterior and log evidence of a run of cells; see :class:`velotime.compute.Backend`."""
    n = cells.stop - cells.start
    out = np.empty((n, model.log_prior.shape[1]), dtype=np.float32)
    evidence = np.empty(n, dtype=np.float32)
    active = np.empty((n, out.shape[1] // BLOCK), dtype=np.int64)
    _fill_posterior(
        out,
        evidence,
        active,
        np.empty(n, dtype=np.int64),
        cells.start,
        _layer_tuple(unspliced),
        _layer_tuple(spliced),
        _model_tuple(model),
        prior_row,
    )
    return out, evidence
