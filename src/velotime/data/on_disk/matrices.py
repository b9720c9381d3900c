"""Matrices of cells x genes into HDF5 and zarr, a block of cells at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from anndata.io import sparse_dataset, write_elem
from scipy import sparse

from velotime._types import FloatArray
from velotime.data.blocks.rows import lies_elsewhere, row_blocks

PIECE = 2**18  # entries of a sparse matrix that are stored together, at most
DENSE_CELLS = 4096  # cells of a dense matrix that are computed and stored together

#: Values of some cells, ``(cells, genes)``, computed where they are wanted.
Rows = Callable[[slice], FloatArray]


def write_matrix(group: Any, name: str, matrix: Any, options: dict[str, Any]) -> None:
    """Write a matrix, block by block if it lies elsewhere; ``options`` say how it is compressed."""
    if not lies_elsewhere(matrix):
        write_elem(group, name, matrix, dataset_kwargs=options)
        return
    blocks = row_blocks(matrix)
    first = next(blocks)
    if not sparse.issparse(first):
        write_elem(group, name, matrix, dataset_kwargs=options)  # AnnData's own way goes by chunks
        return
    pieces = {"chunks": (max(1, min(PIECE, first.nnz)),), "indptr_dtype": np.int64}
    write_elem(group, name, sparse.csr_matrix(first), dataset_kwargs=options | pieces)
    stored = sparse_dataset(group[name])
    for block in blocks:
        stored.append(sparse.csr_matrix(block))


def write_rows(group: Any, name: str, rows: Rows, n_cells: int, options: dict[str, Any]) -> None:
    """Write a dense matrix that is computed block by block."""
    first = rows(slice(0, min(DENSE_CELLS, n_cells)))
    shape = (n_cells, first.shape[1])
    pieces: dict[str, Any] = {"chunks": first.shape}
    if not hasattr(group, "store"):  # HDF5 must be told that it grows, zarr need not
        pieces["maxshape"] = shape
    write_elem(group, name, first, dataset_kwargs=options | pieces)
    stored = group[name]
    stored.resize(shape)
    for start in range(len(first), n_cells, DENSE_CELLS):
        cells = slice(start, min(start + DENSE_CELLS, n_cells))
        stored[cells] = rows(cells)
