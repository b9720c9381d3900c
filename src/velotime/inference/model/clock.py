r"""Moves along the clock itself: a monotone change of the grid's times, with the curves refitted.

EM moves slowly where every cell's time would have to change together: given the cells' times the rates follow them, and
given the rates the times follow those. So once in a while the M-step also asks whether the same sums fit better if the
states stood at other times, ``t_j -> w(t_j)``, for a few warps w; the curves are refitted to each, and the best of
them becomes the clock. (Parameter expansion, Liu, Rubin and Wu 1998, with w as the added parameters.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from velotime._types import FloatArray
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import Descent, begin, improve
from velotime.inference.model.rate_prior import CurvePrior
from velotime.inference.states import Layout, States
from velotime.kinetics import SwitchParameter

STEPS = 4  # Levenberg-Marquardt steps that each warp's curves are given
ROOM = 0.05  # of the clock, left free at both ends
LEAST_GAIN = 10.0  # nats by which another clock must fit better; less is noise


class Warp(Protocol):
    """A monotone change of time."""

    def __call__(self, t: FloatArray) -> FloatArray:
        """New times of old ones, in and around [0, 1]."""

    def slope(self, t: FloatArray) -> FloatArray:
        """Its derivative."""


@dataclass(frozen=True)
class Power:
    """``t^exponent``: slows one end of the clock down and speeds the other up."""

    exponent: float

    def __call__(self, t: FloatArray) -> FloatArray:
        """Odd about 0."""
        return np.asarray(np.sign(t) * np.abs(t) ** self.exponent)

    def slope(self, t: FloatArray) -> FloatArray:
        """``exponent t^(exponent - 1)``."""
        return np.asarray(self.exponent * np.maximum(np.abs(t), 1e-2) ** (self.exponent - 1.0))


@dataclass(frozen=True)
class Bend:
    """``t + amount sin(2 pi t) / (2 pi)``: slows the clock's middle down and speeds both ends up, or the reverse."""

    amount: float

    def __call__(self, t: FloatArray) -> FloatArray:
        """Identity outside [0, 1]."""
        inside = np.clip(t, 0.0, 1.0)
        return np.asarray(t + self.amount * np.sin(2 * np.pi * inside) / (2 * np.pi))

    def slope(self, t: FloatArray) -> FloatArray:
        """``1 + amount cos(2 pi t)``."""
        return np.asarray(1.0 + self.amount * np.cos(2 * np.pi * np.clip(t, 0.0, 1.0)))


@dataclass(frozen=True)
class Shift:
    """``start + (stop - start) t``: the same curves on another stretch of the clock."""

    start: float
    stop: float

    def __call__(self, t: FloatArray) -> FloatArray:
        """Linear everywhere."""
        return np.asarray(self.start + (self.stop - self.start) * t)

    def slope(self, t: FloatArray) -> FloatArray:
        """``stop - start``."""
        return np.full_like(t, self.stop - self.start)


WARPS: tuple[Warp, ...] = (Power(1.15), Power(1 / 1.15), Bend(0.25), Bend(-0.25))
LEAVE_ROOM = Shift(ROOM, 1.0 - ROOM)


def warp_theta(theta: FloatArray, layout: Layout, warp: Warp, prior: CurvePrior) -> FloatArray:
    """Parameters on the new clock, ``(genes, parameters)``: exact for a shift, else a start for the optimiser.

    Switches go where the warp takes them; rates are divided by the slope at the first switch.
    """
    p = SwitchParameter
    out = theta.copy()
    t_on = theta[:, p.T_ON]
    log_slope = np.log(warp.slope(np.clip(t_on, 0.05, 0.95)))
    out[:, p.T_ON] = warp(t_on)
    out[:, p.LOG_BETA] -= log_slope
    out[:, p.LOG_GAMMA] -= log_slope
    t_off = t_on[:, None] + np.exp(theta[:, layout.durations])
    out[:, layout.durations] = np.log(np.maximum(warp(t_off) - warp(t_on)[:, None], 1e-6))
    return np.clip(out, prior.lower, prior.upper)


def try_warp(problem: GeneProblem, theta: FloatArray, warp: Warp) -> Descent:
    """Curves refitted to the states at their new times."""
    moved = replace(problem, states=problem.states.at(warp(problem.states.times)))
    return improve(moved, begin(moved, warp_theta(theta, problem.states.layout, warp, problem.prior)), STEPS)


def best_warp(problem: GeneProblem, theta: FloatArray) -> Warp | None:
    """The warp whose clock fits best, if it wins by ``LEAST_GAIN`` nats over the clock as it is."""
    stay = improve(problem, begin(problem, theta), STEPS).loss.sum()
    losses = [try_warp(problem, theta, warp).loss.sum() for warp in WARPS]
    k = int(np.argmin(losses))
    return WARPS[k] if losses[k] < stay - LEAST_GAIN else None


def warp_density(weight: FloatArray, states: States, warp: Warp) -> FloatArray:
    """Move a weight of states ``(rows, states)`` along a warp, onto the same grid."""
    n_times = len(states.times)
    moved = warp(states.times)
    out = np.empty_like(weight)
    for first in range(0, weight.shape[1], n_times):
        own = slice(first, first + n_times)
        for row in range(weight.shape[0]):
            total = weight[row, own].sum()
            below = np.interp(_edges(states.times), _edges(moved), np.concatenate([[0.0], np.cumsum(weight[row, own])]))
            piece = np.diff(below) + 1e-12
            out[row, own] = piece * (total / piece.sum())
    return out


def _edges(times: FloatArray) -> FloatArray:
    middle = 0.5 * (times[1:] + times[:-1])
    return np.concatenate([[times[0]], middle, [times[-1]]])
