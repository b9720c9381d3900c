"""Write the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from anndata import AnnData

from velotime._check import FilePath, Flag, Optional, Text, checked
from velotime._numbers import number
from velotime.data import Fitted, check_output, require_fit, write_page
from velotime.data.arguments import ADATA, BASIS

LARGEST = 9_900_000  # bytes of a page, some below 10 MB


@checked(
    {"adata": ADATA, "path": FilePath(), "title": Optional(Text("a title")), "basis": Optional(BASIS), "force": Flag()}
)
def report(
    adata: AnnData, path: str | Path, *, title: str | None = None, basis: str | None = None, force: bool = False
) -> None:
    """Write a fit as one HTML file: self-contained, for any browser of 2023 or later, without Python or a network.

    The verdict comes first: how the fit ended, the direction of time, whether there is a trajectory at all, and what to
    mind. Then streamlines (computed for the page, and not kept, of up to 20,000 cells; of more where
    :func:`velotime.tl.velocity_embedding` was called), clusters and fates, the quality of the data, and what was done;
    the cells coloured by latent time or by any column of labels, a table of genes that can
    be searched and sorted, and for each gene its phase portrait, its counts and fit along latent time, and its rates
    with intervals; a paragraph of methods to copy, and tables to download.

    The file stays below 10 MB for any number of cells and genes, and says what it leaves out. At most 20,000 cells are
    drawn, fewer of them where the map is crowded. Counts and curves are kept for as many genes as fit, the most
    informative about time first: all of 900 genes in 4,000 cells. The table holds the rates of all genes, up to about
    50,000. Values that are not whole numbers are drawn in 256 steps.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    path
        Where to write; ends in ``.html``.
    title
        Heading of the page; by default the file's name, or where that is "report", how many cells and genes were
        fitted.
    basis
        Draw cells on ``obsm["X_<basis>"]``. By default UMAP, t-SNE or whichever embedding is there, and if there is
        none the first two principal components.
    force
        Replace an existing file.

    Raises
    ------
    InputError
        If nothing is fitted, the basis is not there, or the file cannot be written.
    """
    # Both take a while to import, so they are imported only when a report is written.
    from velotime.report._cells import collect_cells
    from velotime.report._facts import collect
    from velotime.report._genes import collect_genes
    from velotime.report._page import render
    from velotime.report.sections.collect import collect_sections

    path = Path(path)
    check_output(path, force=force, suffixes=(".html",))
    require_fit(adata)
    cells = collect_cells(adata, basis)
    genes, explorer = collect_genes(adata, cells.drawn)
    title, facts, sizes = title or _title(adata, path), collect(adata), np.array(explorer.fitted.sizes)[:, cells.drawn]
    sections = collect_sections(adata, basis)
    rest = len(render(title, facts, sections, cells, genes, sizes).encode("utf-8", "replace"))
    genes = replace(genes, packed=explorer.pack(LARGEST - rest))
    write_page(render(title, facts, sections, cells, genes, sizes), path, force=force)


def _title(adata: AnnData, path: Path) -> str:
    """What the page is of, as far as its file's name says."""
    record = Fitted.of(adata).record
    counted = f"{number(record['n_cells'])} cells, {number(record['n_genes'])} genes"
    return counted if path.stem.lower() == "report" else path.stem
