"""The sweep over cells, compiled."""

from __future__ import annotations

from velotime.backends._gaussian import GaussianComponents, GaussianSums, accumulate_gaussian, responsibilities
from velotime.backends._graph import Edges, edge_cosines, mean_edge_cosines
from velotime.backends._layers import Layer, LayerStatistics, Matrix, ScoreTables
from velotime.backends._numba import SweepModel, SweepResult, accumulate, pad_states, posterior

__all__ = [
    "Edges",
    "GaussianComponents",
    "GaussianSums",
    "Layer",
    "LayerStatistics",
    "Matrix",
    "ScoreTables",
    "SweepModel",
    "SweepResult",
    "accumulate",
    "accumulate_gaussian",
    "edge_cosines",
    "mean_edge_cosines",
    "pad_states",
    "posterior",
    "responsibilities",
]
