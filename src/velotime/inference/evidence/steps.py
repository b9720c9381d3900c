r"""Do unspliced counts go along the clock with spliced ones, or in steps only.

Curves say that unspliced counts change all along the clock. Where they were shuffled among cells of similar times, or
are those of other cells of their kind, they change from stretch to stretch of the clock and are alike within each:
spliced counts go on where unspliced ones stand still. The order may be right, as it comes from the stretches, but
nothing says which way a cell moves within one.

Both are models of the same counts, with a factor for each gene in each of M stretches of every lineage:

    curves:  u_g(t) = a_gm curve_g(t)          steps:  u_g(t) = a_gm          for t in stretch m,

and where the stretches lie is chosen to suit the steps. With q the posterior of the states under either model, from all
spliced counts and its own unspliced ones, ``a_gm`` is what was found over what is expected, and the stretches maximise
``sum_gm U_gm^2 / (N_m V_g)`` (U and N sums of counts and of sizes under q, V variances), by dynamic programming. After
a few rounds

    gain(M) = mean over cells of  log p(u_i, s_i | curves) - log p(u_i, s_i | steps).

The same is measured in counts drawn from the fit, which says how much it should be. Where cells were shuffled within
stretches it is below zero. Few stretches are too coarse to show that, many too fine for so many counts, so several
numbers are tried. Real and simulated cells have half of what is expected or more (docs/studies/branches.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import logsumexp

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.evidence.coherence import LEAST_OF_A_SAMPLE, Draws
from velotime.inference.model.layer import LayerData
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.scores import state_scores
from velotime.inference.states import States

NUMBERS = (3, 4, 6, 8, 10)  # of stretches per lineage
LEAST_TIMES = 3  # of the grid in a stretch
MOST_STRETCHES = 20  # of all lineages: with more, steps are freer than curves
ROUNDS = 2  # of EM of either model
MOST_DRAWS = 5  # from the fit
TELLING = 0.02  # nats per cell that curves must be expected to gain, for their silence to mean anything
LEAST_SHARE = 0.3  # of what is expected, below which steps are taken to hold
LEAST_ERRORS = 4.0  # standard errors by which less is found than expected
TINY = 1e-9  # counts or cells: no stretch is without any


@dataclass(frozen=True)
class Steps:
    """By how much curves of unspliced counts beat steps, nats per cell, one entry per number of stretches.

    Attributes
    ----------
    number
        Stretches of each lineage, ``(numbers,)``.
    found
        In the data, ``(numbers,)``.
    expected
        In counts drawn from the fit, ``(numbers,)``.
    error
        Standard error of their difference, ``(numbers,)``.
    """

    number: IntArray
    found: FloatArray
    expected: FloatArray
    error: FloatArray

    @property
    def hold(self) -> int:
        """The number of stretches within which unspliced counts stand still; 0 where they do not."""
        return int(self.number[self._worst]) if self._low.any() else 0

    @property
    def of_worst(self) -> tuple[float, float]:
        """Found and expected where steps do best for what is expected; NaN where nothing is."""
        if not (self.expected >= TELLING).any():
            return float("nan"), float("nan")
        return float(self.found[self._worst]), float(self.expected[self._worst])

    @property
    def doubtful(self) -> BoolArray:
        """Where less is found than curves should gain, if only by chance, ``(numbers,)``."""
        return np.asarray((self.expected >= TELLING) & (self.found < LEAST_SHARE * self.expected))

    @property
    def _low(self) -> BoolArray:
        return self.doubtful & (self.expected - self.found > LEAST_ERRORS * self.error)

    @property
    def _worst(self) -> int:
        """Of the numbers that can tell: the farthest below what is expected, in standard errors."""
        below = (self.expected - self.found) / np.maximum(self.error, TINY)
        shown = self._low if self._low.any() else self.expected >= TELLING
        return int(np.where(shown, below, -np.inf).argmax())


def steps_of(problem: SoftProblem, parameters: SoftParameters, rng: Generator) -> Steps:
    """Measure it in the cells of a problem; within each sample where there are several, and averaged."""
    strata = list(problem.strata(parameters))
    enough = [pair for pair in strata if pair[0].cells.n_cells >= LEAST_OF_A_SAMPLE] or strata
    each = [_steps_of(part, own, rng) for part, own in enough]
    weight = np.array([part.cells.n_cells for part, _ in enough], dtype=np.float64)
    weight /= weight.sum()
    return Steps(
        each[0].number,
        weight @ np.stack([one.found for one in each]),
        weight @ np.stack([one.expected for one in each]),
        np.sqrt(weight**2 @ np.stack([one.error for one in each]) ** 2),
    )


def _steps_of(problem: SoftProblem, parameters: SoftParameters, rng: Generator) -> Steps:
    """In cells that share their parameters; drawn from the fit again where one draw leaves it open."""
    cells = problem.cells
    numbers = _numbers(problem.states)
    found = _Models.of(problem, parameters, cells.unspliced, cells.spliced).gains(numbers)
    drawn: list[FloatArray] = []
    draws = Draws(problem, parameters)
    while True:
        drawn.append(_Models.of(problem, parameters, *draws.layers(rng)).gains(numbers))
        expected, error = np.mean(drawn, axis=0)
        steps = Steps(np.array(numbers), found[0], expected, np.hypot(found[1], error / np.sqrt(len(drawn))))
        if len(drawn) == MOST_DRAWS or steps.hold or not steps.doubtful.any():
            return steps


def _numbers(states: States) -> list[int]:
    """Numbers of stretches that the grid has times for, and the lineages together."""
    most = min(len(states.times) // LEAST_TIMES, MOST_STRETCHES // states.layout.n_lineages)
    return [number for number in NUMBERS if number <= most] or [NUMBERS[0]]


@dataclass(frozen=True)
class _Models:
    """Curves and steps of unspliced counts, beside what prior and spliced counts say.

    Attributes
    ----------
    problem
        States and noise.
    unspliced
        Counts to explain.
    scatter
        Of each gene, ``(genes,)``.
    curves
        Unspliced counts at size factor 1, ``(genes, states)``.
    otherwise
        Log weight of each state by all but the unspliced counts, ``(cells, states)``.
    """

    problem: SoftProblem
    unspliced: LayerData
    scatter: FloatArray
    curves: FloatArray
    otherwise: FloatArray

    @classmethod
    def of(cls, problem: SoftProblem, parameters: SoftParameters, unspliced: LayerData, spliced: LayerData) -> _Models:
        curves, s_means = problem.means(parameters)
        rows = problem.cells.prior_rows.silent
        log_prior = rows.log_prior(parameters.prior, ())[rows.row]
        by_spliced = state_scores(problem.noise, spliced, s_means, parameters.spliced_scatter)
        curves = np.maximum(curves, TINY)
        return cls(problem, unspliced, parameters.unspliced_scatter, curves, log_prior + by_spliced)

    def gains(self, numbers: list[int]) -> FloatArray:
        """Log-likelihood of curves over steps, nats per cell, and its standard error, ``(2, numbers)``."""
        _, q = self._expect(self.curves)
        each = [self._gain(number, q) for number in numbers]
        return np.array([[gain.mean(), gain.std() / np.sqrt(len(gain))] for gain in each]).T

    def _gain(self, number: int, first: FloatArray) -> FloatArray:
        """Of each cell, ``(cells,)``, with so many stretches per lineage; both begin with this posterior."""
        steps, q = np.ones_like(self.curves), first
        for _ in range(ROUNDS):
            starts = self._stretches(q, number)
            by_steps, q = self._expect(self._scaled(steps, starts, q))
        q = first
        for _ in range(ROUNDS):
            by_curves, q = self._expect(self._scaled(self.curves, starts, q))
        return np.asarray(by_curves - by_steps)

    def _expect(self, means: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log evidence of each cell, ``(cells,)``, and posterior, ``(cells, states)``."""
        total = self.otherwise + state_scores(self.problem.noise, self.unspliced, means, self.scatter)
        evidence = logsumexp(total, axis=1)
        return evidence, np.exp(total - evidence[:, None])

    def _sums(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of counts ``(genes, states)`` and of sizes ``(states,)``."""
        return np.asarray(self.unspliced.values.T @ q), self.unspliced.size @ q + TINY

    def _scaled(self, shape: FloatArray, starts: IntArray, q: FloatArray) -> FloatArray:
        """A shape times the factor of each stretch that makes it expect what was found, ``(genes, states)``."""
        value, size = self._sums(q)
        found = np.add.reduceat(value, starts, axis=1) + TINY
        expected = np.add.reduceat(size * shape, starts, axis=1)
        lengths = np.diff(np.append(starts, shape.shape[1]))
        return np.asarray(np.repeat(found / expected, lengths, axis=1) * shape)

    def _stretches(self, q: FloatArray, number: int) -> IntArray:
        """First state of each stretch, lineage by lineage."""
        value, size = self._sums(q)
        n_times = len(self.problem.states.times)
        constant, linear, quadratic = self.problem.noise.variance_terms(self.scatter)
        mean = value.sum(axis=1) / size.sum()
        value /= np.sqrt(constant + linear * mean + quadratic * mean**2 + TINY)[:, None]
        lineages = range(0, len(size), n_times)
        parts = [slice(first, first + n_times) for first in lineages]
        return np.concatenate([at.start + best_stretches(value[:, at], size[at], number) for at in parts])


def best_stretches(value: FloatArray, size: FloatArray, number: int) -> IntArray:
    """Where the stretches begin that maximise the sum of ``value^2 / size`` over them, ``(number,)``, ascending.

    Parameters
    ----------
    value
        What is summed in each, ``(genes, times)``.
    size
        Likewise, ``(times,)``.
    number
        Of stretches, at most as many as there are times.
    """
    n = len(size)
    sums = np.concatenate([np.zeros((len(value), 1)), value.cumsum(axis=1)], axis=1)
    sizes = np.concatenate([[0.0], size.cumsum()])
    worth = np.full((n + 1, n + 1), -np.inf)  # of the stretch from one time to before another
    for first in range(n):
        square = ((sums[:, first + 1 :] - sums[:, [first]]) ** 2).sum(axis=0)
        worth[first, first + 1 :] = square / (sizes[first + 1 :] - sizes[first])
    best, before = worth[0], []
    for _ in range(number - 1):
        tried = best[:, None] + worth
        before.append(tried.argmax(axis=0))
        best = tried.max(axis=0)
    starts, end = [], n
    for last in reversed(before):
        end = int(last[end])
        starts.append(end)
    return np.array([0, *reversed(starts)])
