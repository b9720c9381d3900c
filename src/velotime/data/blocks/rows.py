"""Rows of one layer, some cells at a time, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from anndata.abc import CSRDataset
from scipy import sparse

from velotime._types import FloatArray
from velotime.compute import row_sums
from velotime.data.blocks.dask import is_dask
from velotime.data.blocks.sources import ENTRIES, n_entries
from velotime.data.layers.values import checked_values, loaded


def lies_elsewhere(matrix: Any) -> bool:
    """Whether a matrix lies in a file or is a Dask array, and is to be read block by block."""
    return isinstance(matrix, CSRDataset) or is_dask(matrix)


def row_blocks(matrix: Any) -> Iterator[Any]:
    """All rows of a matrix, some at a time, as they are stored: chunks of a Dask array, pieces of all others."""
    if is_dask(matrix):
        whole = matrix.rechunk({1: -1}) if matrix.numblocks[1] > 1 else matrix
        for chunk in whole.to_delayed().ravel():
            yield chunk.compute(scheduler="synchronous")
        return
    if not isinstance(matrix, CSRDataset):
        matrix = loaded(matrix)  # a file by genes
    if sparse.issparse(matrix) and matrix.format == "csc":
        matrix = matrix.tocsr()
    n_cells = matrix.shape[0]
    length = max(1, int(ENTRIES * n_cells / max(n_entries(matrix), 1)))
    for start in range(0, n_cells, length):
        yield matrix[start : start + length]


def layer_blocks(layer: Any, name: str, *, counts: bool) -> Iterator[tuple[slice, sparse.csr_array]]:
    """The cells of a layer, some at a time: which ones, and their values, checked, CSR, float32.

    Raises
    ------
    InputError
        If values are not finite or, with ``counts``, no counts.
    """
    first = 0
    for block in row_blocks(layer):
        values = sparse.csr_array(checked_values(block, name, counts=counts))
        yield slice(first, first + values.shape[0]), values
        first += values.shape[0]


def cell_sums(layer: Any) -> FloatArray:
    """Sum of each cell, ``(cells,)``, of a matrix in memory, a file or Dask; block by block where it lies elsewhere."""
    blocks = row_blocks(layer) if lies_elsewhere(layer) else [loaded(layer)]
    return np.concatenate([row_sums(block) for block in blocks])
