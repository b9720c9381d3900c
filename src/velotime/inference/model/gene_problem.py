"""What an M-step solves: curves of genes to sums over cells, with the noise model and the prior of the parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import CurveTargets, LayerSums
from velotime.inference.model.noise import Noise
from velotime.inference.model.rate_prior import CurvePrior, RatePrior
from velotime.inference.states import Layout, States

COARSE = 16  # times per lineage of a coarse problem


@dataclass(frozen=True)
class GeneProblem:
    """What is fitted in the M-step: curves on states to sums of both layers.

    Attributes
    ----------
    states
        The states of the cells.
    noise
        The noise model.
    prior
        Prior of the parameters.
    unspliced, spliced
        Sums over cells.
    unspliced_scatter, spliced_scatter
        The noise model's parameter, ``(genes,)``.
    """

    states: States
    noise: Noise
    prior: CurvePrior
    unspliced: LayerSums
    spliced: LayerSums
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced_scatter.shape[0])

    def genes(self, index: IntArray | slice) -> GeneProblem:
        """The problem of these genes."""
        return GeneProblem(
            self.states,
            self.noise,
            self.prior.genes(index),
            self.unspliced.genes(index),
            self.spliced.genes(index),
            self.unspliced_scatter[index],
            self.spliced_scatter[index],
        )

    def coarse(self) -> GeneProblem:
        """The same on about ``COARSE`` times per lineage, each the middle of those it stands for."""
        n_times = len(self.states.times)
        factor = max(1, n_times // COARSE)
        starts = np.arange(0, n_times, factor)
        width = np.diff(np.append(starts, n_times))
        times = np.add.reduceat(self.states.times, starts) / width
        return GeneProblem(
            self.states.at(times),
            self.noise,
            self.prior,
            self.unspliced.merge(n_times, factor),
            self.spliced.merge(n_times, factor),
            self.unspliced_scatter,
            self.spliced_scatter,
        )

    def without_lineages(self) -> GeneProblem:
        """The same cells on one lineage."""
        states = replace(self.states, layout=Layout(1))
        k = self.states.layout.n_lineages
        return GeneProblem(
            states,
            self.noise,
            RatePrior(states.layout),
            self.unspliced.over_lineages(k),
            self.spliced.over_lineages(k),
            self.unspliced_scatter,
            self.spliced_scatter,
        )

    def one_curve(self) -> GeneProblem:
        """The same sums, state by state, and one curve for all lineages.

        Its log-likelihood compares with that of curves by lineage; that of :meth:`without_lineages` does not, as the
        variance of a count is taken at the mean size factor of a state, and states are other ones there.
        """
        states = replace(self.states, times=self.states.time, layout=Layout(1))
        return replace(self, states=states, prior=RatePrior(states.layout))

    def log_likelihood(self, means: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Expected log-likelihood of each gene without its constant, ``(genes,)``."""
        return self.noise.log_likelihood(self.unspliced, means[0], self.unspliced_scatter) + self.noise.log_likelihood(
            self.spliced, means[1], self.spliced_scatter
        )

    def loss(self, theta: FloatArray) -> FloatArray:
        """Minus the log posterior density of each gene up to a constant, ``(genes,)``."""
        return self.prior.penalty(theta) - self.log_likelihood(self.states.means(theta))

    def information(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and Fisher information of all parameters."""
        layers = (
            CurveTargets(sums.value, sums.size, sums.mean_size, self.noise.variance_terms(scatter))
            for sums, scatter in (
                (self.unspliced, self.unspliced_scatter),
                (self.spliced, self.spliced_scatter),
            )
        )
        return self.states.information(theta, *layers)
