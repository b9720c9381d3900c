"""Reading and writing of AnnData objects: files, layers, slots."""

from __future__ import annotations

# First, as it gives numba a folder for caches where there is none, which scanpy asks for when it is imported.
from velotime.compute import jit as _jit  # noqa: F401

# isort: split

from velotime.data.blocks.reading import tables_in_memory
from velotime.data.blocks.rows import cell_sums, layer_blocks
from velotime.data.blocks.sources import blocks_of_rows, lazily, open_blocks
from velotime.data.blocks.summary import Summary, cell_totals, dispersions
from velotime.data.embeddings import embed, embedding_points, list_embeddings, short_name
from velotime.data.files import check_folder, check_output, write_file, write_page, write_table
from velotime.data.fitted import Fitted, require_fit
from velotime.data.formats import (
    is_large,
    read_alevin_fry,
    read_any,
    read_cellranger_pair,
    read_file,
    read_h5ad,
    read_h5mu,
    read_kb,
    read_lazy,
    read_loom,
    read_parse,
    read_samples,
    read_starsolo,
    read_tidesurf,
    read_zarr,
    runs_in,
    samples_in,
)
from velotime.data.gene_space import (
    NeighborhoodMeans,
    Velocity,
    arrows_made_of,
    gene_blocks,
    has_arrows,
    means_of_genes,
    neighborhood_means,
    read_velocity,
    require_velocity,
)
from velotime.data.labels import check_genes, other_names, read_labels
from velotime.data.layers.names import find_layers
from velotime.data.layers.plausibility import doubts_about, doubts_of_sums
from velotime.data.layers.sizes import fresh_sizes, layer_sizes, size_factors, sizes_of_totals
from velotime.data.layers.status import gene_status, tally
from velotime.data.layers.values import read_block, read_layer
from velotime.data.moments import read_for, read_moments
from velotime.data.neighbors.table import Neighbors, find_neighbors, read_neighbors
from velotime.data.on_disk.checkpoint import Checkpoint, kept
from velotime.data.on_disk.whole import remove_parts
from velotime.data.reading import Reading, leave_out, read_observations
from velotime.data.samples import merge_samples, name_apart
from velotime.data.stored.derived import (
    current_fit,
    keep_named,
    keep_table,
    of_these_cells,
    read_derived,
    read_record,
    remove_derived,
    write_derived,
)
from velotime.data.stored.hours import AGREE, hours_in_words, hours_record
from velotime.data.stored.identity import digest
from velotime.data.stored.rate_table import QUALITY, rate_table
from velotime.data.stored.records import Records
from velotime.data.stored.rollback import leaves_as_it_was, to_write_to
from velotime.data.stored.soft_fit import require_soft_fit, restore_soft_fit, restore_soft_fit_in_memory, stored_method
from velotime.data.writers import Slots, choose_layers, compute_slots, gene_columns, name_of_fit, slots_of, write_fit

__all__ = [
    "AGREE",
    "QUALITY",
    "Checkpoint",
    "Fitted",
    "NeighborhoodMeans",
    "Neighbors",
    "Reading",
    "Records",
    "Slots",
    "Summary",
    "Velocity",
    "arrows_made_of",
    "blocks_of_rows",
    "cell_sums",
    "cell_totals",
    "check_folder",
    "check_genes",
    "check_output",
    "choose_layers",
    "compute_slots",
    "current_fit",
    "digest",
    "dispersions",
    "doubts_about",
    "doubts_of_sums",
    "embed",
    "embedding_points",
    "find_layers",
    "find_neighbors",
    "fresh_sizes",
    "gene_blocks",
    "gene_columns",
    "gene_status",
    "has_arrows",
    "hours_in_words",
    "hours_record",
    "is_large",
    "keep_named",
    "keep_table",
    "kept",
    "layer_blocks",
    "layer_sizes",
    "lazily",
    "leave_out",
    "leaves_as_it_was",
    "list_embeddings",
    "means_of_genes",
    "merge_samples",
    "name_apart",
    "name_of_fit",
    "neighborhood_means",
    "of_these_cells",
    "open_blocks",
    "other_names",
    "rate_table",
    "read_alevin_fry",
    "read_any",
    "read_block",
    "read_cellranger_pair",
    "read_derived",
    "read_file",
    "read_for",
    "read_h5ad",
    "read_h5mu",
    "read_kb",
    "read_labels",
    "read_layer",
    "read_lazy",
    "read_loom",
    "read_moments",
    "read_neighbors",
    "read_observations",
    "read_parse",
    "read_record",
    "read_samples",
    "read_starsolo",
    "read_tidesurf",
    "read_velocity",
    "read_zarr",
    "remove_derived",
    "remove_parts",
    "require_fit",
    "require_soft_fit",
    "require_velocity",
    "restore_soft_fit",
    "restore_soft_fit_in_memory",
    "runs_in",
    "samples_in",
    "short_name",
    "size_factors",
    "sizes_of_totals",
    "slots_of",
    "stored_method",
    "tables_in_memory",
    "tally",
    "to_write_to",
    "write_derived",
    "write_file",
    "write_fit",
    "write_page",
    "write_table",
]
