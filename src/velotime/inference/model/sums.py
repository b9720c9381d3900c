"""Sums over cells whose posterior or time is given, without a sweep: where fits begin, and hard assignments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums, Matrix, Sums, as_array
from velotime.inference.model.layer import LayerData


def sums_under(
    unspliced: LayerData, spliced: LayerData, q: FloatArray, group: IntArray | None = None, n_groups: int = 1
) -> Sums:
    """Sums under a posterior.

    Parameters
    ----------
    unspliced, spliced
        The cells.
    q
        Posterior of each cell, ``(cells, states)``.
    group
        Under which group a cell's posterior is summed, ``(cells,)``; all cells are one group without it.
    n_groups
        Number of groups.
    """
    if group is None:
        weight = q.sum(axis=0, dtype=np.float64)[None]
    else:
        weight = np.zeros((n_groups, q.shape[1]))
        np.add.at(weight, group, q)
    return Sums(layer_sums(unspliced, q), layer_sums(spliced, q), weight)


def layer_sums(data: LayerData, q: FloatArray) -> LayerSums:
    """Sums of one layer under a posterior ``(cells, states)``."""
    powers = data.size ** np.array([[1], [2], [3], [4]])
    return LayerSums(np.asarray(data.values.T @ q, dtype=np.float64), powers @ q)


def sums_at(unspliced: Matrix, spliced: Matrix, time: FloatArray, n_times: int) -> Sums:
    """Sums with each cell at one time, shared between the two times of the grid that it lies between; sizes are 1.

    Parameters
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``.
    time
        Time of each cell, taken to be within 0 and 1, ``(cells,)``.
    n_times
        Times of an even grid from 0 to 1.
    """
    n_cells = len(time)
    place = np.clip(time, 0.0, 1.0) * (n_times - 1)
    low = np.minimum(place.astype(np.int64), n_times - 2)
    share = place - low
    q = sparse.csr_array(
        (
            np.stack([1 - share, share], axis=1).ravel(),
            np.stack([low, low + 1], axis=1).ravel(),
            np.arange(0, 2 * n_cells + 1, 2),
        ),
        shape=(n_cells, n_times),
    )
    weight = np.asarray(q.sum(axis=0)).ravel()
    u, s = (
        LayerSums(np.ascontiguousarray(as_array(q.T @ values, np.float64).T), np.stack([weight] * 4))
        for values in (unspliced, spliced)
    )
    return Sums(u, s, weight[None])


def with_all_rows(sums: Sums, n_rows: int) -> Sums:
    """With weights of 0 for the last rows of the prior, which no cell may be in."""
    return replace(sums, weight=np.pad(sums.weight, ((0, n_rows - len(sums.weight)), (0, 0))))
