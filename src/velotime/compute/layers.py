"""What the sweep is given: one record a layer of counts, one set of tables a layer of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute.matrix import Matrix

CHUNK = 512  # cells whose posterior is held at a time
BLOCK = 16  # states a block: one register of 512 bits, two of 256


def pad_states(n_states: int) -> int:
    """Round a number of states up to whole blocks."""
    return -(-n_states // BLOCK) * BLOCK


@dataclass(frozen=True)
class Entries:
    """A list of rows, each a list of (index, value), from a sparse or a dense matrix alike.

    Row ``r`` has ``length[r]`` entries: ``indices[index_start[r]:]`` and ``values[value_start[r]:]``. The rows of a
    dense matrix share one list of indices.

    Attributes
    ----------
    indices
        Index of each entry, int32.
    values
        Value of each entry, float32.
    index_start, value_start, length
        Where each row begins and how long it is, ``(rows,)``, int64.
    """

    indices: IntArray
    values: FloatArray
    index_start: IntArray
    value_start: IntArray
    length: IntArray


def entries_by_cell(matrix: Matrix) -> Entries:
    """Row ``i`` is cell i, its indices are genes; float32 CSR values are not copied."""
    n_cells, n_genes = matrix.shape
    if sparse.issparse(matrix):
        start = matrix.indptr[:-1].astype(np.int64)
        return Entries(
            indices=matrix.indices.astype(np.int32, copy=False),
            values=matrix.data.astype(np.float32, copy=False),
            index_start=start,
            value_start=start,
            length=np.diff(matrix.indptr).astype(np.int64),
        )
    return Entries(
        indices=np.arange(n_genes, dtype=np.int32),
        values=np.ascontiguousarray(matrix, dtype=np.float32).ravel(),
        index_start=np.zeros(n_cells, dtype=np.int64),
        value_start=np.arange(n_cells, dtype=np.int64) * n_genes,
        length=np.full(n_cells, n_genes, dtype=np.int64),
    )


def entries_by_gene(matrix: Matrix) -> Entries:
    """Row ``chunk * genes + g`` is gene g in a chunk of cells, its indices are cells within the chunk."""
    blocks = [matrix[first : first + CHUNK] for first in range(0, matrix.shape[0], CHUNK)]
    n_genes = matrix.shape[1]
    if sparse.issparse(matrix):
        columns = [block.tocsc() for block in blocks]
        length = np.concatenate([np.diff(column.indptr) for column in columns]).astype(np.int64)
        start = np.concatenate([[0], np.cumsum(length)[:-1]])
        return Entries(
            indices=np.concatenate([column.indices for column in columns]).astype(np.int32, copy=False),
            values=np.concatenate([column.data for column in columns]).astype(np.float32, copy=False),
            index_start=start,
            value_start=start,
            length=length,
        )
    values = np.concatenate([np.asarray(block, dtype=np.float32).T.ravel() for block in blocks])
    length = np.repeat([block.shape[0] for block in blocks], n_genes).astype(np.int64)
    return Entries(
        indices=np.arange(CHUNK, dtype=np.int32),
        values=values,
        index_start=np.zeros(length.shape[0], dtype=np.int64),
        value_start=np.concatenate([[0], np.cumsum(length)[:-1]]),
        length=length,
    )


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
    def of(cls, matrix: Matrix, level: IntArray, size: FloatArray) -> Layer:
        """Both orders of ``matrix`` ``(cells, genes)``."""
        return cls(
            entries_by_cell(matrix),
            entries_by_gene(matrix),
            level.astype(np.int32),
            size.astype(np.float32),
        )
