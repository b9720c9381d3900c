"""Readers, one format per module."""

from __future__ import annotations

from velotime.data.formats.alevin_fry import read_alevin_fry
from velotime.data.formats.cellranger import read_cellranger_pair
from velotime.data.formats.detect import read_any, read_file, read_samples, runs_in, samples_in
from velotime.data.formats.h5ad import read_h5ad, read_h5mu, read_zarr
from velotime.data.formats.kb import read_kb
from velotime.data.formats.lazy import is_large, read_lazy
from velotime.data.formats.loom import read_loom
from velotime.data.formats.parse import read_parse
from velotime.data.formats.starsolo import read_starsolo
from velotime.data.formats.tidesurf import read_tidesurf

__all__ = [
    "is_large",
    "read_alevin_fry",
    "read_any",
    "read_cellranger_pair",
    "read_file",
    "read_h5ad",
    "read_h5mu",
    "read_kb",
    "read_lazy",
    "read_loom",
    "read_parse",
    "read_samples",
    "read_starsolo",
    "read_tidesurf",
    "read_zarr",
    "runs_in",
    "samples_in",
]
