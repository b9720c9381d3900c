"""What the curve of each gene explains, over a constant and of what a free curve along the clock would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums, Sums
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import Noise
from velotime.inference.model.posterior import gene_log_likelihood
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.states import States

FREE_BINS = 20  # pieces of the clock with a factor of their own in the free model
SCATTER_STEPS = 5  # towards the dispersion of a yardstick
LEAST_SIZE = 1e-12  # of a piece's cells: one that has none weighs nothing
LEAST_CELLS = 1.0  # in a piece whose factor counts as a parameter


@dataclass(frozen=True)
class GeneGains:
    """What the curve of each gene explains.

    Attributes
    ----------
    log_likelihood
        Expected log-likelihood of the gene's counts given the posterior, nats, ``(genes,)``.
    gain
        Log-likelihood over that of a constant mean with a dispersion of its own, nats, ``(genes,)``: how much the gene
        says about time.
    deviance_explained
        ``(kinetics - constant)/(free - constant)`` in log-likelihood, ``(genes,)``. "Free" is the curve times a factor
        in each of some 20 pieces of the clock and in either layer, less half a nat for each factor beyond the curve's
        own parameters, which is what these gain by chance. Constant and free mean have dispersions of their own: a
        curve beside its cells cannot hide in a large one. At most 1: the curve explains all that the clock can explain
        of this gene. NaN where a free mean explains nothing either.
    """

    log_likelihood: FloatArray
    gain: FloatArray
    deviance_explained: FloatArray


def gene_gains(problem: SoftProblem, parameters: SoftParameters, statistics: Sums) -> GeneGains:
    """What the curves explain, given sums over cells."""
    starts, noise = piece_starts(problem.states), problem.noise
    kinetics = gene_log_likelihood(problem, parameters, statistics)
    free, constant = np.zeros((2, len(kinetics)))
    n_factors = 0
    for data, sums, curve, scatter in zip(
        (problem.cells.unspliced, problem.cells.spliced),
        statistics.layers,
        problem.means(parameters),
        (parameters.unspliced_scatter, parameters.spliced_scatter),
        strict=True,
    ):
        flat = np.repeat(sums.overall_mean, curve.shape[1], axis=1)
        constant += _likelihood(noise, data, sums, flat, scatter)
        free += _likelihood(noise, data, sums, free_means(sums, curve, starts), scatter)
        n_factors += int((np.add.reduceat(sums.size, starts) >= LEAST_CELLS).sum())
    by_chance = max(n_factors - problem.states.layout.n_parameters, 0) / 2
    gain = kinetics - constant
    gap = np.maximum(free - by_chance - constant, gain)
    explained = np.where(gap > 1e-9, gain / np.where(gap > 1e-9, gap, 1.0), np.nan)
    return GeneGains(kinetics, gain, explained)


def _likelihood(noise: Noise, data: LayerData, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
    """Log-likelihood of each gene of a layer at its best dispersion for these means, ``(genes,)``."""
    own = free_scatter(noise, data, sums, means, scatter)
    return np.asarray(noise.log_likelihood(sums, means, own) + noise.constant(data, own))


def free_scatter(noise: Noise, data: LayerData, sums: LayerSums, means: FloatArray, scatter: FloatArray) -> FloatArray:
    """The noise model's parameter that fits these means, ``(genes,)``, from that of the fit on."""
    for _ in range(SCATTER_STEPS):
        scatter = noise.update_scatter(scatter, sums, means, data)
    return scatter


def free_means(sums: LayerSums, curve: FloatArray, starts: IntArray) -> FloatArray:
    """The curve times found over expected in each piece of the clock, ``(genes, states)``.

    A factor, and not a mean, as a curve may turn within a piece.
    """
    found = np.add.reduceat(sums.value, starts, axis=1)
    expected = np.add.reduceat(sums.size * curve, starts, axis=1)
    factor = np.where(expected > LEAST_SIZE, found / np.maximum(expected, LEAST_SIZE), 1.0)
    return np.asarray(np.repeat(factor, np.diff(np.append(starts, curve.shape[1])), axis=1) * curve)


def piece_starts(states: States) -> IntArray:
    """First state of each piece of the clock, lineage by lineage."""
    n_times = len(states.times)
    length = max(1, n_times // FREE_BINS)
    return np.concatenate([np.arange(first, first + n_times, length) for first in range(0, states.n_states, n_times)])
