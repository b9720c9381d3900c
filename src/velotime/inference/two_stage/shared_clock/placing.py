r"""Where cells are on the clock, one time each: explicit times averaged over genes, or the exact nearest point.

**Explicit.** Each gene tells a time by itself, by inverting the kinetics of its two moving phases: from unspliced, or
from the auxiliary variable ``w = (gamma - beta) s - beta u`` where the delta method finds that the better one,

    Var(tau_u) = sigma_u^2 / u'^2,    Var(tau_w) = ((gamma - beta)^2 sigma_s^2 + beta^2 sigma_u^2) / w'^2.

Of the two phases a gene takes the one whose curve passes nearer, in units of the noise. It tells no time where a steady
state (before the first switch, at the last one, at the end) is as good a guess: noise around a steady state inverts to
just after the switch, where precision is highest. Times are averaged over genes: first the median, weighted by their
precision (sd^-1), which outliers cannot move; then a few steps towards Huber's mean, weighted by the precision that the
genes have *at that time*. (Weighted at its own time, a gene that noise brings near its steady state would count for
less than the same gene on the other side, and the mean be too early.)

**Exact.** ``t_i = argmin_t sum_g (u_ig - u_g(t))^2/sigma_ug^2 + (s_ig - s_g(t))^2/sigma_sg^2``: on the time grid, then
on ``FINER`` times as fine a grid around the best grid time, then at the highest point of a parabola through the best
three. On a grid the sum over genes is a matrix product, ``x . mu/sigma^2 - mu . mu/(2 sigma^2)`` but for a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Matrix, Sums, as_array
from velotime.inference.model.sums import sums_at
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter, switch_means, switch_velocity, time_from_spliced, time_from_unspliced

BLOCK_OF_CELLS = 512
FINER = 16  # times between two of the grid's
HUBER = 1.345  # residual, in standard deviations, from which on a gene counts as an outlier (95 % efficiency)
ROUNDS = 3  # of weighting genes again
STILL = 3.84  # squared distance by which a moving gene must fit better than a still one (5 % of chi-squared, 1 df)


@dataclass(frozen=True)
class Curves:
    """Curves of the genes on the clock, and how values scatter around them.

    Attributes
    ----------
    theta
        Parameters, ``(genes, 8)``, columns as in ``SwitchParameter``.
    unspliced_scatter, spliced_scatter
        Variances, ``(genes,)``.
    states
        The time grid; one lineage.
    """

    theta: FloatArray
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    states: States


@dataclass(frozen=True)
class PlacedSums:
    """Sums over cells that have one time each, and these times ``(cells,)``."""

    sums: Sums
    time: FloatArray

    @classmethod
    def at(cls, unspliced: Matrix, spliced: Matrix, time: FloatArray, n_times: int) -> PlacedSums:
        """Of cells at these times, on an even grid of so many; see :func:`sums_at`."""
        return cls(sums_at(unspliced, spliced, time, n_times), time)


class Placing(Protocol):
    """A way to place cells."""

    def times(self, unspliced: Matrix, spliced: Matrix, curves: Curves) -> tuple[FloatArray, FloatArray]:
        """Time of each cell, ``(cells,)``, and its score there, ``-sum of squares / 2`` up to a term without t."""


@dataclass(frozen=True)
class Exact:
    """The point of the curve that is nearest to the cell, in units of the noise."""

    def times(self, unspliced: Matrix, spliced: Matrix, curves: Curves) -> tuple[FloatArray, FloatArray]:
        """Grid, finer grid, parabola."""
        time, score = np.empty(unspliced.shape[0]), np.empty(unspliced.shape[0])
        rough = _on_the_grid(unspliced, spliced, curves)
        for cells, fine, scores in _windows(unspliced, spliced, curves, rough):
            best = scores.argmax(axis=1)
            time[cells], score[cells] = _parabola(fine, scores, best)
        return time, score


@dataclass(frozen=True)
class OnGrid:
    """The best time of the grid, and the highest point of the parabola through it and its neighbours."""

    def times(self, unspliced: Matrix, spliced: Matrix, curves: Curves) -> tuple[FloatArray, FloatArray]:
        """Grid, parabola."""
        times = curves.states.times
        time, score = np.empty(unspliced.shape[0]), np.empty(unspliced.shape[0])
        for cells, scores in _scores_on_the_grid(unspliced, spliced, curves):
            time[cells], score[cells] = _parabola(times, scores, scores.argmax(axis=1))
        return time, score


@dataclass(frozen=True)
class Explicit:
    """Explicit times of each gene, averaged over genes."""

    def times(self, unspliced: Matrix, spliced: Matrix, curves: Curves) -> tuple[FloatArray, FloatArray]:
        """Weighted median, then Huber's mean."""
        inverse = GeneTimes.of(curves)
        time = np.concatenate([inverse.average(*inverse.read(u, s)) for _, u, s in dense_blocks(unspliced, spliced)])
        return time, score_at(unspliced, spliced, curves, time)


@dataclass(frozen=True)
class GeneTimes:
    """The explicit inverse of every gene, with its precision on the time grid.

    Attributes
    ----------
    curves
        The curves.
    precision
        Inverse variance of an explicit time, by the delta method, ``(genes, times)``; 0 where nothing moves.
    by_unspliced
        Where unspliced is the better one to read, ``(genes, times)``.
    """

    curves: Curves
    precision: FloatArray
    by_unspliced: BoolArray

    @classmethod
    def of(cls, curves: Curves) -> GeneTimes:
        """Precisions by the delta method."""
        theta, times = curves.theta, curves.states.times
        du, ds = switch_velocity(theta, times)
        beta, gamma = np.exp(theta[:, :1]), np.exp(theta[:, 1:2])
        scaling = np.exp(theta[:, SwitchParameter.LOG_SCALING, None])
        var_u, var_s = (curves.unspliced_scatter[:, None] / scaling**2), curves.spliced_scatter[:, None]
        of_u = (du / scaling) ** 2 / var_u
        of_w = ((gamma - beta) * ds - beta * du / scaling) ** 2 / ((gamma - beta) ** 2 * var_s + beta**2 * var_u)
        moving = times >= theta[:, SwitchParameter.T_ON, None]
        return cls(curves, np.where(moving, np.maximum(of_u, of_w), 0.0), of_u >= of_w)

    def read(self, u: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Explicit time of each cell by each gene, and its precision there, both ``(cells, genes)``.

        Past the ends of a phase there is no inverse: the end is returned. Its precision is 0, and so is that of a gene
        that is at rest.
        """
        best = np.zeros(u.shape), np.full(u.shape, np.inf), np.zeros(u.shape, dtype=bool)
        for start, stop, alpha, at in self._phases():
            time = self._read_phase(u, s, start, stop, alpha, at)
            away = self._distance(u, s, time)
            nearer = away < best[1]
            told = (time > start) & (time < stop)
            best = np.where(nearer, time, best[0]), np.where(nearer, away, best[1]), np.where(nearer, told, best[2])
        told = best[2] & (best[1] < self._still(u, s) - STILL)
        return best[0], np.where(told, self._look_up(self.precision, best[0]), 0.0)

    def average(self, time: FloatArray, precision: FloatArray) -> FloatArray:
        """One time per cell from those of its genes, ``(cells,)``."""
        shared = weighted_median(time, np.sqrt(precision))
        for _ in range(ROUNDS):
            here = self._look_up(self.precision, np.repeat(shared[:, None], time.shape[1], axis=1))
            sigmas = np.abs(time - shared[:, None]) * np.sqrt(here)
            weight = here * np.minimum(1.0, HUBER / np.maximum(sigmas, 1e-12))
            total = weight.sum(axis=1)
            shared = np.where(total > 0, (weight * time).sum(axis=1) / np.maximum(total, 1e-300), shared)
        return np.asarray(shared)

    def _phases(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray, tuple[FloatArray, FloatArray]]]:
        """Start, end, transcription and the true (not captured) values at the start of both phases, ``(genes,)``."""
        p, theta = SwitchParameter, self.curves.theta
        value = np.exp(theta)
        gamma = value[:, p.LOG_GAMMA]
        t_on, t_off = theta[:, p.T_ON], theta[:, p.T_ON] + value[:, p.LOG_DURATION]
        for start, stop, level in ((t_on, t_off, p.LOG_LEVEL_1), (t_off, np.maximum(t_off, 1.0), p.LOG_LEVEL_2)):
            u0, s0 = _each_at(theta, start)
            yield start, stop, value[:, level] * gamma, (u0 / value[:, p.LOG_SCALING], s0)

    def _read_phase(
        self,
        u: FloatArray,
        s: FloatArray,
        start: FloatArray,
        stop: FloatArray,
        alpha: FloatArray,
        at: tuple[FloatArray, FloatArray],
    ) -> FloatArray:
        p, value = SwitchParameter, np.exp(self.curves.theta)
        beta, gamma = value[:, p.LOG_BETA], value[:, p.LOG_GAMMA]
        true_u = u / value[:, p.LOG_SCALING]
        longest = stop - start
        from_u = time_from_unspliced(true_u, at[0], alpha, beta, longest=2.0)
        from_w = time_from_spliced(true_u, s, *at, alpha, beta, gamma, longest=2.0)
        middle = start + np.minimum(from_u, longest)
        use_u = self._look_up(self.by_unspliced, middle)
        return np.asarray(np.clip(start + np.minimum(np.where(use_u, from_u, from_w), longest), 0.0, 1.0))

    def _distance(self, u: FloatArray, s: FloatArray, time: FloatArray) -> FloatArray:
        means = self.curves.states.means(self.curves.theta)
        du = (u - self._look_up(means[0], time)) ** 2 / self.curves.unspliced_scatter
        return np.asarray(du + (s - self._look_up(means[1], time)) ** 2 / self.curves.spliced_scatter)

    def _still(self, u: FloatArray, s: FloatArray) -> FloatArray:
        """Squared distance from the nearest point where the gene is at rest, ``(cells, genes)``."""
        least = np.full(u.shape, np.inf)
        last = self.curves.theta[:, SwitchParameter.T_ON] + np.exp(self.curves.theta[:, SwitchParameter.LOG_DURATION])
        for time in (np.zeros(u.shape[1]), np.minimum(last, 1.0), np.ones(u.shape[1])):
            at_u, at_s = _each_at(self.curves.theta, time)
            away = (u - at_u) ** 2 / self.curves.unspliced_scatter + (s - at_s) ** 2 / self.curves.spliced_scatter
            least = np.minimum(least, away)
        return least

    def _look_up(self, table: Any, time: FloatArray) -> Any:
        """``table`` ``(genes, times)`` at the grid times next to ``time`` ``(cells, genes)``."""
        n_times = table.shape[1]
        index = np.clip(np.rint(time * (n_times - 1)).astype(np.intp), 0, n_times - 1)
        index += np.arange(table.shape[0]) * n_times
        return table.ravel()[index]


def weighted_median(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Lower weighted median of each row, ``(rows,)``; the plain median where no weight is left."""
    weight = np.where(weight.sum(axis=1, keepdims=True) > 0, weight, 1.0)
    order = np.argsort(values, axis=1)
    heaped = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    at = (heaped < 0.5 * heaped[:, -1:]).sum(axis=1)
    return np.asarray(np.take_along_axis(values, order, axis=1)[np.arange(len(values)), at])


def score_at(unspliced: Matrix, spliced: Matrix, curves: Curves, time: FloatArray) -> FloatArray:
    """Score of each cell at a time of its own, ``(cells,)``."""
    score = np.empty(len(time))
    n_times = len(curves.states.times)
    rough = np.clip(np.rint(time * (n_times - 1)).astype(np.intp), 0, n_times - 1)
    for cells, fine, scores in _windows(unspliced, spliced, curves, rough):
        place = np.clip((time[cells] - fine[0]) / (fine[1] - fine[0]), 0, len(fine) - 1)
        low = np.minimum(place.astype(np.intp), len(fine) - 2)
        share, row = place - low, np.arange(len(cells))
        score[cells] = (1 - share) * scores[row, low] + share * scores[row, low + 1]
    return score


def dense_blocks(unspliced: Matrix, spliced: Matrix) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Cells and their values of both layers, a block at a time, float64."""
    for first in range(0, unspliced.shape[0], BLOCK_OF_CELLS):
        cells = slice(first, min(first + BLOCK_OF_CELLS, unspliced.shape[0]))
        u, s = (as_array(layer[cells], np.float64) for layer in (unspliced, spliced))
        yield cells, u, s


def _tables(curves: Curves, times: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Slopes of both layers ``(genes, times)`` and offsets ``(times,)`` of the scores at these times."""
    u, s = curves.states.at(times).means(curves.theta)
    u_slope, s_slope = u / curves.unspliced_scatter[:, None], s / curves.spliced_scatter[:, None]
    return u_slope, s_slope, 0.5 * ((u * u_slope).sum(axis=0) + (s * s_slope).sum(axis=0))


def _scores_on_the_grid(unspliced: Matrix, spliced: Matrix, curves: Curves) -> Iterator[tuple[slice, FloatArray]]:
    """Some cells and their scores, ``(cells, times)``, in the precision of the values: they are not copied."""
    u_slope, s_slope, offset = _tables(curves, curves.states.times)
    for first in range(0, unspliced.shape[0], 8 * BLOCK_OF_CELLS):
        cells = slice(first, first + 8 * BLOCK_OF_CELLS)
        u, s = unspliced[cells], spliced[cells]
        yield cells, u @ u_slope.astype(u.dtype) + s @ s_slope.astype(s.dtype) - offset


def _on_the_grid(unspliced: Matrix, spliced: Matrix, curves: Curves) -> IntArray:
    """Index of the best time of the grid, ``(cells,)``."""
    return np.concatenate([scores.argmax(axis=1) for _, scores in _scores_on_the_grid(unspliced, spliced, curves)])


def _windows(
    unspliced: Matrix, spliced: Matrix, curves: Curves, rough: IntArray
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Cells of one grid time, finer times around it, scores there ``(cells, times)``; grid time by grid time."""
    times = curves.states.times
    order = np.argsort(rough, kind="stable")
    edges = np.searchsorted(rough[order], np.arange(len(times) + 1))
    parts: dict[int, tuple[FloatArray, ...]] = {}
    for j in range(len(times)):
        cells = order[edges[j] : edges[j + 1]]
        if len(cells) == 0:
            continue
        parts = {k: parts[k] if k in parts else _part(curves, k) for k in (j - 1, j) if k >= 0}  # each is used twice
        fine, u_slope, s_slope, offset = (
            np.concatenate(arrays, axis=-1) for arrays in zip(*parts.values(), strict=True)
        )
        yield cells, fine, np.asarray(unspliced[cells] @ u_slope + spliced[cells] @ s_slope - offset)


def _part(curves: Curves, k: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Finer times from the k-th of the grid to just before the next one, and their tables."""
    times = curves.states.times
    fine = times[k:] if k == len(times) - 1 else np.linspace(times[k], times[k + 1], FINER, endpoint=False)
    return fine, *_tables(curves, fine)


def _parabola(times: FloatArray, scores: FloatArray, best: IntArray) -> tuple[FloatArray, FloatArray]:
    """Highest point of the parabola through the best score and its neighbours; the best itself at an end."""
    row, inner = np.arange(len(best)), np.clip(best, 1, len(times) - 2)
    before, here, after = (scores[row, inner + k] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    at_end, step = best != inner, times[1] - times[0]
    shift = np.where(at_end, best - inner, np.clip(shift, -0.5, 0.5))
    gain = np.where(at_end, scores[row, best] - here, -0.25 * (before - after) * shift)
    return times[inner] + shift * step, here + gain


def _each_at(theta: FloatArray, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of each gene at a time of its own, ``(genes,)``."""
    shifted = theta.copy()
    shifted[:, SwitchParameter.T_ON] -= time
    u, s = switch_means(shifted, np.zeros(1))
    return u[:, 0], s[:, 0]
