"""Several samples as one object: genes that all have, and names that tell cells with the same barcode apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError, InputWarning
from velotime.data.blocks.dask import all_dask, is_dask
from velotime.data.layers.names import find_layers, layer_names
from velotime.data.layers.values import loaded

BETWEEN = "_"  # sample and barcode
X = ".X"  # among layers, none of which has such a name


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
        Cells x genes each, by name; they stay as they are. Matrices that are Dask arrays in one of them are such in the
        result, whose other rows are those in memory.

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
    parts = _parts(samples, [f"{name}{BETWEEN}" if n_shared else "" for name in samples])
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


def _parts(samples: Mapping[str, AnnData], prefixes: Sequence[str]) -> dict[str, AnnData]:
    """Samples ready to be joined, names of cells after a prefix; what they hold in memory is shared with ``samples``.

    Dask arrays are of the genes that all samples have: cells are then put below each other as they are.
    """
    matrices = _alike([_usual_matrices(sample) for sample in samples.values()])
    genes = reduce(pd.Index.intersection, (sample.var_names for sample in samples.values()))
    parts = {}
    for (name, sample), prefix, own in zip(samples.items(), prefixes, matrices, strict=True):
        obs = sample.obs.set_axis(prefix + sample.obs_names.astype(str), axis=0)
        part = AnnData(own.pop(X, None), obs=obs, var=sample.var, layers=own, obsm=dict(sample.obsm))
        some = any(map(is_dask, (part.X, *own.values()))) and not part.var_names.equals(genes)
        parts[name] = part[:, genes].copy() if some else part
    return parts


def _usual_matrices(adata: AnnData) -> dict[str, Any]:
    """``X`` and layers, with counts as ``unspliced`` and ``spliced``, whatever the quantifier calls them."""
    unspliced, spliced = find_layers(adata)
    renamed = {unspliced: "unspliced", spliced: "spliced"}
    layers = {renamed.get(name, name): adata.layers[name] for name in layer_names(adata)}
    return layers if adata.X is None else layers | {X: adata.X}


def _alike(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Matrices that all samples have; those that are Dask arrays in one are so in all."""
    names = [name for name in samples[0] if all(name in sample for sample in samples)]
    found = {name: [sample[name] for sample in samples] for name in names}
    alike = {name: all_dask(each) if any(map(is_dask, each)) else each for name, each in found.items()}
    return [{name: each[k] for name, each in alike.items()} for k in range(len(samples))]


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
