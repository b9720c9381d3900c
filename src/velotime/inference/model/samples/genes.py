"""The M-step's problem of several samples: one curve per gene to the sums of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import CurveTargets, LayerSums, Sums, add_sample
from velotime.inference.model.background.means import Pair, shares
from velotime.inference.model.gene_problem import COARSE, GeneProblem
from velotime.inference.model.samples.effects import NOT_SEEN, with_capture


@dataclass(frozen=True)
class SampledSums(Sums):
    """Sums over all cells, and over those of each sample."""

    by_sample: tuple[Sums, ...] = ()

    @classmethod
    def of(cls, parts: list[Sums]) -> SampledSums:
        """Those of each sample."""
        total = sum(parts[1:], parts[0])
        return cls(*total.layers, total.weight, tuple(parts))

    def __add__(self, other: Sums) -> SampledSums:
        assert isinstance(other, SampledSums)
        return SampledSums.of([one + two for one, two in zip(self.by_sample, other.by_sample, strict=True)])


@dataclass(frozen=True)
class SampleSums:
    """What one sample tells of the curves.

    Attributes
    ----------
    unspliced, spliced
        Its sums.
    log_capture
        Log A of both layers, ``(2, genes)``.
    scatter
        The noise model's parameter in both layers, ``(2, genes)``.
    share
        Of the cells in this sample.
    background
        Its counts of both layers besides the curves, ``(2, genes)``; None for nothing.
    """

    unspliced: LayerSums
    spliced: LayerSums
    log_capture: FloatArray
    scatter: FloatArray
    share: float
    background: FloatArray | None = None

    def genes(self, index: IntArray | slice) -> SampleSums:
        """Of these genes."""
        return SampleSums(
            self.unspliced.genes(index),
            self.spliced.genes(index),
            self.log_capture[:, index],
            self.scatter[:, index],
            self.share,
            None if self.background is None else self.background[:, index],
        )

    def merged(self, n_times: int, factor: int) -> SampleSums:
        """Of so many times at once."""
        u, s = (sums.merge(n_times, factor) for sums in (self.unspliced, self.spliced))
        return replace(self, unspliced=u, spliced=s)

    @property
    def captured(self) -> BoolArray:
        """Whether it has a gene, ``(2, genes)``."""
        return np.asarray(self.log_capture > NOT_SEEN)


@dataclass(frozen=True)
class SampledGenes(GeneProblem):
    """Curves to the sums of several samples; the sums of the base are all of them as if capture were the same.

    Attributes
    ----------
    samples
        What each sample tells.
    spread
        Prior standard deviation of log A in both layers, ``(2,)``.
    """

    samples: tuple[SampleSums, ...] = field(kw_only=True)
    spread: FloatArray = field(kw_only=True)

    def parts(self, theta: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray]]:
        """The problem of each sample, and the parameters of its curves."""
        for sample in self.samples:
            yield self._part(sample), with_capture(theta, sample.log_capture)

    def _part(self, sample: SampleSums) -> GeneProblem:
        own = sample.unspliced, sample.spliced, *sample.scatter, sample.background
        return GeneProblem(self.states, self.noise, self.prior, *own)

    @property
    def pooled(self) -> GeneProblem:
        """About the same of all sums at once: where restarts look for shapes."""
        return GeneProblem(
            self.states,
            self.noise,
            self.prior,
            self.unspliced,
            self.spliced,
            self.unspliced_scatter,
            self.spliced_scatter,
        )

    def genes(self, index: IntArray | slice) -> SampledGenes:
        """The problem of these genes."""
        own = self.pooled.genes(index)
        return replace(
            self,
            prior=own.prior,
            unspliced=own.unspliced,
            spliced=own.spliced,
            unspliced_scatter=own.unspliced_scatter,
            spliced_scatter=own.spliced_scatter,
            samples=tuple(sample.genes(index) for sample in self.samples),
        )

    def coarse(self, about: int = COARSE) -> GeneProblem:
        """On fewer times, for shapes."""
        return self.pooled.merged(about)

    def merged(self, about: int) -> SampledGenes:
        """The same on about so many times per lineage."""
        n_times, own = len(self.states.times), self.pooled.merged(about)
        factor = max(1, n_times // about)
        samples = tuple(sample.merged(n_times, factor) for sample in self.samples)
        return replace(self, states=own.states, unspliced=own.unspliced, spliced=own.spliced, samples=samples)

    def without_lineages(self) -> GeneProblem:
        """On one lineage, for shapes."""
        return self.pooled.without_lineages()

    def log_likelihood(self, means: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Expected log-likelihood of each gene without its constant, ``(genes,)``, given the common means."""
        total = np.zeros(self.n_genes)
        for sample in self.samples:
            u, s = (np.exp(known)[:, None] * mean for known, mean in zip(sample.log_capture, means, strict=True))
            total += self._part(sample).log_likelihood((u, s))
        return total

    def information(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and Fisher information, sums over samples.

        The curve of a sample is A times the common one, and so are its derivatives: residuals and weights of all
        samples are summed state by state, and the derivatives, which take longer, are made once. With
        ``a_b = A_b/V_b`` these are ``sum_b a_b (Y_b - n_b A_b mu)`` and ``sum_b a_b A_b n_b``: those of values
        ``sum_b a_b Y_b`` in ``sum_b a_b A_b n_b`` cells of variance 1.
        """
        u, s = (self._together(k, mean) for k, mean in enumerate(self.states.means(theta)))
        return self.states.information(theta, u, s)

    def _together(self, k: int, mean: FloatArray) -> CurveTargets:
        """One layer of all samples at the common means, ``(genes, states)``, as the normal equations see it."""
        value, size, nothing = np.zeros_like(mean), np.zeros_like(mean), np.zeros(len(mean))
        for sample in self.samples:
            layer = (sample.unspliced, sample.spliced)[k]
            own = np.exp(sample.log_capture[k]), nothing if sample.background is None else sample.background[k]
            variance = self.noise.variance_terms(sample.scatter[k])
            add_sample((layer.value, layer.size, layer.mean_size), mean, own, variance, (value, size))
        one = np.array([[1.0], [0.0], [0.0]]) * np.ones(len(mean))
        return CurveTargets(value, size, np.ones(mean.shape[1]), one)

    # ------------------------------------------------------------------ background
    def shares(self, profile: FloatArray) -> FloatArray:
        """Share of the counts of each sample that is background, two after the other, ``(2 * samples,)``."""
        own = [np.zeros_like(profile[:2]) if one.background is None else one.background for one in self.samples]
        return shares(np.concatenate(own), profile)

    def with_shares(self, share: FloatArray, profile: FloatArray, theta: FloatArray) -> tuple[SampledGenes, FloatArray]:
        """With a background of these shares, and parameters where captures have given way to it.

        Each A becomes ``A (1 - e) / (1 - e before)``. What of that is common to all samples goes to the curves, so that
        the mean of log A stays zero.
        """
        moves = np.log((1 - share) / (1 - self.shares(profile))).reshape(-1, 2)
        weight = np.stack([one.share * one.captured for one in self.samples])
        middle = (weight * moves[:, :, None]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)
        samples = tuple(
            replace(
                one,
                log_capture=np.where(one.captured, one.log_capture + move[:, None] - middle, NOT_SEEN),
                background=own[:, None] * besides,
            )
            for one, move, own, besides in zip(
                self.samples, moves, share.reshape(-1, 2), profile.reshape(len(self.samples), 2, -1), strict=True
            )
        )
        u, s = pooled(samples)
        return replace(self, samples=samples, unspliced=u, spliced=s), with_capture(theta, middle)

    def by_share(self, theta: FloatArray, profile: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray, Pair]]:
        """The problem of each sample and what its means gain by the share: the profile less what captures give."""
        share, profiles = self.shares(profile).reshape(-1, 2), profile.reshape(len(self.samples), 2, -1)
        for (part, own), known, besides in zip(self.parts(theta), share, profiles, strict=True):
            curves = part.states.means(own)
            u, s = (besides[k][:, None] - curve / (1 - known[k]) for k, curve in enumerate(curves))
            yield part, own, (u, s)

    def prior_of_shares(self, share: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Minus log prior of the captures, its gradient by the shares that they give way to, and its curvature."""
        left = 1 - share.reshape(-1, 2)
        known = np.stack([np.where(one.captured, one.log_capture, 0.0) for one in self.samples])
        seen = np.stack([one.captured.sum(axis=1) for one in self.samples])
        value = 0.5 * (known**2).sum(axis=(0, 2)) @ self.spread**-2.0
        slope, curvature = -known.sum(axis=2) / (self.spread**2 * left), seen / (self.spread * left) ** 2
        return float(value), slope.ravel(), curvature.ravel()


def pooled(samples: tuple[SampleSums, ...]) -> tuple[LayerSums, LayerSums]:
    """Sums of both layers of all samples as if each had captured every gene alike, and nothing besides."""
    layers = []
    for k in range(2):
        sums = [(one.unspliced, one.spliced)[k] for one in samples]
        besides = [one.background[k] for one in samples if one.background is not None]
        capture = np.stack([one.log_capture[k] for one in samples], axis=1)
        layers.append(pooled_sums(sums, capture, np.stack(besides, axis=1) if besides else None))
    return layers[0], layers[1]


def pooled_sums(sums: list[LayerSums], log_capture: FloatArray, background: FloatArray | None = None) -> LayerSums:
    """Sums of all samples as if each had captured every gene alike, and nothing besides.

    The value of a state is its size times ``sum_b (Y_b - p_b n_b) / sum_b A_b n_b``; log A and the background p are
    ``(genes, samples)``.
    """
    capture = np.exp(log_capture)
    size = np.stack([part.size for part in sums])
    captured = capture @ size
    value = np.sum([part.value for part in sums], axis=0)
    if background is not None:
        value = np.maximum(value - background @ size, 0.0)
    mean = np.where(captured > 0, value / np.where(captured > 0, captured, 1.0), 0.0)
    return LayerSums(mean * size.sum(axis=0), np.sum([part.size_powers for part in sums], axis=0))
