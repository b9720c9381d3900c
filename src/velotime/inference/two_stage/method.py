"""``TwoStageEM``: one time per cell, explicit first and exact last."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator

from velotime._check import Either, Instance, OneOf, Settings
from velotime._status import InputError
from velotime._types import IntArray
from velotime.inference.em import Watcher, watch_nothing
from velotime.inference.methods.protocol import Reads
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Geometry
from velotime.inference.two_stage.gene_clock.fit import GeneClock, GeneClockFit
from velotime.inference.two_stage.gene_clock.summary import CurveCells
from velotime.inference.two_stage.shared_clock.fit import SharedClock, SharedClockFit


@dataclass(frozen=True)
class TwoStageEM(Settings):
    """Expectation-maximisation in two stages with one time per cell: explicit inverse times first, exact times last.

    Parameters
    ----------
    clock
        "gene", the default: every gene has a clock of its own, scVelo's dynamical model; for comparison, and for those
        who know scVelo. "shared": one clock for all genes. ``GeneClock(...)`` and ``SharedClock(...)`` set more.
    """

    clock: Literal["gene", "shared"] | GeneClock | SharedClock = "gene"

    rules: ClassVar = {
        "clock": Either(
            (OneOf(("gene", "shared")), Instance((GeneClock, SharedClock), "a GeneClock(...) or SharedClock(...)"))
        )
    }

    @property
    def reads(self) -> Reads:
        """Moments, unless layers are named."""
        return Reads.MOMENTS

    @property
    def settings(self) -> GeneClock | SharedClock:
        """The clock with its settings."""
        if isinstance(self.clock, str):
            return GeneClock() if self.clock == "gene" else SharedClock()
        return self.clock

    @property
    def places_cells(self) -> bool:
        """Whether the fit needs to know where the cells lie: a shared clock starts from there."""
        return isinstance(self.settings, SharedClock)

    def fit(
        self,
        observations: Observations,
        geometry: Geometry | None = None,
        *,
        rng: Generator,
        watch: Watcher = watch_nothing,
    ) -> GeneClockFit | SharedClockFit:
        """Fit the model.

        Parameters
        ----------
        observations
            Values of the genes to fit.
        geometry
            Where some of the cells lie; needed for a shared clock.
        rng
            Draws the cells of the starts.
        watch
            Called once per iteration.
        """
        clock = self.settings
        if isinstance(clock, GeneClock):
            order = observations.content_order  # sums and draws are then the same in whatever order cells are given
            return _in_given_order(clock.fit(observations.select_cells(order), rng=rng, watch=watch), order)
        if geometry is None:
            raise InputError("a shared clock starts from where the cells lie: pass geometry.")
        return clock.fit(observations, geometry, rng=rng, watch=watch)


def _in_given_order(fit: GeneClockFit, order: IntArray) -> GeneClockFit:
    """Results of cells that were fitted in this order, in the order that they were given in."""
    back = np.argsort(order)
    cells = CurveCells(*(getattr(fit.cells, own.name)[back] for own in fields(fit.cells)))
    return replace(fit, cells=cells, time=fit.time[back])
