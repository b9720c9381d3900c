"""What a backend does: the primitives in which a fit spends its time.

A problem holds one (``States.backend``) and asks it for everything that runs over cells or over genes and states;
another one, on another machine or over blocks of a file, goes in its place without a change to the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.layers import Layer, SweepModel
from velotime.compute.sums import Sums

LEAST_VARIANCE = 1e-12  # of a value in the normal equations


@dataclass(frozen=True)
class CurveTargets:
    """One layer, as the normal equations see it.

    Attributes
    ----------
    value
        ``sum_i q_ij x_ig``, ``(genes, states)``.
    size
        ``sum_i q_ij l_i``, ``(states,)``; of each gene where these differ, ``(genes, states)``.
    mean_size
        The size factor that the variance is taken at, ``(states,)``.
    variance
        Coefficients c of the variance of a value, ``l (c_0 + c_1 mu + c_2 l mu^2)``, ``(3, genes)``.
    background
        What each mean has besides the curve, ``(genes,)``; None for nothing.
    """

    value: FloatArray
    size: FloatArray
    mean_size: FloatArray
    variance: FloatArray
    background: FloatArray | None = None

    def genes(self, at: slice) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """All of it for some genes, in the order above, as kernels read it: with zeros where there is no background.

        Sizes are in one row, or in a row for each gene.

        Rows lie one after the other, whatever they were cut from: kernels are compiled for every layout they are given.
        """
        background = np.zeros(len(self.value)) if self.background is None else self.background
        size = self.size[None] if self.size.ndim == 1 else self.size[at]
        own = self.value[at], size, self.mean_size, self.variance[:, at], background[at]
        value, size, mean_size, variance, besides = (np.ascontiguousarray(array, dtype=np.float64) for array in own)
        return value, size, mean_size, variance, besides


class Backend(Protocol):
    """Two primitives over cells, and two for each kind of curve. Results do not depend on the number of threads."""

    def accumulate(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, group: IntArray
    ) -> tuple[Sums, FloatArray]:
        """Posterior of every cell's state, summed up in one pass; cells x states is never stored.

        Parameters
        ----------
        unspliced, spliced
            The two layers.
        model
            Tables, prior and temperature.
        prior_row
            Which row of ``model.log_prior`` a cell uses, ``(cells,)``, int32.
        group
            Under which group its posterior is summed, ``(cells,)``, int32, from 0.

        Returns
        -------
        Sums over cells, and the log evidence ``log sum_j exp(score_ij / temperature) pi_ij`` of each cell, without
        terms free of j, ``(cells,)``.
        """

    def posterior(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, *, cells: slice
    ) -> tuple[FloatArray, FloatArray]:
        """Posterior of a run of cells, ``(cells, states)``, and their log evidence, ``(cells,)``.

        For looking at a block of cells at a time; the arguments are those of :meth:`accumulate`.
        """

    def curve_means(self, theta: FloatArray, times: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Means of both layers, each ``(genes, lineages * times)``.

        Parameters
        ----------
        theta
            Parameters, ``(genes, parameters)``.
        times
            The time grid, ``(times,)``.
        columns
            Which columns of ``theta`` are the eight parameters of each lineage, ``(lineages, 8)``.
        """

    def curve_information(
        self, theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and its Fisher information, squared in the last axes.

        With Y, n and V the summed values, summed sizes and variance of a state, ``sum_j (Y - n mu)/V dmu`` and
        ``sum_j n/V dmu dmu^T`` over states and both layers; mu is the curve and the background.

        Parameters
        ----------
        theta, times, columns
            As for :meth:`curve_means`.
        unspliced, spliced
            Sums over cells and variance of each layer.
        """

    def periodic_means(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of both layers of curves on a clock that goes round, each ``(genes, times)``.

        Parameters
        ----------
        theta
            Parameters, ``(genes, 7)``.
        times
            The time grid, ``(times,)``, in turns of the clock.
        """

    def periodic_information(
        self, theta: FloatArray, times: FloatArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient and Fisher information of these curves, as :meth:`curve_information`."""
