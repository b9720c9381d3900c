"""Writers: an AnnData and its fit into a file or a store, whole or not at all.

Counts that lie in another file, as :func:`velotime.read.lazy` leaves them, are copied block by block.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from anndata import AnnData

from velotime import data
from velotime._check import FilePath, Flag, Names, checked
from velotime._status import InputError
from velotime.data.arguments import ADATA

RULES = {"adata": ADATA, "path": FilePath(), "layers": Names("names of layers of the fit"), "force": Flag()}

__all__ = ["h5ad", "zarr"]


@checked(RULES, "write.h5ad")
def h5ad(adata: AnnData, path: str | os.PathLike[str], *, layers: Sequence[str] = (), force: bool = False) -> None:
    """Write an ``.h5ad`` file, compressed; matrices that lie elsewhere block by block.

    It is written beside ``path`` and moved there when it is whole: a run that is killed leaves the old file, or none.

    Parameters
    ----------
    adata
        In memory, or with counts that lie in another file or in Dask arrays. Stays as it is.
    path
        The file, ``.h5ad``.
    layers
        Dense layers of the fit to write besides those that are there, e.g. ``("velocity", "Ms")``; computed block by
        block, so that they are never whole in memory. None by default: each takes 4 bytes for every cell and gene.
    force
        Replace a file that is there.

    Raises
    ------
    InputError
        If the file exists and ``force`` is not given, a layer is none that the fit can give, or writing fails.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(50, 20, rng=np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vt.write.h5ad(adata, f"{folder}/cells.h5ad")
    ...     vt.read.h5ad(f"{folder}/cells.h5ad").shape
    (50, 20)
    """
    _write(adata, Path(path), layers, ".h5ad", force=force)


@checked(RULES, "write.zarr")
def zarr(adata: AnnData, path: str | os.PathLike[str], *, layers: Sequence[str] = (), force: bool = False) -> None:
    """Write a ``.zarr`` store, as :func:`h5ad` writes a file.

    Parameters
    ----------
    adata, layers, force
        As of :func:`h5ad`. Where ``adata`` was opened from the store that is replaced, its counts cannot be read any
        more: open it again.
    path
        The folder of the store, ``.zarr``.

    Raises
    ------
    InputError
        As of :func:`h5ad`, and if the folder is there and no zarr store, or zarr is not installed.
    """
    _write(adata, Path(path), layers, ".zarr", force=force)


def _write(adata: AnnData, path: Path, layers: Sequence[str], suffix: str, *, force: bool) -> None:
    if path.suffix != suffix:
        raise InputError(f"write.{suffix[1:]}(path={str(path)!r}): must end in {suffix}.")
    data.write_file(adata, path, layers=layers, force=force)
