"""Files: read .h5ad and .loom; write .h5ad and .html so that a killed run leaves the old file or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError

READABLE = (".h5ad", ".loom")
_KINDS = {".h5ad": "results", ".html": "reports"}


def read_h5ad(path: str | Path) -> AnnData:
    """Read an ``.h5ad`` file as it is.

    Parameters
    ----------
    path
        Layers may be called ``spliced`` and ``unspliced``, or ``mature`` and ``nascent`` as kb-python's: a fit finds
        both.

    Returns
    -------
    The AnnData, with the names of its layers.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    return _read_checked(Path(path), ad.read_h5ad, ".h5ad")


def read_loom(path: str | Path) -> AnnData:
    """Read a ``.loom`` file, as of velocyto, without loompy.

    Parameters
    ----------
    path
        An HDF5 file with genes in rows: the main matrix, layers alike, and attributes of rows and columns.

    Returns
    -------
    Cells x genes with the layers of the file, CSR. Cells are named by ``CellID``, genes by ``Gene`` (by ``Accession``
    where a name occurs twice); other attributes become columns.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    return _read_checked(Path(path), _read_loom, ".loom")


def read_file(path: str | Path) -> AnnData:
    """Read an ``.h5ad`` or ``.loom`` file, told apart by how its name ends.

    Raises
    ------
    InputError
        If there is no such file, its kind is unknown, or it cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_dir() and path.suffix not in READABLE:
        raise InputError(
            f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; known: {', '.join(READABLE)}."
        )
    return read_h5ad(path) if path.suffix == ".h5ad" else read_loom(path)


def _read_checked(path: Path, reader: Callable[[Path], AnnData], kind: str) -> AnnData:
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; give a file ({' or '.join(READABLE)}), or read the folder of a quantifier with "
            "velotime.read.auto."
        )
    try:
        return reader(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as {kind}: {_first_line(error)}") from error


def _read_loom(path: Path) -> AnnData:
    """A loom file is HDF5 with genes in rows: the main matrix, layers alike, and attributes of rows and columns."""
    with h5py.File(path, "r") as file:
        if "matrix" not in file:
            raise InputError(f"{path} is no loom file: it has no dataset 'matrix'.")
        layers = {name: _sparse_cells(dataset) for name, dataset in file.get("layers", {}).items()}
        n_genes, n_cells = file["matrix"].shape
        obs = _attributes(file.get("col_attrs", {}), ("CellID", "obs_names", "cell_names", "barcode"), n_cells)
        var = _attributes(file.get("row_attrs", {}), ("Gene", "var_names", "gene_names", "target_name"), n_genes)
        if "Accession" in var:
            var.index = unambiguous(var.index, var["Accession"])
        return AnnData(_sparse_cells(file["matrix"]), obs=obs, var=var, layers=layers)


def _sparse_cells(dataset: Any, rows: int = 2048) -> sparse.csr_matrix:
    """A genes x cells dataset as cells x genes, read some genes at a time."""
    blocks = [sparse.csr_matrix(dataset[k : k + rows]) for k in range(0, dataset.shape[0], rows)]
    return sparse.vstack(blocks).T.tocsr()


def _attributes(group: Any, index: tuple[str, ...], length: int) -> pd.DataFrame:
    """One-dimensional attributes as a table; the first of ``index`` that is there becomes its index."""
    table: dict[str, Any] = {}
    for name, dataset in group.items():
        if dataset.ndim == 1:
            table[name] = np.asarray(dataset.asstr()[:] if dataset.dtype.kind in "OS" else dataset[:])
    names = next((table.pop(name) for name in index if name in table), np.arange(length))
    return pd.DataFrame(table, index=names.astype(str))


def unambiguous(names: Iterable[str], identifiers: Iterable[str]) -> pd.Index:
    """Names of genes, and the identifier of each gene whose name occurs twice or is empty."""
    name, identifier = (pd.Series(list(given), dtype=object) for given in (names, identifiers))
    unclear = name.duplicated(keep=False) | name.isna() | (name == "")
    return pd.Index(name.where(~unclear, identifier).astype(str))


def check_output(path: str | Path, *, force: bool = False, suffix: str = ".h5ad") -> None:
    """See to it, before a long fit, that ``path`` can be written.

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


def write_file(adata: AnnData, path: str | Path, *, force: bool = False) -> None:
    """Write ``.h5ad`` beside the target and move it there when it is whole.

    Raises
    ------
    InputError
        As :func:`check_output`, or if writing fails.
    """
    check_output(path, force=force)
    _write_whole(Path(path), lambda part: adata.write_h5ad(part))


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
        raise InputError(f"{path} cannot be written: {_first_line(error)}") from error
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {_first_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """Permissions that new files go without; can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
