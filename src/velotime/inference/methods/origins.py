r"""Where a clock that goes round begins, what says so, and how sure that is.

Nothing in the counts of single genes says where a cycle begins: without more the origin is free. Three kinds of
knowledge tell it.

Markers: each gene says where it rises, or falls, through its mean, a quarter of a turn before or after the direction
of its means round the circle; the direction of all is the origin. Genes differ, and the jackknife over them gives its
variance; the interval takes Student's quantile of as many genes.

Density: a steadily growing population has density ``2 ln 2 2^(-z)`` from the division on. With q the posterior under
the prior p the likelihood of the division at z is, up to a constant, ``sum_i log sum_j q_ij p_(j-z)/p_j``. That holds
curves as they are, and most of what it knows lies in the jump at the division, where curves give way most: so the
standard error is at least that of the slope alone, ``1/(ln 2 sqrt(n))``.

Total counts: cells that grow towards a division hold ever more molecules, and half as many after it. With x_j the way
from z on to state j, the log total of a cell is normal around ``a + b x_j`` with probability q_ij: a mixture, of which
a, b and the variance are found by EM for each z. A drop is seen where b is above zero and that is likelier than a
constant, and than as smooth a change as one wave. The drop is as sure as phases are right where it is: over a fit they
are off by some hundredths of a turn here and there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from scipy.stats import norm
from scipy.stats import t as student

from velotime._check import Settings
from velotime._types import FloatArray
from velotime.inference.curves.circle import TURN, CircleClock
from velotime.inference.knowledge.order import Markers
from velotime.inference.labels import CellLabels
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import SoftParameters, SoftProblem

CLOCK = CircleClock()
BINS = 16  # pieces of the circle in which markers are averaged, so that crowded phases count no more
QUARTER = 0.25
COVERAGE = 0.9
MOST_CELLS = 4000  # whose totals are looked at
ROUNDS = 8  # of EM for each place of the drop
PHASES_OFF = 0.02  # turns, by which phases around a place are off together when a fit is not rotated
LEAST_DROP = 10.0  # nats over no change at all, from which on total counts are said to drop
OVER_WAVE = 3.0  # nats over a smooth change


@dataclass(frozen=True)
class CountDrop(Settings):
    """Where total counts drop, as cells divide: the origin of a clock that goes round.

    Total counts are the size factors of the fit. They must be those of whole cells: of counts that were normalised,
    downsampled, or are of few genes, nothing can be read. Where no drop is seen, the origin is left free.

    Examples
    --------
    >>> import velotime as vt
    >>> vt.Cycle(origin=vt.CountDrop())
    Cycle(origin=CountDrop(), not_cycling=False)
    """


@dataclass(frozen=True)
class Origin:
    """Where a clock that goes round begins.

    Attributes
    ----------
    phase
        Of the fit, at which it is to begin.
    by
        What says so: "markers", "growth", "total counts" or "free".
    sd
        Standard error, turns; NaN where it is not known.
    low, high
        90 % interval around the phase: how far it may lie before and after, turns.
    """

    phase: float
    by: str
    sd: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


def by_markers(markers: Markers, phase: FloatArray, labels: CellLabels) -> Origin:
    """Where the early genes rise, and the late ones fall, through their means: a quarter before and after their peaks.

    The peak of a gene is the direction of its mean counts round the circle, every piece of the circle with cells
    counting the same; genes count the same, and so do early and late ones together.
    """
    piece = np.minimum((phase * BINS).astype(int), BINS - 1)
    early, late = (
        np.array([_direction(labels.genes[gene], piece) for gene in genes]) for genes in (markers.early, markers.late)
    )
    early, late = early * np.exp(-1j * TURN * QUARTER), late * np.exp(1j * TURN * QUARTER)
    zero, n = _middle(early, late), len(early) + len(late)
    if n == 1:
        return Origin(zero, "markers")
    without = [_middle(np.delete(early, k), late) for k in range(len(early))]
    without += [_middle(early, np.delete(late, k)) for k in range(len(late))]
    away = CLOCK.away(np.array(without), np.array(zero))
    sd = float(np.sqrt((n - 1) / n * (away**2).sum()))
    half = min(float(student.ppf(0.5 + COVERAGE / 2, n - 1)) * sd, 0.5)
    return Origin(zero, "markers", sd, -half, half)


def _direction(values: FloatArray, piece: FloatArray) -> complex:
    """Of the mean counts of a gene round the circle, a number of size 1."""
    value, here = np.log1p(np.maximum(values, 0.0)), np.unique(piece)
    means = np.array([value[piece == k].mean() for k in here])
    return _unit(complex((means - means.mean()) @ np.exp(1j * TURN * (here + 0.5) / BINS)))


def _unit(number: complex) -> complex:
    return number / max(abs(number), 1e-12)


def _middle(*groups: FloatArray) -> float:
    """Phase in the middle of the directions of groups of directions."""
    total = sum(_unit(complex(group.sum())) for group in groups if len(group))
    return float(np.angle(total) / TURN % 1.0)


def by_density(problem: SoftProblem, parameters: SoftParameters) -> Origin:
    """Where the density of cells that grow steadily has its division."""
    prior = parameters.prior[0]
    n_times = len(prior)
    turned = np.stack([np.roll(prior, k) for k in range(n_times)], axis=1) / prior[:, None]
    value = np.zeros(n_times)
    for _, q in blocks(problem, parameters):
        value += np.log(np.maximum(q @ turned, 1e-300)).sum(axis=0)
    zero = float(problem.states.times[prior.argmax()])
    least = 1 / (np.log(2) * np.sqrt(problem.cells.n_cells))
    return _with_interval(zero, (problem.states.times + zero) % 1.0, value, ("growth", least))


def by_total_counts(problem: SoftProblem, parameters: SoftParameters) -> Origin:
    """Where total counts drop; free where they do not."""
    cells, times = problem.cells, problem.states.times
    totals = [float(layer.value_per_level.sum()) for layer in (cells.unspliced, cells.spliced)]
    size = np.log(np.array(totals) @ np.stack([cells.unspliced.size, cells.spliced.size]))
    some = np.linspace(0, cells.n_cells - 1, min(cells.n_cells, MOST_CELLS)).astype(int)
    q = np.concatenate([own for _, own in blocks(problem, parameters)])[some].astype(np.float64)
    return drop_of(size[some], q, times)


def drop_of(size: FloatArray, q: FloatArray, times: FloatArray) -> Origin:
    """Where log totals ``(cells,)`` of cells with a posterior ``(cells, times)`` over phases drop."""
    one = np.ones_like(times)
    wave = np.stack([one, np.cos(TURN * times), np.sin(TURN * times)])
    constant, smooth = (_likelihood(size, q, design)[0] for design in (wave[:1], wave))
    found = [_likelihood(size, q, np.stack([one, (times - place) % 1.0])) for place in times]
    value, slope = np.array([likelihood for likelihood, _ in found]), [effect[1] for _, effect in found]
    best = int(value.argmax())
    if slope[best] <= 0 or value[best] < max(constant + LEAST_DROP, smooth + OVER_WAVE):
        return Origin(0.0, "free")
    return _with_interval(float(times[best]), times, value, ("total counts", PHASES_OFF))


def _likelihood(size: FloatArray, q: FloatArray, design: FloatArray) -> tuple[float, FloatArray]:
    """Log-likelihood of a linear model in the states, ``(terms, times)``, and its effects, by EM."""
    r, value = q / q.sum(axis=1, keepdims=True), 0.0
    for _ in range(ROUNDS):
        weight = r.sum(axis=0)
        effect = np.linalg.lstsq((design * weight) @ design.T, design @ (r.T @ size), rcond=None)[0]
        away = (size[:, None] - effect @ design) ** 2
        variance = max(float((r * away).sum()) / len(size), 1e-12)
        density = q * np.exp(-0.5 * away / variance)
        total = np.maximum(density.sum(axis=1, keepdims=True), 1e-300)
        value, r = float(np.log(total).sum()) - 0.5 * len(size) * float(np.log(variance)), density / total
    return value, effect


def _with_interval(zero: float, places: FloatArray, value: FloatArray, by: tuple[str, float]) -> Origin:
    """From the log-likelihood of places round the circle; ``by`` what, and the least standard error."""
    weight, away = softmax(value), CLOCK.away(places, np.array(zero))
    order = np.argsort(away)
    below = np.cumsum(weight[order]) - 0.5 * weight[order]
    least = float(np.hypot(by[1], 1 / (np.sqrt(12) * len(places))))  # a step of the grid
    ends = np.interp([0.5 - COVERAGE / 2, 0.5 + COVERAGE / 2], below, away[order])
    half = float(norm.ppf(0.5 + COVERAGE / 2)) * least
    sd = max(float(np.sqrt(weight @ away**2)), least)
    return Origin(zero, by[0], sd, min(float(ends[0]), -half), max(float(ends[1]), half))
