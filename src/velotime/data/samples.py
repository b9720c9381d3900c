"""Several samples as one object: genes that all have, and names that tell cells with the same barcode apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError, InputWarning
from velotime.data.layers.names import find_layers
from velotime.data.layers.values import loaded

BETWEEN = "_"  # sample and barcode


def sample_names(paths: Sequence[str | Path]) -> list[str]:
    """Names of samples by their files or folders, with as many of the folders above as tell them apart."""
    parts = [Path(path).resolve().with_suffix("").parts for path in paths]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError(f"the same input is given twice: {[str(path) for path in paths]}.")


def merge_samples(samples: Mapping[str, AnnData]) -> AnnData:
    """One object of all samples.

    Parameters
    ----------
    samples
        Cells x genes each, by name; they stay as they are.

    Returns
    -------
    Cells of all samples x genes that all have, layers that all have (both counts as ``spliced`` and ``unspliced``), and
    the sample of each cell in ``obs["sample"]``.

    Warns
    -----
    InputWarning
        If cells of two samples have the same name: then all names begin with that of their sample. If samples differ in
        their genes.

    Raises
    ------
    InputError
        If a sample has cells or genes of the same name, or no genes are left.
    """
    for name, sample in samples.items():
        _require_unique(name, sample)
    cells = pd.Index([cell for sample in samples.values() for cell in sample.obs_names])
    n_shared = int(cells.duplicated(keep=False).sum())
    parts = {
        name: _with_usual_layers(sample, f"{name}{BETWEEN}" if n_shared else "") for name, sample in samples.items()
    }
    merged = ad.concat(parts, join="inner", merge="same", label=sample_column(samples))
    _check_genes(samples, merged)
    if n_shared:
        _warn(
            f"{n_shared:,} cells have a barcode that another sample has too: names of cells begin with that of their "
            f"sample now, e.g. {merged.obs_names[0]!r} for {cells[0]!r} of {next(iter(samples))!r}."
        )
    return merged


def name_apart(adata: AnnData) -> None:
    """Put numbers after names of cells and genes that occur more than once, in place.

    Warns
    -----
    InputWarning
        How many there were.

    Raises
    ------
    InputError
        If two cells have the same name and the same counts: that is one cell, twice.
    """
    if adata.obs_names.is_unique and adata.var_names.is_unique:
        return
    _refuse_same_cells(adata)
    for what, names, rename in (
        ("cells", adata.obs_names, adata.obs_names_make_unique),
        ("genes", adata.var_names, adata.var_names_make_unique),
    ):
        n = int(names.duplicated(keep=False).sum())
        if n:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of AnnData, that names with numbers could clash
                rename()
            example = names[names.duplicated()][0]
            _warn(f"{n:,} {what} have a name that others have too, e.g. {example!r}: numbered apart, {example}-1, ...")


def _refuse_same_cells(adata: AnnData) -> None:
    twice = np.flatnonzero(adata.obs_names.duplicated(keep=False))
    if not len(twice):
        return
    spliced = sparse.csr_array(loaded(adata.layers[find_layers(adata)[1]][twice]))
    weights = np.random.default_rng(0).random(spliced.shape[1])  # a sum with these is the same for the same counts only
    table = pd.DataFrame({"name": adata.obs_names[twice], "counts": spliced @ weights})
    again = table[table.duplicated() & (table["counts"] > 0)]
    if len(again):
        raise InputError(
            f"{len(again):,} cells are there twice, with the same name and the same counts, e.g. "
            f"{again['name'].iloc[0]!r}. Keep each of them once."
        )


def _require_unique(sample: str, adata: AnnData) -> None:
    for what, names in (("cells", adata.obs_names), ("genes", adata.var_names)):
        if not names.is_unique:
            raise InputError(
                f"sample {sample!r}: {what} of the same name, e.g. {names[names.duplicated()][0]!r}; names within a "
                "sample must tell them apart, so that samples can be joined by them."
            )


def _with_usual_layers(adata: AnnData, prefix: str) -> AnnData:
    """With layers ``unspliced`` and ``spliced``, whatever the quantifier calls them, and names of cells after a prefix.

    What it holds is shared with ``adata``.
    """
    unspliced, spliced = find_layers(adata)
    renamed = {unspliced: "unspliced", spliced: "spliced"}
    layers = {renamed.get(name, name): adata.layers[name] for name in adata.layers}
    obs = adata.obs.set_axis(prefix + adata.obs_names.astype(str), axis=0)
    return AnnData(adata.X, obs=obs, var=adata.var, layers=layers, obsm=dict(adata.obsm))


def sample_column(samples: Mapping[str, AnnData]) -> str:
    """Name of the column with the sample of each cell: "sample" unless a file has one of its own."""
    taken = any(keys.SAMPLE in sample.obs for sample in samples.values())
    return f"{keys.SAMPLE}_file" if taken else keys.SAMPLE


def _check_genes(samples: Mapping[str, AnnData], merged: AnnData) -> None:
    counts = {name: sample.n_vars for name, sample in samples.items()}
    if merged.n_vars == 0:
        examples = {name: str(sample.var_names[0]) for name, sample in samples.items() if sample.n_vars}
        raise InputError(
            f"the samples share no gene; their names look like {examples}. Quantify all with one reference, or name "
            "genes in the same way."
        )
    if max(counts.values()) > merged.n_vars:
        _warn(f"the samples differ in their genes ({counts}): the {merged.n_vars:,} that all have are kept.")


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)
