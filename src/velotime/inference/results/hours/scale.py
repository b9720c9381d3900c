r"""One scale for all genes, of which each says something with an error of its own.

Every gene g says that one unit of the clock takes ``x_g`` log hours, with an error of variance ``v_g`` from its fit.
Genes do not agree as exactly as that, since what is known of them and the model have errors that no formula has: each
has a scale of its own around the common one m,

    x_g = m + s t_4 + sqrt(v_g) z,    L(m, s) = sum_g log int p((x - m)/s)/s N(x; x_g, v_g) dx,

where Student's t with four degrees of freedom lets single genes be far off at little cost. m and s are those of largest
likelihood, the integral a sum over an even grid; the interval of m is that of its profile, with Student's quantile of
as many genes in place of the normal one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from scipy.stats import t as student

from velotime._types import BoolArray, FloatArray

DEGREES = 4  # of freedom of the genes' scatter
COVERAGE = 0.9  # of the interval
SHARED_SD = 0.05  # of log gamma, by which the degradation rates of a fit are off together (the study of calibration)
LEAST_SCATTER, MOST_SCATTER = 0.03, 3.0  # of log hours; the least is a step or so of the grid
LEAST_SD = 0.02  # of a gene, a step of the grid
STEP = 0.02
ROOM = 2.0  # log hours of the grid beyond what single genes say
FAR = 3.5  # standard deviations from the common scale, from which on a gene disagrees
STRIDE = 0.1  # of log hours, in which the profile is followed outwards


@dataclass(frozen=True)
class Scale:
    """The common scale.

    Attributes
    ----------
    log_hours, low, high
        Of one unit of the clock, and the ends of the 90 % interval.
    scatter
        Of the genes around it: s.
    disagrees
        Genes that are far off by more than their error and the common scatter explain, ``(genes,)``.
    """

    log_hours: float
    low: float
    high: float
    scatter: float
    disagrees: BoolArray

    @property
    def sd(self) -> float:
        """Standard error of ``log_hours``: the width of the interval over that of a normal one."""
        return (self.high - self.low) / (2 * float(norm.ppf(0.5 + COVERAGE / 2)))

    def with_shared_error(self) -> Scale:
        """The same with an interval that holds what the rates of all genes are off by together."""
        more = float(norm.ppf(0.5 + COVERAGE / 2)) * SHARED_SD
        low, high = (float(np.hypot(end - self.log_hours, more)) for end in (self.low, self.high))
        return replace(self, low=self.log_hours - low, high=self.log_hours + high)


def common_scale(log_hours: FloatArray, variance: FloatArray) -> Scale:
    """The scale of largest likelihood of what single genes say, ``(genes,)`` each, and its interval."""
    likelihood = _Likelihood(log_hours, np.maximum(variance, LEAST_SD**2))
    middle = float(np.median(log_hours))
    found = minimize_scalar(lambda place: -likelihood.profile(place)[0], bracket=(middle - STRIDE, middle + STRIDE))
    best = float(found.x)
    top, scatter = likelihood.profile(best)
    least = top - 0.5 * float(student.ppf(0.5 + COVERAGE / 2, max(len(log_hours) - 1, 1))) ** 2
    low, high = (likelihood.end(best, way, least) for way in (-STRIDE, STRIDE))
    away = np.abs(log_hours - best) / np.sqrt(scatter**2 + likelihood.variance)
    return Scale(best, low, high, scatter, away > FAR)


@dataclass(frozen=True)
class _Likelihood:
    """The likelihood of the scale and the scatter."""

    log_hours: FloatArray
    variance: FloatArray

    @cached_property
    def grid(self) -> FloatArray:
        """Around what single genes say."""
        return np.arange(self.log_hours.min() - ROOM, self.log_hours.max() + ROOM, STEP)

    @cached_property
    def density(self) -> FloatArray:
        """What each gene says, ``(genes, points)``, up to a factor."""
        return np.exp(-0.5 * (self.grid - self.log_hours[:, None]) ** 2 / self.variance[:, None])

    def profile(self, place: float) -> tuple[float, float]:
        """The log-likelihood of a scale at the best scatter, and that scatter."""

        def minus(log_scatter: float) -> float:
            scatter = np.exp(log_scatter)
            weight = student.pdf((self.grid - place) / scatter, DEGREES) / scatter
            return -float(np.sum(np.log(np.maximum(self.density @ weight, 1e-300))))

        found = minimize_scalar(minus, bounds=(np.log(LEAST_SCATTER), np.log(MOST_SCATTER)), method="bounded")
        return -float(found.fun), float(np.exp(found.x))

    def end(self, best: float, stride: float, least: float) -> float:
        """Where the profile has fallen to ``least``, going one way."""
        inside = best
        while self.profile(inside + stride)[0] > least:
            inside += stride
        return float(brentq(lambda place: self.profile(place)[0] - least, inside, inside + stride, xtol=1e-4))
