"""Preprocessing of counts before a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from velotime._scvelo_names import pointing
from velotime.pp._filter_cells import filter_cells
from velotime.pp._filter_genes import filter_genes
from velotime.pp._moments import moments

__all__ = ["filter_cells", "filter_genes", "moments"]

if not TYPE_CHECKING:  # for which a name that is not there is no name at all
    __getattr__ = pointing("pp")
