"""Geometry of cells in a space of few dimensions: principal components, nearest cells, means over them."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from velotime._types import FloatArray, IntArray

K_MEANS_RUNS = 10


def principal_components(values: FloatArray, n: int) -> FloatArray:
    """First principal components of ``(cells, features)``, ``(cells, n)``, by the smaller of the two Gram matrices.

    The entry of largest size of each is positive, so that they are the same on every machine.
    """
    centred = values - values.mean(axis=0)
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    size = len(gram)
    n = min(n, size)
    value, vector = eigh(gram, subset_by_index=[size - n, size - 1])
    value, vector = value[::-1], vector[:, ::-1]
    points = vector * np.sqrt(np.maximum(value, 0.0)) if wide else centred @ vector
    sign = np.sign(points[np.abs(points).argmax(axis=0), np.arange(points.shape[1])])
    return np.asarray(points * np.where(sign == 0, 1.0, sign))


def nearest(points: FloatArray, n_neighbors: int) -> tuple[FloatArray, IntArray]:
    """Distance to the nearest cells of each cell and which they are, itself first, each ``(cells, n_neighbors + 1)``.

    All distances at once: with ten dimensions and a few thousand cells a search tree is slower.
    """
    k = min(n_neighbors + 1, len(points))
    square = (points**2).sum(axis=1)
    distance = square[:, None] + square - 2 * points @ points.T
    np.fill_diagonal(distance, -1.0)
    index = np.argpartition(distance, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(distance, index, axis=1)
    order = np.argsort(near, axis=1, kind="stable")
    index = np.take_along_axis(index, order, axis=1)
    return np.sqrt(np.maximum(np.take_along_axis(near, order, axis=1), 0.0)), index


def smooth(points: FloatArray, n_neighbors: int, times: int) -> FloatArray:
    """Each cell replaced by the mean over itself and its nearest cells, so many times, ``(cells, dimensions)``."""
    for _ in range(times):
        points = points[nearest(points, n_neighbors)[1]].mean(axis=1)
    return points


def k_means(points: FloatArray, k: int, seed: int, runs: int = K_MEANS_RUNS) -> tuple[FloatArray, IntArray]:
    """Best of several k-means runs; where there are fewer distinct points than centres, some groups are empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of too few distinct points, which callers handle
        found = KMeans(k, n_init=runs, random_state=seed).fit(points)
    return found.cluster_centers_, found.labels_
