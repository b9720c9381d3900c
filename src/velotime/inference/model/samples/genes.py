"""The M-step's problem of several samples: one curve per gene to the sums of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LEAST_VARIANCE, CurveTargets, LayerSums, Sums
from velotime.inference.model.gene_problem import COARSE, GeneProblem
from velotime.inference.model.samples.effects import with_capture


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
    """

    unspliced: LayerSums
    spliced: LayerSums
    log_capture: FloatArray
    scatter: FloatArray

    def genes(self, index: IntArray | slice) -> SampleSums:
        """Of these genes."""
        return SampleSums(
            self.unspliced.genes(index), self.spliced.genes(index), self.log_capture[:, index], self.scatter[:, index]
        )


@dataclass(frozen=True)
class SampledGenes(GeneProblem):
    """Curves to the sums of several samples; the sums of the base are all of them as if capture were the same.

    Attributes
    ----------
    samples
        What each sample tells.
    """

    samples: tuple[SampleSums, ...] = field(kw_only=True)

    def parts(self, theta: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray]]:
        """The problem of each sample, and the parameters of its curves."""
        for sample in self.samples:
            part = GeneProblem(self.states, self.noise, self.prior, sample.unspliced, sample.spliced, *sample.scatter)
            yield part, with_capture(theta, sample.log_capture)

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
        return self.pooled.coarse(about)

    def without_lineages(self) -> GeneProblem:
        """On one lineage, for shapes."""
        return self.pooled.without_lineages()

    def log_likelihood(self, means: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Expected log-likelihood of each gene without its constant, ``(genes,)``, given the common means."""
        total = np.zeros(self.n_genes)
        for sample in self.samples:
            layers = zip((sample.unspliced, sample.spliced), means, sample.log_capture, sample.scatter, strict=True)
            for sums, mean, log_capture, scatter in layers:
                total += self.noise.log_likelihood(sums, np.exp(log_capture)[:, None] * mean, scatter)
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
        value, size = np.zeros_like(mean), np.zeros_like(mean)
        for sample in self.samples:
            sums, capture = (sample.unspliced, sample.spliced)[k], np.exp(sample.log_capture[k])[:, None]
            constant, linear, quadratic = self.noise.variance_terms(sample.scatter[k])[..., None]
            own = capture * mean
            per_variance = capture / np.maximum(
                constant + own * (linear + quadratic * sums.mean_size * own), LEAST_VARIANCE
            )
            value += per_variance * sums.value
            size += per_variance * (capture * sums.size)
        one = np.array([[1.0], [0.0], [0.0]]) * np.ones(len(mean))
        return CurveTargets(value, size, np.ones(mean.shape[1]), one)


def pooled_sums(sums: list[LayerSums], log_capture: FloatArray) -> LayerSums:
    """Sums of all samples as if each had captured every gene alike; ``log_capture`` is ``(genes, samples)``.

    The value of a state is its size times ``sum_b Y_b / sum_b A_b n_b``.
    """
    capture = np.exp(log_capture)
    size = np.stack([part.size for part in sums])
    captured = capture @ size
    value = np.sum([part.value for part in sums], axis=0)
    mean = np.where(captured > 0, value / np.where(captured > 0, captured, 1.0), 0.0)
    return LayerSums(mean * size.sum(axis=0), np.sum([part.size_powers for part in sums], axis=0))
