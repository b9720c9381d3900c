"""Compiled computations: the primitives of a backend, their records, and kernels of single methods."""

from __future__ import annotations

from velotime.compute.arrays import ArrayBackend
from velotime.compute.backend import LEAST_VARIANCE, Backend, CurveTargets
from velotime.compute.blocks import Block, Blocks, LocalBlocks, Task, pairwise_sum, split, take_rows
from velotime.compute.layers import Layer, ScoreTables, SweepModel, pad_states
from velotime.compute.matrix import Matrix, as_array
from velotime.compute.numba import NUMBA
from velotime.compute.numba.counts import LEAST_MEAN, sum_of_growth, sum_of_logs
from velotime.compute.numba.edge_sums import edge_cosines_by_genes
from velotime.compute.numba.edges import Edges, edge_cosines, mean_edge_cosines
from velotime.compute.numba.gaussian import CentredSums, GaussianComponents, accumulate_gaussian, responsibilities
from velotime.compute.numba.mixtures import NormalMixtures, mixture_quantiles
from velotime.compute.sums import LayerSums, Sums
from velotime.compute.threads import on_all_cores

__all__ = [
    "LEAST_MEAN",
    "LEAST_VARIANCE",
    "NUMBA",
    "ArrayBackend",
    "Backend",
    "Block",
    "Blocks",
    "CentredSums",
    "CurveTargets",
    "Edges",
    "GaussianComponents",
    "Layer",
    "LayerSums",
    "LocalBlocks",
    "Matrix",
    "NormalMixtures",
    "ScoreTables",
    "Sums",
    "SweepModel",
    "Task",
    "accumulate_gaussian",
    "as_array",
    "edge_cosines",
    "edge_cosines_by_genes",
    "mean_edge_cosines",
    "mixture_quantiles",
    "on_all_cores",
    "pad_states",
    "pairwise_sum",
    "responsibilities",
    "split",
    "sum_of_growth",
    "sum_of_logs",
    "take_rows",
]
