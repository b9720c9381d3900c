"""The sweep over cells, compiled."""

from __future__ import annotations

from velotime.backends._curve_equations import LONGEST_STEP, CurveEquations, CurveSteps, solve
from velotime.backends._curve_points import CellPoints, Points, PointSource, gather
from velotime.backends._curve_sums import (
    CurveSums,
    place_cells_on_curves,
    states_on_curves,
    sum_over_posterior,
    sum_over_times,
)
from velotime.backends._curve_times import OFF, ON, STEADY_ON
from velotime.backends._gaussian import GaussianComponents, GaussianSums, accumulate_gaussian, responsibilities
from velotime.backends._gene_curve import N_NODES, N_PARAMETERS
from velotime.backends._graph import Edges, edge_cosines, mean_edge_cosines
from velotime.backends._layers import Layer, LayerStatistics, Matrix, ScoreTables
from velotime.backends._numba import SweepModel, SweepResult, accumulate, pad_states, posterior
from velotime.backends._switch_curve import LEAST_VARIANCE, CurveTargets, curve_information, curve_means
from velotime.backends._threads import on_all_cores

__all__ = [
    "LEAST_VARIANCE",
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
    "CurveTargets",
    "Edges",
    "GaussianComponents",
    "GaussianSums",
    "Layer",
    "LayerStatistics",
    "Matrix",
    "PointSource",
    "Points",
    "ScoreTables",
    "SweepModel",
    "SweepResult",
    "accumulate",
    "accumulate_gaussian",
    "curve_information",
    "curve_means",
    "edge_cosines",
    "gather",
    "mean_edge_cosines",
    "on_all_cores",
    "pad_states",
    "place_cells_on_curves",
    "posterior",
    "responsibilities",
    "solve",
    "states_on_curves",
    "sum_over_posterior",
    "sum_over_times",
]
