"""Compiled kernels of the genes' own curves."""

from __future__ import annotations

from velotime.inference.two_stage.gene_clock.kernels.curve import N_NODES, N_PARAMETERS
from velotime.inference.two_stage.gene_clock.kernels.equations import LONGEST_STEP, CurveEquations, CurveSteps, solve
from velotime.inference.two_stage.gene_clock.kernels.points import CellPoints, Points, PointSource, gather
from velotime.inference.two_stage.gene_clock.kernels.record import CurveSums
from velotime.inference.two_stage.gene_clock.kernels.sums import (
    place_cells_on_curves,
    states_on_curves,
    sum_over_posterior,
    sum_over_times,
)
from velotime.inference.two_stage.gene_clock.kernels.times import OFF, ON, STEADY_ON

__all__ = [
    "LONGEST_STEP",
    "N_NODES",
    "N_PARAMETERS",
    "OFF",
    "ON",
    "STEADY_ON",
    "CellPoints",
    "CurveEquations",
    "CurveSteps",
    "CurveSums",
    "PointSource",
    "Points",
    "gather",
    "place_cells_on_curves",
    "solve",
    "states_on_curves",
    "sum_over_posterior",
    "sum_over_times",
]
