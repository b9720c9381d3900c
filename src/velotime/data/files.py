"""Files that are written, .h5ad, .html and .csv: a killed run leaves the old file or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.parts.source import first_line

DIGITS = "%.6g"  # of a number in a table
FAST = 1  # of 9: gzip is what every reader of HDF5 knows; higher levels take long and gain little
_KINDS = {".h5ad": "results", ".html": "reports", ".csv": "tables"}


def check_output(path: str | Path, *, force: bool = False, suffix: str = ".h5ad") -> None:
    """Check, before a long fit, that ``path`` can be written.

    Raises
    ------
    InputError
        If the file exists and ``force`` is not given, its folder does not exist or cannot be written, or its name does
        not end in ``suffix``.
    """
    path = Path(path)
    if path.suffix != suffix:
        raise InputError(f"{path}: {_KINDS[suffix]} are written as {suffix}; give a name that ends in {suffix}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file.")
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


def write_file(adata: AnnData, path: str | Path, *, force: bool = False) -> None:
    """Write ``.h5ad`` beside the target and move it there when it is whole.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force)
    _write_whole(Path(path), lambda part: adata.write_h5ad(part, compression="gzip", compression_opts=FAST))


def write_table(table: pd.DataFrame, path: str | Path, *, force: bool = False) -> None:
    """Write ``.csv`` likewise, with the names of the rows first.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force, suffix=".csv")
    _write_whole(Path(path), lambda part: table.to_csv(part, float_format=DIGITS))


def write_page(text: str, path: str | Path, *, force: bool = False) -> None:
    """Write ``.html`` likewise: all of it or nothing.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force, suffix=".html")
    _write_whole(Path(path), lambda part: part.write_bytes(text.encode("utf-8", "replace")))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a file beside ``path``, and move it there when it is whole."""
    try:
        handle, name = tempfile.mkstemp(suffix=f"{path.suffix}.part", prefix=f".{path.stem}-", dir=path.parent)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {first_line(error)}") from error
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Permissions that new files go without; can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
