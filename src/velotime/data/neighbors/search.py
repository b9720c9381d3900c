"""Nearest cells among points, exact or nearly so, and weights that fall off with distance."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from velotime._types import FloatArray, IntArray
from velotime.compute import descend

SAMPLE = 50_000  # cells of which groups are made
NEAR_GROUPS = 10  # with whose cells each cell is compared at first
MOST_DISTANCES = 2**24  # that are held at a time
LEAST_WEIGHT = 1e-30  # so that a neighbour is one however far it lies


def nearest_cells(points: FloatArray, n_neighbors: int) -> sparse.csr_matrix:
    """Distances of each cell to the ``n_neighbors`` nearest others, CSR ``(cells, cells)``, float32, nearest first.

    All pairs are compared, which takes time with the square of the number of cells.
    """
    found = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(points)
    return _as_matrix(*found.kneighbors())


def nearly_nearest_cells(points: FloatArray, n_neighbors: int, seed: int) -> sparse.csr_matrix:
    """The same in time that is nearly linear in the cells; some neighbours are missed.

    Cells are put into groups by k-means, twice the square root of their number, and compared with those of the ten
    nearest groups; from there by nearest neighbour descent, see :mod:`velotime.compute.numba.graph.descent`.
    """
    index, squares = descend(points, _nearest_in_groups(points, n_neighbors, seed))
    return _as_matrix(np.sqrt(squares), index)


def _nearest_in_groups(points: FloatArray, n_neighbors: int, seed: int) -> IntArray:
    """The nearest of the cells in the nearest groups, without the cell itself, ``(cells, n_neighbors)``."""
    n_cells, rng = len(points), np.random.default_rng(seed)
    n_groups = min(int(2 * n_cells**0.5), n_cells)
    sample = points[rng.choice(n_cells, min(n_cells, SAMPLE), replace=False)]
    means = MiniBatchKMeans(n_groups, batch_size=4096, n_init=1, max_iter=10, init="random", random_state=seed)
    group = means.fit(sample).predict(points)
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], np.arange(n_groups + 1))
    around = np.argsort(euclidean_distances(means.cluster_centers_), axis=1, kind="stable")
    out = np.empty((n_cells, n_neighbors), dtype=np.int32)
    for k in range(n_groups):
        sizes = np.cumsum(np.diff(start)[around[k]])
        n = max(NEAR_GROUPS, int(np.searchsorted(sizes, 2 * n_neighbors)) + 1)
        others = np.concatenate([order[start[j] : start[j + 1]] for j in around[k, :n]])
        length = max(1, MOST_DISTANCES // len(others))
        for first in range(start[k], start[k + 1], length):
            own = order[first : min(first + length, start[k + 1])]
            out[own] = _nearest_of(points, own, others, n_neighbors)
    return out


def _nearest_of(points: FloatArray, own: IntArray, others: IntArray, n_neighbors: int) -> IntArray:
    """The nearest of some ``others`` to each of some cells, which are among them."""
    distances = euclidean_distances(points[own], points[others], squared=True)
    distances[own[:, None] == others] = np.inf
    return np.asarray(others[np.argpartition(distances, n_neighbors - 1, axis=1)[:, :n_neighbors]])


def gaussian_weights(distances: sparse.csr_matrix) -> sparse.csr_matrix:
    """Weights of neighbours, either of the other, CSR ``(cells, cells)``, float32, symmetric.

    ``w_ij = sqrt(2 s_i s_j / (s_i^2 + s_j^2)) exp(-d_ij^2 / (s_i^2 + s_j^2))`` with ``s_i^2`` the median of the squared
    distances to the neighbours of i: those of scanpy's ``method="gauss"``. (Haghverdi et al. 2016.)
    """
    n_cells, n_neighbors = distances.shape[0], int(distances.indptr[1])
    square = distances.data.astype(np.float64).reshape(n_cells, n_neighbors) ** 2
    width = np.median(square, axis=1)
    total = width[:, None] + width[distances.indices.reshape(square.shape)]
    other = np.sqrt(width)[distances.indices.reshape(square.shape)]
    apart, total = total > 0, np.where(total > 0, total, 1.0)  # 0 where cells lie at one place
    weight = np.where(apart, np.sqrt(2 * np.sqrt(width)[:, None] * other / total) * np.exp(-square / total), 1.0)
    weight = np.maximum(weight, LEAST_WEIGHT).astype(np.float32)
    one_way = sparse.csr_matrix((weight.ravel(), distances.indices, distances.indptr), shape=distances.shape)
    return sparse.csr_matrix(one_way.maximum(one_way.T))


def _as_matrix(distance: FloatArray, index: IntArray) -> sparse.csr_matrix:
    n_cells, n_neighbors = index.shape
    indptr = np.arange(0, n_cells * n_neighbors + 1, n_neighbors)
    return sparse.csr_matrix(
        (distance.astype(np.float32).ravel(), index.astype(np.int32).ravel(), indptr), shape=(n_cells, n_cells)
    )
