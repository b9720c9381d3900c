"""A fit by ``SoftEM`` taken up again: its own problem, from the counts and what is stored of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import IntArray
from velotime.data.blocks.rows import lies_elsewhere
from velotime.data.fitted import Fitted
from velotime.data.labels import read_labels
from velotime.data.moments import read_for
from velotime.data.stored.effects import read_effects
from velotime.data.stored.gene_columns import read_not_cycling
from velotime.inference import CellLabels, Observations, Restored, SoftEM, StoredCurves, restore

CLOSE = 0.01  # largest error of a latent time that counts as the same fit


def restore_soft_fit(adata: AnnData) -> tuple[IntArray, Restored]:
    """The fit in ``adata``, rebuilt from its counts and slots, and the indices of its genes.

    Exact up to rounding: the counts are read again; curves, size factors and settings are those of the fit.

    Raises
    ------
    InputError
        If nothing is fitted, the method was not ``SoftEM``, or the counts are no longer those of the fit.
    """
    fitted = require_soft_fit(adata)
    method, observations, labels = _read_again(fitted)
    fit = restore(method, observations, labels, _curves(fitted))
    _check_same(fitted, fit)
    return fitted.genes, fit


def restore_soft_fit_in_memory(adata: AnnData) -> tuple[IntArray, Restored]:
    """The same, for what looks at all counts at once.

    Raises
    ------
    InputError
        As there, or if the counts lie in a file or in Dask arrays.
    """
    elsewhere = [name for name in require_soft_fit(adata).layers if lies_elsewhere(adata.layers[name])]
    if elsewhere:
        raise InputError(
            f"this needs the counts of the fit in memory, but layer {elsewhere[0]!r} lies in a file or a Dask array: "
            "call adata = adata.to_memory() first."
        )
    return restore_soft_fit(adata)


def stored_method(adata: AnnData) -> tuple[SoftEM, Observations, CellLabels]:
    """The method of the fit in ``adata``, and what it was given."""
    return _read_again(require_soft_fit(adata))


def require_soft_fit(adata: AnnData) -> Fitted:
    """The fit in ``adata``, which must be one by ``SoftEM``.

    Raises
    ------
    InputError
        If nothing is fitted, or by another method.
    """
    fitted = Fitted.of(adata)
    if fitted.method != SoftEM.__name__:
        raise InputError(
            f"the fit was made by {fitted.method}, but this needs the posterior of time that SoftEM gives: "
            "call velotime.tl.recover_dynamics(adata, method=vt.SoftEM())."
        )
    return fitted.require("posterior", "prior")


def _read_again(fitted: Fitted) -> tuple[SoftEM, Observations, CellLabels]:
    adata, record, method = fitted.adata, fitted.record, fitted.settings
    unspliced, spliced = fitted.layers
    reading = read_for(adata, method, unspliced=unspliced, spliced=spliced)
    if not np.array_equal(fitted.genes, reading.genes) or adata.n_obs != int(record["n_cells"]):
        raise InputError(
            f"the fit was made of {int(record['n_cells'])} cells and {int(record['n_genes'])} genes, but "
            f"{adata.n_obs} cells and {len(reading.genes)} such genes are here: fit these cells and genes again."
        )
    labels = read_labels(adata, method.columns, method.marker_genes, reading.layers)
    u, s = fitted.sizes
    return method, replace(reading.observations, size_unspliced=u, size_spliced=s), labels


def _check_same(fitted: Fitted, fit: Restored) -> None:
    away = np.nanmax(np.abs(fit.problem.states.clock.away(fit.latent_time, fitted.latent_time)))
    if not away < CLOSE:
        raise InputError(
            f"the counts are not those of the fit: latent times computed from them differ by up to {away:.2g}. "
            "Call velotime.tl.recover_dynamics(adata) again."
        )


def _curves(fitted: Fitted) -> StoredCurves:
    prior, known = fitted.time_prior, fitted.adata.uns[keys.KNOWLEDGE]["log_weights"]
    return StoredCurves(
        fitted.theta(),
        *fitted.scatter(),
        np.asarray(prior["times"], dtype=np.float64),
        np.asarray(prior["weights"], dtype=np.float64),
        tuple(str(name) for name in prior["groups"]),
        tuple(np.asarray(known[str(k)], dtype=np.float64) for k in range(len(known))),
        fitted.background(),
        read_effects(fitted.adata, fitted.genes),
        read_not_cycling(fitted.adata, fitted.genes),
        np.asarray(prior["parting"], dtype=np.float64) if "parting" in prior else None,
    )
