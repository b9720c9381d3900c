r"""Moves along the clock itself: a monotone change of the grid's times, with the curves refitted.

EM moves slowly where every cell's time would have to change together: given the cells' times the rates follow them, and
given the rates the times follow those. With some hundred genes it hardly moves at all: where it stands still, one end
of the clock may still be slow and the other fast. So the M-step also asks whether the same sums fit better if the
states stood at other times, ``t_j -> w(t_j)``: the curves are refitted to a few warps w, and the one at the foot of the
parabola through their losses becomes the clock. (Parameter expansion, Liu, Rubin and Wu 1998, with w as the added
parameters.) As w changes the curves of all genes a little, some of them will do to tell it.
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

STEPS = 6  # Levenberg-Marquardt steps that each warp's curves are given
ROOM = 0.05  # of the clock, left free at both ends
WAVES = 3
AMOUNT = 0.08  # of each wave that is tried: 0.025 of the clock
LARGEST = 0.12  # of each wave in one move
LEAST_GAIN = 5.0  # nats by which another clock must fit better: of noise, one in a hundred fits that much better
FRACTIONS = (1.0, 0.5)  # of a move that are tried
TRIED_TIMES = 32  # of the clock, on which
TRIED_GENES = 400  # genes at most are fitted to warps


class Warp(Protocol):
    """A monotone change of time."""

    def __call__(self, t: FloatArray) -> FloatArray:
        """New times of old ones, in and around [0, 1]."""

    def slope(self, t: FloatArray) -> FloatArray:
        """Its derivative."""


@dataclass(frozen=True)
class Waves:
    """``t + sum_k amount_k sin(k pi t) / (k pi)``: slows some stretches of the clock down and speeds others up."""

    amounts: tuple[float, ...]

    def __call__(self, t: FloatArray) -> FloatArray:
        """Identity outside [0, 1]."""
        inside = np.clip(t, 0.0, 1.0)
        waves = [amount * np.sin(k * np.pi * inside) / (k * np.pi) for k, amount in enumerate(self.amounts, start=1)]
        return np.asarray(t + sum(waves))

    def slope(self, t: FloatArray) -> FloatArray:
        """``1 + sum_k amount_k cos(k pi t)``."""
        inside = np.clip(t, 0.0, 1.0)
        return np.asarray(1.0 + sum(a * np.cos(k * np.pi * inside) for k, a in enumerate(self.amounts, start=1)))


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


def best_warp(problem: GeneProblem, theta: FloatArray) -> Waves | None:
    """The warp whose clock fits best, by some genes, if it wins by ``LEAST_GAIN`` nats over the clock as it is."""
    every = slice(None, None, -(-problem.n_genes // TRIED_GENES))
    few, theta = problem.coarse(TRIED_TIMES).genes(every), theta[every]
    stay = improve(few, begin(few, theta), STEPS).loss.sum()

    def gain(amounts: FloatArray) -> float:
        return float(stay - try_warp(few, theta, Waves(tuple(amounts))).loss.sum())

    ways = [(gain(amounts), gain(-amounts)) for amounts in AMOUNT * np.eye(WAVES)]
    best = np.array([_top(*both) for both in ways])
    for fraction in FRACTIONS:
        if gain(fraction * best) > LEAST_GAIN:
            return Waves(tuple((fraction * best).tolist()))
    return None


def _top(forward: float, backward: float) -> float:
    """Where a parabola through the gains at ``AMOUNT``, 0 and ``-AMOUNT`` is highest, within ``LARGEST``."""
    fall = -(forward + backward)
    top = 0.5 * AMOUNT * (forward - backward) / fall if fall > 0 else np.sign(forward - backward) * LARGEST
    return float(np.clip(top, -LARGEST, LARGEST))


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
