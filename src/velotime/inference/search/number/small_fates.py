r"""Small fates, groups of late cells that either half of the genes tells from others of their time.

Geometry sees a fate where its cells lie far off all ways between others; a few per cent of the cells near a larger
fate do not. What the cells of one lineage differ in besides time is left when the mean along its time is taken off, and
what lies along the way itself, as times are uncertain:

    r_ig = (x_ig - m_g(t_i)) / s_g,      r_i - (r_i . v_i) v_i,  v_i the direction of dm / dt at t_i

Both halves of the genes sort these into groups, apart. A group is a small fate if both find it: if the two agree on its
cells, and if the residuals of either half tell the cells that the other half puts there from others of the same time.
Noise that genes do not share passes neither, and groups that are but a stretch of time have no others beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.cell_space import k_means, principal_components, smooth
from velotime.inference.search.rivals import kappa

LATE = 0.4  # share of the cells that come before those that are looked at
WIDTH = 0.03  # of the cells of a lineage, over which its mean along time is taken
N_COMPONENTS = 6  # of the residuals
CELLS_A_NEIGHBOR = 30  # and from 3 to 10 neighbours: means over them keep a group of 1 % of the cells
MOST_GROUPS = 6  # that k-means is asked for; all numbers from two on are tried
K_MEANS_RUNS = 3
FEWEST_CELLS = 40  # in a lineage that is looked at
SMALLEST = 10  # cells that both halves put into a group, and
SMALLEST_SHARE = 0.005  # of all cells
LARGEST = 1 / 3  # of its lineage's late cells: larger ones are for geometry to find
MOST_PAIRS = 10  # of groups of either half, those that agree best, that are looked at
SPAN = (0.1, 0.9)  # of the times of a group, in which it is compared with others
LEAST_SPAN = 0.1  # of the clock: less is a moment, not a fate
MOST_OF_ITS_TIME = 0.6  # share of the cells in that span that may belong to it
LEAST_AGREEMENT = 0.65  # Cohen's kappa; groups of lines and fates of simulations have at most 0.5
LEAST_AUC = 0.9  # likewise; they have at most 0.7
SAME_GROUP = 0.5  # Cohen's kappa of the cells by two ways of halving the genes
NOT_ASKED = -1  # in place of a lineage
FOLDS = 5


@dataclass(frozen=True)
class SmallFate:
    """A group of cells.

    Attributes
    ----------
    lineage
        That it lies in.
    weight
        Share of the halves of the genes that put each cell there, ``(cells,)``: 0, 1/2 or 1.
    agreement
        How far these agree on its cells, among those of their time (Cohen's kappa).
    auc
        How well the residuals of either half tell the cells that the other puts there: the lesser area under the curve.
    n_cells
        That both halves put there.
    """

    lineage: int
    weight: FloatArray
    agreement: float
    auc: float
    n_cells: int

    def is_as(self, other: SmallFate) -> bool:
        """Whether another way of halving the genes shows the same group."""
        return agreement_of(self.weight == 1, other.weight == 1) >= SAME_GROUP

    def shares_cells_with(self, other: SmallFate) -> bool:
        """Whether there is a cell that both hold."""
        return bool(((self.weight == 1) & (other.weight == 1)).any())


def small_fates(
    values: FloatArray, ways: list[tuple[IntArray, IntArray]], time: FloatArray, lineage: IntArray, seed: int
) -> list[SmallFate]:
    """The small fates of all lineages that more than half of the ways of halving the genes show, the surest first.

    Parameters
    ----------
    values
        Log-normalised counts, ``(cells, genes)``.
    ways
        Two disjoint halves of the genes each; others than the first are asked of lineages in which it shows a group.
    time, lineage
        Of each cell, ``(cells,)``.
    seed
        Of k-means.
    """
    shown = [by_halves(values, ways[0], time, lineage, seed)]
    asked = np.where(np.isin(lineage, [fate.lineage for fate in shown[0]]), lineage, NOT_ASKED)
    shown += [by_halves(values, halves, time, asked, seed) for halves in ways[1:] if shown[0]]
    found = list[SmallFate]()
    for fate in sorted((fate for of_way in shown for fate in of_way), key=lambda fate: -fate.agreement):
        n_ways = sum(any(fate.is_as(other) for other in of_way) for of_way in shown)
        if 2 * n_ways > len(ways) and not any(fate.shares_cells_with(other) for other in found):
            found.append(fate)
    return found


def by_halves(
    values: FloatArray, halves: tuple[IntArray, IntArray], time: FloatArray, lineage: IntArray, seed: int
) -> list[SmallFate]:
    """The small fates of all lineages by one way of halving the genes.

    Parameters
    ----------
    values
        Log-normalised counts, ``(cells, genes)``.
    halves
        Two disjoint halves of the genes.
    time, lineage
        Of each cell, ``(cells,)``.
    seed
        Of k-means.
    """
    after = time > np.quantile(time, LATE)
    least = max(SMALLEST, SMALLEST_SHARE * len(time))
    found = list[SmallFate]()
    for k in np.unique(lineage[lineage != NOT_ASKED]):
        late = np.flatnonzero(after & (lineage == k))
        while len(late) >= FEWEST_CELLS:
            each = [residuals(values[np.ix_(late, genes)], time[late]) for genes in halves]
            group = _group(each, time[late], least, seed)
            if group is None:
                break
            one, two, agreement, auc = group
            weight = np.zeros(len(time))
            weight[late] = (one.astype(float) + two) / 2
            found.append(SmallFate(int(k), weight, agreement, auc, int((one & two).sum())))
            late = late[~(one | two)]  # the mean along time of the others is off by what these differ in
    return found


def residuals(values: FloatArray, time: FloatArray) -> FloatArray:
    """What cells of one lineage differ in besides time, ``(cells, genes)``, in units of each gene's scatter."""
    order = np.argsort(time, kind="stable")
    ordered = values[order]
    width = max(WIDTH * len(time), 4.0)
    left = ordered - gaussian_filter1d(ordered, width, axis=0, mode="nearest")
    scatter = np.maximum(left.std(axis=0), 1e-9)
    way = gaussian_filter1d(ordered, width, axis=0, order=1, mode="nearest") / scatter
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-12)
    left /= scatter
    out: FloatArray = np.empty_like(left)
    out[order] = left - (left * way).sum(axis=1, keepdims=True) * way
    return out


def _group(
    each: list[FloatArray], time: FloatArray, least: float, seed: int
) -> tuple[BoolArray, BoolArray, float, float] | None:
    """The group that both halves find best: its cells by either, how far these agree, and the lesser area; or None."""
    proposed = [_proposals(half, least, seed) for half in each]
    pairs = [(agreement_of(one, two), i, j) for i, one in enumerate(proposed[0]) for j, two in enumerate(proposed[1])]
    best = None
    for _, i, j in sorted(pairs, reverse=True)[:MOST_PAIRS]:
        one, two = proposed[0][i], proposed[1][j]
        among = _of_its_time(one, two, time)
        if (one & two).sum() < least or not among.any():
            continue
        agreement = agreement_of(one[among], two[among])
        if agreement < (LEAST_AGREEMENT if best is None else best[2]):
            continue
        auc = min(told_apart(each[1][among], one[among]), told_apart(each[0][among], two[among]))
        if auc >= LEAST_AUC:
            best = one, two, agreement, auc
    return best


def _of_its_time(one: BoolArray, two: BoolArray, time: FloatArray) -> BoolArray:
    """Cells of the times of a group, others among them; none where it is but a stretch of time."""
    if not (one & two).any():
        return np.zeros(len(time), dtype=bool)
    first, last = np.quantile(time[one & two], SPAN)
    among: BoolArray = (time >= first) & (time <= last)
    if last - first < LEAST_SPAN or (one | two)[among].mean() > MOST_OF_ITS_TIME:
        among[:] = False
    return among


def _proposals(left: FloatArray, least: float, seed: int) -> list[BoolArray]:
    """Groups of a size between the bounds, each ``(cells,)``."""
    n_neighbors = int(np.clip(len(left) // CELLS_A_NEIGHBOR, 3, 10))
    points = smooth(principal_components(left, N_COMPONENTS), n_neighbors, 1)
    groups = list[BoolArray]()
    for k in range(2, MOST_GROUPS + 1):
        group = k_means(points, k, seed, runs=K_MEANS_RUNS)[1]
        groups += [group == c for c in range(k)]
    return [cells for cells in groups if cells.sum() >= least and cells.mean() <= LARGEST]


def agreement_of(one: BoolArray, two: BoolArray) -> float:
    """Cohen's kappa of two marks of the same cells."""
    table = np.array([[(one & two).mean(), (one & ~two).mean()], [(~one & two).mean(), (~one & ~two).mean()]])
    return kappa(table)


def told_apart(left: FloatArray, cells: BoolArray) -> float:
    """How well the difference of means tells marked cells that it was not learned from: area under the curve."""
    if min(cells.sum(), (~cells).sum()) < 2 * FOLDS:
        return 0.0
    fold, score = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells))
    for of in (cells, ~cells):
        fold[of] = np.arange(of.sum()) % FOLDS
    for f in range(FOLDS):
        learned = fold != f
        direction = left[learned & cells].mean(axis=0) - left[learned & ~cells].mean(axis=0)
        score[~learned] = left[~learned] @ direction / max(float(np.linalg.norm(direction)), 1e-12)
    return float(roc_auc_score(cells, score))
