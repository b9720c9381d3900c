"""Simulated cells with known rates, for the tests and the demo."""

from __future__ import annotations

from velotime.simulation._cycle import Cycling
from velotime.simulation._genes import Branches, GeneMix, LogNormalRates
from velotime.simulation._hours import half_lives, label_new
from velotime.simulation._noise import Ambient, GaussianValues, LogNormalDepth, NegativeBinomialCounts, PoissonCounts
from velotime.simulation._samples import Samples
from velotime.simulation._simulate import simulate
from velotime.simulation._times import ClumpedTimes, ExponentialTimes, GappedTimes, GrowingTimes, UniformTimes

__all__ = [
    "Ambient",
    "Branches",
    "ClumpedTimes",
    "Cycling",
    "ExponentialTimes",
    "GappedTimes",
    "GaussianValues",
    "GeneMix",
    "GrowingTimes",
    "LogNormalDepth",
    "LogNormalRates",
    "NegativeBinomialCounts",
    "PoissonCounts",
    "Samples",
    "UniformTimes",
    "half_lives",
    "label_new",
    "simulate",
]
