"""The tree of ends: how far apart cells are along the cells, where branches end, and starts along the tree.

Nothing here knows of unspliced counts or of likelihood. Geometry says how many ends there are and which way leads from
each to each; the likelihood says which of them came first (``search``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.stats import rankdata

from velotime._types import FloatArray, IntArray
from velotime.inference.cell_space import smooth
from velotime.inference.search.geometry.geodesic import Geodesics, off_the_ways
from velotime.inference.search.geometry.starts import Start

N_COMPONENTS = 10  # principal components: a tree of six ends spans five dimensions
N_NEIGHBORS = 30  # 15 leave twice the noise off the way; 30 of 1,000 cells keep a fate of 5 %
CELLS_A_NEIGHBOR = 20  # where cells are few, one neighbour for so many: else means reach from branch to branch
N_SMOOTHINGS = 2  # means over neighbours: noise off the way falls, branches stay
MOST_ENDS = 6  # unless more are asked for
LEAST_OFF = 0.11  # of the longest way, below which an end is noise
SURELY_OFF = 0.2  # likewise, from which on it is certain to be none
LEAST_DROP = 1.5  # by which the last real end must lie farther off than the next
SOFTNESS = 0.05  # of the mean way from root to ends, over which a cell is shared between lineages
INNER = 0.25  # of the longest way: a root farther from every end lies between them
N_DRAWS = 5  # of the cells, on each of which the ends are counted
FURTHER_DRAWS = 10  # where these differ
MOST_OF_DRAWS = 2 / 3  # that must show a lineage
SHARE_OF_CELLS = 0.8  # in a draw, and
MOST_DRAWN = 2000  # at most


@dataclass(frozen=True)
class Tree:
    """Ends of the cells' tree.

    Attributes
    ----------
    ends
        Cells at the ends, first the two farthest from each other, ``(ends,)``.
    distance
        Way along the cells from each end to every cell, ``(ends, cells)``.
    off
        How far each further end lies off the ways between those before it, as a share of the longest way; one more
        than there are further ends, ``(ends - 1,)``.
    """

    ends: IntArray
    distance: FloatArray
    off: FloatArray

    @property
    def n_lineages(self) -> int:
        """Lineages from one of the ends that are no noise to all others."""
        return 1 + n_further(self.off)

    @property
    def n_sure(self) -> int:
        """The lineages among these whose ends lie as far off as no noise does: in any noise tried, at most 0.18."""
        return 1 + int((self.off[: self.n_lineages - 1] >= SURELY_OFF).sum())

    def first(self, n_ends: int) -> Tree:
        """The same with the first of the ends only."""
        return Tree(self.ends[:n_ends], self.distance[:n_ends], self.off[: n_ends - 1])

    def take(self, cells: IntArray) -> Tree:
        """The same for some of the cells, ascending, with the ends among them."""
        return Tree(np.searchsorted(cells, self.ends), self.distance[:, cells], self.off)

    def rooted(self, distance: FloatArray) -> Tree:
        """The same with another cell first, in place of the end next to it if it lies at one.

        Parameters
        ----------
        distance
            Way from it to every cell, ``(cells,)``: 0 to itself.
        """
        near = int(distance[self.ends].argmin())
        at_end = distance[self.ends[near]] <= INNER * self.distance[:, self.ends].max()
        kept = np.arange(len(self.ends)) != near if at_end else np.ones(len(self.ends), dtype=bool)
        ends = np.append(int(distance.argmin()), self.ends[kept])
        return Tree(ends, np.concatenate([distance[None], self.distance[kept]]), self.off)


@dataclass(frozen=True)
class LineageVotes:
    """How often each number of lineages came out over draws of the cells.

    Attributes
    ----------
    numbers
        Number of lineages in each draw, ``(draws,)``.
    most
        Lineages at most, whatever came out.
    small_fates
        Cells of each small fate that is a lineage beyond these, how far halves of the genes agree on them (Cohen's
        kappa), and how well either half tells them from others (area under the curve).
    dropped
        How far halves of the genes agreed on the cells of each lineage that was given up for it (Cohen's kappa).
    """

    numbers: tuple[int, ...]
    most: int = MOST_ENDS - 1
    dropped: tuple[float, ...] = ()
    small_fates: tuple[tuple[int, float, float], ...] = ()

    @property
    def n_lineages(self) -> int:
        """The largest number that came out, or was exceeded, in two thirds of the draws."""
        shown = [k for k in set(self.numbers) if sum(n >= k for n in self.numbers) >= MOST_OF_DRAWS * len(self.numbers)]
        return max(shown)

    @property
    def n_for(self) -> int:
        """In how many draws it came out."""
        return self.numbers.count(self.n_lineages)


def n_further(off: FloatArray) -> int:
    """Ends beyond the first two: the largest m with ``off_m >= 0.11`` and ``off_m / off_(m+1) >= 1.5``."""
    ratio = off[:-1] / np.maximum(off[1:], 1e-12)
    good = np.flatnonzero((off[:-1] >= LEAST_OFF) & (ratio >= LEAST_DROP))
    return int(good[-1]) + 1 if len(good) else 0


def geodesics_of(components: FloatArray) -> Geodesics:
    """Ways along smoothed cells, from their principal components ``(cells, components)``."""
    n_neighbors = min(N_NEIGHBORS, max(2, len(components) // CELLS_A_NEIGHBOR))
    return Geodesics(smooth(components[:, :N_COMPONENTS], n_neighbors, N_SMOOTHINGS), n_neighbors)


def tree_of(geodesics: Geodesics, most: int = MOST_ENDS) -> Tree:
    """Ends of the cells: the two farthest cells, then each the farthest off all ways so far, ``most`` in all."""
    first, second = _farthest_pair(geodesics)
    ends, offs = [first, second], list[float]()
    distance = [geodesics.distances(first), geodesics.distances(second)]
    longest = max(float(distance[0][second]), 1e-12)
    while len(offs) < most - 1:
        off = off_the_ways(np.array(ends), np.stack(distance))
        farthest = int(off.argmax())
        offs.append(float(off[farthest] / longest))
        ends.append(farthest)
        distance.append(geodesics.distances(farthest))
    return Tree(np.array(ends[:most]), np.stack(distance[:most]), np.array(offs))


def _farthest_pair(geodesics: Geodesics) -> tuple[int, int]:
    """To and fro: in a tree the farthest cell from any cell is an end of the longest way."""
    first = int(geodesics.distances(0).argmax())
    length = 0.0
    for _ in range(4):
        from_first = geodesics.distances(first)
        second = int(from_first.argmax())
        if from_first[second] <= length:
            break
        first, length = second, float(from_first[second])
    return first, int(geodesics.distances(first).argmax())


def votes_of(components: FloatArray, rng: Generator, most: int = MOST_ENDS - 1) -> LineageVotes:
    """The number of lineages in several draws of the cells, in more of them where they differ.

    Parameters
    ----------
    components
        Principal components of the cells, ``(cells, components)``.
    rng
        Draws them.
    most
        Lineages at most.
    """
    n = len(components)
    size = min(MOST_DRAWN, max(int(SHARE_OF_CELLS * n), 2))

    def drawn(n_draws: int) -> list[int]:
        draws = (np.sort(rng.permutation(n)[:size]) for _ in range(n_draws))
        return [tree_of(geodesics_of(components[cells]), most_ends(most)).n_lineages for cells in draws]

    numbers = drawn(N_DRAWS)
    if len(set(numbers)) > 1:
        numbers += drawn(FURTHER_DRAWS)
    return LineageVotes(tuple(numbers), most)


def most_ends(most_lineages: int) -> int:
    """Ends of a tree that can show so many lineages, and never fewer than are always looked for."""
    return max(MOST_ENDS, most_lineages + 1)


def tree_starts(tree: Tree, root: int) -> list[Start]:
    """Both spacings from one of the ends (its number among them): as the way runs, and by rank."""
    progress, weight = along_the_tree(tree, root)
    even = (progress - progress.min()) / max(float(np.ptp(progress)), 1e-12)
    cell = int(tree.ends[root])
    return [Start(cell, "tree, way", even, weight), Start(cell, "tree, rank", ranks(progress), weight)]


def along_the_tree(tree: Tree, root: int) -> tuple[FloatArray, FloatArray | None]:
    """Progress from one of the ends ``(cells,)``, and lineage weights, one for each other end, ``(cells, lineages)``.

    With ``off_e = (d_r + d_e - d_re) / 2`` how far a cell lies off the way to end e, its weight there is proportional
    to ``exp(-off_e / h)``; progress is the mean, by these weights, of how far along each way it is.
    """
    others = [e for e in range(len(tree.ends)) if e != root]
    d_r, d_e = tree.distance[root], tree.distance[others]
    d_re = np.maximum(d_r[tree.ends[others]], 1e-12)
    off = (d_r + d_e - d_re[:, None]) / 2
    weight = np.exp(-(off - off.min(axis=0)) / (SOFTNESS * d_re.mean()))
    weight /= weight.sum(axis=0)
    along = np.clip((d_r + d_re[:, None] - d_e) / (2 * d_re[:, None]), 0, 1)
    return np.asarray((weight * along).sum(axis=0)), (weight.T if len(others) > 1 else None)


def middle_start(tree: Tree) -> Start:
    """Two lineages from the middle of the way between the first two ends."""
    d = tree.distance
    length = max(float(d[0, tree.ends[1]]), 1e-12)
    along = np.clip((d[0] + length - d[1]) / (2 * length), 0, 1)
    side = 1 / (1 + np.exp(-(along - 0.5) / SOFTNESS))
    root = int(np.argmin(np.abs(along - 0.5)))
    return Start(root, "tree, middle", ranks(np.abs(along - 0.5)), np.stack([1 - side, side], axis=1))


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 0 to 1, ``(cells,)``."""
    return np.asarray((rankdata(values) - 0.5) / len(values))
