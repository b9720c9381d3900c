"""kb-python: the workflow nac (mature, nascent, ambiguous), and lamanno before it (spliced, unspliced)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.h5ad import read_h5ad
from velotime.data.formats.loom import read_loom
from velotime.data.formats.parts.layout import KINDS, Layout, assemble, check_shapes, read_layout
from velotime.data.formats.parts.source import existing, read_lines, read_matrix
from velotime.data.layers.names import layer_names

KB_PLACES = ("", "counts_filtered", "counts_unfiltered", "counts_unfiltered_modified")
KB = Layout(
    "kb-python --workflow nac",
    KB_PLACES,
    {
        "spliced": "cells_x_genes.mature.mtx",
        "unspliced": "cells_x_genes.nascent.mtx",
        "ambiguous": "cells_x_genes.ambiguous.mtx",
        "cells": "cells_x_genes.barcodes.txt",
        "genes": "cells_x_genes.genes.txt",
    },
)
KB_LAMANNO = Layout(
    "kb-python --workflow lamanno",
    KB_PLACES,
    {
        f"{kind}{what}": f"{kind}.{end}"
        for kind in ("spliced", "unspliced")
        for what, end in (("", "mtx"), (" cells", "barcodes.txt"), (" genes", "genes.txt"))
    },
)
OWN_NAMES = {"spliced": "mature", "unspliced": "nascent"}


def read_kb(path: str | Path) -> AnnData:
    """Read what ``kb count`` counts with ``--workflow nac``, or with lamanno or nucleus before version 0.28.

    kb's ambiguous molecules (nac) lie within exons: they fit the mature as well as the nascent transcript, and there
    are many. They are kept apart here; to count them as spliced, as ``kb count --sum=cell`` does, add them up:
    ``adata.layers["spliced"] += adata.layers["ambiguous"]``.

    Parameters
    ----------
    path
        The output folder, or ``counts_unfiltered`` (``counts_filtered`` is preferred where it exists) in it; or the
        ``adata.h5ad`` or ``adata.loom`` that kb writes there on demand.

    Returns
    -------
    Cells x genes as of :func:`read_starsolo`: mature counts in layer ``spliced``, nascent ones in ``unspliced``. All
    barcodes that were seen are there (of lamanno's two matrices those in both, as in kb's own ``adata.h5ad``): leave
    out empty droplets before a fit.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where) or do not fit each other.
    """
    if Path(path).is_file():
        return _from_kb_file(Path(path))
    return read_layout(path, (KB, from_kb), (KB_LAMANNO, from_kb_lamanno))


def from_kb(files: dict[str, Path]) -> AnnData:
    """Three matrices, cells x genes, of the same cells and genes."""
    cells, genes = read_lines(files["cells"]), read_lines(files["genes"])
    prefix, names = (
        existing(files["folder"] / f"cells_x_genes.{name}.txt") for name in ("barcodes.prefix", "genes.names")
    )
    if prefix is not None:
        cells = read_lines(prefix) + cells
    layers = {kind: read_matrix(files[kind]) for kind in KINDS}
    check_shapes(files, layers, cells, genes)
    return assemble(layers, cells, genes, genes if names is None else read_lines(names))


def from_kb_lamanno(files: dict[str, Path]) -> AnnData:
    """Two matrices, cells x genes, each with cells and genes of its own; those in both are kept, as kb does."""
    parts = {kind: _lamanno_part(files, kind) for kind in OWN_NAMES}
    cells, genes = (
        first[np.isin(first, second)]
        for first, second in zip(*((part.obs_names, part.var_names) for part in parts.values()), strict=True)
    )
    if not len(cells) or not len(genes):
        raise InputError(
            f"{files['spliced']} and {files['unspliced'].name} share {len(cells)} cells and {len(genes)} genes: they "
            "are not of one run. Give the folder as kb count left it."
        )
    layers = {kind: part[cells, genes].X for kind, part in parts.items()}
    return assemble(layers, *(pd.Series(names, dtype=object) for names in (cells, genes, genes)))


def _lamanno_part(files: dict[str, Path], kind: str) -> AnnData:
    cells, genes = (read_lines(files[f"{kind} {what}"]) for what in ("cells", "genes"))
    names = {"cells": files[f"{kind} cells"], "genes": files[f"{kind} genes"]}
    matrix = read_matrix(files[kind])
    check_shapes(files | names, {kind: matrix}, cells, genes)
    return AnnData(matrix, obs=pd.DataFrame(index=cells.astype(str)), var=pd.DataFrame(index=genes.astype(str)))


def _from_kb_file(path: Path) -> AnnData:
    adata = read_loom(path) if path.suffix == ".loom" else read_h5ad(path)
    for ours, kb in OWN_NAMES.items():
        if ours in adata.layers:
            continue
        if kb not in adata.layers:
            raise InputError(
                f"{path} was not made by kb-python --workflow nac or lamanno: it has no layer {kb!r} or {ours!r}, but "
                f"{layer_names(adata)}. Read any other file with velotime.read.auto(path)."
            )
        adata.layers[ours] = adata.layers.pop(kb)
    return adata
