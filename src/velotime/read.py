"""Readers: files and folders of the common quantifiers into one AnnData.

``auto`` recognises what is there; the others say what it must be.
"""

from __future__ import annotations

from velotime import data
from velotime._check import FilePath, checked

PATH = {"path": FilePath()}
alevin_fry = checked(PATH, "read.alevin_fry")(data.read_alevin_fry)
auto = checked(PATH, "read.auto")(data.read_any)
h5ad = checked(PATH, "read.h5ad")(data.read_h5ad)
kb = checked(PATH, "read.kb")(data.read_kb)
loom = checked(PATH, "read.loom")(data.read_loom)
starsolo = checked(PATH, "read.starsolo")(data.read_starsolo)

__all__ = ["alevin_fry", "auto", "h5ad", "kb", "loom", "starsolo"]
