"""Places of cells of several samples with what samples differ in taken off: where starts come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from velotime._types import FloatArray, IntArray
from velotime.inference.cell_space import k_means
from velotime.inference.em import Schedule, run_em

CELLS_PER_KIND = 40
MOST_KINDS = 15
ITERATIONS = Schedule(annealing=0, hottest=1.0, longest=60, tolerance=1e-4)
CREDIT = 1.0  # cells that every kind is credited with in every sample


@dataclass(frozen=True)
class Kinds:
    """Normal kinds of cells that all samples share, with an offset of each sample.

    Attributes
    ----------
    log_weight
        Of each kind in each sample, ``(samples, kinds)``.
    means
        ``(kinds, dimensions)``.
    offsets
        ``(samples, dimensions)``; their mean over the cells is zero.
    variance
        ``(dimensions,)``.
    """

    log_weight: FloatArray
    means: FloatArray
    offsets: FloatArray
    variance: FloatArray


@dataclass(frozen=True)
class OffsetProblem:
    """Kinds, their shares in each sample, and offsets, as a problem of the loop: statistics are responsibilities.

    A sample may lack a kind: its offset is told by the kinds that it shares with others, not by its mean.

    Attributes
    ----------
    points
        ``(cells, dimensions)``.
    sample
        Of each cell, ``(cells,)``.
    """

    points: FloatArray
    sample: IntArray

    def expect(self, parameters: Kinds, temperature: float) -> tuple[FloatArray, float]:
        """Probability of each kind, ``(cells, kinds)``, and the log-likelihood per cell."""
        del temperature
        free = (self.points - parameters.offsets[self.sample]) / np.sqrt(parameters.variance)
        means = parameters.means / np.sqrt(parameters.variance)
        square = (free**2).sum(axis=1, keepdims=True) - 2 * free @ means.T + (means**2).sum(axis=1)
        log_q = parameters.log_weight[self.sample] - 0.5 * (square + np.log(parameters.variance).sum())
        evidence = logsumexp(log_q, axis=1, keepdims=True)
        return np.exp(log_q - evidence), float(evidence.mean())

    def maximise(self, parameters: Kinds, statistics: FloatArray, iteration: int) -> Kinds:
        """Means, then offsets, then weights and variance."""
        del iteration
        q, n_samples = statistics, len(parameters.offsets)
        member = np.eye(n_samples)[self.sample]
        free = self.points - parameters.offsets[self.sample]
        means = (q.T @ free) / np.maximum(q.sum(axis=0), 1e-9)[:, None]
        residual = self.points - q @ means
        offsets = (member.T @ residual) / np.maximum(member.sum(axis=0), 1.0)[:, None]
        middle = (offsets * member.sum(axis=0)[:, None]).sum(axis=0) / len(self.points)
        offsets, means = offsets - middle, means + middle
        free = self.points - offsets[self.sample]
        variance = ((free**2).sum(axis=0) - 2 * (free * (q @ means)).sum(axis=0) + q.sum(axis=0) @ means**2) / len(q)
        weight = member.T @ q + CREDIT
        log_weight = np.log(weight / weight.sum(axis=1, keepdims=True))
        return Kinds(log_weight, means, offsets, np.maximum(variance, 1e-6))


def without_offsets(points: FloatArray, sample: IntArray, seed: int) -> FloatArray:
    """Points less the offset of each sample, ``(cells, dimensions)``.

    Found from no offsets and from samples of one mean, and the likelier is kept.
    """
    n_samples = int(sample.max()) + 1
    problem = OffsetProblem(points, sample)
    n_cells = np.maximum(np.bincount(sample, minlength=n_samples), 1)
    means = np.stack([np.bincount(sample, column, minlength=n_samples) / n_cells for column in points.T], axis=1)
    runs = []
    for offsets in (np.zeros_like(means), means - points.mean(axis=0)):
        free = points - offsets[sample]
        k = int(np.clip(len(points) // CELLS_PER_KIND, 2, MOST_KINDS))
        centres, kind = k_means(free, k, seed, runs=3)
        even = np.full((n_samples, k), -np.log(k))
        first = Kinds(even, centres, offsets, np.maximum(free.var(axis=0), 1e-6))
        runs.append(run_em(problem, first, np.eye(k)[kind], ITERATIONS))
    best = max(runs, key=lambda run: run.bound)
    return np.asarray(points - best.parameters.offsets[sample])
