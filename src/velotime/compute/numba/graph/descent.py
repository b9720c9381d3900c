"""Nearest neighbours made better: neighbours of neighbours are likely to be neighbours, on all cores.

Nearest neighbour descent (Dong, Charikar and Li 2011) in rounds that read the lists of the last round and write new
ones, so that the result is the same with any number of threads. Why not pynndescent: it compiles for 60 s and more in
every process that it is called in, longer than this takes for 100,000 cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.threads import over_slices

CELLS = 2**12  # that one thread takes at a time
MOST_ROUNDS = 8
FEW = 0.01  # of all neighbours: a round that finds fewer is the last


@jit(REASSOC)
def _square(x: Any, y: Any) -> Any:
    total = np.float32(0)
    for k in range(len(x)):
        d = x[k] - y[k]
        total += d * d
    return total


@jit(REASSOC)
def _insert(j: int, square: Any, near: Any, squares: Any, fresh: Any) -> int:
    """Put a cell that is nearer than the last into a list in order of distance, unless it is there: 1 if it was not."""
    n = len(near)
    for k in range(n):
        if near[k] == j:
            return 0
    at = n - 1
    while at > 0 and squares[at - 1] > square:
        near[at], squares[at], fresh[at] = near[at - 1], squares[at - 1], fresh[at - 1]
        at -= 1
    near[at], squares[at], fresh[at] = j, square, True
    return 1


@jit(REASSOC)
def _backwards(near: Any, out: Any) -> None:
    """Cells that have each cell among their neighbours, the first of them; -1 where there are fewer."""
    count = np.zeros(len(near), dtype=np.int64)
    out[:] = -1
    for a in range(near.shape[1]):  # nearest first
        for i in range(len(near)):
            j = near[i, a]
            if count[j] < out.shape[1]:
                out[j, count[j]] = i
                count[j] += 1


@jit(REASSOC)
def _round(
    points: Any, old: Any, news: Any, back: Any, begin: int, end: int, near: Any, squares: Any, fresh: Any, found: Any
) -> None:
    """Look at the neighbours of each cell next to some of the cells, where a step is new since the last round."""
    n = old.shape[1]
    for i in range(begin, end):
        x, total = points[i], 0
        fresh[i] = False
        for a in range(2 * n):
            middle = old[i, a] if a < n else back[i, a - n]
            if middle < 0:
                break
            for b in range(n):
                j = old[middle, b]
                if j == i or not (news[middle, b] or (a < n and news[i, a])):
                    continue
                square = _square(x, points[j])
                if square < squares[i, n - 1]:
                    total += _insert(j, square, near[i], squares[i], fresh[i])
            square = _square(x, points[middle])
            if a >= n and square < squares[i, n - 1]:
                total += _insert(middle, square, near[i], squares[i], fresh[i])
        found[i] = total


@jit(REASSOC)
def _measure(points: Any, begin: int, end: int, near: Any, squares: Any) -> None:
    """Put the neighbours of some of the cells in order of distance."""
    for i in range(begin, end):
        for a in range(near.shape[1]):
            j = near[i, a]
            square, at = _square(points[i], points[j]), a
            while at > 0 and squares[i, at - 1] > square:
                near[i, at], squares[i, at] = near[i, at - 1], squares[i, at - 1]
                at -= 1
            near[i, at], squares[i, at] = j, square


def descend(points: FloatArray, near: IntArray) -> tuple[IntArray, FloatArray]:
    """Nearer neighbours than those given, found among the neighbours of neighbours.

    Parameters
    ----------
    points
        ``(cells, dimensions)``, float32.
    near
        Some neighbours of each cell, without itself, all different, ``(cells, neighbours)``; changed in place.

    Returns
    -------
    Neighbours, nearest first, and their squared distances.
    """
    squares = np.empty(near.shape, dtype=np.float32)
    news: BoolArray = np.ones(near.shape, dtype=bool)
    found, back = np.zeros(len(near), dtype=np.int64), np.empty_like(near)
    over_slices(len(near), CELLS, lambda some: _measure(points, some.start, some.stop, near, squares))
    for _ in range(MOST_ROUNDS):
        old, fresh = near.copy(), np.zeros(near.shape, dtype=bool)
        _backwards(old, back)

        def one_part(some: slice, old: IntArray = old, news: BoolArray = news, fresh: BoolArray = fresh) -> None:
            _round(points, old, news, back, some.start, some.stop, near, squares, fresh, found)

        over_slices(len(near), CELLS, one_part)
        if found.sum() < FEW * near.size:
            break
        news = fresh
    return near, squares
