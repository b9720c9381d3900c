"""Which cells do not cycle, before anything is asked of those that do: groups of like cells taken off the circle.

Components of expression show what differs most, and cells that do not cycle may differ from the others by more than
these among themselves: a circle through all cells is then none. So each of several groups of like cells is taken off in
turn, with means of its own, and the cells that are left put in a circular order; a short fit of both tells which group,
if any, is likelier beside the circle than on it by more than its means cost. The cells that are left must lie all the
way round: of an arc, which is no circle, any cells that are taken off let the others be joined at their ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.cell_space import k_means
from velotime.inference.em import Schedule, run_em
from velotime.inference.model.leaving.cells import Beside, some_cells
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.problem import SoftProblem
from velotime.inference.search.circle.orders import circular_orders, has_no_gap
from velotime.inference.search.geometry.starts import Geometry, Start, assignment
from velotime.inference.search.roots import Search
from velotime.inference.search.trials import Trial, begin_trial, go_on

GROUPS = (2, 3, 5, 8)  # numbers of groups that cells are sorted into
SMALLEST, LARGEST = 0.02, 0.6  # share of the cells that a group may hold
SAME_GROUP = 0.8  # share of the cells of both that two groups have in common, from which on they are one
GLANCE = Schedule(annealing=0, hottest=1.0, longest=3, tolerance=0.0)  # enough to rank groups
CLOSEST = 2  # groups that are fitted in earnest
S = TypeVar("S", bound=Search)


def cycling_cells(search: S) -> S:
    """The same search of the cells that cycle, with the others in ``off_clock``; itself if all do."""
    problem = search.problem(1)
    beside = [_best_way(problem, search.geometry, group) for group in groups_of(search.geometry, search.seed)]
    hopeful = [start for _, start in sorted(beside, key=lambda pair: -pair[0])[:CLOSEST]]
    whole = go_on(problem, max((begin_trial(problem, start) for start in _ways(search.geometry)), key=_bound))
    tried = [go_on(problem, begin_trial(problem, start)) for start in hopeful]
    ahead = max((whole, *(trial for trial in tried if has_no_gap(problem, trial))), key=_bound)
    if ahead is whole:
        return search
    return _only(search, Beside.of(problem, ahead.run.parameters).on_clock)


def _best_way(problem: SoftProblem, geometry: Geometry, group: BoolArray) -> tuple[float, Start]:
    """A group off the circle, and the others in the best of their own circular orders; its bound at a glance."""
    others = np.flatnonzero(~group)
    ways = []
    for order in circular_orders(of_cells(geometry, others)):
        time = np.zeros(len(group))
        time[others] = order
        ways.append(Start(int(others[0]), "angle", time, not_cycling=group.astype(np.float64)))
    bounds = [_at_a_glance(problem, start) for start in ways]
    best = int(np.argmax(bounds))
    return bounds[best], ways[best]


def _at_a_glance(problem: SoftProblem, start: Start) -> float:
    """Bound per cell after very few iterations."""
    quick = replace(problem, restart=restart_by_shapes)
    statistics = quick.statistics_of(assignment(start, quick.states))
    return run_em(quick, quick.first(statistics), statistics, GLANCE).bound


def _bound(trial: Trial) -> float:
    return trial.bound


def groups_of(geometry: Geometry, seed: int) -> list[BoolArray]:
    """Marks of the cells of each group of like cells, ``(cells,)`` each; groups that are nearly the same count once."""
    kept: list[BoolArray] = []
    for n_groups in GROUPS:
        label = k_means(geometry.components, n_groups, seed)[1]
        for group in (label == k for k in range(n_groups)):
            alike = [(group & other).sum() > SAME_GROUP * (group | other).sum() for other in kept]
            if SMALLEST <= group.mean() <= LARGEST and not any(alike):
                kept.append(group)
    return kept


def _ways(geometry: Geometry) -> list[Start]:
    return [Start(int(np.argmin(order)), "angle", order) for order in circular_orders(geometry)]


def of_cells(geometry: Geometry, which: IntArray) -> Geometry:
    """Some of the placed cells, with the components in which these differ most first."""
    some = geometry.take(which)
    return replace(some, components=_turned(some.components))


def _turned(points: FloatArray) -> FloatArray:
    centred = points - points.mean(axis=0)
    return np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2].T)


def _only(search: S, cycling: BoolArray | None) -> S:
    assert cycling is not None
    kept = np.flatnonzero(cycling)
    return replace(
        search,
        cells=some_cells(search.cells, cycling),
        geometry=of_cells(search.geometry, kept),
        prior_rows=search.prior_rows.take(kept),
        off_clock=search.geometry.cells[~cycling],
    )
