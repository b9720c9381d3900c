"""The population prior of each gene's parameters, learned from all genes together.

Capture c, gamma/beta, time on and noise of a gene are normal in their logs, with a mean and an sd over genes. A single
gene's curve is often ill-determined (a gene that never comes near a steady state does not say how high that is), and
the other genes determine it. Where genes differ the sds are large and the prior is flat. (Empirical Bayes;
Robbins 1956, Efron and Morris 1975.)

Moments of neighbouring cells are means over much the same cells. Where each is a mean of n, the likelihood of all cells
counts the data n times; so the prior is counted n times as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray

#: log capture of unspliced c = U/(S r), log r = log gamma/beta, log x_ = log time on, log sigma, log ratio of the
#: sigmas: combinations of the parameters, ``(features, parameters)``.
FEATURES = np.array(
    [[1.0, -1, -1, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]
)
WEAK_MEAN = np.array([0.0, 0.0, np.log(2.0), np.log(0.3), 0.0])
# Time on is not learned: of a gene that reaches its steady state the data say that it was on for long, however long,
# which no normal likelihood says, and genes that are soon switched off would be drawn to the rest.
# The ratio of the sigmas is held to that of the data's spreads. Left free, the likelihood runs away with it: time can
# be chosen so that one layer fits exactly, and on simulated cells the ratio went to e^0.3 and gamma/beta with it.
WEAK_SD = np.array([1.5, 1.5, 1.5, 1.5, 0.01])
LEAST_SD = np.array([0.05, 0.05, 1.5, 0.05, 0.01])  # least sd over genes
MOST_SD = np.array([2.0, 2.0, 1.5, 2.0, 0.01])
LEAST_GENES = 10  # least number of genes for a population prior
ROUNDS = 50  # of the maximum-likelihood iteration for one mean and sd


@dataclass(frozen=True)
class GenePopulation:
    """A prior of the features.

    Attributes
    ----------
    mean, sd
        Of the features over genes, each ``(features,)``.
    repeats
        How many times the likelihood counts the data.
    """

    mean: FloatArray
    sd: FloatArray
    repeats: float = 1.0

    @classmethod
    def weak(cls, repeats: float = 1.0) -> GenePopulation:
        """Orders of magnitude only."""
        return cls(WEAK_MEAN, WEAK_SD, repeats)

    def log_density(self, theta: FloatArray) -> FloatArray:
        """Of each gene's parameters, up to a constant, as many times as the data, ``(genes,)``."""
        return np.asarray(-0.5 * self.repeats * (((theta @ FEATURES.T - self.mean) / self.sd) ** 2).sum(axis=1))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Of the log density, ``(genes, parameters)``."""
        return np.asarray(-self.repeats * ((theta @ FEATURES.T - self.mean) / self.sd**2) @ FEATURES)

    @property
    def precision(self) -> FloatArray:
        """Minus its second derivative, ``(parameters, parameters)``."""
        return np.asarray(self.repeats * FEATURES.T @ (FEATURES / self.sd[:, None] ** 2))

    def learn(self, theta: FloatArray, square: FloatArray) -> GenePopulation:
        """The population of genes whose best parameters under this one are ``theta``, with information ``square``.

        The posterior of a feature has mean f and precision p, of which w = 1/sd^2 is this population's own; what
        the data alone say is (p f - w mean)/(p - w), with variance v = 1/(p - w). Mean and sd are those under which
        these are likeliest as normal with variance sd^2 + v.
        """
        if len(theta) < LEAST_GENES:
            return self
        covariance = self.repeats * np.linalg.inv(square + self.precision + 1e-9 * np.eye(theta.shape[1]))
        feature = theta @ FEATURES.T
        whole = 1.0 / np.einsum("fp,gpq,fq->gf", FEATURES, covariance, FEATURES)
        own = 1.0 / self.sd**2
        data = np.maximum(whole - own, 1e-6)
        said = feature + (feature - self.mean) * own / data
        mean, sd = _normal_over_genes(said, 1.0 / data)
        keep = self.sd == LEAST_SD  # nothing more to learn of what is held
        sd = np.where(keep, self.sd, np.clip(sd, LEAST_SD, MOST_SD))
        return replace(self, mean=np.where(keep, self.mean, mean), sd=sd)


def _normal_over_genes(value: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and sd over genes of each feature, from values ``(genes, features)`` with these variances (by EM)."""
    mean = np.median(value, axis=0)
    square = np.median((value - mean) ** 2, axis=0) + 1e-4
    for _ in range(ROUNDS):
        weight = 1.0 / (square + variance)
        mean = (weight * value).sum(axis=0) / weight.sum(axis=0)
        shrunk = square * weight
        square = ((shrunk * (value - mean)) ** 2 + square * variance * weight).mean(axis=0)
    return mean, np.sqrt(square)
