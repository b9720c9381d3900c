"""Where AnnData ends and arrays begin: files, layers, slots."""

from __future__ import annotations

from velotime.data import _keys as keys
from velotime.data._files import check_output, read_file, write_file
from velotime.data._reading import (
    Reading,
    find_layers,
    gene_status,
    read_labels,
    read_layer,
    read_observations,
    size_factors,
    tally,
)
from velotime.data._results import write_soft_fit
from velotime.data._state import neighborhood_means
from velotime.data._stored import restore_soft_fit, stored_method

__all__ = [
    "Reading",
    "check_output",
    "find_layers",
    "gene_status",
    "keys",
    "neighborhood_means",
    "read_file",
    "read_labels",
    "read_layer",
    "read_observations",
    "restore_soft_fit",
    "size_factors",
    "stored_method",
    "tally",
    "write_file",
    "write_soft_fit",
]
