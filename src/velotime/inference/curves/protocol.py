"""What the model asks of a curve and of the clock that it runs on: the seam for other kinetics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Backend, CurveTargets


class Clock(Protocol):
    """How times lie to each other; one turn of the clock, or all of it, is 1."""

    @property
    def reversed_heat(self) -> float:
        """Temperature beyond which a fit of the reversed clock does not stay reversed."""

    def grid(self, n_times: int) -> FloatArray:
        """Even times, ``(times,)``."""

    def finer(self, times: FloatArray, factor: int) -> FloatArray:
        """The even grid with so many times as many steps."""

    def carry(self, values: FloatArray, times: FloatArray, to: FloatArray) -> FloatArray:
        """Values at times ``(..., times)`` at others, linear in between."""

    def away(self, time: FloatArray, origin: FloatArray) -> FloatArray:
        """Signed way from an origin to a time; arguments broadcast."""

    def mean(self, weight: FloatArray, time: FloatArray) -> FloatArray:
        """Mean time of each row of weights that sum to one, ``(rows,)`` from ``(rows, times)``."""

    def unrolled(self, time: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Times and means on [0, 1] with no seam near the mean: shifted by what :meth:`rolled` takes back."""

    def rolled(self, time: FloatArray, mean: FloatArray) -> FloatArray:
        """Unrolled times back on the clock."""

    def correlation(self, one: FloatArray, other: FloatArray) -> float:
        """How far two placings of the same cells agree: 1 for the same, -1 for the reverse."""

    def onto(self, time: FloatArray, other: FloatArray) -> tuple[FloatArray, float]:
        """Times on the clock of another placing of the cells, and what they were stretched by: below 0 if reversed."""

    def design(self, time: FloatArray) -> FloatArray:
        """Displacements of the whole clock that change no likelihood, ``(displacements, times)``."""

    def lengths(self, times: FloatArray, density: FloatArray) -> FloatArray:
        """Integral of a density from each time to each other, the shorter way, ``(times, times)``."""

    def slope(self, values: FloatArray, times: FloatArray) -> FloatArray:
        """Derivative along the last axis, ``(..., times)``."""


@dataclass(frozen=True)
class PriorNumbers:
    """Of the weak priors of a gene's parameters: of the six shared ones, and of a lineage's own."""

    mean: tuple[list[float], list[float]]
    sd: tuple[list[float], list[float]]
    lower: tuple[list[float], list[float]]
    upper: tuple[list[float], list[float]]


@dataclass(frozen=True)
class Shape:
    """A shape that a curve can have up to its levels: where a restart begins."""

    rates: tuple[float, float]
    onset: float
    duration: float  # that of smooth transcription on a circle is a whole turn


class Curve(Protocol):
    """Means of a gene along the clock, their derivatives, and what is plausible.

    Parameters of a gene stand in the order of ``Layout``: log beta, log gamma, t_on, log level_0, log level_1 and log
    scaling, then the ``n_own`` ones that each lineage has for itself, log duration first.
    """

    @property
    def clock(self) -> Clock:
        """The clock."""

    @property
    def n_own(self) -> int:
        """Parameters that each lineage has for itself."""

    @property
    def prior(self) -> PriorNumbers:
        """What is plausible."""

    @property
    def families(self) -> tuple[tuple[Shape, ...], ...]:
        """Shapes to begin from; the best of each family is found for itself, so that none crowds out another."""

    def unit_curves(self, times: FloatArray, shape: Shape) -> tuple[FloatArray, FloatArray]:
        """Means of both layers with one of the levels at one and the others at zero, each ``(levels, times)``."""

    def means(
        self, backend: Backend, theta: FloatArray, times: FloatArray, columns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Both layers at size factor 1, each ``(genes, lineages * times)``."""

    def information(
        self,
        backend: Backend,
        theta: FloatArray,
        times: FloatArray,
        columns: IntArray,
        unspliced: CurveTargets,
        spliced: CurveTargets,
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood and Fisher information."""

    def velocity(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """du/dt and ds/dt of one lineage, each ``(genes, times)``."""

    def jacobian(self, theta: FloatArray, times: FloatArray) -> tuple[Any, Any, Any, Any]:
        """Means of one lineage and their derivatives by its parameters, ``(genes, own parameters, times)``."""

    def idle(self, theta: FloatArray) -> FloatArray:
        """1 for each parameter that the shape of a gene does not have, else 0, ``(genes, parameters)``."""

    def gauge(self, theta: FloatArray) -> FloatArray:
        """How parameters go with each displacement of :meth:`Clock.design`, ``(genes, parameters, displacements)``."""

    def as_switch(self, theta: FloatArray) -> FloatArray:
        """The same curves in the parameters of the switch model, as they are stored, ``(genes, 6 + 2 lineages)``."""

    def from_switch(self, theta: FloatArray, smooth: BoolArray) -> FloatArray:
        """The inverse of :meth:`as_switch`, given which genes' transcription is smooth, ``(genes,)``."""
