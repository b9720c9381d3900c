"""Sums over cells under the posterior: all that an M-step sees of the data.

They add up: the sums of two sets of cells are those of both together, whichever cells, blocks, files or machines they
came from. As with arrays, ``+`` makes new ones and ``+=`` adds in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from velotime._types import FloatArray, IntArray

LEAST_SPREAD = 1e-5  # of sizes within a state, relative to their mean, below which they count as one


@dataclass(frozen=True)
class LayerSums:
    """Sums over cells of one layer, weighted by the posterior ``q``.

    Attributes
    ----------
    value
        ``sum_i q_ij x_ig``, ``(genes, states)``.
    size_powers
        ``sum_i q_ij l_i^p`` of the size factors l for p = 1 to 4, ``(4, states)``.
    """

    value: FloatArray
    size_powers: FloatArray

    @classmethod
    def zero(cls, n_genes: int, n_states: int) -> LayerSums:
        """Of no cells."""
        return cls(np.zeros((n_genes, n_states)), np.zeros((4, n_states)))

    @classmethod
    def of_one_size(cls, value: FloatArray, size: FloatArray, mean_size: FloatArray) -> LayerSums:
        """Of cells that have one size in each state: their summed size factors and that size, each ``(states,)``."""
        return cls(value, size * mean_size ** np.arange(4)[:, None])

    def __add__(self, other: LayerSums) -> LayerSums:
        return LayerSums(self.value + other.value, self.size_powers + other.size_powers)

    def __iadd__(self, other: LayerSums) -> LayerSums:
        np.add(self.value, other.value, out=self.value)
        np.add(self.size_powers, other.size_powers, out=self.size_powers)
        return self

    def genes(self, index: IntArray | slice) -> LayerSums:
        """These genes only."""
        return LayerSums(self.value[index], self.size_powers)

    def first_states(self, n: int) -> LayerSums:
        """The first ``n`` states only, without those that fill up a block."""
        return LayerSums(np.ascontiguousarray(self.value[:, :n]), self.size_powers[:, :n])

    def states(self, index: slice) -> LayerSums:
        """These states only."""
        return LayerSums(self.value[:, index], self.size_powers[:, index])

    @cached_property
    def size(self) -> FloatArray:
        """``sum_i q_ij l_i``, ``(states,)``."""
        return np.asarray(self.size_powers[0])

    @cached_property
    def mean_size(self) -> FloatArray:
        """``sum_i q_ij l_i^2 / sum_i q_ij l_i``, the mean weighted by size, ``(states,)``; 1 without cells."""
        return self._moment(1)

    @cached_property
    def two_sizes(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """Two sizes and their shares of the summed size that have its first three moments, each ``(states,)``.

        Gauss's rule: with mean m, sd and skewness g of the size, weighted by size, and ``h = sqrt(1 + g^2/4)``, sizes
        ``m + sd (g/2 + h)`` and ``m + sd (g/2 - h)`` with shares ``(1 - g/(2h))/2`` and ``(1 + g/(2h))/2``.
        """
        mean = self.mean_size
        variance = np.maximum(self._moment(2) - mean**2, 0.0)
        third = self._moment(3) - 3 * mean * variance - mean**3
        sd = np.sqrt(variance)
        spread = sd > LEAST_SPREAD * mean
        half = np.where(spread, 0.5 * third / np.where(spread, sd, 1.0) ** 3, 0.0)
        root = np.sqrt(1 + half**2)
        high = 0.5 * (1 - half / root)
        return (mean + sd * (half + root), high), (np.maximum(mean + sd * (half - root), 1e-12), 1 - high)

    def _moment(self, power: int) -> FloatArray:
        filled = self.size > 0
        return np.where(filled, self.size_powers[power] / np.where(filled, self.size, 1.0), 1.0)

    @cached_property
    def overall_mean(self) -> FloatArray:
        """Mean of each gene over all cells, per unit of size, ``(genes, 1)``."""
        return np.asarray(self.value.sum(axis=1, keepdims=True) / self.size.sum())

    def means(self, credit: float = 0.0) -> FloatArray:
        """Free means, ``(genes, states)``: the M-step of a mixture, where every state is a component of its own.

        ``credit`` is the number of cells' worth of the overall mean that each state is given.
        """
        size = self.size + credit
        total = np.where(size > 0, self.value + credit * self.overall_mean, 0.0)
        return np.asarray(total / np.where(size > 0, size, 1.0))

    def merge(self, n_times: int, factor: int) -> LayerSums:
        """Sum runs of ``factor`` neighbouring times, lineage by lineage."""
        starts = np.concatenate(
            [np.arange(first, first + n_times, factor) for first in range(0, self.size.shape[0], n_times)]
        )
        return self.runs(starts)

    def runs(self, starts: IntArray) -> LayerSums:
        """Sum runs of neighbouring states, from each of ``starts`` to the next."""
        return LayerSums(*(np.add.reduceat(sums, starts, axis=1) for sums in (self.value, self.size_powers)))

    def over_lineages(self, n_lineages: int) -> LayerSums:
        """Sum the states of one time over lineages."""
        pair = (sums.reshape(len(sums), n_lineages, -1).sum(axis=1) for sums in (self.value, self.size_powers))
        return LayerSums(*pair)


@dataclass(frozen=True)
class Sums:
    """Sums over cells of both layers and of the posterior itself.

    Attributes
    ----------
    unspliced, spliced
        Sums of each layer.
    weight
        ``sum_i q_ij`` over the cells of each group, or row of the prior, ``(groups, states)``.
    """

    unspliced: LayerSums
    spliced: LayerSums
    weight: FloatArray

    @classmethod
    def zero(cls, n_genes: int, n_groups: int, n_states: int) -> Sums:
        """Of no cells."""
        layer = LayerSums.zero
        return cls(layer(n_genes, n_states), layer(n_genes, n_states), np.zeros((n_groups, n_states)))

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.unspliced + other.unspliced, self.spliced + other.spliced, self.weight + other.weight)

    def __iadd__(self, other: Sums) -> Sums:
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            mine += theirs
        np.add(self.weight, other.weight, out=self.weight)
        return self

    @property
    def layers(self) -> tuple[LayerSums, LayerSums]:
        """Unspliced and spliced."""
        return self.unspliced, self.spliced

    def first_states(self, n: int) -> Sums:
        """The first ``n`` states only, without those that fill up a block."""
        if n == self.weight.shape[1]:
            return self
        return Sums(self.unspliced.first_states(n), self.spliced.first_states(n), self.weight[:, :n])

    def runs(self, starts: IntArray) -> Sums:
        """Sum runs of neighbouring states, from each of ``starts`` to the next."""
        u, s = (layer.runs(starts) for layer in self.layers)
        return Sums(u, s, np.add.reduceat(self.weight, starts, axis=1))
