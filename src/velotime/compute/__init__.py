"""The sweep over cells, compiled."""

from __future__ import annotations

from velotime.compute.layers import Layer, LayerStatistics, Matrix, ScoreTables
from velotime.compute.numba.edges import Edges, edge_cosines, mean_edge_cosines
from velotime.compute.numba.gaussian import GaussianComponents, GaussianSums, accumulate_gaussian, responsibilities
from velotime.compute.numba.mixtures import NormalMixtures, mixture_quantiles
from velotime.compute.numba.sweep import SweepModel, SweepResult, accumulate, pad_states, posterior
from velotime.compute.numba.switch_curve import LEAST_VARIANCE, CurveTargets, curve_information, curve_means
from velotime.compute.threads import on_all_cores

__all__ = [
    "LEAST_VARIANCE",
    "CurveTargets",
    "Edges",
    "GaussianComponents",
    "GaussianSums",
    "Layer",
    "LayerStatistics",
    "Matrix",
    "NormalMixtures",
    "ScoreTables",
    "SweepModel",
    "SweepResult",
    "accumulate",
    "accumulate_gaussian",
    "curve_information",
    "curve_means",
    "edge_cosines",
    "mean_edge_cosines",
    "mixture_quantiles",
    "on_all_cores",
    "pad_states",
    "posterior",
    "responsibilities",
]
