"""The clock that begins and ends, and the switch model on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import interp1d
from scipy.stats import spearmanr

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Backend, CurveTargets
from velotime.inference.curves.protocol import PriorNumbers, Shape
from velotime.kinetics import SwitchParameter, switch_jacobian, switch_means, switch_velocity

RATES = ((8.0, 5.0), (25.0, 15.0), (4.0, 2.5))  # splicing and degradation per clock: usual, fast, slow
ONSETS = (-0.1, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8)
DURATIONS = (0.12, 0.3, 0.6)
NO_LEVEL = -60.0  # a level of e^-60 is zero


@dataclass(frozen=True)
class LineClock:
    """From 0 to 1."""

    reversed_heat = np.inf

    def grid(self, n_times: int) -> FloatArray:
        """Both ends among them."""
        return np.linspace(0.0, 1.0, n_times)

    def finer(self, times: FloatArray, factor: int) -> FloatArray:
        """Both ends among them."""
        return self.grid(factor * (len(times) - 1) + 1)

    def carry(self, values: FloatArray, times: FloatArray, to: FloatArray) -> FloatArray:
        """Linear."""
        return np.asarray(interp1d(times, values, axis=-1)(to))

    def away(self, time: FloatArray, origin: FloatArray) -> FloatArray:
        """The difference."""
        return np.asarray(time - origin)

    def mean(self, weight: FloatArray, time: FloatArray) -> FloatArray:
        """The mean."""
        return np.asarray(weight @ time)

    def unrolled(self, time: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As they are."""
        return time, mean

    def rolled(self, time: FloatArray, mean: FloatArray) -> FloatArray:  # noqa: ARG002 - nothing was shifted
        """As they are."""
        return time

    def correlation(self, one: FloatArray, other: FloatArray) -> float:
        """Spearman's."""
        return float(spearmanr(one, other).statistic)

    def onto(self, time: FloatArray, other: FloatArray) -> tuple[FloatArray, float]:
        """By linear regression."""
        slope, origin = np.polyfit(time, other, 1)
        return origin + slope * time, float(slope)

    def design(self, time: FloatArray) -> FloatArray:
        """A shift and a stretch."""
        return np.stack([np.ones_like(time), time])

    def lengths(self, times: FloatArray, density: FloatArray) -> FloatArray:
        """By the trapezoid rule."""
        place = cumulative_trapezoid(density, times, initial=0.0)
        return np.asarray(place - place[:, None])

    def slope(self, values: FloatArray, times: FloatArray) -> FloatArray:
        """Central, one-sided at the ends."""
        return np.asarray(np.gradient(values, times, axis=-1))


@dataclass(frozen=True)
class SwitchCurve:
    """Two switches between three levels, from a steady state on; lineages have a last switch of their own."""

    clock = LineClock()
    n_own = 2
    families = (tuple(Shape(*parts) for parts in product(RATES, ONSETS, DURATIONS)),)
    prior = PriorNumbers(
        mean=([2.0, 1.5, 0.3, -1.0, -1.0, 0.0], [-0.7, -1.0]),
        sd=([1.0, 1.0, 1.0, 4.0, 4.0, 2.0], [1.0, 4.0]),
        lower=([np.log(0.5), np.log(0.5), -0.3, -12.0, -12.0, -8.0], [np.log(0.03), -12.0]),
        upper=([np.log(100.0), np.log(100.0), 1.0, 14.0, 14.0, 8.0], [np.log(2.0), 14.0]),
    )

    def unit_curves(self, times: FloatArray, shape: Shape) -> tuple[FloatArray, FloatArray]:
        """Three levels."""
        return _unit_switch(times.tobytes(), shape)

    def means(
        self, backend: Backend, theta: FloatArray, times: FloatArray, columns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Lineage by lineage."""
        return backend.curve_means(theta, times, columns)

    def information(
        self,
        backend: Backend,
        theta: FloatArray,
        times: FloatArray,
        columns: IntArray,
        unspliced: CurveTargets,
        spliced: CurveTargets,
    ) -> tuple[FloatArray, FloatArray]:
        """Over all lineages."""
        return backend.curve_information(theta, times, columns, unspliced, spliced)

    def velocity(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Per clock."""
        return switch_velocity(theta, times)

    def jacobian(self, theta: FloatArray, times: FloatArray) -> tuple[Any, Any, Any, Any]:
        """By eight parameters."""
        return switch_jacobian(theta, times)

    def idle(self, theta: FloatArray) -> FloatArray:
        """None: all shapes have all of them."""
        return np.zeros_like(theta)

    def gauge(self, theta: FloatArray) -> FloatArray:
        """A shift moves the onset; a stretch moves it, lengthens pulses and slows rates down."""
        out = np.zeros((*theta.shape, 2))
        out[:, :2, 1] = -1.0
        out[:, 2, 0], out[:, 2, 1] = 1.0, theta[:, 2]
        out[:, SwitchParameter.LOG_DURATION :: self.n_own, 1] = 1.0
        return out

    def as_switch(self, theta: FloatArray) -> FloatArray:
        """As they are."""
        return theta

    def from_switch(self, theta: FloatArray, smooth: BoolArray) -> FloatArray:  # noqa: ARG002 - none is
        """As they are."""
        return theta


@lru_cache(maxsize=1024)  # every restart asks for the same few dozen on the same times
def _unit_switch(times: bytes, shape: Shape) -> tuple[FloatArray, FloatArray]:
    p = SwitchParameter
    theta = np.full((3, 8), NO_LEVEL)
    theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = np.log(shape.rates[0]), np.log(shape.rates[1])
    theta[:, p.T_ON], theta[:, p.LOG_DURATION], theta[:, p.LOG_SCALING] = shape.onset, np.log(shape.duration), 0.0
    theta[[0, 1, 2], [p.LOG_LEVEL_0, p.LOG_LEVEL_1, p.LOG_LEVEL_2]] = 0.0
    return switch_means(theta, np.frombuffer(times))


SWITCH = SwitchCurve()
