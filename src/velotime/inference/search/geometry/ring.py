"""Do two ways lead from one end of the cells to the other? Then they lie on a ring, which no tree describes.

In a tree a cell that lies ``off = (d_a + d_b - d_ab)/2`` off the way from a to b is that far from it. On a ring the
cells of the other half lie on a way from a to b too, ``off = 0``, and yet far from the cells of this half. So what
the distance of a cell to the way exceeds ``off`` by, as a share of the way's length, is noise in a tree and up to a
whole way on a ring.

By ``benchmarks/rings.py``, on ten seeds of each kind that no bound was chosen on: lines, gaps and forks of 300 to 800
cells 0.04 to 0.20, cycles 0.40 to 0.89; real and simulated sets without a ring 0.01 to 0.16.
"""

from __future__ import annotations

import numpy as np

from velotime.inference.search.geometry.geodesic import Geodesics, off_the_ways
from velotime.inference.search.geometry.tree import Tree

N_MARKS = 19  # cells on the way, evenly apart, to which distances are taken
SHARE = 0.05  # of the cells, that must lie farther from the way than a tree allows


def ring_of(geodesics: Geodesics, tree: Tree) -> float:
    """By how much a twentieth of the cells lie farther from the longest way than a tree allows, at least.

    Parameters
    ----------
    geodesics
        Ways along the cells.
    tree
        Their tree of ends, of which the first two are the cells farthest from each other.

    Returns
    -------
    As a share of the way: near 0 in a tree, above 0.3 on a ring.
    """
    longest = tree.first(2)
    (one, other), (from_one, from_other) = longest.ends.tolist(), longest.distance
    way = geodesics.way(one, other)
    length = max(float(from_one[other]), 1e-12)
    at = np.searchsorted(from_one[way], np.linspace(0, length, N_MARKS + 2)[1:-1])
    marks = way[np.minimum(at, len(way) - 1)]
    off, along = off_the_ways(longest.ends, longest.distance), (from_one + length - from_other) / 2
    beside = np.abs(along - from_one[marks][:, None])
    nearest = beside.argmin(axis=0)
    cells = np.arange(len(along))
    distance = np.stack([geodesics.distances(int(mark)) for mark in marks])[nearest, cells]
    return float(np.quantile((distance - off - beside[nearest, cells]) / length, 1 - SHARE))
