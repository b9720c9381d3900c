"""Where a fit can begin: orderings of the cells, and lineages, from geometry.

The diffusion map finds the axes of the data but not which end came first; the likelihood knows (unspliced leads
spliced) but does not find the axis. So candidate roots are the tips of the diffusion map and of branches that these
leave out. Each gives an ordering by diffusion distance, and every ordering is spaced by rank and by arc length; short
fits choose (``_search``). Lineages start from clusters of the late cells of an ordering, or from those of its latest
cells, handed down to the cells before them; early cells are shared alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.stats import rankdata, spearmanr

from velotime._status import InputError
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.cell_space import k_means
from velotime.inference.search.geometry.geodesic import more_ends
from velotime.inference.states import States

TIP_COMPONENTS = 3  # diffusion components whose two ends are tried as roots
MORE_TIPS = 2  # ends of branches besides, at most
OFF_THE_WAY = 0.25  # how far from all ways between tips another one must be, as a share of the longest way
SAME_ORDER = 0.95  # Spearman correlation above which two orderings count as one
WIDTH = 0.06  # sd of the posterior that an ordering starts with, as a share of the clock
LATE, LATEST = 0.6, 0.85  # share of the cells that come before the late ones, and before the latest
HEIRS = 10  # later cells that hand their lineages down to one before them
SMALLEST_GROUP = 0.02  # share of the late cells that a lineage's group must hold


@dataclass(frozen=True)
class Geometry:
    """Some of the cells, placed by the likeness of their expression.

    Attributes
    ----------
    cells
        Which cells, ``(placed,)``.
    diffusion
        Diffusion coordinates, scaled so that their distance is the diffusion distance over all walk lengths
        (component l times ``lambda_l / (1 - lambda_l)``), ``(placed, components)``; the constant one left out.
    components
        Principal components, ``(placed, components)``.
    """

    cells: IntArray
    diffusion: FloatArray
    components: FloatArray

    def take(self, which: IntArray) -> Geometry:
        """Keep these of the placed cells."""
        return Geometry(self.cells[which], self.diffusion[which], self.components[which])


#: Lineage weights of the cells from their times, principal components, number of lineages and a seed.
Grouping: TypeAlias = Callable[[FloatArray, FloatArray, int, int], FloatArray]


@dataclass(frozen=True)
class Start:
    """One way to begin.

    Attributes
    ----------
    root
        The root, an index into the placed cells.
    how
        How times and lineages came about: ordering by "rank" or "arc length", "knowledge", "one lineage" for the
        times of a fit with one lineage, "fates", "tips", "reversed" for the best fit's backwards.
    time
        Time of each placed cell, from 0 to 1.
    membership
        Lineage weights of each placed cell, ``(placed, lineages)``; None shares every cell alike.
    hottest
        Temperature that short fits from here may rise to: what they would otherwise start with, or less.
    not_cycling
        Probability of each placed cell that it does not cycle, ``(placed,)``; None where all cells are on the clock.
    """

    root: int
    how: str
    time: FloatArray
    membership: FloatArray | None = None
    hottest: float = np.inf
    not_cycling: FloatArray | None = None


def orderings(geometry: Geometry, roots: IntArray) -> Iterator[Start]:
    """Every start from these roots; roots that give the same ordering count once."""
    seen: list[FloatArray] = []
    for root in roots:
        distance = np.linalg.norm(geometry.diffusion - geometry.diffusion[root], axis=1)
        if any(spearmanr(distance, other).statistic > SAME_ORDER for other in seen):
            continue
        seen.append(distance)
        rank = (rankdata(distance) - 0.5) / len(distance)
        yield Start(int(root), "rank", rank)
        yield Start(int(root), "arc length", arc_length(rank, geometry.components))


def tips(geometry: Geometry) -> IntArray:
    """Both ends of the first diffusion components, and ends of branches that are no end of these."""
    axes = geometry.diffusion[:, :TIP_COMPONENTS].T
    ends = list(dict.fromkeys(int(pick(axis)) for axis in axes for pick in (np.argmin, np.argmax)))
    return np.array([*ends, *more_ends(geometry.components, ends, most=MORE_TIPS, least=OFF_THE_WAY)], dtype=np.int64)


def farthest(geometry: Geometry, candidates: IntArray) -> int:
    """The candidate that lies farthest from all cells: the tip of its kind."""
    squares = (geometry.diffusion**2).sum(axis=1)
    mean = geometry.diffusion.mean(axis=0)
    spread = squares[candidates] - 2 * geometry.diffusion[candidates] @ mean
    return int(candidates[np.argmax(spread)])


def arc_length(rank: FloatArray, components: FloatArray) -> FloatArray:
    """Time by the length of the path that the mean expression takes along an ordering, ``(cells,)`` from 0 to 1.

    Where many cells share a state, ranks run on while nothing changes; the path does not.
    """
    n_bins = int(np.clip(len(rank) // 30, 10, 50))
    which = np.minimum((rank * n_bins).astype(int), n_bins - 1)
    sums = np.zeros((n_bins, components.shape[1]))
    np.add.at(sums, which, components)
    means = sums / np.maximum(np.bincount(which, minlength=n_bins), 1)[:, None]
    path = gaussian_filter1d(means, 1.5, axis=0, mode="nearest")
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = (length / max(length[-1], 1e-12)) * 0.9 + 0.1 * np.linspace(0, 1, n_bins)
    return np.asarray(np.interp(rank, (np.arange(n_bins) + 0.5) / n_bins, even))


def late_groups(time: FloatArray, components: FloatArray, n_lineages: int, seed: int) -> FloatArray:
    """Lineage weights from k-means of the late cells' principal components, ``(cells, lineages)``.

    A cell belongs to the group with the nearest centre, the more firmly the later it is; early cells are shared alike.

    Raises
    ------
    InputError
        If the late cells do not fall into so many groups.
    """
    _, centres, _ = _groups_after(LATE, time, components, n_lineages, seed)
    distance = ((components[:, None] - centres) ** 2).sum(axis=2)
    return share_early(time, np.eye(n_lineages)[distance.argmin(axis=1)])


def fates(time: FloatArray, components: FloatArray, n_lineages: int, seed: int) -> FloatArray:
    """Lineage weights from k-means of the latest cells, handed down to earlier ones, ``(cells, lineages)``.

    The latest cells stand further apart than those on their way, which k-means would rather group by how far they are.
    A cell's weights are the mean of those of its nearest later cells; early cells are shared alike.

    Raises
    ------
    InputError
        If the latest cells do not fall into so many groups.
    """
    latest, _, group = _groups_after(LATEST, time, components, n_lineages, seed)
    weight = np.zeros((len(time), n_lineages))
    weight[latest] = np.eye(n_lineages)[group]
    order = np.argsort(-time, kind="stable")
    for i in range(int(latest.sum()), len(time)):
        later = order[:i]
        distance = ((components[later] - components[order[i]]) ** 2).sum(axis=1)
        nearest = np.argpartition(distance, min(HEIRS, i) - 1)[:HEIRS]
        weight[order[i]] = weight[later[nearest]].mean(axis=0)
    return share_early(time, weight)


def _groups_after(
    share: float, time: FloatArray, components: FloatArray, n_lineages: int, seed: int
) -> tuple[BoolArray, FloatArray, IntArray]:
    """Which cells come after a share of them ``(cells,)``; their groups' centres; the group of each of them."""
    late = time > np.quantile(time, share)
    if late.sum() < n_lineages:
        raise InputError(
            f"n_lineages={n_lineages}, but there are only {int(late.sum())} late cells. Ask for fewer lineages."
        )
    centres, nearest = k_means(components[late], n_lineages, seed)
    sizes = np.bincount(nearest, minlength=n_lineages)
    found = int((sizes >= SMALLEST_GROUP * late.sum()).sum())
    if found < n_lineages:
        raise InputError(
            f"n_lineages={n_lineages}, but the late cells fall into {found} distinct groups only. "
            f"Ask for n_lineages={max(found, 1)} or fewer, or name the terminal cells with lineages=Terminals(...)."
        )
    return late, centres, nearest


def towards_tips(geometry: Geometry, root: int, n_lineages: int) -> tuple[FloatArray, FloatArray]:
    """Time and lineage weights from the farthest tips: ``(cells,)`` from 0 to 1, and ``(cells, lineages)``.

    Tips are picked one by one, each the farthest from the root and from those before it. A cell's progress is its
    distance from the root relative to that plus the distance to its nearest tip, so that short branches end as late
    as long ones; an ordering by distance from the root alone puts the end of a short branch in the middle.
    """
    points = geometry.diffusion[:, : max(TIP_COMPONENTS, n_lineages)]
    from_root = np.linalg.norm(points - points[root], axis=1)
    nearest, distances = from_root, []
    for _ in range(n_lineages):
        tip = int(np.argmax(nearest))
        distances.append(np.linalg.norm(points - points[tip], axis=1))
        nearest = np.minimum(nearest, distances[-1])
    to_tips = np.stack(distances, axis=1)
    progress = from_root / np.maximum(from_root + to_tips.min(axis=1), 1e-12)
    time = (rankdata(progress) - 0.5) / len(progress)
    return time, share_early(time, np.eye(n_lineages)[to_tips.argmin(axis=1)])


def share_early(time: FloatArray, membership: FloatArray) -> FloatArray:
    """Blend lineage weights from alike, for early cells, to the given ones, for late cells."""
    firm = np.clip((time - np.median(time) + 0.15) / 0.3, 0, 1)[:, None]
    return np.asarray(firm * membership + (1 - firm) / membership.shape[1])


def assignment(start: Start, states: States) -> FloatArray:
    """A posterior around the times of a start, ``(cells, states)``, float32; a column more for cells off the clock."""
    k = states.layout.n_lineages
    log_weight = -0.5 * (states.clock.away(start.time[:, None], states.times) / WIDTH) ** 2
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    membership = np.full((len(weight), k), 1.0 / k) if start.membership is None else start.membership
    both = (membership[:, :, None] * weight[:, None, :]).reshape(len(weight), -1)
    if start.not_cycling is not None:
        both = np.column_stack([both * (1.0 - start.not_cycling[:, None]), start.not_cycling])
    return np.asarray(both, dtype=np.float32)
