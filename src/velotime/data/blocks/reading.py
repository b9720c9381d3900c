"""What a fit reads of an AnnData whose counts lie in blocks."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime.compute import Blocks
from velotime.data.blocks.summary import Summary, empty_cells
from velotime.data.layers.plausibility import doubts_of_sums
from velotime.data.layers.sizes import sizes_of_totals
from velotime.data.layers.status import _tally
from velotime.data.reading import Reading, check_shape, refuse_empty
from velotime.inference import BlockedObservations


def read_blocks(adata: AnnData, names: tuple[str, str], blocks: Blocks) -> Reading:
    """Counts in blocks, checked, without changing ``adata``; as :func:`velotime.data.read_observations` in memory."""
    check_shape(adata)
    summary = Summary.of(blocks)
    status = summary.status
    genes = np.flatnonzero(status == keys.FITTED)
    if len(genes) == 0:
        raise InputError(
            f"no gene can be fitted: {_tally(status)}. Check that the layers {names} hold the right counts."
        )
    sizes = (
        sizes_of_totals(adata, layer.totals, column)
        for layer, column in ((summary.unspliced, keys.SIZE_UNSPLICED), (summary.spliced, keys.SIZE_SPLICED))
    )
    kept = (blocks if len(genes) == blocks.n_genes else blocks.genes(genes)).kept()
    refuse_empty(adata, empty_cells(kept))
    doubts = doubts_of_sums(summary.same, summary.total, names, counts=True)
    return Reading(BlockedObservations.of(kept, *sizes), genes, status, names, doubts)


def tables_in_memory(adata: AnnData) -> None:
    """Load the tables of an AnnData that was opened lazily; its counts stay where they are."""
    for name in ("obs", "var"):
        table = getattr(adata, name)
        if hasattr(table, "to_memory"):
            setattr(adata, name, table.to_memory())
