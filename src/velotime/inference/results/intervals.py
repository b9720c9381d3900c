r"""Intervals of time from a posterior on a grid: quantiles of a mixture of normals on the clock.

A cell's posterior has weights q_j at times t_j, ``step`` apart. Three things are not in these weights:

- A grid time stands for the cell of the grid around it, in which time is spread evenly: variance ``step^2 / 12``. So
  the posterior's own variance is ``v = sum_j q_j (t_j - mean)^2 + step^2 / 12``, never zero.
- Uncertain curves widen it by a factor w (``uncertainty``): another ``v (w - 1)``.
- All cells of a time may be displaced together, by the variance c of the clock.

They add up to the variance that is reported, ``sd^2 = v w + c``, and time is distributed as a mixture of normals,

    sum_j q_j Normal(t_j, k^2),    k^2 = sd^2 - sum_j q_j (t_j - mean)^2 = step^2 / 12 + v (w - 1) + c,

each cut off at the ends of the clock, 0 and 1, and given its weight back. Where the posterior is wide and curves and
clock are certain, k is a fraction of the grid's step, and the mixture is the posterior itself; where all of it is at
one time, the mixture is a normal.

The interval between two quantiles is widened to hold the mean, which skewed weights (0.96 and 0.04 at two times) may
have outside. The 5 % and the 95 % quantile of any distribution are at most ``sqrt(2 / 0.05) = 6.3`` sd apart; beyond 6,
which takes 5 % of the weight standing alone at either end, the interval is shortened to 6 sd, and still holds at least
8/9 (Chebyshev).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri

from velotime._types import FloatArray
from velotime.compute import NormalMixtures, mixture_quantiles
from velotime.inference.curves.line import SWITCH
from velotime.inference.curves.protocol import Clock

LEVELS = (0.05, 0.95)  # probability below either end of an interval
LEAST_WEIGHT = 1e-6  # of a state that counts: smaller ones move no quantile visibly
LEAST_SD = 1e-6  # of a component, and a width that counts
WIDEST = 6.0  # sd between the ends of an interval


def within_grid(times: FloatArray) -> float:
    """Variance of a time that is known up to the step of an even grid, ``step^2 / 12``."""
    return float((times[1] - times[0]) ** 2 / 12)


def time_intervals(
    q: FloatArray | csr_array, time: FloatArray, mean: FloatArray, sd: FloatArray, clock: Clock = SWITCH.clock
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the 90 % interval of each cell's time, each ``(cells,)``.

    On a circle the interval runs from the lower end on to the upper one, past 0 where the upper one is less.

    Parameters
    ----------
    q
        Posterior of some cells, ``(cells, states)``, dense or CSR; rows sum to one.
    time
        Time of each state, ``(states,)``, from 0 to 1.
    mean, sd
        Of each cell's time, ``(cells,)``; the sd with all that the weights do not know.
    clock
        How times lie to each other.
    """
    kept = q if isinstance(q, csr_array) else csr_array(np.where(q > LEAST_WEIGHT, q, 0.0))
    cell = np.repeat(np.arange(len(mean)), np.diff(kept.indptr))
    weight, middle = kept.data.astype(np.float64), clock.unrolled(mean, mean)[1]
    at = clock.unrolled(time[kept.indices], mean[cell])[0]
    own = np.bincount(cell, weight * (at - middle[cell]) ** 2, minlength=len(mean))
    component_sd = np.sqrt(np.maximum(sd**2 - own, LEAST_SD**2))
    ends = mixture_interval(NormalMixtures(kept.indptr, weight, at, component_sd[cell]), middle, sd)
    return clock.rolled(ends[0], mean), clock.rolled(ends[1], mean)


def pooled_interval(mean: FloatArray, sd: FloatArray, total_sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the 90 % interval of each cell's time over several posteriors that count the same.

    Parameters
    ----------
    mean, sd
        Of each posterior and cell, ``(posteriors, cells)``; a mean beyond the clock counts as its nearer end.
    total_sd
        Of all posteriors of each cell together, ``(cells,)``.
    """
    at = np.clip(mean, 0.0, 1.0)
    indptr = np.arange(mean.shape[1] + 1) * len(mean)
    columns = (np.ascontiguousarray(values.T).ravel() for values in (at, np.maximum(sd, LEAST_SD)))
    return mixture_interval(NormalMixtures(indptr, np.ones(mean.size), *columns), at.mean(axis=0), total_sd)


def mixture_interval(mixtures: NormalMixtures, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the 90 % interval of each mixture: it holds the mean and is at most 6 sd wide."""
    low, high = (mixture_quantiles(mixtures, level, mean + ndtri(level) * sd) for level in LEVELS)
    below, above = np.maximum(mean - low, 0.0), np.maximum(high - mean, 0.0)
    kept = np.minimum(1.0, WIDEST * sd / np.maximum(below + above, LEAST_SD))
    return mean - kept * below, mean + kept * above
