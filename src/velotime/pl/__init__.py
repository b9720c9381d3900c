"""Plots with matplotlib, in the style of scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

# First, as it gives numba a folder for caches where there is none, which scanpy asks for when it is imported.
from velotime.compute import jit as _jit  # noqa: F401

# isort: split

from velotime._scvelo_names import pointing
from velotime.pl._by_sample.conditions import conditions
from velotime.pl._by_sample.samples import samples
from velotime.pl._cells import embedding, time_against
from velotime.pl._cycle import cycle
from velotime.pl._fit import arrow_evidence, em_trace, time_prior
from velotime.pl._genes.along_time import along_time
from velotime.pl._genes.portrait import phase_portrait
from velotime.pl._heatmap import heatmap, heatmap_genes
from velotime.pl._proportions import proportions
from velotime.pl._velocity import velocity_arrows, velocity_grid, velocity_stream

__all__ = [
    "along_time",
    "arrow_evidence",
    "conditions",
    "cycle",
    "em_trace",
    "embedding",
    "heatmap",
    "heatmap_genes",
    "phase_portrait",
    "proportions",
    "samples",
    "time_against",
    "time_prior",
    "velocity_arrows",
    "velocity_grid",
    "velocity_stream",
]

if not TYPE_CHECKING:  # for which a name that is not there is no name at all
    __getattr__ = pointing("pl")
