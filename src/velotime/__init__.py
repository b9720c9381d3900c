"""velotime: latent time and RNA velocity from unspliced and spliced counts."""

from __future__ import annotations

__version__ = "0.1.0"

# First, as it gives numba a folder for caches where there is none, which scanpy asks for when it is imported.
from velotime.compute import jit as _jit  # noqa: F401

# isort: split
from velotime import get, metrics, pl, pp, read, simulation, tl
from velotime._status import FitError, InputError, InputWarning, Status, UnclearWarning, VelotimeError
from velotime.inference import (
    Ends,
    ExactTimes,
    ExplicitTimes,
    FixedPrior,
    Gaussian,
    GeneClock,
    LearnedPrior,
    Markers,
    MixtureEM,
    NegativeBinomial,
    Poisson,
    PosteriorTimes,
    Root,
    SharedClock,
    SoftEM,
    Terminals,
    TimeLabels,
    TwoStageEM,
    UniformPrior,
)
from velotime.report import report

__all__ = [
    "Ends",
    "ExactTimes",
    "ExplicitTimes",
    "FitError",
    "FixedPrior",
    "Gaussian",
    "GeneClock",
    "InputError",
    "InputWarning",
    "LearnedPrior",
    "Markers",
    "MixtureEM",
    "NegativeBinomial",
    "Poisson",
    "PosteriorTimes",
    "Root",
    "SharedClock",
    "SoftEM",
    "Status",
    "Terminals",
    "TimeLabels",
    "TwoStageEM",
    "UnclearWarning",
    "UniformPrior",
    "VelotimeError",
    "get",
    "metrics",
    "pl",
    "pp",
    "read",
    "report",
    "simulation",
    "tl",
]
