"""What is derived from a fit, and which fit and which cells it belongs to.

``uns["velotime_derived"]`` has an entry for each result that is derived from a fit: the id of the fit, fingerprints of
the cells and genes, a hash of what else it was made of, and the slots that hold it. A new fit removes what belongs to
another one; functions that read a result check its entry first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime.data.stored.identity import fingerprints

NO_FIT = ""


@dataclass(frozen=True)
class Derived:
    """Entry of a derived result.

    Attributes
    ----------
    fit
        Id of its fit; empty for what needs none.
    cells, genes
        Fingerprints of the names in the object that it was made of.
    made_of
        Hash of everything else.
    slots
        Pairs (container, name) that hold it.
    """

    fit: str
    cells: str
    genes: str
    made_of: str
    slots: tuple[tuple[str, str], ...]


def current_fit(adata: AnnData) -> str:
    """Id of the fit in ``adata``; empty if there is none of velotime's."""
    return str(adata.uns.get(keys.RECOVER_DYNAMICS, {}).get(keys.FIT_ID, NO_FIT))


def read_derived(adata: AnnData, name: str) -> Derived | None:
    """The entry of a result that belongs to the fit at hand and whose slots are all there."""
    entry = _entry(adata, name)
    if entry is None or entry.fit not in (NO_FIT, current_fit(adata)):
        return None
    return entry if all(slot in getattr(adata, box) for box, slot in entry.slots if box != "uns") else None


def read_record(adata: AnnData, name: str) -> Mapping[str, Any]:
    """What a result recorded in ``uns``; empty if there is none that belongs to the fit at hand."""
    there = name in adata.uns and read_derived(adata, name) is not None
    record: Mapping[str, Any] = adata.uns[name] if there else {}
    return record


def of_these_cells(adata: AnnData, name: str) -> bool:
    """Whether a result belongs to the fit at hand and to exactly these cells and genes, in any order."""
    entry = read_derived(adata, name)
    return entry is not None and (entry.cells, entry.genes) == fingerprints(adata)


def write_derived(adata: AnnData, name: str, slots: Mapping[str, Mapping[str, Any]], *, made_of: str = "") -> None:
    """Write a result, slots by container, and its entry; what is left of an earlier one of this name goes."""
    entry = Derived(
        current_fit(adata),
        *fingerprints(adata),
        made_of,
        tuple((container, slot) for container, values in slots.items() for slot in values),
    )
    remove_derived(adata, name)
    for container, values in slots.items():
        for slot, value in values.items():
            getattr(adata, container)[slot] = value
    adata.uns[keys.DERIVED] = dict(adata.uns.get(keys.DERIVED, {})) | {name: _plain(entry)}


def remove_derived(adata: AnnData, name: str) -> None:
    """Remove a result and its entry."""
    entry = _entry(adata, name)
    if entry is None:
        return
    for container, slot in entry.slots:
        values = getattr(adata, container)
        if slot in values:
            del values[slot]
    adata.uns[keys.DERIVED] = {key: value for key, value in adata.uns[keys.DERIVED].items() if key != name}


def keep_table(adata: AnnData, key: str | None, table: pd.DataFrame) -> None:
    """Keep a table in ``uns``, where a name is given.

    Raises
    ------
    InputError
        If something else has this name.
    """
    kept = table.copy()
    kept.index = kept.index.astype(str)  # as an .h5ad has it
    keep_named(adata, "uns", key, kept)


def keep_named(adata: AnnData, container: str, key: str | None, value: Any) -> None:
    """Keep a result in ``container``, where a name is given.

    Raises
    ------
    InputError
        If something else has this name.
    """
    if key is None:
        return
    entry, slot = _entry(adata, key), (container, key)
    if (entry is None and key in getattr(adata, container)) or (entry is not None and entry.slots != (slot,)):
        raise InputError(
            f"key_added={key!r}: {container}[{key!r}] is there already and is nothing of this kind; choose another."
        )
    write_derived(adata, key, {container: {key: value}})


def remove_stale(adata: AnnData, fit: str) -> None:
    """Remove what belongs to another fit than ``fit``, or to no fit but other cells or genes."""
    here = fingerprints(adata)
    for name in list(adata.uns.get(keys.DERIVED, {})):
        entry = _entry(adata, name)
        needs_no_fit = entry is not None and entry.fit == NO_FIT and (entry.cells, entry.genes) == here
        if entry is not None and entry.fit != fit and not needs_no_fit:
            remove_derived(adata, name)


def _entry(adata: AnnData, name: str) -> Derived | None:
    found = adata.uns.get(keys.DERIVED, {}).get(name)
    if found is None:
        return None
    slots = np.asarray(found["slots"], dtype=object).reshape(-1, 2)
    texts = {key: str(found[key]) for key in ("fit", "cells", "genes", "made_of")}
    return Derived(**texts, slots=tuple((str(container), str(slot)) for container, slot in slots))


def _plain(entry: Derived) -> dict[str, Any]:
    """The entry as what an .h5ad can hold."""
    slots = np.array(entry.slots, dtype=object).reshape(-1, 2)
    return {"fit": entry.fit, "cells": entry.cells, "genes": entry.genes, "made_of": entry.made_of, "slots": slots}
