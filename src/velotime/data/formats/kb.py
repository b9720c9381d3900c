"""kb-python: mature, nascent and ambiguous molecules of its workflow nac."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.h5ad import read_h5ad
from velotime.data.formats.layout import KINDS, Layout, assemble, check_shapes, read_layout
from velotime.data.formats.loom import read_loom
from velotime.data.formats.source import existing, read_lines, read_matrix

KB = Layout(
    "kb-python --workflow nac",
    ("", "counts_filtered", "counts_unfiltered", "counts_unfiltered_modified"),
    {
        "spliced": "cells_x_genes.mature.mtx",
        "unspliced": "cells_x_genes.nascent.mtx",
        "ambiguous": "cells_x_genes.ambiguous.mtx",
        "cells": "cells_x_genes.barcodes.txt",
        "genes": "cells_x_genes.genes.txt",
    },
)


def read_kb(path: str | Path) -> AnnData:
    """Read what ``kb count --workflow=nac`` counts: mature, nascent and ambiguous molecules.

    kb's ambiguous molecules lie within exons: they fit the mature and the nascent transcript alike, and there are many.
    They are kept apart here; to count them as spliced, as ``kb count --sum=cell`` does, add them up:
    ``adata.layers["spliced"] += adata.layers["ambiguous"]``.

    Parameters
    ----------
    path
        The output folder, or ``counts_unfiltered`` (``counts_filtered`` is preferred where it exists) in it; or the
        ``adata.h5ad`` or ``adata.loom`` that kb writes there on demand.

    Returns
    -------
    Cells x genes as of :func:`read_starsolo`: mature counts in layer ``spliced``, nascent ones in ``unspliced``. All
    barcodes that were seen are there: leave out empty droplets before a fit.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where) or do not fit each other.
    """
    if Path(path).is_file():
        return _from_kb_file(Path(path))
    return read_layout(path, (KB, from_kb))


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


def _from_kb_file(path: Path) -> AnnData:
    adata = read_loom(path) if path.suffix == ".loom" else read_h5ad(path)
    for kb, ours in (("mature", "spliced"), ("nascent", "unspliced")):
        if kb not in adata.layers:
            raise InputError(
                f"{path} was not made by kb-python --workflow nac: it has no layer {kb!r}, but {list(adata.layers)}. "
                "Read any other file with velotime.read.auto(path)."
            )
        adata.layers[ours] = adata.layers.pop(kb)
    return adata
