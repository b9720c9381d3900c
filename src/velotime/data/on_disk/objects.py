"""AnnData objects into ``.h5ad`` files and zarr stores: matrices that lie elsewhere go there block by block."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
from anndata import AnnData
from anndata.io import write_elem

from velotime._status import InputError
from velotime.data.blocks.rows import lies_elsewhere
from velotime.data.layers.names import layer_names
from velotime.data.on_disk.matrices import Rows, write_matrix, write_rows

FAST = 1  # of 9: gzip is what every reader of HDF5 knows; higher levels take long and gain little
HDF5_OPTIONS = {"compression": "gzip", "compression_opts": FAST}


def write_h5ad(adata: AnnData, path: Path, layers: Mapping[str, Rows]) -> None:
    """Write an object with further layers, which are computed block by block."""
    if not _elsewhere(adata):
        adata.write_h5ad(path, **HDF5_OPTIONS)
        with h5py.File(path, "a") as file:
            _add_layers(file, adata, layers, HDF5_OPTIONS)
        return
    with h5py.File(path, "w") as file:
        _write(file, adata, HDF5_OPTIONS)
        _add_layers(file, adata, layers, HDF5_OPTIONS)


def write_zarr(adata: AnnData, path: Path, layers: Mapping[str, Rows]) -> None:
    """The same into a store.

    Raises
    ------
    InputError
        If zarr is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise InputError(f"{path}: writing .zarr needs the package zarr; install it: pip install zarr.") from None
    with warnings.catch_warnings(), _one_file_a_chunk():
        warnings.simplefilter("ignore")  # of AnnData's, on what a later version will do by default
        group = zarr.open_group(str(path), mode="w")
        _write(group, adata, {})
        _add_layers(group, adata, layers, {})


def _one_file_a_chunk() -> AbstractContextManager[Any]:
    """Whatever AnnData's default is: stores are written block by block, and shards would be written again each time."""
    known = hasattr(ad.settings, "auto_shard_zarr_v3")
    return ad.settings.override(auto_shard_zarr_v3=False) if known else nullcontext()


def _elsewhere(adata: AnnData) -> bool:
    matrices = [*adata.layers.values(), adata.X, *([] if adata.raw is None else [adata.raw.X])]
    return any(map(lies_elsewhere, matrices))


def _add_layers(group: Any, adata: AnnData, layers: Mapping[str, Rows], options: dict[str, Any]) -> None:
    for name, rows in layers.items():
        write_rows(group["layers"], name, rows, adata.n_obs, options)


def _write(group: Any, adata: AnnData, options: dict[str, Any]) -> None:
    """Tables first, then matrices."""
    boxes = {box: dict(getattr(adata, box)) for box in ("obsm", "varm", "obsp", "varp", "uns")}
    tables = AnnData(obs=adata.obs, var=adata.var, **boxes)
    tables.strings_to_categoricals()
    write_elem(group, "/", tables, dataset_kwargs=options)
    for empty in {"X", "raw"} & set(group):
        del group[empty]
    if adata.X is not None:
        write_matrix(group, "X", adata.X, options)
    for name in layer_names(adata):
        write_matrix(group["layers"], name, adata.layers[name], options)
    if adata.raw is not None:
        raw = group.require_group("raw")
        raw.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
        write_elem(raw, "var", adata.raw.var, dataset_kwargs=options)
        write_elem(raw, "varm", dict(adata.raw.varm), dataset_kwargs=options)
        write_matrix(raw, "X", adata.raw.X, options)
