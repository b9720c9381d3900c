"""Values of a layer as arrays, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError
from velotime._types import IntArray


def read_layer(adata: AnnData, name: str, *, counts: bool) -> Any:
    """One layer as float32, CSR or dense, its values checked; from memory, a file, or in pieces as of Dask."""
    layer = loaded(adata.layers[name])
    if layer.shape != adata.shape:
        raise InputError(f"layer {name!r} is {layer.shape}, but adata is {adata.shape}: both must have the same shape.")
    return checked_values(layer, name, counts=counts)


def loaded(matrix: Any) -> Any:
    """A matrix in memory, from a file or Dask."""
    for load in ("to_memory", "compute"):  # of AnnData's matrices in files, of Dask's
        if hasattr(matrix, load):
            matrix = getattr(matrix, load)()
    return matrix


def checked_values(layer: Any, name: str, *, counts: bool) -> Any:
    """Values in memory as float32, CSR in canonical format or dense, checked."""
    values = layer.data if sparse.issparse(layer) else np.asarray(layer)
    _check_values(values, name, counts=counts)
    if not sparse.issparse(layer):
        dense = np.asarray(layer, dtype=np.float32)
        return sparse.csr_array(dense) if counts else dense
    matrix = sparse.csr_array(layer, dtype=np.float32)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if np.any(matrix.data == 0):
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


def read_block(layer: Any, genes: IntArray) -> Any:
    """Some genes of a layer, ``(cells, genes)``, CSC or dense, from memory, a file or Dask."""
    block = loaded(layer[:, genes])
    return sparse.csc_array(block) if sparse.issparse(block) else np.asarray(block)


def _check_values(values: Any, name: str, *, counts: bool) -> None:
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise InputError(f"layer {name!r} holds {values.dtype}, not real numbers.")
    if not np.all(np.isfinite(values)):
        n = int((~np.isfinite(values)).sum())
        raise InputError(f"layer {name!r} holds {n} values that are NaN or infinite. Remove those cells or genes.")
    if not counts:
        return
    if values.size and values.min() < 0:
        raise InputError(f"layer {name!r} holds negative values (least {values.min():g}): raw counts are 0 or more.")
    if not np.array_equal(values, np.floor(values)):
        raise InputError(
            f"layer {name!r} holds values that are not whole numbers, which a count noise cannot take. "
            "Pass the raw counts, or fit normalised values with method=vt.SoftEM(noise=vt.Gaussian()) "
            "(--noise gaussian on the command line)."
        )
