"""Readers: files and folders of the common quantifiers into one AnnData.

``auto`` recognises what is there; the others say what it must be; ``samples`` merges several; ``lazy`` leaves counts
where they are.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from velotime import data
from velotime._check import FilePath, Flag, Optional, Text, checked
from velotime.data.arguments import FILES

PATH = {"path": FilePath()}
MOD = {"mod": Optional(Text("the name of a modality"))}
GENE_NAMES = {"gene_names": Optional(Text("the name of a var column"))}

alevin_fry = checked(PATH, "read.alevin_fry")(data.read_alevin_fry)
auto = checked(PATH | MOD | GENE_NAMES, "read.auto")(data.read_any)
cellranger_pair = checked({"with_introns": FilePath(), "without_introns": FilePath()}, "read.cellranger_pair")(
    data.read_cellranger_pair
)
h5ad = checked(PATH | GENE_NAMES, "read.h5ad")(data.read_h5ad)
h5mu = checked(PATH | MOD | GENE_NAMES, "read.h5mu")(data.read_h5mu)
kb = checked(PATH, "read.kb")(data.read_kb)
lazy = checked(PATH | GENE_NAMES, "read.lazy")(data.read_lazy)
loom = checked(PATH, "read.loom")(data.read_loom)
parse = checked(PATH, "read.parse")(data.read_parse)
samples = checked({"paths": FILES, "lazily": Flag()} | GENE_NAMES, "read.samples")(data.read_samples)
starsolo = checked(PATH, "read.starsolo")(data.read_starsolo)
tidesurf = checked(PATH, "read.tidesurf")(data.read_tidesurf)
zarr = checked(PATH | MOD | GENE_NAMES, "read.zarr")(data.read_zarr)

__all__ = [
    "alevin_fry",
    "auto",
    "cellranger_pair",
    "h5ad",
    "h5mu",
    "kb",
    "lazy",
    "loom",
    "parse",
    "samples",
    "starsolo",
    "tidesurf",
    "zarr",
]


class _NotCalled(ModuleType):
    """A module which says what to call where ``read(path)`` is written, as with scVelo and scanpy."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("velotime.read is a module: call velotime.read.auto(path), which recognises what is there.")


sys.modules[__name__].__class__ = _NotCalled
