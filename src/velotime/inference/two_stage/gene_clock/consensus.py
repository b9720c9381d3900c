r"""The clock on which the genes' own clocks agree.

A gene's own clock counts from its switching on, in units of its 1/beta. Neither origin nor unit is that of another
gene. On a clock t that all genes share, from 0 to 1, gene g is at ``x = rate_g (t - onset_g)`` of its own clock, and
off before its onset. The curves stay as they are; two numbers per gene and one time per cell are found by least squares
in units of the noise, in turn: cells by the nearest point (``shared_clock.placing.Exact``), genes by Gauss-Newton steps
on sums over cells. The direction is that of the curves, in which unspliced leads spliced.

It starts from orders of some cells by geodesic distance from candidate ends (those of the longest way through the graph
of neighbours, and both ends of the first principal components), each gene at the best of a table of rates and onsets.
The best few are followed; the one that ends with the least squares takes each gene from the table again, as long as
that helps, and goes on with all cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator
from scipy.stats import rankdata

from velotime._types import FloatArray, IntArray
from velotime.compute import CurveTargets, Matrix, Sums, as_array
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.search.geometry.geodesic import Geodesics
from velotime.inference.states import States
from velotime.inference.two_stage.gene_clock.kernels.data import (
    LOG_R,
    LOG_S,
    LOG_SIGMA,
    LOG_SIGMA_RATIO,
    LOG_U,
    LOG_X,
    CurveData,
)
from velotime.inference.two_stage.shared_clock.placing import Curves as SharedCurves
from velotime.inference.two_stage.shared_clock.placing import Exact, OnGrid, PlacedSums, Placing
from velotime.kinetics import SwitchParameter

N_TIMES = 64
GRID = States.grid(N_TIMES)
SOME_CELLS, SOME_GENES = 600, 200  # of the starts
N_COMPONENTS = 10  # in which cells are neighbours
N_TIPS = 3  # components whose ends are candidates
FOLLOWED = 3  # starts that are followed
AGAIN = 3  # times at most that the best of them takes its genes from the table again
COARSE = 20  # times on which rates and onsets are screened
RATES = np.geomspace(0.5, 40.0, 9)  # per total time
ONSETS = np.linspace(-1.0, 0.9, 13)
ROOM = 0.2  # left at both ends of the clock for a while
ENDS = (0.005, 0.995)  # shares of the cells between which the clock runs in the end
STEPS = 2  # Gauss-Newton steps per M-step
OFF_LEVEL = -30.0  # log of nothing
START, WHOLE = Schedule(0, 1.0, 8, 0.02), Schedule(0, 1.0, 4, 0.02)


# Derivatives of these by a gene's log rate and onset, ``(8, 2)``: times on its own clock stay as they are.
TO_CLOCK = np.zeros((8, 2))
TO_CLOCK[[SwitchParameter.LOG_BETA, SwitchParameter.LOG_GAMMA], 0] = 1.0
TO_CLOCK[SwitchParameter.LOG_DURATION, 0] = -1.0
TO_CLOCK[SwitchParameter.T_ON, 1] = 1.0


@dataclass(frozen=True)
class GeneClocks:
    """Where the genes' own clocks stand on the shared one.

    Attributes
    ----------
    log_rate
        Log of the units of the gene's clock in all of time, so of beta per total time, ``(genes,)``.
    onset
        Shared time at which the gene's clock begins, ``(genes,)``.
    """

    log_rate: FloatArray
    onset: FloatArray

    def on(self, first: float, last: float) -> GeneClocks:
        """The same on a clock that is 0 at ``first`` and 1 at ``last``."""
        length = max(last - first, 1e-9)
        return GeneClocks(self.log_rate + np.log(length), (self.onset - first) / length)

    def put(self, genes: IntArray, other: GeneClocks) -> GeneClocks:
        """The same with the other's in place of these genes'."""
        log_rate, onset = self.log_rate.copy(), self.onset.copy()
        log_rate[genes], onset[genes] = other.log_rate, other.onset
        return GeneClocks(log_rate, onset)


@dataclass(frozen=True)
class ClockProblem:
    """Times of the cells given the genes' clocks, and the reverse.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``.
    theta
        Parameters of the curves, ``(genes, 6)``.
    sigma
        Noise sds of both layers, ``(genes, 2)``.
    placing
        How cells are placed.
    """

    unspliced: Matrix
    spliced: Matrix
    theta: FloatArray
    sigma: FloatArray
    placing: Placing = field(default_factory=OnGrid)

    def expect(self, clocks: GeneClocks, temperature: float) -> tuple[PlacedSums, float]:
        """Nearest times, and minus half the squared distance per cell up to a constant."""
        del temperature
        curves = SharedCurves(self.shared(clocks), self.sigma[:, 0] ** 2, self.sigma[:, 1] ** 2, GRID)
        time, score = self.placing.times(self.unspliced, self.spliced, curves)
        return self.sums(time), float(score.mean())

    def sums(self, time: FloatArray) -> PlacedSums:
        """Sums on the grid of cells at these times."""
        return PlacedSums.at(self.unspliced, self.spliced, time, N_TIMES)

    def maximise(self, clocks: GeneClocks, statistics: PlacedSums, iteration: int) -> GeneClocks:
        """Gauss-Newton steps, each taken where it helps the gene."""
        del iteration
        sums, nothing = statistics.sums, np.zeros(len(self.theta))
        targets = [
            CurveTargets(layer.value, layer.size, layer.mean_size, np.stack([variance, nothing, nothing]))
            for layer, variance in zip(sums.layers, self.sigma.T**2, strict=True)
        ]
        for _ in range(STEPS):
            theta = self.shared(clocks)
            here = self.loss(clocks, sums)
            gradient, square = (found @ TO_CLOCK for found in GRID.information(theta, *targets))
            square = TO_CLOCK.T @ square + np.eye(2)
            step = np.clip(np.linalg.solve(square, gradient[..., None])[..., 0], -0.3, 0.3)
            tried = GeneClocks(
                np.clip(clocks.log_rate + step[:, 0], np.log(0.05), np.log(200.0)),
                np.clip(clocks.onset + step[:, 1], -5.0, 1.0),
            )
            better = self.loss(tried, sums) < here
            clocks = GeneClocks(
                np.where(better, tried.log_rate, clocks.log_rate), np.where(better, tried.onset, clocks.onset)
            )
        return clocks

    def settle(self, clocks: GeneClocks, statistics: PlacedSums, schedule: Schedule) -> Run[GeneClocks, PlacedSums]:
        """Run to the end, leave room before the first and after the last cell and run on, and take what is not needed.

        Where a process ends much as it began, cells that came to lie at the wrong end can move to the other. Cells that
        go far off on their own, where nothing changes any more, are brought back to the rest.
        """
        run = run_em(self, clocks, statistics, schedule)
        for again in range(2):
            low, high = (-ROOM, 1 + ROOM) if again == 0 else np.quantile(run.statistics.time, ENDS)
            clocks = run.parameters.on(low, high)
            run = run_em(self, clocks, self.expect(clocks, 1.0)[0], schedule)
        return run

    def loss(self, clocks: GeneClocks, sums: Sums) -> FloatArray:
        """Half the squared distance of each gene at given times, up to a constant, ``(genes,)``."""
        return _loss(GRID.means(self.shared(clocks)), sums, self.sigma)

    def shared(self, clocks: GeneClocks) -> FloatArray:
        """Parameters of the switch model on the shared clock, ``(genes, 8)``."""
        p, out = SwitchParameter, np.full((len(self.theta), 8), OFF_LEVEL)
        out[:, p.LOG_BETA], out[:, p.LOG_GAMMA] = clocks.log_rate, clocks.log_rate + self.theta[:, LOG_R]
        out[:, p.T_ON], out[:, p.LOG_DURATION] = clocks.onset, self.theta[:, LOG_X] - clocks.log_rate
        out[:, p.LOG_LEVEL_1] = self.theta[:, LOG_S]
        out[:, p.LOG_SCALING] = self.theta[:, LOG_U] - self.theta[:, LOG_S] - self.theta[:, LOG_R]
        return out

    def screen(self, times: list[FloatArray]) -> list[GeneClocks]:
        """The best of a table of rates and onsets for each gene, given times of the cells; for each such times."""
        edges = np.linspace(0, N_TIMES, COARSE + 1).astype(int)[:-1]
        middle = GRID.at((edges + np.append(edges[1:], N_TIMES) - 1) / 2 / (N_TIMES - 1))
        coarse = [self.sums(time).sums.runs(edges) for time in times]
        n = len(self.theta)
        table = np.array([(rate, onset) for rate in np.log(RATES) for onset in ONSETS])
        best, loss = np.zeros((len(times), n), dtype=np.int64), np.full((len(times), n), np.inf)
        for row, (rate, onset) in enumerate(table):
            means = middle.means(self.shared(GeneClocks(np.full(n, rate), np.full(n, onset))))
            for k, sums in enumerate(coarse):
                found = _loss(means, sums, self.sigma)
                best[k] = np.where(found < loss[k], row, best[k])
                loss[k] = np.minimum(found, loss[k])
        return [GeneClocks(*table[rows].T) for rows in best]

    def some(self, cells: IntArray, genes: IntArray) -> ClockProblem:
        """The same on some cells and genes, dense."""
        return ClockProblem(
            as_array(self.unspliced[cells][:, genes]),
            as_array(self.spliced[cells][:, genes]),
            self.theta[genes],
            self.sigma[genes],
        )


def _loss(means: tuple[FloatArray, FloatArray], sums: Sums, sigma: FloatArray) -> FloatArray:
    u_loss, s_loss = (
        (mean * (0.5 * layer.size * mean - layer.value)).sum(axis=1)
        for mean, layer in zip(means, sums.layers, strict=True)
    )
    return np.asarray(u_loss / sigma[:, 0] ** 2 + s_loss / sigma[:, 1] ** 2)


def noise_sd(theta: FloatArray, spread: FloatArray) -> FloatArray:
    """Sds of both layers from the parameters and the spreads they are relative to, ``(genes, 2)``."""
    half = 0.5 * theta[:, LOG_SIGMA_RATIO]
    return np.asarray(spread * np.exp(theta[:, [LOG_SIGMA]] + np.stack([half, -half], axis=1)))


def align(data: CurveData, theta: FloatArray, rng: Generator) -> tuple[FloatArray, GeneClocks]:
    """Shared time of each cell, from 0 to 1, ``(cells,)``, and where the genes' clocks stand on it."""
    problem = ClockProblem(data.unspliced, data.spliced, theta, noise_sd(theta, data.spread))
    cells = np.sort(rng.permutation(data.n_cells)[:SOME_CELLS])
    genes = np.argsort(theta[:, LOG_SIGMA], kind="stable")[:SOME_GENES]  # those with the least noise
    some = problem.some(cells, genes)
    best = _best_of_starts(some)
    placed = problem.some(np.arange(data.n_cells), genes)
    whole = problem.screen([placed.expect(best.parameters, 1.0)[0].time])[0].put(genes, best.parameters)
    statistics, _ = problem.expect(whole, 1.0)
    run = problem.settle(whole, statistics, WHOLE)
    exact, _ = replace(problem, placing=Exact()).expect(run.parameters, 1.0)
    return _from_zero_to_one(exact.time, run.parameters)


def _best_of_starts(some: ClockProblem) -> Run[GeneClocks, PlacedSums]:
    """The run that ends with the least squares."""
    starts = [(clocks, *some.expect(clocks, 1.0)) for clocks in some.screen(_orders(some))]
    starts.sort(key=lambda start: -start[2])
    best = max((some.settle(*start[:2], START) for start in starts[:FOLLOWED]), key=lambda run: run.bound)
    for _ in range(AGAIN):
        clocks = some.screen([best.statistics.time])[0]
        tried = some.settle(clocks, some.expect(clocks, 1.0)[0], START)
        if tried.bound <= best.bound:
            break
        best = tried
    return best


def _orders(some: ClockProblem) -> list[FloatArray]:
    """Ranks of the cells by geodesic distance from candidate ends, and the same backwards, each ``(cells,)``."""
    x = np.hstack([some.unspliced / some.sigma[:, 0], some.spliced / some.sigma[:, 1]])
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    points = left[:, :N_COMPONENTS] * values[:N_COMPONENTS]
    geodesics = Geodesics(points)
    end = int(geodesics.distances(int(points[:, 0].argmax())).argmax())
    ends = [end, int(geodesics.distances(end).argmax())]
    for axis in points.T[:N_TIPS]:
        ends += [int(axis.argmin()), int(axis.argmax())]
    orders = [(rankdata(geodesics.distances(end)) - 1) / max(len(points) - 1, 1) for end in dict.fromkeys(ends)]
    return [order for rank in orders for order in (rank, 1 - rank)]


def _from_zero_to_one(time: FloatArray, clocks: GeneClocks) -> tuple[FloatArray, GeneClocks]:
    """The same on a clock that begins with the first cell and ends with the last."""
    first, last = float(time.min()), float(time.max())
    return (time - first) / max(last - first, 1e-9), clocks.on(first, last)
