"""Two runs of Cell Ranger on the same reads, with and without introns: their difference is what lies in introns."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError, InputWarning
from velotime.data.formats.parts.layout import Layout, assemble, check_shapes
from velotime.data.formats.parts.source import read_checked, read_lines, read_matrix, read_table

TENX = {"counts": "matrix.mtx", "cells": "barcodes.tsv", "genes": "features.tsv"}
CALLED = Layout(
    "Cell Ranger",
    (
        "",
        "filtered_feature_bc_matrix",
        "outs/filtered_feature_bc_matrix",
        "sample_filtered_feature_bc_matrix",
        "count/sample_filtered_feature_bc_matrix",
    ),
    TENX,
)
ALL = Layout("Cell Ranger", ("", "raw_feature_bc_matrix", "outs/raw_feature_bc_matrix"), TENX)
GENES = "Gene Expression"  # the kind of feature, beside antibodies and guides


def read_cellranger_pair(with_introns: str | Path, without_introns: str | Path) -> AnnData:
    """Read two runs of ``cellranger count`` on the same reads, with ``--include-introns`` true and false.

    Molecules that only the first run counts lie in introns: unspliced = with - without, entry by entry. A molecule
    whose reads lie in both counts as spliced. Where a gene has more without than with introns (a read that introns
    make ambiguous between genes), the difference is set to 0, and a warning says how often.

    Parameters
    ----------
    with_introns, without_introns
        Folder of each run, its ``outs``, the folder of a matrix in it (``matrix.mtx``, ``barcodes.tsv``,
        ``features.tsv``, compressed or not), or a file ``filtered_feature_bc_matrix.h5``. Cells are those called with
        introns; of the other run ``raw_feature_bc_matrix`` is read where it is there, since it may call fewer.

    Returns
    -------
    Cells x genes as of :func:`starsolo`, without ``ambiguous``.

    Warns
    -----
    InputWarning
        If differences were below 0, or cells are missing in the other run.

    Raises
    ------
    InputError
        If the files are not there, or the runs do not share cells and genes.
    """
    total, exonic = _counts(Path(with_introns), CALLED), _counts(Path(without_introns), ALL, CALLED)
    if set(total.var_names) != set(exonic.var_names):
        n = len(set(total.var_names) ^ set(exonic.var_names))
        raise InputError(
            f"the runs differ in {n:,} genes: they were made with different references. Run both with the same one."
        )
    cells = total.obs_names[total.obs_names.isin(exonic.obs_names)]
    if not len(cells):
        raise InputError(
            f"the runs share no cell: {total.obs_names[0]!r} and {exonic.obs_names[0]!r} are examples of their "
            "barcodes. Both must be of the same reads."
        )
    if len(cells) < total.n_obs:
        _warn(f"{total.n_obs - len(cells):,} of {total.n_obs:,} cells are not in the run without introns: left out.")
    total, exonic = total[cells], exonic[cells, total.var_names]
    layers = {"spliced": exonic.X, "unspliced": _difference(total.X, exonic.X)}
    series = (pd.Series(list(given), dtype=object) for given in (cells, total.var_names, total.var["name"]))
    return assemble(layers, *series)


def _difference(total: sparse.csr_matrix, exonic: sparse.csr_matrix) -> sparse.csr_matrix:
    """Entry by entry, at least 0."""
    difference = sparse.csr_matrix(total - exonic)
    below = difference.data < 0
    if below.any():
        lost = -float(difference.data[below].sum())
        _warn(
            f"{int(below.sum()):,} of {exonic.nnz:,} counts are higher without introns than with them, by {lost:,.0f} "
            f"molecules of {exonic.sum():,.0f} in all: unspliced is 0 there."
        )
        if lost > 0.5 * exonic.sum():
            raise InputError("the run without introns counts more than that with introns: exchange the two.")
        difference.data[below] = 0
        difference.eliminate_zeros()
    return difference


def _counts(path: Path, *layouts: Layout) -> AnnData:
    """Counts of genes, cells x genes, by identifier, with names in ``var["name"]``."""
    if path.is_file():
        adata = read_checked(path, lambda path: sc.read_10x_h5(path, gex_only=True), ".h5")
        names = adata.var_names
        adata.var = pd.DataFrame({"name": names.to_numpy()}, index=adata.var["gene_ids"].to_numpy())
        return adata
    files = next((found for layout in layouts if (found := layout.find(path)) is not None), None)
    if files is None:
        looked = "; ".join(str(layout) for layout in layouts)
        raise InputError(f"{path} {'holds no counts' if path.exists() else 'does not exist'}. Looked for {looked}.")
    cells, genes = read_lines(files["cells"]), read_table(files["genes"])
    counts = read_matrix(files["counts"]).T.tocsr()
    check_shapes(files, {"counts": counts}, cells, genes)
    wanted = np.asarray(genes[2] == GENES) if genes.shape[1] > 2 else np.ones(len(genes), dtype=bool)
    var = pd.DataFrame({"name": genes.iloc[:, min(1, genes.shape[1] - 1)].to_numpy()}, index=genes[0].to_numpy())
    return AnnData(counts, obs=pd.DataFrame(index=cells.to_numpy()), var=var)[:, wanted].copy()


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)
