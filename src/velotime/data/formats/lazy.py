"""``.h5ad`` files and zarr stores whose counts stay where they are: tables in memory, matrices as Dask arrays."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
from anndata import AnnData
from anndata.io import read_elem, sparse_dataset

from velotime._status import InputError
from velotime.data.blocks.sources import LARGE, MOST_CELLS, lazily
from velotime.data.formats.h5ad import is_zarr, with_gene_names
from velotime.data.formats.parts.source import absent, first_line

TABLES = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")


def read_lazy(path: str | Path, *, gene_names: str | None = None) -> AnnData:
    """Open an ``.h5ad`` file or a ``.zarr`` store of one object without reading its counts.

    Everything else is read: tables, embeddings, graphs. Needs Dask: ``pip install 'velotime[dask]'``.

    Parameters
    ----------
    path
        The file, or the folder of the store.
    gene_names
        Column of ``var`` that names the genes, see :func:`h5ad`.

    Returns
    -------
    The AnnData. ``X``, ``layers`` and ``raw.X`` are Dask arrays in blocks of cells, and stay so when genes or cells are
    taken; matrices that are stored by gene (CSC) are read.

    Raises
    ------
    InputError
        If there is no such file, it is of another kind, or it cannot be read.
    """
    path = Path(path)
    group = _open(path)
    try:
        return with_gene_names(_object(group), gene_names)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be opened: {first_line(error)}") from error


def is_large(*paths: Path) -> bool:
    """Whether files and stores hold more counts in layers than are read into memory unasked, and Dask is there."""
    return find_spec("dask") is not None and sum(map(_n_counts, paths)) > LARGE


def stays(path: Path) -> bool:
    """Whether this is a file or store whose counts can stay there: ``.h5ad``, or ``.zarr`` of one object."""
    if not is_zarr(path):
        return path.suffix == ".h5ad"
    return (path / "obs").exists() or (path / "var").exists()


def _n_counts(path: Path) -> int:
    """Entries of the layers of a file or store whose counts can stay there; 0 of others."""
    if not path.exists() or not stays(path):
        return 0
    try:
        layers = _open(path).get("layers", {})
        return sum(_n_entries(layers[name]) for name in layers)
    except Exception:  # whatever is wrong with it, reading it says so
        return 0


def _open(path: Path) -> Any:
    if not path.exists():
        raise absent(path)
    if path.suffix == ".h5ad":
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"{path} cannot be read as .h5ad: {first_line(error)}") from error
    if not is_zarr(path):
        raise InputError(f"{path}: only .h5ad files and .zarr stores can be opened without reading their counts.")
    try:
        import zarr
    except ImportError:
        raise InputError(f"{path}: reading .zarr needs the package zarr; install it: pip install zarr.") from None
    return zarr.open_group(str(path), mode="r")


def _object(group: Any) -> AnnData:
    if "obs" not in group or "var" not in group:
        raise InputError(f"it holds no single AnnData, but {sorted(group)}: read it with velotime.read.auto.")
    boxes = {name: read_elem(group[name]) for name in TABLES if name in group}
    layers = group.get("layers", {})
    adata = AnnData(**boxes, layers={name: _matrix(layers[name], name) for name in layers})
    if "X" in group and not _is_null(group["X"]):
        adata.X = _matrix(group["X"], "X")
    if "raw" in group and not _is_null(group["raw"]):
        raw = AnnData(_matrix(group["raw/X"], "raw.X"), obs=adata.obs[[]], var=read_elem(group["raw/var"]))
        raw.varm.update(read_elem(group["raw/varm"]) if "raw/varm" in group else {})
        adata.raw = raw
    return adata


def _is_null(item: Any) -> bool:
    return bool(item.attrs.get("encoding-type") == "null")


def _matrix(item: Any, name: str) -> Any:
    """A matrix as a Dask array in blocks of cells; one that is stored by gene in memory."""
    if hasattr(item, "keys"):
        stored = sparse_dataset(item)
        return lazily(stored, name) if stored.format == "csr" else stored.to_memory()
    import dask.array as da

    return da.from_array(item, chunks=(min(MOST_CELLS, max(1, item.shape[0])), -1))


def _n_entries(item: Any) -> int:
    if hasattr(item, "keys"):
        return int(item["data"].shape[0])
    return int(item.shape[0]) * int(item.shape[1])
