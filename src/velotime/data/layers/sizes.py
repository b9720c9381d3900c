"""Size factors: one definition for fits, graphs, metrics and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data.blocks.sources import open_blocks
from velotime.data.blocks.summary import Summary
from velotime.data.layers.values import read_layer

SMALLEST_SIZE = 0.05  # size factors are floored here: a nearly empty cell must not count for nothing


def size_factors(adata: AnnData, layer: Any, column: str) -> FloatArray:
    """Totals of the cells relative to their mean, ``(cells,)``."""
    total = None if column in adata.obs else np.asarray(layer.sum(axis=1, dtype=np.float64)).ravel()
    return sizes_of_totals(adata, total, column)


def sizes_of_totals(adata: AnnData, total: FloatArray | None, column: str) -> FloatArray:
    """The same from the cells' totals, which count where ``obs`` does not hold those before filtering."""
    if total is None or column in adata.obs:
        total = np.asarray(adata.obs[column], dtype=np.float64)
        if not (np.all(np.isfinite(total)) and np.all(total >= 0) and total.sum() > 0):
            raise InputError(
                f"adata.obs[{column!r}] must hold each cell's total count: finite, 0 or more. Delete it to use sums."
            )
    return np.asarray(np.maximum(total / total.mean(), SMALLEST_SIZE))


def layer_sizes(adata: AnnData, name: str) -> FloatArray:
    """Size factors of a layer, ``(cells,)``: the one place that says what a layer is to be divided by.

    Those of the fit if it was fitted, else :func:`fresh_sizes`.
    """
    layers = adata.uns.get(keys.RECOVER_DYNAMICS, {}).get("layers", {})
    for kind, column in (("spliced", keys.FIT_SIZE_SPLICED), ("unspliced", keys.FIT_SIZE_UNSPLICED)):
        if layers.get(kind) == name and column in adata.obs:
            return np.asarray(adata.obs[column], dtype=np.float64)
    return fresh_sizes(adata, name)


def fresh_sizes(adata: AnnData, name: str) -> FloatArray:
    """Size factors of a layer as a fit would compute them, ``(cells,)``; 1 where values are normalised already."""
    column = keys.SIZE_UNSPLICED if name in keys.UNSPLICED_NAMES else keys.SIZE_SPLICED
    blocks = open_blocks(adata, (name, name))
    if blocks is not None:
        return sizes_of_totals(adata, Summary.of(blocks).spliced.totals, column)
    layer = read_layer(adata, name, counts=False)
    values = layer.data if sparse.issparse(layer) else layer
    if not (np.all(values >= 0) and np.array_equal(values, np.floor(values))):
        return np.ones(adata.n_obs)
    return size_factors(adata, layer, column)
