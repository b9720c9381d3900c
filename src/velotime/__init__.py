"""velotime: latent time and RNA velocity from unspliced and spliced counts."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from velotime._scvelo_names import pointing
from velotime._status import FitError, InputError, InputWarning, Status, UnclearWarning, VelotimeError

if TYPE_CHECKING:
    from velotime import datasets, get, metrics, pl, pp, read, simulation, tl, write
    from velotime.inference import (
        ArrayBackend,
        CountDrop,
        Cycle,
        Ends,
        ExactTimes,
        ExplicitTimes,
        FixedPrior,
        Gaussian,
        GeneClock,
        GrowingPrior,
        LearnedBackground,
        LearnedPrior,
        Line,
        Markers,
        MixtureEM,
        NegativeBinomial,
        NoBackground,
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
    from velotime.report import report, summary

__version__ = "0.1.0"

__all__ = [
    "ArrayBackend",
    "CountDrop",
    "Cycle",
    "Ends",
    "ExactTimes",
    "ExplicitTimes",
    "FitError",
    "FixedPrior",
    "Gaussian",
    "GeneClock",
    "GrowingPrior",
    "InputError",
    "InputWarning",
    "LearnedBackground",
    "LearnedPrior",
    "Line",
    "Markers",
    "MixtureEM",
    "NegativeBinomial",
    "NoBackground",
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
    "datasets",
    "get",
    "metrics",
    "pl",
    "pp",
    "read",
    "report",
    "simulation",
    "summary",
    "tl",
    "write",
]

_ROOMS = {"summary": "report"}  # where names live that are not of inference
_SUBPACKAGES = ("datasets", "get", "metrics", "pl", "pp", "read", "simulation", "tl", "write")


def __getattr__(name: str) -> Any:
    """What takes seconds to import comes when it is first used, so that the command line answers at once."""
    if name not in __all__:
        return pointing("")(name)
    if name in _SUBPACKAGES:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{_ROOMS.get(name, 'inference')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """The package itself, in which ``report`` is the function, though a folder has the same name."""

    @property
    def report(self) -> Any:
        """:func:`velotime.report.report`."""
        return import_module(f"{__name__}.report").report

    @report.setter
    def report(self, folder: ModuleType) -> None:
        """Python binds a folder's name when it is imported; here it belongs to the function."""


sys.modules[__name__].__class__ = _Face
