"""Several samples: whose cells are whose, and size factors within each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from anndata import AnnData

from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data.labels import read_labels
from velotime.data.reading import Reading
from velotime.inference import Observations

APART = 4.0  # times by which odds of unspliced of a sample differ from the usual ones, from which on it is named
LEAST_OF_A_SAMPLE = 20  # cells


def by_sample(reading: Reading, adata: AnnData, column: str) -> Reading:
    """The same with the sample of each cell, and size factors relative to the mean of the sample.

    Raises
    ------
    InputError
        If there is no such column, cells have no sample, or a sample has hardly any cells.
    """
    names, code = read_labels(adata, (column,)).codes(column)
    if (code < 0).any():
        raise InputError(
            f"{int((code < 0).sum())} cells have no sample in obs[{column!r}], e.g. "
            f"{list(adata.obs_names[code < 0][:3])}: fill it in, or leave these cells out."
        )
    n_cells = np.bincount(code, minlength=len(names))
    if n_cells.min() < LEAST_OF_A_SAMPLE:
        few = {str(name): int(n) for name, n in zip(names, n_cells, strict=True) if n < LEAST_OF_A_SAMPLE}
        raise InputError(
            f"samples of obs[{column!r}] with fewer than {LEAST_OF_A_SAMPLE} cells: {few}. Leave them out, or join "
            "them with others that were made in the same way."
        )
    names = tuple(str(name) for name in names)
    if len(names) == 1:
        return replace(reading, observations=replace(reading.observations, sample_names=names))
    observations = _of_samples(reading.observations, names, code)
    others = None if reading.others is None else _of_samples(reading.others, names, code)
    doubts = (*reading.doubts, *_apart(reading, names, code))
    return replace(reading, observations=observations, others=others, doubts=doubts)


def _of_samples(observations: Observations, names: tuple[str, ...], code: IntArray) -> Observations:
    """Values with the sample of each cell, and size factors within it."""
    u, s = (_within(size, code) for size in (observations.size_unspliced, observations.size_spliced))
    return replace(observations, size_unspliced=u, size_spliced=s, sample=code, sample_names=names)


def _within(size: FloatArray, code: IntArray) -> FloatArray:
    mean = np.bincount(code, size) / np.bincount(code)
    return np.asarray(size / mean[code])


def unspliced_shares(reading: Reading, code: IntArray) -> FloatArray:
    """Share of the counts of each sample that is unspliced, ``(samples,)``."""
    u, s = (np.bincount(code, totals) for totals in reading.observations.totals)
    return np.asarray(u / np.maximum(u + s, 1.0))


def _apart(reading: Reading, names: tuple[str, ...], code: IntArray) -> tuple[str, ...]:
    """Samples whose share of unspliced counts says that they were made in another way."""
    share = np.clip(unspliced_shares(reading, code), 1e-6, 1 - 1e-6)
    odds = share / (1 - share)
    usual = float(np.sort(odds)[(len(odds) - 1) // 2])  # of a sample: between two halves lie odds that none has
    return tuple(
        f"sample {name!r} has {own:.1%} unspliced counts, others {usual / (1 + usual):.1%}: it looks as if made by "
        "another chemistry, such as nuclei beside cells. Captures are learned, but look at it apart."
        for name, own, one in zip(names, share, odds, strict=True)
        if max(one / usual, usual / one) > APART
    )
