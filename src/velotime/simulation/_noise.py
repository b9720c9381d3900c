"""How simulated counts scatter, and how deep cells are sequenced."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from velotime._check import Number, Settings
from velotime._types import FloatArray


class Counts(Settings):
    """Draws values around their means."""

    @abstractmethod
    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Values of the shape of ``means``, ``(cells, genes)``."""


@dataclass(frozen=True)
class PoissonCounts(Counts):
    """Variance equal to the mean."""

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Poisson counts."""
        return rng.poisson(means).astype(np.float32)


@dataclass(frozen=True)
class NegativeBinomialCounts(Counts):
    """Variance ``mu (1 + dispersion mu)``; a gamma-distributed rate seen through Poisson counts."""

    dispersion: float = 0.3

    rules: ClassVar = {"dispersion": Number(0, open_least=True)}

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Negative-binomial counts."""
        shape = 1.0 / self.dispersion
        return rng.poisson(means * rng.gamma(shape, 1 / shape, means.shape)).astype(np.float32)


@dataclass(frozen=True)
class GaussianValues(Counts):
    """Normal values with one standard deviation, relative to each gene's mean.

    For normalised values, which have no depth: pass ``depth=LogNormalDepth(0)`` with it.
    """

    sd: float = 0.3

    rules: ClassVar = {"sd": Number(0)}

    def draw(self, means: FloatArray, rng: Generator) -> FloatArray:
        """Normal values."""
        return rng.normal(means, self.sd * means.mean(axis=0)).astype(np.float32)


@dataclass(frozen=True)
class Ambient(Settings):
    """Molecules of broken cells, caught with every cell: of each gene in proportion to its mean over all cells.

    Parameters
    ----------
    unspliced, spliced
        Share of all counts of a layer that are ambient. By default alike in both.
    """

    unspliced: float = 0.05
    spliced: float = 0.05

    rules: ClassVar = {
        "unspliced": Number(0, 1, open_most=True),
        "spliced": Number(0, 1, open_most=True),
    }

    def of_layer(self, own: FloatArray, layer: int) -> FloatArray:
        """Counts of each gene that come with a cell of size factor 1, ``(genes,)``, in layer 0 (unspliced) or 1.

        ``own`` are the means of the cells' own counts, ``(cells, genes)``.
        """
        share = (self.unspliced, self.spliced)[layer]
        return np.asarray(own.mean(axis=0) * share / (1 - share))


@dataclass(frozen=True)
class LogNormalDepth(Settings):
    """Size factors of mean 1 with this standard deviation of their log."""

    sd: float = 0.3

    rules: ClassVar = {"sd": Number(0)}

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Size factors, ``(cells,)``."""
        depth = rng.lognormal(0, self.sd, n_cells)
        return np.asarray(depth / depth.mean())
