"""How simulated counts scatter, and how deep cells are sequenced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from velotime._types import FloatArray


class Counts(Protocol):
    """Draws values around their means."""

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Values of the shape of ``means``, ``(cells, genes)``."""


@dataclass(frozen=True)
class PoissonCounts:
    """Variance equal to the mean."""

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Poisson counts."""
        return rng.poisson(means).astype(np.float32)


@dataclass(frozen=True)
class NegativeBinomialCounts:
    """Variance ``mu (1 + dispersion mu)``; a gamma-distributed rate seen through Poisson counts."""

    dispersion: float = 0.3

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Negative-binomial counts."""
        shape = 1.0 / self.dispersion
        return rng.poisson(means * rng.gamma(shape, 1 / shape, means.shape)).astype(np.float32)


@dataclass(frozen=True)
class GaussianValues:
    """Normal values with one standard deviation, relative to each gene's mean.

    For normalised values, which bear no depth: pass ``depth=LogNormalDepth(0)`` with it.
    """

    sd: float = 0.3

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Normal values."""
        return rng.normal(means, self.sd * means.mean(axis=0)).astype(np.float32)


@dataclass(frozen=True)
class LogNormalDepth:
    """Size factors of mean 1 with this standard deviation of their log."""

    sd: float = 0.3

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Size factors, ``(cells,)``."""
        depth = rng.lognormal(0, self.sd, n_cells)
        return np.asarray(depth / depth.mean())
