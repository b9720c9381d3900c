"""Preprocessing of counts before a fit."""

from __future__ import annotations

from velotime.pp._filter_cells import filter_cells
from velotime.pp._filter_genes import filter_genes
from velotime.pp._moments import moments

__all__ = ["filter_cells", "filter_genes", "moments"]
