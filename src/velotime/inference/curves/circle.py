r"""The clock that goes round, and the curves on it: the periodic switch, and smooth transcription.

Times on the circle are in turns, from 0 to below 1. The mean of times t with weights q is the direction of
``sum q e^(2 pi i t)``; times are unrolled around it before anything is asked that a line has and a circle has not
(variances, quantiles). Two placings a and b of the same cells are compared by Fisher and Lee's correlation (1983),

    rho = sum_{i<j} sin(a_i - a_j) sin(b_i - b_j) / sqrt(sum_{i<j} sin^2(a_i - a_j)  sum_{i<j} sin^2(b_i - b_j)),

which does not depend on either origin, is 1 for a rotation and -1 for a reflection. Its root, with the sign, is what
is compared with correlations along a line: for evenly spread cells that is ``exp(-sd^2/2)`` of the differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Backend, CurveTargets
from velotime.inference.curves.protocol import PriorNumbers, Shape
from velotime.kinetics import (
    WHOLE_TURN,
    SwitchParameter,
    is_smooth,
    periodic_jacobian,
    periodic_means,
    periodic_velocity,
)

TURN = 2 * np.pi
RATES = ((8.0, 5.0), (25.0, 15.0), (4.0, 2.5))  # splicing and degradation per turn: usual, fast, slow
N_ONSETS = 10
DURATIONS = (0.15, 0.35, 0.6)
N_RISES = 6  # of smooth shapes in half a turn: in the other half they are dips
FALLING = [0, 1, 2, 4, 3, 5, 6]  # parameters with the levels exchanged
NO_LEVEL = -60.0  # a level of e^-60 is zero


@dataclass(frozen=True)
class CircleClock:
    """From 0 on, and at 1 again at 0."""

    reversed_heat = 1.0  # hotter, all phases become alike, and what cools down runs forwards

    def grid(self, n_times: int) -> FloatArray:
        """From 0 on, without 1."""
        return np.arange(n_times) / n_times

    def finer(self, times: FloatArray, factor: int) -> FloatArray:
        """From 0 on, without 1."""
        return self.grid(factor * len(times))

    def carry(self, values: FloatArray, times: FloatArray, to: FloatArray) -> FloatArray:
        """Linear, from the last time to the first again as well."""
        n = len(times)
        closed = np.concatenate([values, values[..., :1]], axis=-1)
        low = np.searchsorted(times, to, side="right") - 1
        ends = np.append(times, times[0] + 1.0)
        share = (to - ends[low]) / (ends[low + 1] - ends[low])
        return np.asarray(closed[..., low % n] * (1 - share) + closed[..., low + 1] * share)

    def away(self, time: FloatArray, origin: FloatArray) -> FloatArray:
        """The shorter way round, from -1/2 to 1/2."""
        difference = np.asarray(time) - origin
        return np.asarray(difference - np.round(difference))

    def mean(self, weight: FloatArray, time: FloatArray) -> FloatArray:
        """Direction of the mean vector."""
        angle = np.arctan2(weight @ np.sin(TURN * time), weight @ np.cos(TURN * time))
        return np.asarray((angle / TURN) % 1.0)

    def unrolled(self, time: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean in the middle, cut on the other side."""
        return 0.5 + self.away(time, mean), np.full_like(mean, 0.5)

    def rolled(self, time: FloatArray, mean: FloatArray) -> FloatArray:
        """Back to where the mean is."""
        return np.asarray((time + mean - 0.5) % 1.0)

    def correlation(self, one: FloatArray, other: FloatArray) -> float:
        """Root of Fisher and Lee's, with its sign."""
        rho = fisher_lee(one, other)
        return float(np.sign(rho) * np.sqrt(abs(rho)))

    def onto(self, time: FloatArray, other: FloatArray) -> tuple[FloatArray, float]:
        """Rotated by the mean direction of the differences, and before that turned over where it runs the other way."""
        way = 1.0 if fisher_lee(time, other) >= 0 else -1.0
        turn = np.angle(np.exp(1j * TURN * (other - way * time)).sum()) / TURN
        return (way * time + turn) % 1.0, way

    def design(self, time: FloatArray) -> FloatArray:
        """A rotation."""
        return np.ones((1, len(time)))

    def lengths(self, times: FloatArray, density: FloatArray) -> FloatArray:
        """By the trapezoid rule, the shorter way round."""
        steps = np.diff(np.append(times, times[0] + 1.0))
        pieces = steps * 0.5 * (density + np.roll(density, -1))
        place, whole = np.cumsum(pieces) - pieces, pieces.sum()
        difference = place - place[:, None]
        return np.asarray(difference - whole * np.round(difference / whole))

    def slope(self, values: FloatArray, times: FloatArray) -> FloatArray:
        """Central everywhere."""
        ahead, behind = np.roll(times, -1), np.roll(times, 1)
        step = (ahead - times) % 1.0 + (times - behind) % 1.0
        return np.asarray((np.roll(values, -1, axis=-1) - np.roll(values, 1, axis=-1)) / step)


@dataclass(frozen=True)
class PeriodicCurve:
    """One pulse, or one dip, in each turn; or one wave, of genes whose duration is a whole turn.

    A wave has a parameter less, the duration, which stays where it is: nothing depends on it. No place on the circle is
    special: the prior of onsets is so wide that it only keeps genes without a pulse in place.
    """

    clock = CircleClock()
    n_own = 1
    families = (
        tuple(
            Shape(rates, onset / N_ONSETS, duration)
            for rates, onset, duration in product(RATES, range(N_ONSETS), DURATIONS)
        ),
        tuple(Shape(rates, 0.5 * rise / N_RISES, 1.0) for rates, rise in product(RATES, range(N_RISES))),
    )
    prior = PriorNumbers(
        mean=([2.0, 1.5, 0.0, -1.0, -1.0, 0.0], [-1.0]),
        sd=([1.0, 1.0, 30.0, 4.0, 4.0, 2.0], [1.0]),
        lower=([np.log(0.7), np.log(0.7), -np.inf, -12.0, -12.0, -8.0], [np.log(0.03)]),
        upper=([np.log(100.0), np.log(100.0), np.inf, 14.0, 14.0, 8.0], [np.log(0.97)]),
    )

    def unit_curves(self, times: FloatArray, shape: Shape) -> tuple[FloatArray, FloatArray]:
        """Two levels, of a wave the lowest and the highest."""
        return _unit_periodic(times.tobytes(), shape)

    def means(
        self, backend: Backend, theta: FloatArray, times: FloatArray, columns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """There is one lineage."""
        del columns
        return backend.periodic_means(theta, times)

    def information(
        self,
        backend: Backend,
        theta: FloatArray,
        times: FloatArray,
        columns: IntArray,
        unspliced: CurveTargets,
        spliced: CurveTargets,
    ) -> tuple[FloatArray, FloatArray]:
        """There is one lineage."""
        del columns
        return backend.periodic_information(theta, times, unspliced, spliced)

    def velocity(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Per turn."""
        return periodic_velocity(theta, times)

    def jacobian(self, theta: FloatArray, times: FloatArray) -> tuple[Any, Any, Any, Any]:
        """By seven parameters."""
        return periodic_jacobian(theta, times)

    def idle(self, theta: FloatArray) -> FloatArray:
        """The duration of a wave."""
        out = np.zeros_like(theta)
        out[:, SwitchParameter.LOG_DURATION] = is_smooth(theta)
        return out

    def gauge(self, theta: FloatArray) -> FloatArray:
        """A rotation moves the onset."""
        out = np.zeros((*theta.shape, 1))
        out[:, SwitchParameter.T_ON, 0] = 1.0
        return out

    def as_switch(self, theta: FloatArray) -> FloatArray:
        """With the onset within a turn, and the first level again as the last.

        A wave rises from its lowest level to the highest (what falls first is the same wave, half a turn on), and is
        above its middle for half a turn.
        """
        p, smooth = SwitchParameter, is_smooth(theta)
        falls = smooth & (theta[:, p.LOG_LEVEL_0] > theta[:, p.LOG_LEVEL_1])
        out = np.where(falls[:, None], theta[:, FALLING], theta)
        out = np.concatenate([out, out[:, [p.LOG_LEVEL_0]]], axis=1)
        out[:, p.T_ON] = (out[:, p.T_ON] + 0.5 * falls) % 1.0
        out[smooth, p.LOG_DURATION] = np.log(0.5)
        return out

    def from_switch(self, theta: FloatArray, smooth: BoolArray) -> FloatArray:
        """Without the last level."""
        out = theta[:, : SwitchParameter.LOG_LEVEL_2].copy()
        out[smooth, SwitchParameter.LOG_DURATION] = WHOLE_TURN
        return out


@lru_cache(maxsize=1024)  # every restart asks for the same few dozen on the same times
def _unit_periodic(times: bytes, shape: Shape) -> tuple[FloatArray, FloatArray]:
    p = SwitchParameter
    theta = np.full((2, 7), NO_LEVEL)
    theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = np.log(shape.rates[0]), np.log(shape.rates[1])
    theta[:, p.T_ON], theta[:, p.LOG_DURATION], theta[:, p.LOG_SCALING] = shape.onset, np.log(shape.duration), 0.0
    theta[[0, 1], [p.LOG_LEVEL_0, p.LOG_LEVEL_1]] = 0.0
    return periodic_means(theta, np.frombuffer(times))


def fisher_lee(one: FloatArray, other: FloatArray) -> float:
    """Fisher and Lee's correlation of times on the circle, in turns, by sums over cells."""
    a, b, n = TURN * np.asarray(one), TURN * np.asarray(other), len(one)
    straight = (np.cos(a) * np.cos(b)).sum() * (np.sin(a) * np.sin(b)).sum()
    crossed = (np.cos(a) * np.sin(b)).sum() * (np.sin(a) * np.cos(b)).sum()
    spread = [n**2 - np.cos(2 * x).sum() ** 2 - np.sin(2 * x).sum() ** 2 for x in (a, b)]
    return float(4 * (straight - crossed) / np.sqrt(max(spread[0] * spread[1], 1e-300)))


PERIODIC = PeriodicCurve()
