"""Keep the cells that carry counts in the genes to fit."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Flag, Whole, checked
from velotime._log import info
from velotime._status import InputError
from velotime.data import Summary, blocks_of_rows, cell_totals, find_layers, open_blocks, read_layer, to_write_to
from velotime.data.arguments import ADATA_IN_PLACE, LAYER


@checked({"adata": ADATA_IN_PLACE, "min_counts": Whole(1), "unspliced": LAYER, "spliced": LAYER, "copy": Flag()})
def filter_cells(
    adata: AnnData,
    *,
    min_counts: int = 1,
    unspliced: str | None = None,
    spliced: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Keep cells with counts in the genes that a fit uses: those with counts in both layers.

    scanpy's function of this name counts in ``X``, which may hold something else than both layers, and in all genes.

    Parameters
    ----------
    adata
        Cells x genes with raw counts of both layers; subset in place. Call :func:`filter_genes` first.
    min_counts
        Counts that a cell needs, of both layers together.
    unspliced, spliced
        Layer names; found by themselves by default.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; subsets ``adata`` and writes

    ``uns["filter_cells"]``
        How many cells were kept and how many left out. dict.

    Raises
    ------
    InputError
        If a layer is missing, or no cell is left; ``adata`` is as it was.
    """
    names = find_layers(adata, unspliced, spliced)
    blocks = open_blocks(adata, names)
    if blocks is None:
        blocks = blocks_of_rows([read_layer(adata, name, counts=True) for name in names], names)
    else:
        blocks = blocks.kept()
    stay = np.ones(adata.n_obs, dtype=bool)
    while stay.any():  # a gene can become constant, and is not fitted then, when cells go
        genes = np.flatnonzero(Summary.of(blocks, stay).status == keys.FITTED)
        fewer = stay & (cell_totals(blocks.genes(genes)) >= min_counts)
        if np.array_equal(fewer, stay):
            break
        stay = fewer
    if not stay.any():
        raise InputError(
            f"no cell of {adata.n_obs} is left: none has {min_counts} counts in genes that show both layers. "
            "Lower min_counts, keep more genes, or check that the layers hold raw counts."
        )
    adata, left_out = to_write_to(adata, copy=copy), int((~stay).sum())
    if left_out:
        adata._inplace_subset_obs(stay)
    adata.uns[keys.FILTER_CELLS] = {"kept": int(stay.sum()), "left_out": left_out}
    info(f"kept {adata.n_obs:,} cells with counts in the genes to fit, left out {left_out:,}")
    return adata if copy else None
