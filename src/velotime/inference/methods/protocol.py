"""The protocol of the methods, on which reading and writing depend."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from numpy.random import Generator

from velotime._status import Status
from velotime.inference.em import Trace, Watcher
from velotime.inference.observations import Observations


class Reads(StrEnum):
    """What a method wants to be given."""

    COUNTS = "counts"
    """Raw counts of both layers, with size factors."""
    VALUES = "values"
    """Normalised values in the same layers."""
    MOMENTS = "moments"
    """Moments: layers ``Mu`` and ``Ms``, unless other layers are named."""


class Fit(Protocol):
    """What the record of a run needs of any method's result."""

    @property
    def status(self) -> Status:
        """How the loop ended."""

    @property
    def trace(self) -> Trace:
        """Bound and temperature of each iteration."""

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the data, nats."""

    @property
    def seconds(self) -> float:
        """Wall time of the fit."""


@runtime_checkable
class Method(Protocol):
    """A frozen dataclass of settings; it says what it wants to be given."""

    @property
    def reads(self) -> Reads:
        """What it wants to be given."""


class PlainMethod(Method, Protocol):
    """A method that fits observations and needs nothing else.

    ``SoftEM`` is not one: it also needs the geometry of the cells, and their labels.
    """

    def fit(self, observations: Observations, *, rng: Generator, watch: Watcher) -> Any:
        """Fit; the result is a :class:`Fit` of a type of its own, by which ``data.write_fit`` knows its slots."""
