"""A stored fit as arrays again: slots in, the fit's own problem out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data.moments import read_for
from velotime.data.reading import read_labels
from velotime.inference import (
    CellLabels,
    Ends,
    FixedPrior,
    Gaussian,
    LearnedPrior,
    Markers,
    NegativeBinomial,
    Observations,
    Poisson,
    Restored,
    Root,
    SoftEM,
    StoredCurves,
    Terminals,
    TimeLabels,
    UniformPrior,
    restore,
)

SETTINGS = {
    kind.__name__: kind
    for kind in (
        Ends,
        FixedPrior,
        Gaussian,
        LearnedPrior,
        Markers,
        NegativeBinomial,
        Poisson,
        Root,
        SoftEM,
        Terminals,
        TimeLabels,
        UniformPrior,
    )
}
CLOSE = 0.01  # largest error of a latent time that counts as the same fit


def restore_soft_fit(adata: AnnData) -> tuple[IntArray, Restored]:
    """The fit in ``adata``, rebuilt from its counts and slots, and the indices of its genes.

    Exact up to rounding: the counts are read anew, the curves are those of ``var`` and ``varm``, and the
    method's settings those of ``uns["recover_dynamics"]``.

    Raises
    ------
    InputError
        If nothing is fitted, the method was not ``SoftEM``, or the counts are no longer those of the fit.
    """
    method, observations, labels, genes = _read_again(adata)
    fit = restore(method, observations, labels, _curves(adata, genes))
    _check_same(adata, fit)
    return genes, fit


def stored_method(adata: AnnData) -> tuple[SoftEM, Observations, CellLabels]:
    """The method of the fit in ``adata``, and what it was given."""
    return _read_again(adata)[:3]


def require_soft_fit(adata: AnnData) -> Any:
    """The record of the fit in ``adata``, which must be one by ``SoftEM``.

    Raises
    ------
    InputError
        If nothing is fitted, or by another method.
    """
    if keys.RECOVER_DYNAMICS not in adata.uns:
        raise InputError("nothing is fitted yet: call velotime.tl.recover_dynamics(adata) first.")
    record = adata.uns[keys.RECOVER_DYNAMICS]
    if record["method"] != SoftEM.__name__:
        raise InputError(
            f"the fit was made by {record['method']}, but this needs the posterior of time that SoftEM gives: "
            "call velotime.tl.recover_dynamics(adata, method=vt.SoftEM())."
        )
    return record


def _read_again(adata: AnnData) -> tuple[SoftEM, Observations, CellLabels, IntArray]:
    record = require_soft_fit(adata)
    method = _settings(record["settings"])
    reading = read_for(adata, method, **record["layers"])
    fitted = np.flatnonzero(np.isfinite(adata.var[keys.FIT_GAMMA]))
    if not np.array_equal(fitted, reading.genes) or adata.n_obs != int(record["n_cells"]):
        raise InputError(
            f"the fit was made of {int(record['n_cells'])} cells and {int(record['n_genes'])} genes, but "
            f"{adata.n_obs} cells and {len(reading.genes)} such genes are here: fit these cells and genes again."
        )
    labels = read_labels(adata, method.columns, method.marker_genes, reading.layers)
    return method, reading.observations, labels, fitted


def _check_same(adata: AnnData, fit: Restored) -> None:
    away = np.abs(fit.latent_time - np.asarray(adata.obs[keys.LATENT_TIME])).max()
    if not away < CLOSE:
        raise InputError(
            f"the counts are not those of the fit: latent times computed from them differ by up to {away:.2g}. "
            "Call velotime.tl.recover_dynamics(adata) again."
        )


def _curves(adata: AnnData, genes: IntArray) -> StoredCurves:
    """Parameters in the order of ``Layout`` from their natural scale."""

    def column(name: str) -> FloatArray:
        return np.asarray(adata.var[name], dtype=np.float64)[genes]

    beta, gamma, t_on = column(keys.FIT_BETA), column(keys.FIT_GAMMA), column(keys.FIT_T_ON)
    shared = [
        np.log(beta),
        np.log(gamma),
        t_on,
        np.log(column(keys.FIT_ALPHA_0) / gamma),
        np.log(column(keys.FIT_ALPHA) / gamma),
        np.log(column(keys.FIT_SCALING)),
    ]
    t_off = np.asarray(adata.varm[keys.LINEAGE_T_OFF], dtype=np.float64)[genes]
    alpha = np.asarray(adata.varm[keys.LINEAGE_ALPHA], dtype=np.float64)[genes]
    own = np.stack([np.log(t_off - t_on[:, None]), np.log(alpha / gamma[:, None])], axis=2)
    prior, known = adata.uns[keys.TIME_PRIOR], adata.uns[keys.KNOWLEDGE]["log_weights"]
    return StoredCurves(
        np.hstack([np.stack(shared, axis=1), own.reshape(len(genes), -1)]),
        column(keys.FIT_DISPERSION_U),
        column(keys.FIT_DISPERSION_S),
        np.asarray(prior["times"], dtype=np.float64),
        np.asarray(prior["weights"], dtype=np.float64),
        tuple(str(name) for name in prior["groups"]),
        tuple(np.asarray(known[str(k)], dtype=np.float64) for k in range(len(known))),
    )


def _settings(value: Any) -> Any:
    """Settings from what an .h5ad holds of them: the inverse of how they are written."""
    if isinstance(value, Mapping) and "name" not in value:
        return tuple(_settings(value[str(k)]) for k in range(len(value)))
    if isinstance(value, Mapping):
        fields = {name: _settings(field) for name, field in value.items() if name != "name"}
        return SETTINGS[str(value["name"])](**fields)
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return None if value == "none" else value
