"""Parse Biosciences, split-pipe: ``process/tscp_assignment.csv.gz`` holds a row per transcript, exonic or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError
from velotime._types import BoolArray
from velotime.data.formats.parts.layout import Layout, assemble, read_layout
from velotime.data.formats.parts.source import existing, read_or_explain

PARSE = Layout("Parse split-pipe", ("",), {"transcripts": "process/tscp_assignment.csv"})
CALLED = "all-sample/DGE_filtered/cell_metadata.csv"
COLUMNS = ("bc_wells", "gene", "gene_name", "exonic")
ROWS = 1_000_000  # read at a time


def read_parse(path: str | Path) -> AnnData:
    """Read what Parse Biosciences' split-pipe assigns to genes.

    split-pipe counts exonic and intronic transcripts together in its matrices. They are told apart in
    ``process/tscp_assignment.csv.gz``, a row per transcript (molecule; its ``count`` is that of reads): one more than
    half of whose read lies in exons is ``exonic`` and counted as spliced, the others as unspliced.

    Parameters
    ----------
    path
        The output folder of one sublibrary, or of several combined where split-pipe was told to combine these files
        too. To merge sublibraries, read each and see :func:`samples`.

    Returns
    -------
    Cells x genes as of :func:`starsolo`, without ``ambiguous``. Cells are those that split-pipe called
    (``all-sample/DGE_filtered/cell_metadata.csv``), with its columns in ``obs``; all barcodes where that is missing.

    Raises
    ------
    InputError
        If the files are not there, not complete, or do not fit each other.
    """
    return read_layout(path, (PARSE, from_parse))


def from_parse(files: dict[str, Path]) -> AnnData:
    """Count transcripts by cell and gene."""
    path = files["transcripts"]
    called = _called_cells(files["folder"])
    counts, names = read_or_explain(path, lambda path: _count(path, None if called is None else called.index))
    cells = pd.Index(counts["bc_wells"].unique()) if called is None else called.index
    genes = pd.Index(names.index)
    at = cells.get_indexer(counts["bc_wells"]), genes.get_indexer(counts["gene"])
    exonic, n = counts["exonic"].to_numpy(), counts["n"].to_numpy(dtype=np.float32)
    layers = {
        kind: sparse.csr_matrix((n[rows], (at[0][rows], at[1][rows])), shape=(len(cells), len(genes)))
        for kind, rows in (("spliced", exonic), ("unspliced", ~exonic))
    }
    adata = assemble(layers, *(pd.Series(list(given), dtype=object) for given in (cells, genes, names)))
    if called is not None:
        _check_called(path, adata)
        adata.obs = called
    return adata


def _count(path: Path, called: pd.Index | None) -> tuple[pd.DataFrame, pd.Series]:
    """Transcripts ``n`` by cell, gene and exonic or not, and the names of the genes by identifier."""
    counts, names = [], []
    with pd.read_csv(path, usecols=list(COLUMNS), dtype=str, chunksize=ROWS) as blocks:
        for block in blocks:
            block["exonic"] = _is_exonic(block["exonic"])
            block = block if called is None else block[block["bc_wells"].isin(called)]
            names.append(block[["gene", "gene_name"]].drop_duplicates("gene"))
            counts.append(block.groupby(["bc_wells", "gene", "exonic"], sort=False).size().reset_index(name="n"))
    if not counts:
        raise ValueError("it holds no transcript")
    named = pd.concat(names).drop_duplicates("gene").set_index("gene")["gene_name"]
    return pd.concat(counts, ignore_index=True), named


def _is_exonic(values: pd.Series) -> BoolArray:
    """Flags from the words True and False that split-pipe writes."""
    known = values.isin(["True", "False"])
    if not known.all():
        raise ValueError(
            f"column 'exonic' holds {values[~known].iloc[0]!r} where True or False must be; it is cut off or damaged"
        )
    return np.asarray(values == "True")


def _called_cells(folder: Path) -> pd.DataFrame | None:
    """What split-pipe says of the cells that it called, by their wells; None if it is not there."""
    path = existing(folder / CALLED)
    if path is None:
        return None
    table: pd.DataFrame = read_or_explain(path, lambda path: pd.read_csv(path, dtype={"bc_wells": str}))
    if "bc_wells" not in table:
        raise InputError(f"{path} has no column 'bc_wells', but {list(table.columns)}: it was not made by split-pipe.")
    table = table.set_index("bc_wells")
    table.index.name = None
    return table


def _check_called(path: Path, adata: AnnData) -> None:
    """split-pipe calls cells by their transcripts, so that each has some."""
    empty = adata.obs_names[np.asarray(adata.X.sum(axis=1)).ravel() == 0]
    if len(empty):
        raise InputError(
            f"{path} has no transcript of {len(empty)} of the {adata.n_obs} cells in {CALLED}, e.g. {empty[0]!r}: the "
            "two are not of one run, or one is cut off. Of several sublibraries read each folder by itself."
        )
