"""STARsolo, --soloFeatures Velocyto: three matrices, or one with three counts per entry in its first versions.

Two matrices under the same names, as R writes them, are read in the same way.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError, InputWarning
from velotime._types import FloatArray, IntArray
from velotime.data.formats.parts.layout import KINDS, Layout, assemble, check_shapes, read_layout, seen_cells
from velotime.data.formats.parts.source import existing, read_lines, read_matrix, read_or_explain, read_table

SOLO_PLACES = tuple(
    f"{above}{cells}" for above in ("", "Velocyto/", "Solo.out/Velocyto/") for cells in ("", "filtered", "raw")
)
SOLO_NAMES = {"cells": "barcodes.tsv", "genes": "features.tsv"}
SOLO = Layout("STARsolo", SOLO_PLACES, {kind: f"{kind}.mtx" for kind in KINDS} | SOLO_NAMES)
TWO_MATRICES = Layout(
    "matrices of genes x cells, as R's writeMM leaves them",
    ("",),
    {kind: f"{kind}.mtx" for kind in ("spliced", "unspliced")} | SOLO_NAMES,
)
GENE_COUNTS = ("Gene", "GeneFull", "GeneFull_ExonOverIntron", "GeneFull_Ex50pAS")  # by which STARsolo calls cells
FEW_COUNTS = 100  # of a barcode that hardly holds a cell
SOLO_OLD = Layout("STARsolo as of its first versions", SOLO_PLACES, {"all": "matrix.mtx"} | SOLO_NAMES)


def read_starsolo(path: str | Path) -> AnnData:
    """Read what STARsolo counts with ``--soloFeatures Gene Velocyto``.

    Parameters
    ----------
    path
        A folder with ``spliced.mtx``, ``unspliced.mtx``, ``ambiguous.mtx``, ``barcodes.tsv`` and ``features.tsv``, or
        one above it: ``Velocyto``, ``Solo.out`` or that of the run. Where there are both, ``filtered`` is read (the
        cells that STARsolo called), not ``raw``; of ``raw`` alone, as older versions leave it, the cells that are in
        ``Gene/filtered`` or ``GeneFull/filtered`` beside ``Velocyto``. The one ``matrix.mtx`` with three counts per
        entry that its first versions wrote is read too.

    Returns
    -------
    Cells x genes; layers ``spliced``, ``unspliced`` and ``ambiguous``, CSR, float32, and their sum in ``X``; gene names
    (the identifier where a name occurs twice) as ``var_names`` and identifiers in ``var["gene_id"]``. Barcodes of the
    whitelist without a single count are left out.

    Warns
    -----
    InputWarning
        If no called cells are there and most barcodes have next to no counts.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where) or do not fit each other.
    """
    return read_layout(path, (SOLO, from_starsolo), (SOLO_OLD, from_old_starsolo))


def from_starsolo(files: dict[str, Path]) -> AnnData:
    """Matrices of genes x cells: of all kinds that there are."""
    cells = read_lines(files["cells"])
    names = read_table(files["genes"])
    layers = {kind: read_matrix(files[kind]).T for kind in KINDS if kind in files}
    check_shapes(files, layers, cells, names)
    read = assemble(layers, cells, names.iloc[:, 0], names.iloc[:, min(1, names.shape[1] - 1)])
    return _called_cells(seen_cells(read), files["folder"])


def from_old_starsolo(files: dict[str, Path]) -> AnnData:
    """Entries "gene cell spliced unspliced ambiguous", which is no Matrix Market format."""
    cells, names = read_lines(files["cells"]), read_table(files["genes"])
    header, entries = _old_entries(files["all"])
    shape, at = tuple(header[:2]), tuple(entries[:, :2].T - 1)
    layers = {kind: sparse.coo_matrix((entries[:, 2 + k], at), shape=shape).T for k, kind in enumerate(KINDS)}
    check_shapes(files, layers, cells, names)
    read = assemble(layers, cells, names.iloc[:, 0], names.iloc[:, min(1, names.shape[1] - 1)])
    return _called_cells(seen_cells(read), files["folder"])


def _called_cells(adata: AnnData, folder: Path) -> AnnData:
    """Of all barcodes those that STARsolo called cells by its counts of genes, where these are beside the folder."""
    if folder.resolve().name != "raw":
        return adata
    for name in GENE_COUNTS:
        called = existing(folder.resolve().parents[1] / name / "filtered" / SOLO_NAMES["cells"])
        if called is not None and (cells := adata.obs_names.isin(read_lines(called))).any():
            return adata[cells].copy()
    n_empty = int((np.asarray(adata.X.sum(axis=1)).ravel() < FEW_COUNTS).sum())
    if 2 * n_empty > adata.n_obs:
        warnings.warn(
            f"{folder} holds all barcodes, and no cells that STARsolo called are beside it: {n_empty:,} of "
            f"{adata.n_obs:,} have fewer than {FEW_COUNTS} counts, as empty droplets do. Have STAR call cells "
            "(--soloCellFilter), or keep those with enough counts: velotime.pp.filter_cells(adata, min_counts=...).",
            InputWarning,
            stacklevel=2,
        )
    return adata


def _old_entries(path: Path) -> tuple[IntArray, IntArray]:
    """The header "genes cells entries" and as many entries of five whole numbers, ``(entries, 5)``."""
    lines = read_or_explain(path, _five_columns)
    if len(lines) > 1 and np.isnan(lines[1:, 3:]).all():
        raise InputError(
            f"{path} holds one count per entry: a matrix of genes, not spliced and unspliced counts. Of STARsolo, give "
            "the folder Velocyto beside it, made with --soloFeatures Gene Velocyto; of Cell Ranger, two runs to "
            "velotime.read.cellranger_pair."
        )
    header, entries = lines[0, :3], lines[1:]
    if np.isnan(header).any() or len(entries) != header[2]:
        promised = "no number of entries" if np.isnan(header).any() else f"{header[2]:.0f} entries"
        raise InputError(
            f"{path} promises {promised} in its first line and holds {len(entries)}: it is cut off or damaged. "
            "Copy it again, or have STAR count again."
        )
    high = np.array([header[0], header[1], np.inf, np.inf, np.inf])
    wrong = ~((entries >= [1, 1, 0, 0, 0]) & (entries <= high) & (entries == np.floor(entries))).all(axis=1)
    if wrong.any():
        raise InputError(
            f"{path}, entry {int(np.flatnonzero(wrong)[0]) + 1} of {len(entries)}: must be a gene from 1 to "
            f"{header[0]:.0f}, a cell from 1 to {header[1]:.0f} and three counts of 0 or more. The file is damaged: "
            "copy it again, or have STAR count again."
        )
    return header.astype(np.int64), entries.astype(np.int64)


def _five_columns(path: Path) -> FloatArray:
    table = pd.read_csv(path, sep=r"\s+", header=None, names=range(5), comment="%", dtype=np.float64)
    if not len(table):
        raise ValueError("it is empty")
    return np.asarray(table, dtype=np.float64)
