"""Loom files, as of velocyto: HDF5 with genes in rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError
from velotime.data.formats.parts.layout import unambiguous
from velotime.data.formats.parts.source import check_stored, read_checked


def read_loom(path: str | Path) -> AnnData:
    """Read a ``.loom`` file, as of velocyto, without loompy.

    Parameters
    ----------
    path
        An HDF5 file with genes in rows: the main matrix, layers of the same shape, and attributes of rows and columns.

    Returns
    -------
    Cells x genes with the layers of the file, CSR. Cells are named by ``CellID``, genes by ``Gene`` (by ``Accession``
    where a name occurs twice); other attributes become columns.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    return read_checked(path, _read_loom, ".loom")


def _read_loom(path: Path) -> AnnData:
    """Read HDF5 with genes in rows: the main matrix, layers of the same shape, attributes of rows and columns."""
    with h5py.File(path, "r") as file:
        if "matrix" not in file:
            raise InputError(f"{path} is no loom file: it has no dataset 'matrix'.")
        check_stored(path, file)
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
