"""Where AnnData ends and arrays begin: files, layers, slots."""

from __future__ import annotations

from velotime.data.files import check_output, write_file, write_page
from velotime.data.fitted import require_soft_fit, restore_soft_fit, stored_method
from velotime.data.formats import (
    read_alevin_fry,
    read_any,
    read_cellranger_pair,
    read_file,
    read_h5ad,
    read_h5mu,
    read_kb,
    read_loom,
    read_parse,
    read_samples,
    read_starsolo,
    read_tidesurf,
    read_zarr,
)
from velotime.data.moments import read_for, read_moments
from velotime.data.neighbors import ensure_neighbors, neighborhood, neighborhood_size
from velotime.data.reading import (
    Reading,
    check_genes,
    doubts_about,
    find_layers,
    gene_status,
    read_labels,
    read_layer,
    read_observations,
    size_factors,
    tally,
)
from velotime.data.samples import merge_samples, name_apart
from velotime.data.state import neighborhood_means
from velotime.data.writers import Slots, gene_columns, slots_of, write_fit

__all__ = [
    "Reading",
    "Slots",
    "check_genes",
    "check_output",
    "doubts_about",
    "ensure_neighbors",
    "find_layers",
    "gene_columns",
    "gene_status",
    "merge_samples",
    "name_apart",
    "neighborhood",
    "neighborhood_means",
    "neighborhood_size",
    "read_alevin_fry",
    "read_any",
    "read_cellranger_pair",
    "read_file",
    "read_for",
    "read_h5ad",
    "read_h5mu",
    "read_kb",
    "read_labels",
    "read_layer",
    "read_loom",
    "read_moments",
    "read_observations",
    "read_parse",
    "read_samples",
    "read_starsolo",
    "read_tidesurf",
    "read_zarr",
    "require_soft_fit",
    "restore_soft_fit",
    "size_factors",
    "slots_of",
    "stored_method",
    "tally",
    "write_file",
    "write_fit",
    "write_page",
]
