"""Files that are written, .h5ad, .zarr, .html and .csv: a killed run leaves the old file or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.h5ad import holds_zarr
from velotime.data.on_disk.objects import write_h5ad, write_zarr
from velotime.data.on_disk.whole import write_whole, write_whole_folder
from velotime.data.writers.layers import rows_of_layers

DIGITS = "%.6g"  # of a number in a table
RESULTS = (".h5ad", ".zarr")
_KINDS = {RESULTS: "results", (".html",): "reports", (".csv",): "tables"}


def check_output(path: str | Path, *, force: bool = False, suffixes: tuple[str, ...] = RESULTS) -> None:
    """Check, before a long fit, that ``path`` can be written.

    Raises
    ------
    InputError
        If the file exists and ``force`` is not given, its folder does not exist or cannot be written, or its name does
        not end in one of ``suffixes``; also if a folder is there that is no zarr store.
    """
    path = Path(path)
    if path.suffix not in suffixes:
        allowed = " or ".join(suffixes)
        kind = _KINDS.get(suffixes, "results")
        raise InputError(f"{path}: {kind} are written as {allowed}; give a name that ends in {allowed}.")
    if path.is_dir() and not (path.suffix == ".zarr" and holds_zarr(path)):
        raise InputError(f"{path} is a folder{' that holds no zarr store' * (path.suffix == '.zarr')}; give a file.")
    if path.exists() and not force:
        raise InputError(f"{path} exists. Give another name, or force=True (--force) to replace it.")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; create it first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"the folder {path.parent} cannot be written.")


def check_folder(folder: str | Path, names: Iterable[str], *, force: bool = False) -> None:
    """Check, before a long fit, that files of these names can be written into a folder; it is made if it is not there.

    Raises
    ------
    InputError
        If it is a file, cannot be made, or holds one of them and ``force`` is not given.
    """
    folder = Path(folder)
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(f"{folder} holds {', '.join(there)} already. Give another folder, or force=True (--force).")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the tables.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}.") from error


def write_file(adata: AnnData, path: str | Path, *, layers: Sequence[str] = (), force: bool = False) -> None:
    """Write ``.h5ad`` or ``.zarr`` beside the target and move it there when it is whole.

    Counts that lie in another file, or in Dask arrays, are copied block by block.

    Parameters
    ----------
    adata
        The object.
    path
        Where to, and by how it ends, as what.
    layers
        Dense layers of the fit to write besides those that are there, computed block by block.
    force
        Replace what is there.

    Raises
    ------
    InputError
        As :func:`check_output`, if a layer is none that the fit can give, or if writing fails.
    """
    path = Path(path)
    check_output(path, force=force)
    made = rows_of_layers(adata, layers)
    if path.suffix == ".zarr":
        write_whole_folder(path, lambda part: write_zarr(adata, part, made))
    else:
        write_whole(path, lambda part: write_h5ad(adata, part, made))


def write_table(table: pd.DataFrame, path: str | Path, *, force: bool = False) -> None:
    """Write ``.csv`` likewise, with the names of the rows first.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force, suffixes=(".csv",))
    write_whole(Path(path), lambda part: table.to_csv(part, float_format=DIGITS))


def write_page(text: str, path: str | Path, *, force: bool = False) -> None:
    """Write ``.html`` likewise: all of it or nothing.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force, suffixes=(".html",))
    write_whole(Path(path), lambda part: part.write_bytes(text.encode("utf-8", "replace")))
