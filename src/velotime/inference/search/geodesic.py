"""Distances along the cells, and where they end."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from velotime._types import FloatArray

N_NEIGHBORS = 15


class Geodesics:
    """Shortest ways from neighbour to neighbour.

    Parameters
    ----------
    points
        Cells in some space, ``(cells, dimensions)``. A chain along the first dimension, whose links count as ten times
        the farthest neighbour, keeps all of them connected.
    """

    def __init__(self, points: FloatArray) -> None:
        n = len(points)
        distance, index = cKDTree(points).query(points, k=min(N_NEIGHBORS + 1, n))
        row = np.repeat(np.arange(n), index.shape[1])
        chain = np.argsort(points[:, 0], kind="stable")
        far = 10 * distance.max()
        near = sparse.csr_array((distance.ravel(), (row, index.ravel())), shape=(n, n))
        links = sparse.csr_array((np.full(n - 1, far), (chain[:-1], chain[1:])), shape=(n, n))
        self._graph = near.maximum(links)

    def distances(self, cell: int) -> FloatArray:
        """From one cell to all, ``(cells,)``."""
        return np.asarray(dijkstra(self._graph, directed=False, indices=cell))


def more_ends(points: FloatArray, ends: list[int], *, most: int, least: float) -> list[int]:
    """Ends of branches that ``ends`` leave out, each the cell farthest from all ways between the ends so far.

    How far a cell i lies from the way between a and b is ``(d_ai + d_bi - d_ab) / 2`` in a tree (Gromov's product).

    Parameters
    ----------
    points
        Cells in some space, ``(cells, dimensions)``.
    ends
        Cells known to be ends, two or more.
    most
        How many more are looked for.
    least
        How far off an end must be, as a share of the longest way between ends.
    """
    geodesics = Geodesics(points)
    found, distance = list(ends), [geodesics.distances(end) for end in ends]
    for _ in range(most):
        between = np.stack([d[found] for d in distance])
        off = np.min(
            [
                (distance[a] + distance[b] - between[a, b]) / 2
                for a in range(len(found))
                for b in range(a + 1, len(found))
            ],
            axis=0,
        )
        farthest = int(np.argmax(off))
        if off[farthest] < least * between.max():
            break
        found.append(farthest)
        distance.append(geodesics.distances(farthest))
    return found[len(ends) :]
