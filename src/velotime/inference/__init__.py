"""Fitting: methods, noise models, priors; arrays in, results out."""

from __future__ import annotations

from velotime.inference._agreement import Agreement
from velotime.inference._arrow import CLEAR_PROBABILITY, Arrow
from velotime.inference._bands import curve_covariance
from velotime.inference._curve_problem import ExactTimes, ExplicitTimes, PosteriorTimes
from velotime.inference._em import Progress, Trace, Watcher
from velotime.inference._gene_clock import GeneClock, GeneClockFit
from velotime.inference._groups import GroupTest, compare_groups, group_gain, group_sums
from velotime.inference._knowledge import Ends, Root, Terminals
from velotime.inference._labels import LEAST_GROUP, POOLED, CellLabels
from velotime.inference._method import Fit, Method, PlainMethod, Reads
from velotime.inference._mixture import MixtureEM, MixtureFit
from velotime.inference._noise import Gaussian, NegativeBinomial, Poisson
from velotime.inference._observations import Observations
from velotime.inference._order import Markers, TimeLabels
from velotime.inference._params import Layout, natural_rates
from velotime.inference._priors import FixedPrior, LearnedPrior, UniformPrior
from velotime.inference._restore import Restored, StoredCurves, place_all, restore
from velotime.inference._shared_clock import SharedClock, SharedClockFit
from velotime.inference._soft import SoftEM, SoftFit
from velotime.inference._soft_problem import SoftParameters
from velotime.inference._starts import Geometry
from velotime.inference._summary import GeneGains, GeneTable
from velotime.inference._two_stage import TwoStageEM

__all__ = [
    "CLEAR_PROBABILITY",
    "LEAST_GROUP",
    "POOLED",
    "Agreement",
    "Arrow",
    "CellLabels",
    "Ends",
    "ExactTimes",
    "ExplicitTimes",
    "Fit",
    "FixedPrior",
    "Gaussian",
    "GeneClock",
    "GeneClockFit",
    "GeneGains",
    "GeneTable",
    "Geometry",
    "GroupTest",
    "Layout",
    "LearnedPrior",
    "Markers",
    "Method",
    "MixtureEM",
    "MixtureFit",
    "NegativeBinomial",
    "Observations",
    "PlainMethod",
    "Poisson",
    "PosteriorTimes",
    "Progress",
    "Reads",
    "Restored",
    "Root",
    "SharedClock",
    "SharedClockFit",
    "SoftEM",
    "SoftFit",
    "SoftParameters",
    "StoredCurves",
    "Terminals",
    "TimeLabels",
    "Trace",
    "TwoStageEM",
    "UniformPrior",
    "Watcher",
    "compare_groups",
    "curve_covariance",
    "group_gain",
    "group_sums",
    "natural_rates",
    "place_all",
    "restore",
]
