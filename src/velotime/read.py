"""Readers: files and folders of the common quantifiers into one AnnData.

``auto`` recognises what is there; the others say what it must be.
"""

from __future__ import annotations

from velotime.data import read_alevin_fry as alevin_fry
from velotime.data import read_any as auto
from velotime.data import read_h5ad as h5ad
from velotime.data import read_kb as kb
from velotime.data import read_loom as loom
from velotime.data import read_starsolo as starsolo

__all__ = ["alevin_fry", "auto", "h5ad", "kb", "loom", "starsolo"]
