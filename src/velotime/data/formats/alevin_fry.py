"""alevin-fry in USA mode: one matrix of unspliced, spliced and ambiguous molecules."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.parts.layout import KINDS, Layout, assemble, check_shapes, read_layout
from velotime.data.formats.parts.source import existing, read_lines, read_matrix, read_or_explain, read_table, read_text

FRY = Layout(
    "alevin-fry",
    ("", "af_quant"),
    {
        "record": "quant.json",
        "all": "alevin/quants_mat.mtx",
        "cells": "alevin/quants_mat_rows.txt",
        "genes": "alevin/quants_mat_cols.txt",
    },
)


def read_alevin_fry(path: str | Path) -> AnnData:
    """Read what alevin-fry counts in USA mode (unspliced, spliced, ambiguous).

    Ambiguous molecules are kept apart; to count them as spliced, as pyroe's and fishpond's format "velocity" does,
    add them up: ``adata.layers["spliced"] += adata.layers["ambiguous"]``. With a "spliceu" reference do: there nearly
    all molecules within exons are ambiguous.

    Parameters
    ----------
    path
        The output folder of ``alevin-fry quant``, with ``quant.json`` and the folder ``alevin``; or that of
        ``simpleaf quant``, which holds it under ``af_quant``.

    Returns
    -------
    Cells x genes as of :func:`read_starsolo`. Names of genes are read from ``gene_id_to_name.tsv`` where simpleaf left
    it; otherwise identifiers serve.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where), were not counted in USA mode,
        or do not fit each other.
    """
    return read_layout(path, (FRY, from_alevin_fry))


def from_alevin_fry(files: dict[str, Path]) -> AnnData:
    """One matrix, cells x (spliced, unspliced, ambiguous) genes."""
    record = read_or_explain(files["record"], lambda path: json.loads(read_text(path)))
    if not record.get("usa_mode"):
        raise InputError(
            f"{files['record']} says that the counts were not made in USA mode: they do not tell spliced from "
            "unspliced. Run alevin-fry quant with a reference of introns and a map of transcripts to genes in three "
            "columns."
        )
    cells = read_table(files["cells"]).iloc[:, 0]
    genes = read_lines(files["genes"])
    counts = read_matrix(files["all"])
    n = counts.shape[1] // 3
    if counts.shape[1] != 3 * n or len(genes) not in (n, 3 * n):
        raise InputError(
            f"{files['all']} has {counts.shape[1]} columns and {files['genes'].name} {len(genes)} lines: USA mode has "
            "three columns per gene, spliced, unspliced and ambiguous."
        )
    genes = genes[:n]
    layers = {kind: counts[:, k * n : (k + 1) * n] for k, kind in enumerate(KINDS)}
    check_shapes(files, layers, cells, genes)
    return assemble(layers, cells, genes, _fry_names(files["folder"], genes))


def _fry_names(folder: Path, genes: pd.Series) -> pd.Series:
    """Names of the genes where simpleaf left them, identifiers otherwise."""
    paths = (existing(place / "gene_id_to_name.tsv") for place in (folder, folder.parent))
    path = next((path for path in paths if path is not None), None)
    if path is None:
        return genes
    table = read_table(path)
    return genes.map(dict(zip(table[0], table[1], strict=True))).fillna(genes)
