"""What the curve of each gene explains, over a constant and of what a free curve along the clock would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.compute import LayerSums, Sums
from velotime.inference.model.posterior import gene_log_likelihood
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.states import States

FREE_BINS = 20  # pieces of the clock with a mean of their own in the free model
LEAST_SIZE = 1e-12  # of a piece's cells: one that has none weighs nothing


@dataclass(frozen=True)
class GeneGains:
    """What the curve of each gene explains.

    Attributes
    ----------
    log_likelihood
        Expected log-likelihood of the gene's counts given the posterior, nats, ``(genes,)``.
    gain
        Log-likelihood over that of a constant mean, nats, ``(genes,)``: how much the gene says about time.
    deviance_explained
        ``(kinetics - constant)/(free - constant)`` in log-likelihood, where "free" takes the better of a mean of its
        own and the curve in each of some 20 pieces of the clock, ``(genes,)``. (A curve that turns within a piece beats
        its mean.) At most 1: the curve explains all that the clock can explain of this gene. NaN where a free mean
        explains nothing either.
    """

    log_likelihood: FloatArray
    gain: FloatArray
    deviance_explained: FloatArray


def gene_gains(problem: SoftProblem, parameters: SoftParameters, statistics: Sums) -> GeneGains:
    """What the curves explain, given sums over cells."""
    genes = problem.gene_problem(parameters, statistics)
    pieces = _pieces(problem.states)
    kinetics = free = constant = np.zeros(genes.n_genes)
    means = problem.means(parameters)
    for sums, curve, scatter in (
        (genes.unspliced, means[0], genes.unspliced_scatter),
        (genes.spliced, means[1], genes.spliced_scatter),
    ):
        flat = np.repeat(_flat_mean(sums), curve.shape[1], axis=1)
        constant = constant + problem.noise.log_likelihood(sums, flat, scatter)
        for piece in pieces:
            own, within = sums.states(piece), curve[:, piece]
            of_curve = problem.noise.log_likelihood(own, within, scatter)
            of_mean = problem.noise.log_likelihood(own, np.repeat(_flat_mean(own), within.shape[1], axis=1), scatter)
            kinetics = kinetics + of_curve
            free = free + np.maximum(of_curve, of_mean)
    gap = free - constant
    explained = np.where(gap > 1e-9, (kinetics - constant) / np.where(gap > 1e-9, gap, 1.0), np.nan)
    return GeneGains(gene_log_likelihood(problem, parameters, statistics), kinetics - constant, explained)


def _pieces(states: States) -> list[slice]:
    """States of each piece of the clock, lineage by lineage."""
    n_times = len(states.times)
    length = max(1, n_times // FREE_BINS)
    return [
        slice(lineage + first, lineage + min(first + length, n_times))
        for lineage in range(0, states.n_states, n_times)
        for first in range(0, n_times, length)
    ]


def _flat_mean(sums: LayerSums) -> FloatArray:
    """Mean over all states, ``(genes, 1)``."""
    return np.asarray(sums.value.sum(axis=1, keepdims=True) / max(sums.size.sum(), LEAST_SIZE))
