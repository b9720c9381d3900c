"""Fitting: methods, noise models, priors; arrays in, results out."""

from __future__ import annotations

from velotime.compute import ArrayBackend
from velotime.inference.curves.circle import fisher_lee
from velotime.inference.curves.protocol import Clock, Curve
from velotime.inference.em import Progress, ShortFits, Stage, Trace, Watcher
from velotime.inference.evidence.agreement import Agreement
from velotime.inference.evidence.arrow import Arrow
from velotime.inference.evidence.fit_verdict import FitVerdict
from velotime.inference.evidence.gains import GeneGains
from velotime.inference.evidence.moderated import Effects, moderated_effects
from velotime.inference.evidence.rivals import rivals_table
from velotime.inference.journal import NO_JOURNAL, Journal, recalled
from velotime.inference.knowledge.order import Markers, TimeLabels
from velotime.inference.knowledge.pieces import Ends, Root, Terminals
from velotime.inference.knowledge.time_prior import FixedPrior, GrowingPrior, LearnedPrior, UniformPrior
from velotime.inference.labels import LEAST_GROUP, LEAST_LABELLED, NO_LABEL, POOLED, CellLabels, label_texts
from velotime.inference.methods.clocks import Cycle, Line
from velotime.inference.methods.mixture_em import MixtureEM, MixtureFit
from velotime.inference.methods.origins import CountDrop, Origin
from velotime.inference.methods.protocol import Fit, Method, PlainMethod, Reads
from velotime.inference.methods.restore_soft_fit import StoredCurves, place_all, restore
from velotime.inference.methods.soft_em import SoftEM
from velotime.inference.methods.soft_fit import SoftFit
from velotime.inference.model.background.choice import LearnedBackground, NoBackground
from velotime.inference.model.leaving.state import NotCycling
from velotime.inference.model.noise import Gaussian, NegativeBinomial, Poisson
from velotime.inference.model.problem import SoftParameters
from velotime.inference.model.samples.effects import SampleEffects
from velotime.inference.observations import BlockedObservations, Observations
from velotime.inference.results.bands import curve_covariance
from velotime.inference.results.expectations import AtTimes, OverStates, columns_of, draw_states, with_others
from velotime.inference.results.genes import GeneTable
from velotime.inference.results.groups import GroupTest, compare_groups, group_gain, group_sums, lineage_gain
from velotime.inference.results.hours.agreement import RankAgreement
from velotime.inference.results.hours.half_lives import DegradationRates, HalfLifeHours, hours_from_half_lives
from velotime.inference.results.hours.labels import LabelledHours, hours_from_labels
from velotime.inference.results.hours.scale import Scale
from velotime.inference.results.hours.windows import LabelledCounts
from velotime.inference.results.intervals import pooled_interval
from velotime.inference.results.misfit import error_under, height_of, relative_misfit
from velotime.inference.results.restored_fit import Restored
from velotime.inference.results.samples.conditions import WHAT as CONDITION_PARAMETERS
from velotime.inference.results.samples.conditions import (
    SampleRates,
    composition_of_samples,
    curves_of_samples,
    rates_of_samples,
)
from velotime.inference.results.samples.speed import SampleSpeeds, speeds_of_samples
from velotime.inference.search.begin import MOST_LANDMARKS
from velotime.inference.search.geometry.samples import without_offsets
from velotime.inference.search.geometry.starts import Geometry
from velotime.inference.states import Layout, States, natural_rates
from velotime.inference.two_stage.gene_clock.fit import GeneClock, GeneClockFit
from velotime.inference.two_stage.gene_clock.problem import ExactTimes, ExplicitTimes, PosteriorTimes
from velotime.inference.two_stage.method import TwoStageEM
from velotime.inference.two_stage.shared_clock.fit import SharedClock, SharedClockFit

__all__ = [
    "CONDITION_PARAMETERS",
    "LEAST_GROUP",
    "LEAST_LABELLED",
    "MOST_LANDMARKS",
    "NO_JOURNAL",
    "NO_LABEL",
    "POOLED",
    "Agreement",
    "ArrayBackend",
    "Arrow",
    "AtTimes",
    "BlockedObservations",
    "CellLabels",
    "Clock",
    "CountDrop",
    "Curve",
    "Cycle",
    "DegradationRates",
    "Effects",
    "Ends",
    "ExactTimes",
    "ExplicitTimes",
    "Fit",
    "FitVerdict",
    "FixedPrior",
    "Gaussian",
    "GeneClock",
    "GeneClockFit",
    "GeneGains",
    "GeneTable",
    "Geometry",
    "GroupTest",
    "GrowingPrior",
    "HalfLifeHours",
    "Journal",
    "LabelledCounts",
    "LabelledHours",
    "Layout",
    "LearnedBackground",
    "LearnedPrior",
    "Line",
    "Markers",
    "Method",
    "MixtureEM",
    "MixtureFit",
    "NegativeBinomial",
    "NoBackground",
    "NotCycling",
    "Observations",
    "Origin",
    "OverStates",
    "PlainMethod",
    "Poisson",
    "PosteriorTimes",
    "Progress",
    "RankAgreement",
    "Reads",
    "Restored",
    "Root",
    "SampleEffects",
    "SampleRates",
    "SampleSpeeds",
    "Scale",
    "SharedClock",
    "SharedClockFit",
    "ShortFits",
    "SoftEM",
    "SoftFit",
    "SoftParameters",
    "Stage",
    "States",
    "StoredCurves",
    "Terminals",
    "TimeLabels",
    "Trace",
    "TwoStageEM",
    "UniformPrior",
    "Watcher",
    "columns_of",
    "compare_groups",
    "composition_of_samples",
    "curve_covariance",
    "curves_of_samples",
    "draw_states",
    "error_under",
    "fisher_lee",
    "group_gain",
    "group_sums",
    "height_of",
    "hours_from_half_lives",
    "hours_from_labels",
    "label_texts",
    "lineage_gain",
    "moderated_effects",
    "natural_rates",
    "place_all",
    "pooled_interval",
    "rates_of_samples",
    "recalled",
    "relative_misfit",
    "restore",
    "rivals_table",
    "speeds_of_samples",
    "with_others",
    "without_offsets",
]
