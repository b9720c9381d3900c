"""AnnData's own containers: ``.h5ad``, ``.zarr``, and one modality of ``.h5mu`` or of a store with several tables.

A MuData file is HDF5 with a group ``mod`` of AnnData objects, a SpatialData store is zarr with a group ``tables`` of
them: AnnData's reader of single elements reads one of either, so that neither package is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
from anndata import AnnData
from anndata.io import read_elem

from velotime import _keys as keys
from velotime._status import InputError
from velotime.data.formats.parts.layout import unambiguous
from velotime.data.formats.parts.source import absent, check_stored, first_line, read_checked

SEVERAL = ("mod", "tables")  # groups of AnnData objects: of MuData, of SpatialData


def read_h5ad(path: str | Path, *, gene_names: str | None = None) -> AnnData:
    """Read an ``.h5ad`` file as it is.

    Parameters
    ----------
    path
        Layers may be called ``spliced`` and ``unspliced``, or ``mature`` and ``nascent`` as kb-python's: a fit finds
        both.
    gene_names
        Column of ``var`` that names the genes, e.g. ``"features"`` in files that come from R; those named twice keep
        the name they had. By default names stay.

    Returns
    -------
    The AnnData, with the names of its layers.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    return with_gene_names(read_checked(path, _read_h5ad, ".h5ad"), gene_names)


def _read_h5ad(path: Path) -> AnnData:
    with h5py.File(path, "r") as file:
        check_stored(path, file)
    return ad.read_h5ad(path)


def read_h5mu(path: str | Path, *, mod: str | None = None, gene_names: str | None = None) -> AnnData:
    """Read one modality of a MuData file; the package mudata is not needed.

    Parameters
    ----------
    path
        An ``.h5mu`` file.
    mod
        The modality, e.g. ``"rna"``. By default the only one, or the only one with spliced and unspliced counts.
    gene_names
        As of :func:`read_h5ad`.

    Returns
    -------
    The AnnData of the modality; annotation of all modalities together (``mdata.obs``) is left where it is.

    Raises
    ------
    InputError
        If there is no such file or modality, or it cannot be read.
    """
    return with_gene_names(read_checked(path, lambda path: _read_h5mu(path, mod), ".h5mu"), gene_names)


def _read_h5mu(path: Path, mod: str | None) -> AnnData:
    with h5py.File(path, "r") as file:
        if "mod" not in file:
            raise InputError(f"{path} is no MuData file: it has no group 'mod'.")
        check_stored(path, file)
        return _one_of(path, file["mod"], mod)


def read_zarr(path: str | Path, *, mod: str | None = None, gene_names: str | None = None) -> AnnData:
    """Read a ``.zarr`` store: an AnnData, a modality of a MuData or a table of a SpatialData.

    Parameters
    ----------
    path
        The folder of the store.
    mod
        The modality or table, as of :func:`read_h5mu`.
    gene_names
        As of :func:`read_h5ad`.

    Returns
    -------
    The AnnData, in memory.

    Raises
    ------
    InputError
        If there is no such store, it is not complete, or it cannot be read (one sentence if zarr is not installed).
    """
    path = Path(path)
    if not path.exists():
        raise absent(path)
    if not path.is_dir():
        raise InputError(f"{path} is a file, and a zarr store is a folder.")
    try:
        return with_gene_names(_read_zarr(path, mod), gene_names)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as .zarr: {first_line(error)}") from error


def _read_zarr(path: Path, mod: str | None) -> AnnData:
    try:
        import zarr
    except ImportError:
        raise InputError(f"{path}: reading .zarr needs the package zarr; install it: pip install zarr.") from None
    store = zarr.open_group(str(path), mode="r")
    group = next((name for name in SEVERAL if name in store), None)
    if group is not None:
        return _one_of(path, store[group], mod)
    adata: AnnData = read_elem(store)
    if not isinstance(adata, AnnData):
        raise InputError(f"{path} is a zarr store, but not one of an AnnData; it holds {sorted(store)}.")
    _check_sparse(path, store)
    return adata


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr store, by its name or its metadata."""
    return path.is_dir() and (path.suffix == ".zarr" or holds_zarr(path))


def holds_zarr(path: Path) -> bool:
    """Whether a folder has the metadata of a zarr group."""
    return any((path / name).is_file() for name in (".zgroup", "zarr.json"))


def _one_of(path: Path, several: Any, mod: str | None) -> AnnData:
    """The object asked for, or the one that has both layers."""
    names = sorted(several)
    chosen = [mod] if mod is not None else names if len(names) == 1 else [n for n in names if _has_layers(several[n])]
    if len(chosen) != 1 or chosen[0] not in names:
        asked = f"no modality {mod!r}" if mod is not None else f"{len(chosen)} modalities with spliced and unspliced"
        raise InputError(
            f"{path} holds {asked}; available: {names}. Pass mod='...' (--mod on the command line) with one of these."
        )
    adata: AnnData = read_elem(several[chosen[0]])
    return adata


def _has_layers(group: Any) -> bool:
    layers = set(group.get("layers", ()))
    return bool(layers & set(keys.UNSPLICED_NAMES)) and bool(layers & set(keys.SPLICED_NAMES))


def _check_sparse(path: Path, store: Any) -> None:
    """Check that sparse layers have all their pieces: zarr reads a missing one as zeros, without an error.

    A writer leaves out pieces of zeros only. Among the values of counts there are none, unless a layer is empty on
    purpose, as of ambiguous molecules; and many indices of 0 in a row are no indices.
    """
    layers = store.get("layers", {})
    for name, layer in [("X", store.get("X")), *((f"layers/{name}", layers[name]) for name in layers)]:
        if layer is None or not hasattr(layer, "keys") or "indices" not in layer:
            continue
        counted = name == "X" or name.removeprefix("layers/") in (*keys.UNSPLICED_NAMES, *keys.SPLICED_NAMES)
        for part, least in (("data", 0 if counted else 1), ("indices", 1)):
            stored, whole = layer[part].nchunks_initialized, layer[part].nchunks
            if layer[part].shape[0] and stored < whole and stored >= least:
                raise InputError(
                    f"{path}: {stored} of {whole} pieces of {name}/{part} are there; the store is not complete. "
                    "Copy or write it again."
                )


def with_gene_names(adata: AnnData, column: str | None) -> AnnData:
    """Name the genes by a column of ``var``, where each name occurs once; the former names go to ``var["gene_id"]``.

    Raises
    ------
    InputError
        If there is no such column.
    """
    if column is None:
        return adata
    if column not in adata.var:
        raise InputError(f"column {column!r} not found in adata.var; available: {list(adata.var.columns)}.")
    names = unambiguous(adata.var[column].astype(object), adata.var_names)
    if keys.GENE_ID not in adata.var:
        adata.var[keys.GENE_ID] = adata.var_names.to_numpy()
    adata.var_names = names
    return adata


def require_only(path: str | Path, options: Mapping[str, str | None]) -> None:
    """Refuse options that this kind of file does not have."""
    for option, value in options.items():
        if value is not None:
            raise InputError(
                f"{option}={value!r}: {path} holds one object. Leave out {option}= (--{option}): it chooses among the "
                "modalities of an .h5mu file or a .zarr store."
            )
