"""Distances along the cells, and how far a cell lies off the ways between others."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from velotime._types import FloatArray, IntArray
from velotime.inference.cell_space import nearest

N_NEIGHBORS = 15
LEAST_LENGTH = 1e-12  # of a link: the graph takes none of length zero for a link
MOST_OF_A_PART = 6  # ends of cells that lie apart, at most
OFF_IN_A_PART = 0.11  # of their longest way, that a further end of theirs is off
BETWEEN_ENDS = 1.1  # a gap is crossed from end to end where that is at most so many times as far as elsewhere


class Geodesics:
    """Shortest ways from neighbour to neighbour.

    Where the links between neighbours leave some of the cells apart, the fewest further links join them, at their true
    lengths: a gap is as long as it is. Among links of about the same length those between ends of either side go
    first: over a wide gap every cell is about as far as any other, and a branch is not to come of which happens to be
    the nearest.

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
        self._graph = _links(distance[:, 1:].ravel(), row, index[:, 1:].ravel(), n)
        n_parts, part = connected_components(self._graph, directed=False)
        if n_parts > 1:
            at_end = np.zeros(n, dtype=bool)
            for k in range(n_parts):
                cells = np.flatnonzero(part == k)
                at_end[cells[_ends(self._graph[cells][:, cells])]] = True
            child, parent, length = bridges(points, part, np.where(at_end, 1.0, BETWEEN_ENDS))
            self._graph = self._graph.maximum(_links(length, child, parent, n))

    def distances(self, cell: int) -> FloatArray:
        """From one cell to all, ``(cells,)``."""
        return _distances(self._graph, cell)

    def way(self, one: int, other: int) -> IntArray:
        """The cells of the shortest way between two cells, both included, in its order."""
        _, before = dijkstra(self._graph, directed=False, indices=one, return_predecessors=True)
        way = [other]
        while way[-1] != one:
            way.append(int(before[way[-1]]))
        return np.array(way[::-1])

    def further_ends(self, ends: list[int], *, most: int, least: float) -> list[int]:
        """Ends of branches that ``ends`` leave out, see :func:`more_ends`."""
        return _further_ends(self._graph, ends, most, least)


def _links(length: FloatArray, one: IntArray, other: IntArray, n: int) -> sparse.csr_array:
    links = sparse.csr_array((length + LEAST_LENGTH, (one, other)), shape=(n, n))
    return links.maximum(links.T)


def _distances(graph: sparse.csr_array, cell: int) -> FloatArray:
    return np.asarray(dijkstra(graph, directed=False, indices=cell))


def _ends(graph: sparse.csr_array) -> list[int]:
    """Ends of cells that are linked to each other: the farthest two, about, and those of branches."""
    first = int(_distances(graph, 0).argmax())
    ends = [first, int(_distances(graph, first).argmax())]
    return ends + _further_ends(graph, ends, MOST_OF_A_PART - 2, OFF_IN_A_PART)


def _further_ends(graph: sparse.csr_array, ends: list[int], most: int, least: float) -> list[int]:
    found, distance = list(ends), [_distances(graph, end) for end in ends]
    for _ in range(most):
        off = off_the_ways(np.array(found), np.stack(distance))
        farthest = int(np.argmax(off))
        if off[farthest] <= 0 or off[farthest] < least * np.stack(distance)[:, found].max():
            break
        found.append(farthest)
        distance.append(_distances(graph, farthest))
    return found[len(ends) :]


def bridges(points: FloatArray, part: IntArray, weight: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Both cells and the length of each link that joins parts of the cells, ``(parts - 1,)``, by Prim's algorithm.

    Parameters
    ----------
    points
        Cells in some space, ``(cells, dimensions)``.
    part
        Which part each is in, ``(cells,)``.
    weight
        By how many times a link to each counts as longer than it is, ``(cells,)``.
    """
    n = len(points)
    best, parent = np.full(n, np.inf), np.zeros(n, dtype=np.int64)
    outside = np.ones(n, dtype=bool)
    joined = list[int]()
    at = 0
    for _ in range(n - 1):
        outside[at] = False
        weighted = ((points - points[at]) ** 2).sum(axis=1) * (weight * weight[at]) ** 2
        distance = np.where(part == part[at], 0.0, weighted)
        nearer = outside & (distance < best)
        best[nearer], parent[nearer] = distance[nearer], at
        at = int(np.where(outside, best, np.inf).argmin())
        if part[at] != part[parent[at]]:
            joined.append(at)
    child = np.array(joined, dtype=np.int64)
    return child, parent[child], np.linalg.norm(points[child] - points[parent[child]], axis=1)


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
    return Geodesics(points).further_ends(ends, most=most, least=least)
