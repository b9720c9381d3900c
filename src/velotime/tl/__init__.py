"""Tools: fit, and derive from the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

# First, as it gives numba a folder for caches where there is none, which scanpy asks for when it is imported.
from velotime.compute import jit as _jit  # noqa: F401

# isort: split

from velotime._scvelo_names import pointing
from velotime.tl._compare_models import compare_models
from velotime.tl._conditions.compare import compare_conditions
from velotime.tl._differential_kinetics import differential_kinetics
from velotime.tl._experimental_time import to_experimental_time
from velotime.tl._hours.real_time import to_real_time
from velotime.tl._rank_genes import rank_fate_genes, rank_genes, rank_genes_in_groups
from velotime.tl._recover_dynamics import recover_dynamics
from velotime.tl._resample import resample
from velotime.tl._transitions import transition_matrix, velocity_embedding
from velotime.tl._velocity_graph import velocity_graph

__all__ = [
    "compare_conditions",
    "compare_models",
    "differential_kinetics",
    "rank_fate_genes",
    "rank_genes",
    "rank_genes_in_groups",
    "recover_dynamics",
    "resample",
    "to_experimental_time",
    "to_real_time",
    "transition_matrix",
    "velocity_embedding",
    "velocity_graph",
]

if not TYPE_CHECKING:  # for which a name that is not there is no name at all
    __getattr__ = pointing("tl")
