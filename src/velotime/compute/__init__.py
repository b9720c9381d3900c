"""Compiled computations: the primitives of a backend, their records, and kernels of single methods."""

from __future__ import annotations

from velotime.compute.arrays import ArrayBackend
from velotime.compute.backend import LEAST_VARIANCE, Backend, CurveTargets
from velotime.compute.blocks import (
    Block,
    Blocks,
    LocalBlocks,
    Task,
    bounds_of,
    pairwise_sum,
    row_sums,
    split,
    sums_of_cells,
    take_rows,
)
from velotime.compute.layers import Layer, ScoreTables, SweepModel, pad_states
from velotime.compute.matrix import Matrix, as_array
from velotime.compute.numba import NUMBA
from velotime.compute.numba.captures import add_sample, capture_scores
from velotime.compute.numba.counts import LEAST_MEAN, sum_of_growth, sum_of_logs, sum_of_rises
from velotime.compute.numba.damped_steps import damped_steps
from velotime.compute.numba.gaussian import CentredSums, GaussianComponents, accumulate_gaussian, responsibilities
from velotime.compute.numba.graph.arrows import expected_steps
from velotime.compute.numba.graph.descent import descend
from velotime.compute.numba.graph.edge_sums import edge_cosines_by_genes, root_cosines_by_genes
from velotime.compute.numba.graph.edges import Edges, edge_cosines, mean_edge_cosines
from velotime.compute.numba.graph.neighborhoods import PackedRows, dense_genes, means_around, pack_rows, times_table
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
    "PackedRows",
    "ScoreTables",
    "Sums",
    "SweepModel",
    "Task",
    "accumulate_gaussian",
    "add_sample",
    "as_array",
    "bounds_of",
    "capture_scores",
    "damped_steps",
    "dense_genes",
    "descend",
    "edge_cosines",
    "edge_cosines_by_genes",
    "expected_steps",
    "mean_edge_cosines",
    "means_around",
    "mixture_quantiles",
    "on_all_cores",
    "pack_rows",
    "pad_states",
    "pairwise_sum",
    "responsibilities",
    "root_cosines_by_genes",
    "row_sums",
    "split",
    "sum_of_growth",
    "sum_of_logs",
    "sum_of_rises",
    "sums_of_cells",
    "take_rows",
    "times_table",
]
