"""What the sweep is given: one record per layer of counts, one set of tables per layer of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute.matrix import Matrix

CHUNK = 512  # cells whose posterior is held at a time
VALUES_AT_ONCE = 2**20  # looked at for their type
COUNT_TYPES = (np.uint8, np.uint16)  # of counts by gene: most genes have none above 255
BLOCK = 16  # states per block: one register of 512 bits, two of 256


def pad_states(n_states: int) -> int:
    """Round a number of states up to whole blocks."""
    return -(-n_states // BLOCK) * BLOCK


@dataclass(frozen=True)
class Entries:
    """A list of rows, each a list of (index, value), from a sparse or a dense matrix.

    Row ``r`` has ``length[r]`` entries: ``indices[index_start[r]:]`` and ``values[value_start[r]:]``. The rows of a
    dense matrix share one list of indices.

    Attributes
    ----------
    indices
        Index of each entry: int32 for genes, uint16 for cells within a chunk, as this list is as long as the counts.
    values
        Value of each entry, float32; by gene uint8 or uint16, in less memory, where all are counts that these hold.
    index_start, value_start, length
        Where each row begins and how long it is, ``(rows,)``, int64.
    """

    indices: IntArray
    values: FloatArray
    index_start: IntArray
    value_start: IntArray
    length: IntArray


def entries_by_cell(matrix: Matrix, rows: IntArray) -> Entries:
    """Row ``i`` is the cell in row ``rows[i]`` of the matrix, its indices are genes; float32 values are not copied."""
    n_genes = matrix.shape[1]
    if sparse.issparse(matrix):
        start = matrix.indptr[:-1].astype(np.int64)[rows]
        return Entries(
            indices=matrix.indices.astype(np.int32, copy=False),
            values=matrix.data.astype(np.float32, copy=False),
            index_start=start,
            value_start=start,
            length=np.diff(matrix.indptr).astype(np.int64)[rows],
        )
    return Entries(
        indices=np.arange(n_genes, dtype=np.int32),
        values=np.ascontiguousarray(matrix, dtype=np.float32).ravel(),
        index_start=np.zeros(len(rows), dtype=np.int64),
        value_start=rows.astype(np.int64) * n_genes,
        length=np.full(len(rows), n_genes, dtype=np.int64),
    )


def entries_by_gene(matrix: Matrix, rows: IntArray) -> Entries:
    """Row ``chunk * genes + g`` is gene g in a chunk of cells, its indices are cells within the chunk.

    Filled chunk by chunk, so that nothing but the result is as large as the matrix.
    """
    n_genes, starts = matrix.shape[1], range(0, len(rows), CHUNK)
    is_sparse = sparse.issparse(matrix)
    n_entries = int(np.diff(matrix.indptr)[rows].sum()) if is_sparse else len(rows) * n_genes
    values = np.empty(n_entries, dtype=type_of_counts(matrix.data) if is_sparse else np.float32)
    indices = np.empty(n_entries, dtype=np.uint16) if is_sparse else np.arange(CHUNK, dtype=np.uint16)
    length = np.empty((len(starts), n_genes), dtype=np.int64)
    filled = 0
    for chunk, first in enumerate(starts):
        block = matrix[rows[first : first + CHUNK]]
        if is_sparse:
            columns = block.tocsc()
            at = slice(filled, filled + columns.nnz)
            indices[at], values[at], length[chunk] = columns.indices, columns.data, np.diff(columns.indptr)
        else:
            at = slice(filled, filled + block.size)
            values[at], length[chunk] = np.asarray(block).T.ravel(), block.shape[0]
        filled = at.stop
    start = np.concatenate([[0], np.cumsum(length.ravel())[:-1]])
    index_start = start if is_sparse else np.zeros(length.size, dtype=np.int64)
    return Entries(indices, values, index_start, start, length.ravel())


def type_of_counts(values: FloatArray, kinds: tuple[type[np.unsignedinteger], ...] = COUNT_TYPES) -> DTypeLike:
    """The first of ``kinds`` that holds all values exactly, or else float32; looked at a block at a time."""
    most = 0.0
    for first in range(0, len(values), VALUES_AT_ONCE):
        block = values[first : first + VALUES_AT_ONCE]
        if block.min() < 0 or not np.array_equal(block, np.floor(block)):
            return np.float32
        most = max(most, float(block.max()))
    return next((kind for kind in kinds if most <= np.iinfo(kind).max), np.float32)


@dataclass(frozen=True)
class ScoreTables:
    """A noise model at fixed parameters, as the sweep needs it: linear in the values.

    For a cell whose size factor is level ``l``,
    ``log p(x | state j) = sum_g x_g slope[l, g, j] - offset[l, j] + terms without j``.

    Attributes
    ----------
    slope
        ``(levels, genes, states)``, float32.
    offset
        ``(levels, states)``, float32.
    """

    slope: FloatArray
    offset: FloatArray


@dataclass(frozen=True)
class SweepModel:
    """The model at fixed parameters, as the sweep sees it: both layers, the prior of each state, and temperature.

    Attributes
    ----------
    unspliced, spliced
        Tables of each layer; their number of states is a multiple of ``BLOCK``.
    log_prior
        ``(prior rows, states)``, float32; -inf for states that do not exist.
    temperature
        Scores are divided by it: above 1 the posterior is wider.
    """

    unspliced: ScoreTables
    spliced: ScoreTables
    log_prior: FloatArray
    temperature: float = 1.0


@dataclass(frozen=True)
class Layer:
    """One layer of the cells in both orders, with the size factor of each cell.

    Attributes
    ----------
    by_cell, by_gene
        The values, see :func:`entries_by_cell` and :func:`entries_by_gene`.
    level
        Index of the size factor's level, ``(cells,)``, int32.
    size
        Size factor, ``(cells,)``, float32.
    """

    by_cell: Entries
    by_gene: Entries
    level: IntArray
    size: FloatArray

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.level.shape[0])

    @classmethod
    def of(cls, matrix: Matrix, level: IntArray, size: FloatArray, rows: IntArray | None = None) -> Layer:
        """Both orders of ``matrix``, ``(cells, genes)``, or of these ``rows`` of it, ``(cells,)``."""
        rows = np.arange(matrix.shape[0]) if rows is None else rows
        return cls(
            entries_by_cell(matrix, rows),
            entries_by_gene(matrix, rows),
            level.astype(np.int32),
            size.astype(np.float32),
        )
