"""velotime: latent time and RNA velocity from unspliced and spliced counts."""

from __future__ import annotations

__version__ = "0.1.0"

from velotime import metrics, pl, pp, read, simulation, tl
from velotime._status import FitError, InputError, Status, UnclearWarning, VelotimeError
from velotime.inference import (
    Ends,
    FixedPrior,
    Gaussian,
    LearnedPrior,
    Markers,
    MixtureEM,
    NegativeBinomial,
    Poisson,
    Root,
    SoftEM,
    Terminals,
    TimeLabels,
    UniformPrior,
)
from velotime.report import report

__all__ = [
    "Ends",
    "FitError",
    "FixedPrior",
    "Gaussian",
    "InputError",
    "LearnedPrior",
    "Markers",
    "MixtureEM",
    "NegativeBinomial",
    "Poisson",
    "Root",
    "SoftEM",
    "Status",
    "Terminals",
    "TimeLabels",
    "UnclearWarning",
    "UniformPrior",
    "VelotimeError",
    "metrics",
    "pl",
    "pp",
    "read",
    "report",
    "simulation",
    "tl",
]
