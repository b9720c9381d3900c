"""The sweep over cells, compiled."""

from __future__ import annotations

from velotime.backends._graph import edge_cosines
from velotime.backends._layers import Layer, LayerStatistics, Matrix, ScoreTables
from velotime.backends._numba import SweepModel, SweepResult, accumulate, pad_states, posterior

__all__ = [
    "Layer",
    "LayerStatistics",
    "Matrix",
    "ScoreTables",
    "SweepModel",
    "SweepResult",
    "accumulate",
    "edge_cosines",
    "pad_states",
    "posterior",
]
