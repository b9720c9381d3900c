"""Labelled counts, summed over groups of cells under their posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._check import NotAllowedError, Rule, label_text
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted, read_block
from velotime.data.layers.names import layer_names
from velotime.inference import LabelledCounts

MOST_WINDOWS = 20  # lengths of labelling
MOST_GENES = 300  # with the most labelled counts; more tell little more
GROUPS, LEAST_CELLS = 10, 20  # of cells along the clock, and of cells in each
TOLERANCE = 1e-3
KINDS = ("unspliced", "spliced")


@dataclass(frozen=True)
class LabelledLayers(Rule):
    """Layers of labelled counts: kept as a pair, None for one that is not there."""

    allowed = (
        "the names of two layers, of labelled unspliced and of labelled spliced counts; None for one that is not there"
    )

    def accept(self, value: Any) -> tuple[str | None, str | None]:
        """One of both at the least."""
        pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(KINDS)
        named = pair and all(name is None or isinstance(name, str) for name in value)
        if not named or set(value) == {None}:
            raise NotAllowedError("E.g. labelled=('new_unspliced', 'new_spliced').")
        return value[0], value[1]


@dataclass(frozen=True)
class Labels:
    """Which counts are labelled, for how long, and how they were taken.

    Attributes
    ----------
    layers
        Of labelled unspliced and spliced counts.
    hours
        A number, or an obs column.
    samples
        An obs column, or None for one sample.
    """

    layers: tuple[str | None, str | None]
    hours: float | str
    samples: str | None

    def read(self, fitted: Fitted) -> Read:
        """Sums of the labelled counts of those genes that have most of them.

        Raises
        ------
        InputError
            If a layer or column is not there, or holds what it cannot.
        """
        adata = fitted.adata
        hours = _hours(adata, self.hours)
        told = np.isfinite(hours) & (hours > 0) & np.isfinite(fitted.latent_time)
        lengths = np.unique(hours[told])
        if not 0 < len(lengths) <= MOST_WINDOWS:
            raise InputError(
                f"hours={self.hours!r}: {len(lengths)} different times of labelling; 1 to {MOST_WINDOWS} are allowed. "
                "It must hold for how long cells were labelled, 0 where they were not, and not when they were taken."
            )
        names, sample = _samples(adata, self.samples, told)
        counts = [self._layer(fitted, layer) for layer in range(2) if self.layers[layer] is not None]
        genes = _most_labelled([labelled[told] for _, labelled, _ in counts])
        q = fitted.posterior.astype(np.float64)
        parts = [
            (float(length), int(k), cells)
            for length in lengths
            for k in range(len(names))
            if len(cells := np.flatnonzero(told & (hours == length) & (sample == k)))
        ]
        sums = tuple(
            LabelledCounts(layer, length, k, *_sums(q, labelled[:, genes], every[:, genes], groups))
            for length, k, cells in parts
            for groups in [_groups(fitted.latent_time, cells)]
            for layer, labelled, every in counts
        )
        return Read(sums, genes, names)

    def _layer(self, fitted: Fitted, layer: int) -> tuple[int, sparse.csr_array, sparse.csr_array]:
        """Number of the layer, and its labelled and all counts, ``(cells, fitted genes)``."""
        name, whole = str(self.layers[layer]), fitted.layers[layer]
        labelled, counts = (_block(fitted, one) for one in (name, whole))
        if (labelled - counts).max() > TOLERANCE:
            raise InputError(
                f"layer {name!r} holds more labelled counts than layer {whole!r} holds counts, in some cells and "
                "genes: it must hold those of the molecules counted there that are new."
            )
        return layer, labelled, counts


@dataclass(frozen=True)
class Read:
    """Labelled counts as they are weighed.

    Attributes
    ----------
    counts
        By length of labelling, sample and layer.
    genes
        Which of the fitted genes.
    samples
        Their names.
    """

    counts: tuple[LabelledCounts, ...]
    genes: IntArray
    samples: list[str]


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        raise InputError(f"column {name!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    return adata.obs[name]


def _hours(adata: AnnData, given: float | str) -> FloatArray:
    """One number per cell, ``(cells,)``, NaN where none is told."""
    if not isinstance(given, str):
        return np.full(adata.n_obs, float(given))
    numbers = pd.to_numeric(_column(adata, given).astype(object), errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).any():
        raise InputError(f"obs[{given!r}] holds no numbers.")
    return numbers


def _samples(adata: AnnData, column: str | None, told: FloatArray) -> tuple[list[str], IntArray]:
    """Names of the samples, and the number of that of each cell, -1 for none."""
    if column is None:
        return ["all"], np.zeros(adata.n_obs, dtype=int)
    labels = _column(adata, column).map(label_text, na_action="ignore").astype(object)
    code, names = pd.factorize(labels.where(told), sort=True)
    return [str(name) for name in names], np.asarray(code)


def _block(fitted: Fitted, name: str) -> sparse.csr_array:
    """A layer of counts, fitted genes only."""
    available = layer_names(fitted.adata)
    if name not in available:
        raise InputError(f"layer {name!r} not found in adata.layers; available: {available}.")
    block = sparse.csr_array(read_block(fitted.adata.layers[name], fitted.genes), dtype=np.float64)
    if block.nnz and (not np.isfinite(block.data).all() or block.data.min() < 0):
        raise InputError(f"layer {name!r} must hold counts: finite numbers, 0 or more.")
    return block


def _most_labelled(labelled: list[sparse.csr_array]) -> IntArray:
    """Genes with labelled counts, those with most of them if they are many, in their order."""
    total = np.sum([one.sum(axis=0) for one in labelled], axis=0)
    best = np.argsort(-total, kind="stable")[:MOST_GENES]
    return np.sort(best[total[best] > 0])


def _groups(time: FloatArray, cells: IntArray) -> list[IntArray]:
    """Cells that are next to each other on the clock."""
    n = int(np.clip(len(cells) // LEAST_CELLS, 1, GROUPS))
    return np.array_split(cells[np.argsort(time[cells], kind="stable")], n)


def _sums(
    q: sparse.csr_array, labelled: sparse.csr_array, counts: sparse.csr_array, groups: list[IntArray]
) -> tuple[FloatArray, FloatArray]:
    """Labelled counts ``(genes, groups)``, and all counts over states, ``(genes, groups, states)``."""
    new = np.stack([labelled[cells].sum(axis=0) for cells in groups], axis=1)
    every = np.stack([(counts[cells].T @ q[cells]).toarray() for cells in groups], axis=1)
    return new, every
