"""AnnData in, arrays out: find the layers, check them, pick the genes that can be fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import BoolArray, IntArray
from velotime.data.layers.names import find_layers
from velotime.data.layers.plausibility import doubts_about
from velotime.data.layers.sizes import size_factors
from velotime.data.layers.status import _tally, gene_status
from velotime.data.layers.values import read_layer
from velotime.inference import Observations

LEAST_CELLS = 20


@dataclass(frozen=True)
class Reading:
    """What was read of an AnnData.

    Attributes
    ----------
    observations
        Values of the genes that can be fitted, all cells.
    genes
        Their indices in the AnnData, ``(fitted genes,)``.
    fit_status
        For every gene of the AnnData "fitted", or why not, ``(all genes,)``.
    layers
        Names of the unspliced and the spliced layer.
    doubts
        What looks wrong with the layers, one sentence each, to be warned about before a fit.
    others, other_genes
        Values of the genes that are left out of the clock, if any, and their indices.
    """

    observations: Observations
    genes: IntArray
    fit_status: Any
    layers: tuple[str, str]
    doubts: tuple[str, ...] = ()
    others: Observations | None = None
    other_genes: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def with_curves(self) -> IntArray:
        """Indices of all genes that get a curve, those of the clock first."""
        return np.concatenate([self.genes, self.other_genes])


def read_observations(
    adata: AnnData, *, unspliced: str | None = None, spliced: str | None = None, counts: bool = True
) -> Reading:
    """Read both layers, checked, without changing ``adata``.

    Parameters
    ----------
    adata
        Cells x genes.
    unspliced, spliced
        Layer names; found by themselves by default, see :func:`find_layers`.
    counts
        Whether values must be whole numbers; then size factors are each cell's total over all genes (before filtering,
        where :func:`velotime.pp.filter_genes` or scVelo left it in ``obs``) relative to the mean. Otherwise they are 1.

    Raises
    ------
    InputError
        For anything that cannot be fitted; the message says what to do.
    """
    names = find_layers(adata, unspliced, spliced)
    check_shape(adata)
    u, s = (read_layer(adata, name, counts=counts) for name in names)
    doubts = doubts_about(u, s, names, counts=counts)
    status = gene_status(u, s)
    genes = np.flatnonzero(status == keys.FITTED)
    if len(genes) == 0:
        raise InputError(
            f"no gene can be fitted: {_tally(status)}. Check that the layers {names} hold the right counts."
        )
    sizes = [
        size_factors(adata, layer, column) if counts else np.ones(adata.n_obs)
        for layer, column in ((u, keys.SIZE_UNSPLICED), (s, keys.SIZE_SPLICED))
    ]
    if len(genes) < adata.n_vars:
        u, s = u[:, genes], s[:, genes]
    if counts:
        _check_cells(adata, u, s)
    return Reading(Observations(u, s, sizes[0], sizes[1]), genes, status, names, doubts)


def leave_out(reading: Reading, adata: AnnData, names: tuple[str, ...]) -> Reading:
    """The same with some genes apart, whose status says so; size factors stay.

    Raises
    ------
    InputError
        If there is no such gene, or no other one is left.
    """
    missing = [name for name in names if name not in adata.var_names]
    if missing:
        raise InputError(
            f"without: genes {missing[:5]} not found in adata.var_names, e.g. {list(adata.var_names[:3])}. "
            "Name genes that are there."
        )
    out = np.isin(reading.genes, adata.var_names.get_indexer(list(names)))
    if out.all():
        raise InputError(f"without: none of {len(out)} genes is left for the clock; name fewer.")
    status = reading.fit_status.copy()
    status[reading.genes[out]] = keys.LEFT_OUT
    kept, others = (reading.observations.select_genes(np.flatnonzero(which)) for which in (~out, out))
    return replace(
        reading,
        observations=kept,
        genes=reading.genes[~out],
        fit_status=status,
        others=others.in_memory if out.any() else None,
        other_genes=reading.genes[out],
    )


def check_shape(adata: AnnData) -> None:
    """Check that there are enough cells, and that names of cells and of genes are unique."""
    if adata.n_obs < LEAST_CELLS:
        raise InputError(f"only {adata.n_obs} cells: a fit needs at least {LEAST_CELLS}.")
    for axis, names in (("obs", adata.obs_names), ("var", adata.var_names)):
        if not names.is_unique:
            twice = list(pd.unique(names[names.duplicated()])[:3])
            merge = "" if axis == "var" else ", or merge samples with velotime.read.samples([...])"
            raise InputError(
                f"adata.{axis}_names are not unique, e.g. {twice}. Call adata.{axis}_names_make_unique() first{merge}."
            )
    if _share_of_barcodes(adata.var_names) > 0.5 > _share_of_barcodes(adata.obs_names):
        raise InputError(
            f"adata is {adata.shape}, genes x cells: its var_names are barcodes, e.g. {adata.var_names[0]!r}. Cells "
            "belong in rows: adata = adata.T.copy()."
        )


def _share_of_barcodes(names: pd.Index) -> float:
    """How many of the first names hold 12 or more letters of DNA in a row, as barcodes of droplets do."""
    first = pd.Series(names[:100].astype(str))
    return float(first.str.contains("[ACGT]{12}", regex=True).mean()) if len(first) else 0.0


def _check_cells(adata: AnnData, u: Any, s: Any) -> None:
    refuse_empty(adata, np.asarray(u.sum(axis=1) + s.sum(axis=1)).ravel() == 0)


def refuse_empty(adata: AnnData, empty: BoolArray) -> None:
    """Refuse cells without counts in the genes to fit, ``(cells,)``."""
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} cells have no counts in the genes to fit, e.g. {list(adata.obs_names[empty][:3])}. "
            "Remove them with velotime.pp.filter_cells(adata), or keep more genes."
        )
