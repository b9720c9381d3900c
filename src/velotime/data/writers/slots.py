"""Results into an AnnData: what is alike for all methods, and the only place that fills slots.

A method's own slots are collected by a function in a module of its own, registered with :func:`slots_of` for the type
of its result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import singledispatch
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.data.reading import Reading, tally
from velotime.inference import Fit, Method


@dataclass
class Slots:
    """What is to be written, by container; ``record`` joins what the records of all methods hold.

    ``fit_status`` replaces that of the reading where the fit itself found more genes that it could not fit.
    """

    layers: dict[str, FloatArray] = field(default_factory=dict)
    obs: dict[str, Any] = field(default_factory=dict)
    var: dict[str, Any] = field(default_factory=dict)
    obsm: dict[str, FloatArray] = field(default_factory=dict)
    varm: dict[str, FloatArray] = field(default_factory=dict)
    uns: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    fit_status: Any = None


@singledispatch
def slots_of(fit: Any, adata: AnnData, reading: Reading) -> Slots:  # noqa: ARG001
    """Slots of a method's own, by the type of its result."""
    raise TypeError(f"no writer for a {type(fit).__name__}: register one with velotime.data.slots_of.")


def write_fit(adata: AnnData, reading: Reading, method: Method, fit: Fit, *, seed: int) -> None:
    """Write any method's result; everything is computed before the first slot is touched.

    What an earlier fit left and this one does not write is removed, so that no slot belongs to another fit.
    """
    slots = slots_of(fit, adata, reading)
    if slots.fit_status is not None:
        reading = replace(reading, fit_status=slots.fit_status, genes=np.flatnonzero(slots.fit_status == keys.FITTED))
    slots.var[keys.FIT_STATUS] = pd.Categorical(reading.fit_status.astype(str))
    slots.uns[keys.RECOVER_DYNAMICS] = _record(adata, reading, method, fit, seed) | slots.record
    if keys.VELOCITY in slots.layers:
        slots.uns[keys.VELOCITY_PARAMS] = {"mode": "dynamical", "fit_offset": False, "perc": np.array([5, 95])}
    _remove_earlier(adata)
    adata.layers.update(slots.layers)
    for name, column in slots.var.items():
        adata.var[name] = column
    for name, values in slots.obs.items():
        adata.obs[name] = values
    adata.obsm.update(slots.obsm)
    adata.varm.update(slots.varm)
    adata.uns.update(slots.uns)


def _record(adata: AnnData, reading: Reading, method: Method, fit: Fit, seed: int) -> dict[str, Any]:
    unspliced, spliced = reading.layers
    return {
        "method": type(method).__name__,
        "settings": plain(method),
        "status": fit.status.value,
        "status_text": fit.status.text,
        "iterations": len(fit.trace.bound),
        "bound": fit.trace.bound,
        "temperature": fit.trace.temperature,
        "log_likelihood": fit.log_likelihood,
        "seconds": fit.seconds,
        "n_cells": adata.n_obs,
        "n_genes": len(reading.genes),
        "left_out": tally(reading.fit_status),
        "layers": {"unspliced": unspliced, "spliced": spliced},
        keys.N_AVERAGED: reading.observations.n_averaged,
        "seed": seed,
        "units": "relative",
        "version": version("velotime"),
    }


def _remove_earlier(adata: AnnData) -> None:
    if keys.RECOVER_DYNAMICS not in adata.uns:
        return
    for container, names in keys.WRITTEN_BY_FITS.items():
        slots = getattr(adata, container)
        for name in names:
            if name in slots:
                del slots[name]


def all_genes(values: FloatArray, genes: IntArray, n_genes: int) -> FloatArray:
    """Columns of the fitted genes among all, NaN elsewhere; not copied if all are there."""
    if len(genes) == n_genes:
        return values
    wide = np.full((values.shape[0], n_genes), np.nan, dtype=values.dtype)
    wide[:, genes] = values
    return wide


def gene_columns(columns: dict[str, FloatArray], genes: IntArray, n_genes: int) -> dict[str, Any]:
    """Columns of var from those of the fitted genes, NaN elsewhere."""
    return {name: all_genes(values[None], genes, n_genes)[0] for name, values in columns.items()}


def plain(value: Any) -> Any:
    """Settings as what an .h5ad can hold: nested dicts, numbers, texts; None becomes "none"."""
    if isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        return {str(k): plain(item) for k, item in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": type(value).__name__, **{k: plain(getattr(value, k)) for k in asdict(value)}}
    if value is None:
        return "none"
    return np.asarray(value) if isinstance(value, tuple) else value
