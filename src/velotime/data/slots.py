"""Results into an AnnData: what is common to all methods, and the only place that fills slots.

A method's own slots are collected by a function in a module of its own, registered with :func:`slots_of` for the type
of its result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.data.layers.status import tally
from velotime.data.reading import Reading
from velotime.data.stored.derived import remove_stale
from velotime.data.stored.identity import fingerprints, fit_id
from velotime.data.stored.records import Records
from velotime.data.stored.settings import plain
from velotime.data.writers.layers import choose_layers
from velotime.inference import Fit, Method


@dataclass
class Slots:
    """What is to be written, by container; ``record`` joins what the records of all methods hold.

    ``layers`` are functions that compute them, ``(cells, genes with curves)``: only those asked for are called.
    ``fit_status`` replaces that of the reading where the fit itself found more genes that it could not fit.
    """

    layers: dict[str, Callable[[], FloatArray]] = field(default_factory=dict)
    obs: dict[str, Any] = field(default_factory=dict)
    var: dict[str, Any] = field(default_factory=dict)
    obsm: dict[str, Any] = field(default_factory=dict)
    varm: dict[str, FloatArray] = field(default_factory=dict)
    uns: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    fit_status: Any = None


@singledispatch
def slots_of(fit: Any, adata: AnnData, reading: Reading) -> Slots:  # noqa: ARG001
    """Slots of a method's own, by the type of its result."""
    raise TypeError(f"no writer for a {type(fit).__name__}: register one with velotime.data.slots_of.")


@dataclass(frozen=True)
class Computed:
    """All that a fit writes, and nothing written yet.

    Attributes
    ----------
    slots
        What goes where.
    dense
        Layers, ``(cells, genes)`` each.
    reading
        What the fit read, with the genes that it could fit.
    """

    slots: Slots
    dense: dict[str, FloatArray]
    reading: Reading

    @property
    def records(self) -> Records:
        """What the fit says of itself."""
        return Records(self.slots.uns)


def compute_slots(
    adata: AnnData, reading: Reading, method: Method, fit: Fit, *, seed: int, layers: Sequence[str] | None = None
) -> Computed:
    """What any method's result writes. ``layers`` are those of cells x genes to write; see :func:`choose_layers`."""
    slots = slots_of(fit, adata, reading)
    if slots.fit_status is not None:
        reading = replace(reading, fit_status=slots.fit_status, genes=np.flatnonzero(slots.fit_status == keys.FITTED))
    chosen = [name for name in choose_layers(adata, method, layers) if name in slots.layers]
    dense = {name: all_genes(slots.layers[name](), reading.with_curves, adata.n_vars) for name in chosen}
    observations = reading.observations
    slots.obs |= {
        keys.FIT_SIZE_UNSPLICED: observations.size_unspliced,
        keys.FIT_SIZE_SPLICED: observations.size_spliced,
    }
    slots.var[keys.FIT_STATUS] = pd.Categorical(reading.fit_status.astype(str))
    record = _record(adata, reading, method, fit, seed) | slots.record
    slots.uns[keys.RECOVER_DYNAMICS] = record
    if keys.VELOCITY in slots.layers:
        slots.uns[keys.VELOCITY_PARAMS] = {"mode": "dynamical", "fit_offset": False, "perc": np.array([5, 95])}
    if not {keys.MS, keys.MU} & set(chosen):
        slots.uns.pop(keys.MOMENTS, None)
    return Computed(slots, dense, reading)


def write_fit(adata: AnnData, computed: Computed) -> None:
    """Write what was computed.

    What an earlier fit left and this one does not write is removed, and so is what was derived from it, so that no
    slot belongs to another fit.
    """
    slots = computed.slots
    _remove_earlier(adata, computed.reading)
    remove_stale(adata, computed.records.run[keys.FIT_ID])
    adata.layers.update(computed.dense)
    for name, column in slots.var.items():
        adata.var[name] = column
    for name, values in slots.obs.items():
        adata.obs[name] = values
    adata.obsm.update(slots.obsm)
    adata.varm.update(slots.varm)
    adata.uns.update(slots.uns)


def name_of_fit(adata: AnnData, reading: Reading, method: Method, seed: int) -> str:
    """The name of the fit that this method makes of these data with this seed: a hash of it all and of the version."""
    what = {"seed": seed, "layers": dict(zip(("unspliced", "spliced"), reading.layers, strict=True))}
    columns = getattr(method, "columns", ())
    return fit_id(adata, reading.observations, plain(method), columns, version=version("velotime"), **what)


def _record(adata: AnnData, reading: Reading, method: Method, fit: Fit, seed: int) -> dict[str, Any]:
    """What the records of all methods hold; ``Slots.record`` adds what a method has to say beyond that."""
    cells, genes = fingerprints(adata)
    return {
        keys.FIT_ID: name_of_fit(adata, reading, method, seed),
        "cells": cells,
        "genes": genes,
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
        "layers": dict(zip(("unspliced", "spliced"), reading.layers, strict=True)),
        keys.N_AVERAGED: reading.observations.n_averaged,
        "seed": seed,
        "units": "relative",
        "version": version("velotime"),
    }


def _remove_earlier(adata: AnnData, reading: Reading) -> None:
    """Remove what an earlier fit wrote, its fitted means included unless this fit read them."""
    if keys.RECOVER_DYNAMICS not in adata.uns:
        return
    for container, names in keys.WRITTEN_BY_FITS.items():
        slots = getattr(adata, container)
        for name in names:
            if name in slots:
                del slots[name]
    if adata.uns.get(keys.MOMENTS, {}).get("source") == keys.FITTED_MEANS:
        del adata.uns[keys.MOMENTS]
        for name in {keys.MS, keys.MU} - set(reading.layers):
            if name in adata.layers:
                del adata.layers[name]


def all_genes(values: FloatArray, genes: IntArray, n_genes: int) -> FloatArray:
    """Columns of these genes among all, NaN elsewhere; as they are if they are of all already, in order."""
    copied = values.shape[1] == n_genes > len(genes)  # from a layer, also of genes that were not fitted
    if copied or np.array_equal(genes, np.arange(n_genes)):
        return values
    wide = np.full((values.shape[0], n_genes), np.nan, dtype=values.dtype)
    wide[:, genes] = values
    return wide


def gene_columns(columns: dict[str, FloatArray], genes: IntArray, n_genes: int) -> dict[str, Any]:
    """Columns of var from those of these genes, NaN elsewhere."""
    return {name: all_genes(values[None], genes, n_genes)[0] for name, values in columns.items()}


def gene_rows(columns: dict[str, FloatArray], genes: IntArray, n_genes: int) -> dict[str, FloatArray]:
    """Arrays of varm ``(all genes, ...)`` from those of these genes, NaN elsewhere."""
    return {name: np.ascontiguousarray(all_genes(values.T, genes, n_genes).T) for name, values in columns.items()}
