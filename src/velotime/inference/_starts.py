"""Where a fit begins: orderings of the cells from geometry, judged by short fits.

The diffusion map finds the axes of the data but not which end came first; the likelihood knows (unspliced leads
spliced) but does not find the axis. So candidate roots are the tips of the diffusion map, each gives an ordering by
diffusion distance, every ordering is spaced by rank and by arc length, and short fits on some of the genes are run
in rounds, of which the better half goes on (successive halving).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.stats import rankdata, spearmanr

from velotime._types import FloatArray, IntArray
from velotime.inference._em import Run, Schedule, run_em
from velotime.inference._params import States
from velotime.inference._soft_problem import SoftParameters, SoftProblem, SoftStatistics

TIP_COMPONENTS = 3  # diffusion components whose two ends are tried as roots
SAME_ORDER = 0.95  # Spearman correlation above which two orderings count as one
WIDTH = 0.06  # sd of the posterior that an ordering starts with, as a share of the clock
ROUND = Schedule(annealing=8, hottest=30.0, longest=1, tolerance=0.0)
LATER = Schedule(annealing=5, hottest=8.0, longest=3, tolerance=0.0)


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


@dataclass(frozen=True)
class Start:
    """One way to begin.

    Attributes
    ----------
    root
        The root cell, an index into all cells.
    spacing
        How the ordering was turned into times: "rank", "arc length", or "reversed" for the best one backwards.
    time
        Time of each placed cell, from 0 to 1.
    """

    root: int
    spacing: str
    time: FloatArray


@dataclass(frozen=True)
class Trial:
    """A start and the short fit from it."""

    start: Start
    run: Run[SoftParameters, SoftStatistics]

    @property
    def bound(self) -> float:
        """Bound a cell at temperature 1."""
        return self.run.bound


def orderings(geometry: Geometry) -> Iterator[Start]:
    """Every start from a tip of the diffusion map; tips that give the same ordering count once."""
    seen: list[FloatArray] = []
    for axis in range(min(TIP_COMPONENTS, geometry.diffusion.shape[1])):
        for pick in (np.argmin, np.argmax):
            tip = int(pick(geometry.diffusion[:, axis]))
            distance = np.linalg.norm(geometry.diffusion - geometry.diffusion[tip], axis=1)
            if any(spearmanr(distance, other).statistic > SAME_ORDER for other in seen):
                continue
            seen.append(distance)
            rank = (rankdata(distance) - 0.5) / len(distance)
            root = int(geometry.cells[tip])
            yield Start(root, "rank", rank)
            yield Start(root, "arc length", arc_length(rank, geometry.components))


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


def assignment(time: FloatArray, states: States) -> FloatArray:
    """A posterior around given times, alike in every lineage, ``(cells, states)``, float32."""
    log_weight = -0.5 * ((time[:, None] - states.time) / WIDTH) ** 2
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def halve(problem: SoftProblem, starts: list[Start], tick: Callable[[], None]) -> list[Trial]:
    """Short fits from every start; the better half of them goes on until two are left. Best first.

    Starts that fell out come back with the fit they had, behind those that went on.
    """
    going = [_begin(problem, start, tick) for start in starts]
    out: list[Trial] = []
    while len(going) > 2:
        going.sort(key=lambda trial: -trial.bound)
        half = (len(going) + 1) // 2
        out = going[half:] + out
        going = [_go_on(problem, trial, tick) for trial in going[:half]]
    going.sort(key=lambda trial: -trial.bound)
    return going + out


def reversed_trial(problem: SoftProblem, time: FloatArray, cells: IntArray, tick: Callable[[], None]) -> Trial:
    """Give the best fit's ordering, ``time`` of each placed cell, the same chances backwards."""
    last = int(cells[np.argmax(time)])
    backwards = _begin(problem, Start(last, "reversed", 1.0 - time), tick)
    return _go_on(problem, backwards, tick)


def _begin(problem: SoftProblem, start: Start, tick: Callable[[], None]) -> Trial:
    statistics = problem.statistics_of(assignment(start.time, problem.states))
    run = run_em(problem, problem.first(statistics), statistics, ROUND)
    tick()
    return Trial(start, run)


def _go_on(problem: SoftProblem, trial: Trial, tick: Callable[[], None]) -> Trial:
    heated = replace(problem, restarts=frozenset({0}))
    statistics, _ = heated.expect(trial.run.parameters, LATER.hottest)
    run = run_em(heated, trial.run.parameters, statistics, LATER)
    tick()
    return Trial(trial.start, run if run.bound > trial.bound else trial.run)
