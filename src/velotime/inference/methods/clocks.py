"""Clocks that ``SoftEM`` can fit: one that begins and ends, and one that goes round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from velotime._check import Flag, Instance, Optional, Settings
from velotime.inference.curves.circle import PERIODIC
from velotime.inference.curves.line import SWITCH
from velotime.inference.curves.protocol import Curve
from velotime.inference.knowledge.order import Markers
from velotime.inference.knowledge.time_prior import GrowingPrior
from velotime.inference.labels import CellLabels
from velotime.inference.methods.origins import CountDrop, Origin, by_density, by_markers, by_total_counts
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.search.circle.leavers import cycling_cells
from velotime.inference.search.circle.search import CycleSearch
from velotime.inference.search.roots import Search
from velotime.kinetics import SwitchParameter


@dataclass(frozen=True)
class Line(Settings):
    """A clock that begins and ends: development, differentiation, a response.

    Examples
    --------
    >>> import velotime as vt
    >>> vt.SoftEM().clock
    Line()
    """

    curve: ClassVar[Curve] = SWITCH
    markers: ClassVar[Markers | None] = None
    not_cycling: ClassVar[bool] = False

    def search(self, search: Search) -> Search:
        """From the ends of the cells."""
        return search

    def zero(self, problem: SoftProblem, parameters: SoftParameters, labels: CellLabels) -> Origin | None:
        """Where time begins: the search found it."""
        del problem, parameters, labels
        return None

    def moves(self, problem: SoftProblem, half: int, cold: int) -> SoftProblem:
        """Other clocks are tried from half way down on, and room left at both ends when cold."""
        return replace(problem, clock_moves=frozenset(range(max(half - 1, 0), cold + 2, 2)), make_room=cold)


@dataclass(frozen=True)
class Cycle(Settings):
    r"""A clock that goes round, such as that of dividing cells: phases from 0 to 1, where 1 is 0 again.

    Transcription of a gene has one of two shapes, whichever counts call for (by the Bayesian information criterion: a
    smooth one has a parameter less): a switch, at one level for a part of the turn and at another for the rest, or
    smooth, a sine between two levels. Few counts do not tell a switch from a sine; then it is the sine.

        du/dt = alpha(phase) - beta u,    ds/dt = beta u - gamma s,    u and s the same after a turn.

    Rates are per turn, and those of growing cells contain dilution (ln 2 per turn of cells that double).

    Parameters
    ----------
    origin
        What says where phase 0 is: genes, ``Markers(early=..., late=...)``, of which the early ones rise, or the
        late ones fall, through their means there, with both the middle; or ``CountDrop()``, the division, at which
        total counts drop. By default it lies where ``prior=GrowingPrior()`` finds the division, and is left free,
        anywhere, with other priors.
    not_cycling
        Whether cells may be off the cycle, as they have left it or rest. They are one more state, with a mean of its
        own for every gene and layer and a share that is learned, where that explains the counts by more than the means
        cost (half of ``log n`` each, n cells of that state). By default all cells are on the cycle: what it takes to
        look for others takes about as long as the rest of the fit.

    Examples
    --------
    >>> import velotime as vt
    >>> vt.SoftEM(clock=vt.Cycle(origin=vt.Markers(early=["MCM5", "PCNA"], late=["CDK1"]))).clock.origin.late
    ('CDK1',)
    """

    origin: Markers | CountDrop | None = None
    not_cycling: bool = False

    curve: ClassVar[Curve] = PERIODIC
    rules: ClassVar = {
        "origin": Optional(Instance((Markers, CountDrop), "Markers(early=..., late=...) or CountDrop()")),
        "not_cycling": Flag(),
    }

    @property
    def markers(self) -> Markers | None:
        """Genes that the origin is read from."""
        return self.origin if isinstance(self.origin, Markers) else None

    def search(self, search: Search) -> Search:
        """From circular orders of the cells."""
        of_all = CycleSearch.of(search)
        return cycling_cells(of_all) if self.not_cycling else of_all

    def zero(self, problem: SoftProblem, parameters: SoftParameters, labels: CellLabels) -> Origin | None:
        """Where the clock is to begin, how sure that is, and what says so."""
        if self.markers is not None:
            return by_markers(self.markers, time_and_lineage(problem, parameters)[0], labels)
        if self.origin is not None:
            return by_total_counts(problem, parameters)
        return by_density(problem, parameters) if isinstance(problem.time_prior, GrowingPrior) else Origin(0.0, "free")

    def moves(self, problem: SoftProblem, half: int, cold: int) -> SoftProblem:
        """A circle has no ends."""
        del half, cold
        return problem


def rotated(problem: SoftProblem, parameters: SoftParameters, zero: float) -> SoftParameters:
    """The same fit with phase ``zero``, to the step of the grid, as the first: onsets and prior go with it."""
    steps = round(zero * problem.states.n_states)
    theta = parameters.theta.copy()
    theta[:, SwitchParameter.T_ON] = (theta[:, SwitchParameter.T_ON] - steps / problem.states.n_states) % 1.0
    return replace(parameters, theta=theta, prior=np.roll(parameters.prior, -steps, axis=1))
