"""Moments as a method reads them: where from, and which genes have data behind them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import IntArray
from velotime.data.blocks.reading import read_blocks
from velotime.data.blocks.rows import row_blocks
from velotime.data.blocks.sources import open_blocks
from velotime.data.layers.by_sample import by_sample
from velotime.data.layers.names import find_layers, layer_names
from velotime.data.layers.plausibility import doubts_about
from velotime.data.layers.status import tally
from velotime.data.layers.values import read_layer
from velotime.data.neighbors.table import N_NEIGHBORS, read_neighbors
from velotime.data.reading import Reading, check_shape, leave_out, read_observations
from velotime.inference import Method, Observations, Reads, SoftEM

LEAST_EXPRESSING = 10  # cells that must show a gene, in each layer


def read_for(adata: AnnData, method: Method, *, unspliced: str | None = None, spliced: str | None = None) -> Reading:
    """Read what a method wants to be given; see :func:`read_observations` and :func:`read_moments`."""
    if method.reads is Reads.MOMENTS:
        return read_moments(adata, unspliced=unspliced, spliced=spliced)
    if isinstance(method, SoftEM) and method.noise.counts:
        names = find_layers(adata, unspliced, spliced)
        blocks = open_blocks(adata, names)
        if blocks is not None:
            return _as_asked(read_blocks(adata, names, blocks), adata, method)
    reading = read_observations(adata, unspliced=unspliced, spliced=spliced, counts=method.reads is Reads.COUNTS)
    reading = replace(reading, observations=replace(reading.observations, n_averaged=_averaged(adata, reading.layers)))
    return _as_asked(reading, adata, method)


def _as_asked(reading: Reading, adata: AnnData, method: Method) -> Reading:
    """Without the genes that the method leaves out, and with the samples that it names."""
    without, samples = getattr(method, "without", ()), getattr(method, "samples", None)
    if without:
        reading = leave_out(reading, adata, without)
    return reading if samples is None else by_sample(reading, adata, samples)


def read_moments(adata: AnnData, *, unspliced: str | None = None, spliced: str | None = None) -> Reading:
    """Read layers ``Mu`` and ``Ms``, or those named, checked, without changing ``adata``.

    Genes that fewer than 10 cells show in a layer are left out. Cells are counted in the raw counts where these are
    there: a mean over neighbours spreads a single count over dozens of cells.

    Raises
    ------
    InputError
        If there are no moments, a fit wrote them, or no gene can be fitted.
    """
    names = keys.MU if unspliced is None else unspliced, keys.MS if spliced is None else spliced
    _check_moments(adata, unspliced, spliced)
    check_shape(adata)
    u, s = (read_layer(adata, name, counts=False) for name in names)
    doubts = doubts_about(u, s, names, counts=False)
    status = np.full(adata.n_vars, keys.FITTED, dtype=object)
    for values, counted, kind in zip((s, u), _counted(adata, names)[::-1], ("spliced", "unspliced"), strict=True):
        shown = _expressing(counted)
        status[np.minimum(shown, _expressing(values)) < LEAST_EXPRESSING] = (
            f"{kind} in fewer than {LEAST_EXPRESSING} cells"
        )
        status[shown == 0] = f"no {kind} counts"
    genes = np.flatnonzero(status == keys.FITTED)
    if len(genes) == 0:
        reasons = ", ".join(f"{n} genes with {reason}" for reason, n in tally(status).items())
        raise InputError(f"no gene can be fitted: {reasons}. Check that the layers {names} hold the right values.")
    if len(genes) < adata.n_vars:
        u, s = u[:, genes], s[:, genes]
    ones = np.ones(adata.n_obs)
    return Reading(Observations(u, s, ones, ones, _averaged(adata, names)), genes, status, names, doubts)


def _check_moments(adata: AnnData, unspliced: str | None, spliced: str | None) -> None:
    """Layers that are named must be there; those that are not named must be moments."""
    for given, name in ((unspliced, keys.MU), (spliced, keys.MS)):
        layer = name if given is None else given
        if layer not in adata.layers:
            raise InputError(
                f"layer {layer!r} not found in adata.layers; available: {layer_names(adata)}. "
                "This method reads moments: call velotime.pp.moments(adata) first, or name layers of normalised values "
                "with unspliced= and spliced=."
            )
        source = adata.uns.get(keys.MOMENTS, {}).get("source")
        if given is None and source == keys.FITTED_MEANS:
            raise InputError(
                f"layer {name!r} holds the means that a fit wrote, not moments: a fit of these would only see its own "
                "curves again. Call velotime.pp.moments(adata) to replace them, or name other layers with unspliced= "
                "and spliced=."
            )


def _averaged(adata: AnnData, names: tuple[str, str]) -> float:
    """Cells that each value is a mean of: as recorded, else by the neighbours that are there, else by the default."""
    record = adata.uns.get(keys.MOMENTS, {})
    if names != (keys.MU, keys.MS) or record.get("source") == keys.COPIED:
        return 1.0
    if keys.N_AVERAGED in record:
        return float(record[keys.N_AVERAGED])
    neighbors = read_neighbors(adata)
    return 1.0 + N_NEIGHBORS if neighbors is None else neighbors.n_averaged


def _counted(adata: AnnData, names: tuple[str, str]) -> tuple[Any, Any]:
    """The layers in which to count expressing cells: raw counts if there are some, else those that are fitted."""
    with suppress(InputError):
        names = find_layers(adata)
    return adata.layers[names[0]], adata.layers[names[1]]


def _expressing(layer: Any) -> IntArray:
    """Cells with a value other than 0, ``(genes,)``."""
    return np.asarray(sum(_nonzero(block) for block in row_blocks(layer)))


def _nonzero(block: Any) -> IntArray:
    return np.asarray(block.count_nonzero(axis=0) if sparse.issparse(block) else np.count_nonzero(block, axis=0))
