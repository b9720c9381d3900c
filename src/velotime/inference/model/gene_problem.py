"""What an M-step solves: curves of genes to sums over cells, with the noise model and the prior of the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import CurveTargets, LayerSums
from velotime.inference.model.background.means import Pair, shares, with_background
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
    background
        What the means of both layers have besides the curves, ``(2, genes)``; None for nothing.
    """

    states: States
    noise: Noise
    prior: CurvePrior
    unspliced: LayerSums
    spliced: LayerSums
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    background: FloatArray | None = None

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
            None if self.background is None else self.background[:, index],
        )

    def repeated(self, times: int) -> GeneProblem:
        """All genes so many times over, for as many starts of each, start by start."""
        return self.genes(np.tile(np.arange(self.n_genes), times))

    def parts(self, theta: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray]]:
        """Problems of cells with curves of their own, as each of several samples, and the parameters of these."""
        yield self, theta

    def coarse(self, about: int = COARSE) -> GeneProblem:
        """The same on fewer times, for shapes."""
        return self.merged(about)

    def merged(self, about: int) -> GeneProblem:
        """The same on about so many times per lineage, each the middle of those it stands for."""
        n_times = len(self.states.times)
        factor = max(1, n_times // about)
        starts = np.arange(0, n_times, factor)
        width = np.diff(np.append(starts, n_times))
        times = np.add.reduceat(self.states.times, starts) / width
        return replace(
            self,
            states=self.states.at(times),
            unspliced=self.unspliced.merge(n_times, factor),
            spliced=self.spliced.merge(n_times, factor),
        )

    def without_lineages(self) -> GeneProblem:
        """The same cells on one lineage."""
        states = replace(self.states, layout=Layout(1))
        k = self.states.layout.n_lineages
        return replace(
            self,
            states=states,
            prior=RatePrior(states.layout),
            unspliced=self.unspliced.over_lineages(k),
            spliced=self.spliced.over_lineages(k),
        )

    def one_curve(self) -> GeneProblem:
        """The same sums, state by state, and one curve for all lineages.

        Its log-likelihood compares with that of curves by lineage; that of :meth:`without_lineages` does not, as the
        variance of a count is taken at the mean size factor of a state, and states are other ones there.
        """
        states = replace(self.states, times=self.states.time, layout=Layout(1))
        return replace(self, states=states, prior=RatePrior(states.layout))

    def means(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected counts of both layers at size factor 1, curve and background, each ``(genes, states)``."""
        return with_background(self.states.means(theta), self.background)

    @property
    def values_of_curves(self) -> tuple[FloatArray, FloatArray]:
        """Summed values of both layers less what is expected of the background, each ``(genes, states)``."""
        layers = (self.unspliced, self.spliced)
        if self.background is None:
            return layers[0].value, layers[1].value
        u, s = (
            sums.value - besides[:, None] * sums.size for sums, besides in zip(layers, self.background, strict=True)
        )
        return u, s

    def within(self, theta: FloatArray, before: FloatArray) -> FloatArray:
        """Parameters within the box of the prior; those that the shape of a gene before has not stay as they are.

        So a switch that would get too long is held at the longest one: a whole turn stands for another shape.
        """
        return np.where(self.states.curve.idle(before) > 0, before, np.clip(theta, self.prior.lower, self.prior.upper))

    def log_likelihood(self, curves: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Expected log-likelihood of each gene without its constant, given its curves, ``(genes,)``."""
        return self.log_likelihood_at(with_background(curves, self.background))

    def log_likelihood_at(self, means: tuple[FloatArray, FloatArray]) -> FloatArray:
        """The same given whole means, background and all, ``(genes,)``."""
        return self.noise.log_likelihood(self.unspliced, means[0], self.unspliced_scatter) + self.noise.log_likelihood(
            self.spliced, means[1], self.spliced_scatter
        )

    def loss(self, theta: FloatArray) -> FloatArray:
        """Minus the log posterior density of each gene up to a constant, ``(genes,)``."""
        return self.prior.penalty(theta) - self.log_likelihood(self.states.means(theta))

    def information(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and Fisher information of all parameters."""
        return self.states.information(theta, *self.targets)

    # ------------------------------------------------------------------ background
    def shares(self, profile: FloatArray) -> FloatArray:
        """Share of the counts that is background, a row for each of the profile, ``(2,)``."""
        return np.zeros(2) if self.background is None else shares(self.background, profile)

    def with_shares(self, share: FloatArray, profile: FloatArray, theta: FloatArray) -> tuple[GeneProblem, FloatArray]:
        """The same problem with a background of these shares, and the parameters from which curves go on there."""
        return replace(self, background=share[:, None] * profile), theta

    def by_share(self, theta: FloatArray, profile: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray, Pair]]:
        """Problems as :meth:`parts`, and what the means of both layers gain by a share, ``(genes, states)`` each."""
        n_states = (1, self.states.n_states)
        yield self, theta, (np.tile(profile[0][:, None], n_states), np.tile(profile[1][:, None], n_states))

    def prior_of_shares(self, share: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Minus log prior of what gives way to the shares, its gradient by them and its curvature, ``(rows,)`` each."""
        return 0.0, np.zeros_like(share), np.zeros_like(share)

    @property
    def targets(self) -> tuple[CurveTargets, CurveTargets]:
        """Both layers as the normal equations see them."""
        background = (None, None) if self.background is None else self.background
        u, s = (
            CurveTargets(sums.value, sums.size, sums.mean_size, self.noise.variance_terms(scatter), besides)
            for sums, scatter, besides in (
                (self.unspliced, self.unspliced_scatter, background[0]),
                (self.spliced, self.spliced_scatter, background[1]),
            )
        )
        return u, s
