"""Rules of arguments that many public functions share."""

from __future__ import annotations

from anndata import AnnData

from velotime._check import Instance, Optional, Text

ADATA = Instance(
    AnnData,
    "an AnnData",
    cure="Read files with vt.read.auto(path); bring a collection into memory with collection.to_adata().",
)
COLUMN = Text("the name of an obs column")
VAR_COLUMN = Text("the name of a var column")
BASIS = Text("the name of a basis, such as 'umap'")
GENE = Text("the name of a gene")
LAYER = Optional(Text("the name of a layer"))
