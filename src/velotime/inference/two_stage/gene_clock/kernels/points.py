"""Values of genes as weighted points in the plane of unspliced and spliced, one list per gene.

With a clock of its own, a gene's fit depends on a cell's two values only, so cells with nearly the same values can be
merged. The plane is cut into squares, narrower than the noise, and each square that holds cells becomes one
point: their mean, with their number. Thousands of cells become hundreds of points, and more cells hardly more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.matrix import Matrix, as_array
from velotime.compute.threads import over_slices

GENES = 16  # genes per task at most: their columns are one cache line of a row
MOST_SQUARES = 512  # along an axis; squares are wider where values reach farther


@dataclass(frozen=True)
class Points:
    """Weighted points of some genes, one gene after the other.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(points,)``, float32.
    mass
        Cells that a point stands for, ``(points,)``, float32.
    first
        Where each gene's points begin, and where the last one's end, ``(genes + 1,)``, int64.
    """

    unspliced: FloatArray
    spliced: FloatArray
    mass: FloatArray
    first: IntArray

    def of(self, genes: IntArray) -> Points:
        """Points of these genes, in this order."""
        length = self.first[genes + 1] - self.first[genes]
        first = np.concatenate([[0], np.cumsum(length)])
        index = np.arange(first[-1]) + np.repeat(self.first[genes] - first[:-1], length)
        return Points(self.unspliced[index], self.spliced[index], self.mass[index], first)

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """All four."""
        return self.unspliced, self.spliced, self.mass, self.first

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """Genes of all parts, one part after the other."""
        length = np.concatenate([np.diff(part.first) for part in parts])
        u, s, mass, _ = (np.concatenate(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True))
        return cls(u, s, mass, np.concatenate([[0], np.cumsum(length)]))


class PointSource(Protocol):
    """A source of the points of genes."""

    def of(self, genes: IntArray) -> Points:
        """Points of these genes, in this order."""


@dataclass(frozen=True)
class CellPoints:
    """Every cell is a point of its own.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``, dense or CSC; copied as they are asked for.
    """

    unspliced: Matrix
    spliced: Matrix

    def of(self, genes: IntArray) -> Points:
        """All cells, gene by gene."""
        n = self.unspliced.shape[0]
        u, s = _rows(self.unspliced, genes), _rows(self.spliced, genes)
        return Points(u, s, np.ones(len(u), dtype=np.float32), np.arange(len(genes) + 1) * n)


def gather(cells: CellPoints, width: FloatArray) -> Points:
    """Means of the cells in squares of the plane, sides ``width`` ``(genes, 2)`` or more."""
    parts: dict[int, Points] = {}

    def task(points: Points, at: slice) -> None:
        u, s, mass = (np.empty_like(points.unspliced) for _ in range(3))
        first = np.zeros(len(points.first), dtype=np.int64)
        _gather(points.unspliced, points.spliced, points.first, width[at], (u, s, mass, first))
        n = first[-1]
        parts[at.start] = Points(u[:n].copy(), s[:n].copy(), mass[:n].copy(), first)

    over_blocks(cells, np.arange(len(width)), task)
    return Points.joined([parts[first] for first in sorted(parts)])


def over_blocks(source: PointSource, genes: IntArray, task: Callable[[Points, slice], None]) -> None:
    """Run ``task(points, slice of genes)`` on all cores, some genes at a time."""
    over_slices(len(genes), GENES, lambda at: task(source.of(genes[at]), at))


def _rows(matrix: Matrix, genes: IntArray) -> FloatArray:
    return np.ascontiguousarray(as_array(matrix[:, genes]).T, dtype=np.float32).ravel()


@jit(REASSOC)
def _extent(values: Any, width: float) -> Any:
    """Least value, and squares per unit along this axis."""
    low, high = np.inf, -np.inf
    for value in values:
        low, high = min(low, value), max(high, value)
    side = max(width, (high - low) / (MOST_SQUARES - 1))
    return low, (1.0 / side if side > 0 else 0.0)


@jit(REASSOC)
def _gather(u: Any, s: Any, start: Any, width: Any, out: Any) -> None:
    """Fill points gene after gene, and where they begin; a table remembers which square is which point."""
    out_u, out_s, mass, first = out
    table = np.full(MOST_SQUARES * MOST_SQUARES, -1, dtype=np.int32)
    square = np.empty(u.shape[0], dtype=np.int32)
    n = 0
    for g in range(width.shape[0]):
        low_u, per_u = _extent(u[start[g] : start[g + 1]], width[g, 0])
        low_s, per_s = _extent(s[start[g] : start[g + 1]], width[g, 1])
        begin = n
        for i in range(start[g], start[g + 1]):
            at = int((u[i] - low_u) * per_u) * MOST_SQUARES + int((s[i] - low_s) * per_s)
            if table[at] < 0:
                table[at], square[n] = n, at
                out_u[n], out_s[n], mass[n] = 0.0, 0.0, 0.0
                n += 1
            k = table[at]
            out_u[k] += u[i]
            out_s[k] += s[i]
            mass[k] += 1.0
        for k in range(begin, n):
            out_u[k] /= mass[k]
            out_s[k] /= mass[k]
            table[square[k]] = -1
        first[g + 1] = n
