"""Readers, a format a module."""

from __future__ import annotations

from velotime.data.formats.alevin_fry import read_alevin_fry
from velotime.data.formats.any import read_any, read_file
from velotime.data.formats.h5ad import read_h5ad
from velotime.data.formats.kb import read_kb
from velotime.data.formats.loom import read_loom
from velotime.data.formats.starsolo import read_starsolo

__all__ = ["read_alevin_fry", "read_any", "read_file", "read_h5ad", "read_kb", "read_loom", "read_starsolo"]
