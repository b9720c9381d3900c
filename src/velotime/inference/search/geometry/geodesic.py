"""Distances along the cells, and how far a cell lies off the ways between others."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from velotime._types import FloatArray, IntArray
from velotime.inference.cell_space import nearest

N_NEIGHBORS = 15
LEAST_LENGTH = 1e-12  # of a link: the graph takes none of length zero for a link


class Geodesics:
    """Shortest ways from neighbour to neighbour.

    Where the links between neighbours leave some of the cells apart, those of the minimum spanning tree join them, at
    their true lengths: a gap is as long as it is.

    Parameters
    ----------
    points
        Cells in some space, ``(cells, dimensions)``.
    n_neighbors
        Neighbours that each cell is linked to.
    """

    def __init__(self, points: FloatArray, n_neighbors: int = N_NEIGHBORS) -> None:
        n = len(points)
        distance, index = nearest(points, n_neighbors)
        row = np.repeat(np.arange(n), index.shape[1] - 1)
        links = _links(distance[:, 1:].ravel(), row, index[:, 1:].ravel(), n)
        if connected_components(links, directed=False)[0] > 1:
            child, parent, length = spanning_tree(points)
            links = links.maximum(_links(length, child, parent, n))
        self._graph = links.maximum(links.T)

    def distances(self, cell: int) -> FloatArray:
        """From one cell to all, ``(cells,)``."""
        return np.asarray(dijkstra(self._graph, directed=False, indices=cell))

    def way(self, one: int, other: int) -> IntArray:
        """The cells of the shortest way between two cells, both included, in its order."""
        _, before = dijkstra(self._graph, directed=False, indices=one, return_predecessors=True)
        way = [other]
        while way[-1] != one:
            way.append(int(before[way[-1]]))
        return np.array(way[::-1])


def _links(length: FloatArray, one: IntArray, other: IntArray, n: int) -> sparse.csr_array:
    return sparse.csr_array((length + LEAST_LENGTH, (one, other)), shape=(n, n))


def spanning_tree(points: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Both ends and the length of each edge of the minimum spanning tree, ``(cells - 1,)``, by Prim's algorithm."""
    n = len(points)
    best, parent = np.full(n, np.inf), np.zeros(n, dtype=np.int64)
    outside = np.ones(n, dtype=bool)
    at, child, length = 0, np.empty(n - 1, dtype=np.int64), np.empty(n - 1)
    for k in range(n - 1):
        outside[at] = False
        distance = ((points - points[at]) ** 2).sum(axis=1)
        nearer = outside & (distance < best)
        best[nearer], parent[nearer] = distance[nearer], at
        at = int(np.where(outside, best, np.inf).argmin())
        child[k], length[k] = at, np.sqrt(best[at])
    return child, parent[child], length


def off_the_ways(ends: IntArray, distance: FloatArray) -> FloatArray:
    """How far each cell lies off the nearest way between two ends, ``(cells,)``.

    How far a cell i lies from the way between a and b is ``(d_ai + d_bi - d_ab) / 2`` in a tree (Gromov's product).

    Parameters
    ----------
    ends
        Cells, ``(ends,)``, two or more.
    distance
        Way from each of them to every cell, ``(ends, cells)``.
    """
    pairs = [(a, b) for a in range(len(ends)) for b in range(a + 1, len(ends))]
    return np.asarray(np.min([(distance[a] + distance[b] - distance[a, ends[b]]) / 2 for a, b in pairs], axis=0))


def more_ends(points: FloatArray, ends: list[int], *, most: int, least: float) -> list[int]:
    """Ends of branches that ``ends`` leave out, each the cell farthest from all ways between the ends so far.

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
        off = off_the_ways(np.array(found), np.stack(distance))
        farthest = int(np.argmax(off))
        if off[farthest] < least * np.stack(distance)[:, found].max():
            break
        found.append(farthest)
        distance.append(geodesics.distances(farthest))
    return found[len(ends) :]
