"""Orders of the cells round a circle, and whether cells lie all the way round."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from velotime._types import FloatArray
from velotime.inference.curves.circle import PERIODIC, TURN
from velotime.inference.model.problem import SoftProblem
from velotime.inference.search.geometry.starts import Geometry
from velotime.inference.search.trials import Trial

AXES = 3  # principal components, and diffusion components, in whose planes the cells are put in a circular order
SAME_CIRCLE = 0.9  # correlation, either way round, from which on two orders are one
MOST_ORDERS = 4  # that are tried, each both ways round
FEW = 0.02  # share of the cells
LONGEST_GAP = 0.2  # share of the way round that so few cells may take: lines joined at their ends leave a third


def circular_orders(geometry: Geometry) -> list[FloatArray]:
    """Ranks of the cells' angles in planes of two components, from 0 to 1, ``(cells,)`` each; those that differ."""
    clock = PERIODIC.clock
    kept: list[FloatArray] = []
    for points in (geometry.components, geometry.diffusion):
        for i, j in combinations(range(min(AXES, points.shape[1])), 2):
            plane = points[:, [i, j]]
            scaled = (plane - plane.mean(axis=0)) / np.maximum(plane.std(axis=0), 1e-12)
            angle = np.arctan2(scaled[:, 1], scaled[:, 0]) / TURN
            order = (rankdata(angle) - 0.5) / len(angle)
            if all(abs(clock.correlation(order, other)) < SAME_CIRCLE for other in kept):
                kept.append(order)
    return kept[:MOST_ORDERS]


def has_no_gap(problem: SoftProblem, trial: Trial) -> bool:
    """Whether no arc of a circle that is long, by how far expression changes along it, is all but empty."""
    return longest_gap(way_between_states(problem, trial), trial.run.statistics.weight.sum(axis=0)) < LONGEST_GAP


def way_between_states(problem: SoftProblem, trial: Trial) -> FloatArray:
    """From each state to the next, the last to the first, in standard deviations of a count, ``(states,)``."""
    parameters, total = trial.run.parameters, 0.0
    statistics = trial.run.statistics
    genes = problem.gene_problem(parameters, statistics)
    for mean, scatter in zip(
        problem.states.means(parameters.theta), (genes.unspliced_scatter, genes.spliced_scatter), strict=True
    ):
        following = np.roll(mean, -1, axis=1)
        middle = 0.5 * (mean + following)
        constant, linear, quadratic = problem.noise.variance_terms(scatter)[..., None]
        variance = np.maximum(constant + middle * (linear + quadratic * middle), 1e-12)
        total = total + ((following - mean) ** 2 / variance).sum(axis=0)
    return np.asarray(np.sqrt(total))


def longest_gap(way: FloatArray, weight: FloatArray) -> float:
    """Largest share of the way round that ``FEW`` of the cells take.

    Parameters
    ----------
    way
        From each state to the next, ``(states,)``.
    weight
        Cells of each state, ``(states,)``.
    """
    n, share = len(way), weight / weight.sum()
    longest = 0.0
    for first in range(n):
        states = (first + np.arange(n)) % n
        held = int(np.searchsorted(np.cumsum(share[states]), FEW, side="right"))  # states that hold so few
        longest = max(longest, float(way[(first - 1 + np.arange(held + 1)) % n].sum()))
    return longest / float(way.sum())
