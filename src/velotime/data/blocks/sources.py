"""Where blocks of cells are read: sparse datasets of AnnData's in .h5ad files and zarr stores, arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from anndata.abc import CSRDataset
from scipy import sparse

from velotime._status import InputError
from velotime.compute import Block, Blocks, LocalBlocks
from velotime.data.blocks.dask import dask_blocks, is_dask
from velotime.data.layers.values import checked_values

ENTRIES = 2**23  # of both layers in a block, about: 200 MB with what a sweep needs of them
CHUNK = 512  # of cells in a sweep: a block holds a multiple
MOST_CELLS = 2**16  # in a block
LARGE = 2**27  # counts in layers of a file, from which on they stay there: in memory they would take a gigabyte


def open_blocks(adata: AnnData, names: tuple[str, str]) -> Blocks | None:
    """Both layers in blocks if one of them lies in a file by cells, or is a Dask array; None if they are in memory.

    Raises
    ------
    InputError
        If layers are of different shapes, or in pieces along the genes.
    """
    layers = tuple(adata.layers[name] for name in names)
    for layer, name in zip(layers, names, strict=True):
        if layer.shape != adata.shape:
            raise InputError(
                f"layer {name!r} is {layer.shape}, but adata is {adata.shape}: both must have the same shape."
            )
    if any(is_dask(layer) for layer in layers):
        return dask_blocks(layers, names)
    if any(isinstance(layer, CSRDataset) for layer in layers):
        return blocks_of_rows(layers, names)
    return None


def blocks_of_rows(layers: Sequence[Any], names: tuple[str, str], cells: int | None = None) -> LocalBlocks:
    """Blocks of two layers of which rows can be read; ``cells`` in each, or as many as are quickly computed."""
    n_cells, n_genes = layers[0].shape
    length = _length(layers) if cells is None else cells
    bounds = np.append(np.arange(0, n_cells, length), n_cells)
    return LocalBlocks(_Rows(tuple(layers), names), bounds, n_genes)


def _length(layers: Sequence[Any]) -> int:
    """Cells in a block."""
    n_cells = layers[0].shape[0]
    entries = sum(n_entries(layer) for layer in layers)
    whole = int(ENTRIES * n_cells / max(entries, 1)) // CHUNK * CHUNK
    return max(CHUNK, min(whole, MOST_CELLS))


def n_entries(layer: Any) -> int:
    """Stored values of a layer, in memory or in a file."""
    if isinstance(layer, CSRDataset):
        return int(layer.group["data"].shape[0])
    return int(getattr(layer, "nnz", layer.shape[0] * layer.shape[1]))


@dataclass(frozen=True)
class _Rows:
    """Two layers of which rows can be read."""

    layers: tuple[Any, ...]
    names: tuple[str, str]

    def read(self, first: int, last: int) -> Block:
        """The cells from ``first`` to before ``last``, checked."""
        u, s = (
            checked_values(layer[first:last], name, counts=True)
            for layer, name in zip(self.layers, self.names, strict=True)
        )
        return Block(u, s)


def lazily(layer: Any, name: str) -> Any:
    """A layer of which genes can be taken without reading it: sparse datasets in files as Dask arrays, others as given.

    Raises
    ------
    InputError
        If Dask is not installed.
    """
    if not isinstance(layer, CSRDataset):
        return layer
    try:
        import dask.array as da
        from dask import delayed
    except ImportError:
        raise InputError(
            f"layer {name!r} lies in a file; to take some of its genes without reading it needs Dask: pip install "
            f"'velotime[dask]', or read it first: adata.layers[{name!r}] = adata.layers[{name!r}].to_memory()."
        ) from None
    n_cells, n_genes = layer.shape
    length = _length([layer])
    stamp = _stamp(layer)
    pieces = [
        da.from_delayed(
            delayed(_rows)(layer, first, min(first + length, n_cells), stamp),
            (min(length, n_cells - first), n_genes),
            meta=sparse.csr_matrix((0, 0), dtype=layer.dtype),
        )
        for first in range(0, n_cells, length)
    ]
    return da.concatenate(pieces)


def _rows(layer: Any, first: int, last: int, stamp: int | None) -> Any:
    if _stamp(layer) != stamp:
        raise InputError(f"{layer.group.store.root} was replaced since it was opened: open it again.")
    return layer[first:last]


def _stamp(layer: Any) -> int | None:
    """What tells a folder from another one that takes its place; a file that is open stays what it was."""
    root = getattr(getattr(layer.group, "store", None), "root", None)
    return Path(root).stat().st_ino if root is not None and Path(root).exists() else None
