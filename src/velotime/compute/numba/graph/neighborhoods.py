"""Means over each cell and its neighbours, and products with tables, of some genes at a time, on all cores.

Counts stay sparse, in four bytes each where they are counts. Dense are those of the genes at hand only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.layers import type_of_counts
from velotime.compute.matrix import Matrix
from velotime.compute.threads import over_slices

CELLS = 2**14  # that one thread takes at a time


class PackedRows(NamedTuple):
    """Values of some cells as in CSR, with genes ascending in each; of two bytes where they are counts."""

    indptr: IntArray
    indices: IntArray
    data: Any


def pack_rows(matrix: Matrix) -> PackedRows:
    """Rows of a CSR matrix with sorted indices, in as few bytes as hold them all."""
    data = np.asarray(matrix.data)
    indices = matrix.indices.astype(np.uint16 if matrix.shape[1] <= np.iinfo(np.uint16).max else np.int32)
    return PackedRows(matrix.indptr.astype(np.int64), indices, data.astype(type_of_counts(data, (np.uint16,))))


@jit(CONTRACT)
def _densify(indptr: Any, indices: Any, data: Any, first_gene: int, begin: int, end: int, out: Any) -> None:
    """Values of the genes from ``first_gene`` on of some of the cells into ``out``, which holds zeros."""
    n_genes = out.shape[1]
    for i in range(begin, end):
        low, high = indptr[i], indptr[i + 1]
        while low < high:  # the first entry that is not below the first gene
            middle = (low + high) // 2
            if indices[middle] < first_gene:
                low = middle + 1
            else:
                high = middle
        for at in range(low, indptr[i + 1]):
            gene = np.int64(indices[at]) - first_gene
            if gene >= n_genes:
                break
            out[i, gene] = data[at]


def dense_genes(rows: Sequence[PackedRows], genes: slice) -> Any:
    """Values of genes that follow each other, of the cells of all ``rows``, ``(cells, genes)``."""
    n_cells = sum(len(one.indptr) - 1 for one in rows)
    kind = np.result_type(*(one.data.dtype for one in rows))
    out = np.zeros((n_cells, genes.stop - genes.start), dtype=kind)
    first = 0
    for one in rows:
        n = len(one.indptr) - 1
        part = out[first : first + n]
        over_slices(
            n,
            CELLS,
            lambda some, one=one, part=part: _densify(*one, genes.start, some.start, some.stop, part),  # type: ignore[misc]
        )
        first += n
    return out


@jit(CONTRACT)
def _means(indptr: Any, indices: Any, scale: Any, values: Any, begin: int, end: int, out: Any) -> None:
    """Means over each of some cells and its neighbours of ``scale[j] values[j]``."""
    n_genes = values.shape[1]
    for i in range(begin, end):
        mean = out[i]
        own = scale[i]
        for g in range(n_genes):
            mean[g] = own * np.float32(values[i, g])
        n = 1
        for at in range(indptr[i], indptr[i + 1]):
            j = indices[at]
            if j == i:
                continue
            n += 1
            weight, other = scale[j], values[j]
            for g in range(n_genes):
                mean[g] += weight * np.float32(other[g])
        share = np.float32(1) / np.float32(n)
        for g in range(n_genes):
            mean[g] *= share


def means_around(indptr: IntArray, indices: IntArray, scale: FloatArray, values: FloatArray) -> FloatArray:
    """Means of scaled values over each cell and its neighbours, all of the same weight.

    Parameters
    ----------
    indptr, indices
        Neighbours of each cell as in CSR; whether the cell itself is among them makes no difference.
    scale
        What the values of each cell are multiplied by, ``(cells,)``.
    values
        ``(cells, genes)``, of any type.

    Returns
    -------
    ``(cells, genes)``, float32.
    """
    out = np.empty(values.shape, dtype=np.float32)
    scale = np.asarray(scale, dtype=np.float32)
    over_slices(len(values), CELLS, lambda some: _means(indptr, indices, scale, values, some.start, some.stop, out))
    return out


@jit(CONTRACT)
def _products(indptr: Any, indices: Any, data: Any, table: Any, begin: int, end: int, out: Any) -> None:
    """Rows of a sparse matrix times a table."""
    for i in range(begin, end):
        row = out[i]
        row[:] = 0
        for at in range(indptr[i], indptr[i + 1]):
            weight, other = data[at], table[indices[at]]
            for g in range(len(row)):
                row[g] += weight * other[g]


def times_table(matrix: Matrix, table: FloatArray) -> FloatArray:
    """A CSR matrix ``(cells, states)``, such as a posterior, times a table ``(states, genes)``, float32."""
    table = np.ascontiguousarray(table, dtype=np.float32)
    data = np.asarray(matrix.data, dtype=np.float32)
    out = np.empty((matrix.shape[0], table.shape[1]), dtype=np.float32)
    over_slices(
        len(out),
        CELLS,
        lambda some: _products(matrix.indptr, matrix.indices, data, table, some.start, some.stop, out),
    )
    return out
