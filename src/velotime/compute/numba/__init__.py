"""The primitives on the CPU, compiled by numba."""

from __future__ import annotations

from dataclasses import dataclass

from velotime._types import FloatArray, IntArray
from velotime.compute.backend import CurveTargets
from velotime.compute.layers import Layer, SweepModel
from velotime.compute.numba import periodic_curve, sweep, switch_curve, switch_information
from velotime.compute.sums import Sums


@dataclass(frozen=True)
class NumbaBackend:
    """All cores of this machine; the primitives are documented at :class:`velotime.compute.Backend`."""

    def accumulate(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, group: IntArray
    ) -> tuple[Sums, FloatArray]:
        """Fastest when cells of one size factor level follow each other."""
        return sweep.accumulate(unspliced, spliced, model, prior_row, group)

    def posterior(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, *, cells: slice
    ) -> tuple[FloatArray, FloatArray]:
        """On the calling thread."""
        return sweep.posterior(unspliced, spliced, model, prior_row, cells=cells)

    def curve_means(self, theta: FloatArray, times: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Gene by gene."""
        return switch_curve.curve_means(theta, times, columns)

    def curve_information(
        self, theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gene by gene; no derivative is stored."""
        return switch_information.curve_information(theta, times, columns, unspliced, spliced)

    def periodic_means(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gene by gene."""
        return periodic_curve.periodic_means(theta, times)

    def periodic_information(
        self, theta: FloatArray, times: FloatArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gene by gene; no derivative is stored."""
        return periodic_curve.periodic_information(theta, times, unspliced, spliced)


NUMBA = NumbaBackend()
