"""Keep the genes that carry enough counts to be fitted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Flag, Names, Optional, Whole, checked
from velotime._log import info
from velotime._status import InputError, InputWarning
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.data import (
    Summary,
    check_genes,
    dispersions,
    doubts_about,
    doubts_of_sums,
    find_layers,
    lazily,
    open_blocks,
    read_layer,
    to_write_to,
)
from velotime.data.arguments import ADATA_IN_PLACE, LAYER

SHARE, LEAST_CELLS, MOST_CELLS = 0.015, 10, 100  # of the cells that must show a gene in each layer, by default


@checked(
    {
        "adata": ADATA_IN_PLACE,
        "min_cells": Optional(Whole(1)),
        "min_shared_counts": Whole(0),
        "n_top_genes": Optional(Whole(1)),
        "keep": Names("names of genes"),
        "unspliced": LAYER,
        "spliced": LAYER,
        "copy": Flag(),
    }
)
def filter_genes(
    adata: AnnData,
    *,
    min_cells: int | None = None,
    min_shared_counts: int = 20,
    n_top_genes: int | None = None,
    keep: Iterable[str] = (),
    unspliced: str | None = None,
    spliced: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Keep genes that enough cells show in both layers; optionally the most variable of them.

    Parameters
    ----------
    adata
        Cells x genes with raw counts of both layers; subset in place.
    min_cells
        Cells with a count, in each layer, that a gene needs. By default 1.5 % of the cells, at least 10 and at most
        100: there must be counts on every stretch of a gene's curve, but that takes a number of cells, not a share,
        and a share drops the genes of a rare lineage in a large set. There ``min_shared_counts`` keeps out genes that
        are noise: those have both layers in the same cell by chance only.
    min_shared_counts
        Counts that a gene needs, over cells that have it in both layers (scVelo's criterion and default).
    n_top_genes
        Keep at most so many, those with the largest variance over mean of log-normalised spliced counts. All by
        default: genes that vary little cost time but do no harm.
    keep
        Genes that stay whatever their counts, such as markers known to be early or late (:class:`velotime.Markers`).
    unspliced, spliced
        Layer names; found by themselves by default.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; subsets ``adata`` and writes

    ``obs["initial_size_unspliced"]``, ``obs["initial_size_spliced"]``
        Each cell's total over all genes, before filtering. float.
    ``uns["filter_genes"]``
        How many genes were kept, and how many were removed, by reason. dict.

    Raises
    ------
    InputError
        If a layer or a gene to keep is missing, or no gene is left; ``adata`` is as it was.

    Warns
    -----
    InputWarning
        If hardly any counts are unspliced (the assay sees no introns), or both layers are the same.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(200, 50, rng=np.random.default_rng(0))
    >>> vt.pp.filter_genes(adata, keep=["gene_3"])
    >>> adata.uns["filter_genes"]["kept"] == adata.n_vars < 50
    True
    >>> "gene_3" in adata.var_names
    True
    """
    names = find_layers(adata, unspliced, spliced)
    seen = _look(adata, names)
    least = _least_cells(adata.n_obs) if min_cells is None else min_cells
    reasons = {
        f"unspliced in fewer than {least} cells": seen.detected[0] < least,
        f"spliced in fewer than {least} cells": seen.detected[1] < least,
        f"fewer than {min_shared_counts} shared counts": seen.shared < min_shared_counts,
    }
    wanted = _named(adata, keep)
    reasons = {reason: meets & ~wanted for reason, meets in reasons.items()}
    stay = ~np.any(list(reasons.values()), axis=0)
    went = _first_reasons(reasons)
    if not stay.any():
        raise InputError(
            f"no gene is left of {adata.n_vars}: {', '.join(f'{n} {why}' for why, n in went.items())}. "
            "Lower min_cells or min_shared_counts, or check that the layers hold raw counts."
        )
    if n_top_genes is not None and stay.sum() > n_top_genes:
        top = np.flatnonzero(stay)[np.argsort(-seen.dispersion(np.flatnonzero(stay)), kind="stable")[:n_top_genes]]
        best = np.isin(np.arange(adata.n_vars), top) | wanted
        went["not among the most variable"] = int(stay.sum() - best.sum())
        stay = best
    totals = {
        column: total
        for column, total in zip((keys.SIZE_UNSPLICED, keys.SIZE_SPLICED), seen.totals, strict=True)
        if column not in adata.obs
    }
    lazy = {name: lazily(adata.layers[name], name) for name in names}
    for doubt in seen.doubts:  # before anything is written, as warnings may be errors
        warnings.warn(doubt, InputWarning, stacklevel=3)
    adata = to_write_to(adata, copy=copy)
    adata.layers.update({name: layer for name, layer in lazy.items() if layer is not adata.layers[name]})
    adata._inplace_subset_var(stay)
    for column, total in totals.items():
        adata.obs[column] = total
    adata.uns[keys.FILTER_GENES] = {"kept": int(stay.sum()), "left_out": went}
    info(f"kept {adata.n_vars:,} genes; left out: " + (", ".join(f"{n:,} {why}" for why, n in went.items()) or "none"))
    return adata if copy else None


def _least_cells(n_cells: int) -> int:
    """Cells that a gene needs: a share of few cells, a number of many."""
    return max(LEAST_CELLS, min(MOST_CELLS, int(np.ceil(SHARE * n_cells))))


def _named(adata: AnnData, genes: Iterable[str]) -> BoolArray:
    """Mark genes by name, ``(genes,)``."""
    genes = list(genes)
    check_genes(adata, genes)
    return np.asarray(adata.var_names.isin(genes))


@dataclass(frozen=True)
class _Seen:
    """What the choice of genes needs of both layers.

    Attributes
    ----------
    totals
        Sum of each cell, unspliced and spliced, ``(cells,)`` each.
    detected
        Cells with each gene, ``(genes,)`` each.
    shared
        Counts of both layers over the cells that have a gene in both, ``(genes,)``.
    doubts
        What looks wrong with the layers.
    dispersion
        Variance over mean of log-normalised spliced counts of some genes, ``(genes,)``.
    """

    totals: tuple[FloatArray, FloatArray]
    detected: tuple[Any, Any]
    shared: FloatArray
    doubts: tuple[str, ...]
    dispersion: Callable[[IntArray], FloatArray]


def _look(adata: AnnData, names: tuple[str, str]) -> _Seen:
    """Both layers, in memory or in blocks."""
    blocks = open_blocks(adata, names)
    if blocks is not None:
        found = Summary.of(blocks)
        u, s = found.unspliced, found.spliced
        doubts = doubts_of_sums(found.same, found.total, names, counts=True)
        return _Seen((u.totals, s.totals), (u.detected, s.detected), found.shared, doubts, dispersions(blocks))
    u, s = (read_layer(adata, name, counts=True) for name in names)
    return _Seen(
        tuple(np.asarray(layer.sum(axis=1, dtype=np.float64)).ravel() for layer in (u, s)),
        (_detected(u), _detected(s)),
        _shared_counts(u, s),
        doubts_about(u, s, names, counts=True),
        lambda genes: _dispersion(s[:, genes]),
    )


def _detected(layer: Any) -> FloatArray:
    return np.asarray((layer > 0).sum(axis=0)).ravel()


def _shared_counts(u: Any, s: Any) -> FloatArray:
    """Counts of both layers over the cells that have the gene in both, ``(genes,)``."""
    both = (u > 0).multiply(s > 0)
    return np.asarray((u + s).multiply(both).sum(axis=0)).ravel()


def _first_reasons(reasons: dict[str, Any]) -> dict[str, int]:
    """Count each gene once, under the first reason that it meets."""
    seen: Any = False
    out = {}
    for reason, meets in reasons.items():
        n = int((meets & ~np.asarray(seen)).sum())
        seen = seen | meets
        if n:
            out[reason] = n
    return out


def _dispersion(s: Any) -> FloatArray:
    """Variance over mean of log-normalised counts, ``(genes,)``."""
    total = np.asarray(s.sum(axis=1)).ravel()
    scale = np.median(total) / np.maximum(total, 1)
    normal = s.multiply(scale[:, None]).tocsr()
    normal.data = np.log1p(normal.data)
    mean = np.asarray(normal.mean(axis=0)).ravel()
    variance = np.asarray(normal.multiply(normal).mean(axis=0)).ravel() - mean**2
    return np.asarray(variance / np.maximum(mean, 0.05))
