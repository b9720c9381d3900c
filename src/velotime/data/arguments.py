"""Rules of arguments that many public functions share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from anndata import AnnData

from velotime._check import FilePath, NotAllowedError, Optional, Rule, Text

CURES = {  # other packages' objects, recognised by name so that they are not imported
    "AnnCollection": "Join its parts in memory: adata = anndata.concat(collection.adatas, index_unique='-').",
    "AnnCollectionView": "Join its parts in memory: adata = anndata.concat(collection.adatas, index_unique='-').",
    "MuData": "Give one modality: adata = mdata['rna'].",
    "SpatialData": "Give one table: adata = sdata.tables['table'].",
    "Raw": "Call adata.raw.to_adata() and add layers of spliced and unspliced counts.",
    "list": "Join them first: adata = anndata.concat([...], index_unique='-').",
}


@dataclass(frozen=True)
class AnnDataRule(Rule):
    """An AnnData whose slots can be written.

    Parameters
    ----------
    subset
        Whether cells or genes are to be taken out of it in place, which a file does not allow.
    """

    subset: bool = False

    @property
    def allowed(self) -> str:
        """Where it must be."""
        return "an AnnData in memory" if self.subset else "an AnnData"

    def accept(self, value: Any) -> AnnData:
        """As it is; layers may lie in a file, unless they are to be written into a part of it."""
        if not isinstance(value, AnnData):
            path = isinstance(value, str | os.PathLike)
            cure = "Read it first: adata = velotime.read.auto(path)." if path else CURES.get(type(value).__name__)
            raise NotAllowedError(
                cure or "Read a file with velotime.read.auto(path), or make one: anndata.AnnData(...)."
            )
        if value.isbacked and (self.subset or value.is_view):
            what = "cells and genes cannot be taken out of it" if self.subset else "parts of it cannot be written"
            raise NotAllowedError(
                f"It lies in a file, {value.filename}, and {what}: call adata = adata.to_memory() first."
            )
        return value


@dataclass(frozen=True)
class Files(Rule):
    """Files or folders, one per sample, or a table of them."""

    @property
    def allowed(self) -> str:
        """With or without names."""
        return (
            "a list of files or folders, a dict of them by the names of the samples, a folder of runs, or a table with "
            "columns 'sample' and 'path': a .csv or .tsv file, or a DataFrame"
        )

    def accept(self, value: Any) -> Any:
        """A list or a dict, not empty, or a table."""
        if isinstance(value, pd.DataFrame) or (
            isinstance(value, str | os.PathLike) and (is_manifest(value) or os.path.isdir(value))
        ):
            return value
        if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable) or not len(kept := _kept(value)):
            raise NotAllowedError("One alone is read with velotime.read.auto(path).")
        for path in kept.values() if isinstance(kept, dict) else kept:
            FilePath().accept(path)
        return kept


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a table of samples, by how its name ends."""
    return os.fspath(path).endswith((".csv", ".tsv"))


def _kept(value: Iterable[Any]) -> list[Any] | dict[str, Any]:
    return {str(name): path for name, path in value.items()} if isinstance(value, Mapping) else list(value)


ADATA = AnnDataRule()
ADATA_IN_PLACE = AnnDataRule(subset=True)
FILES = Files()
COLUMN = Text("the name of an obs column")
VAR_COLUMN = Text("the name of a var column")
BASIS = Text("the name of a basis, such as 'umap'")
GENE = Text("the name of a gene")
LAYER = Optional(Text("the name of a layer"))
KEY_ADDED = Optional(Text("a name in uns"))
KEY_ADDED_IN_OBSP = Optional(Text("a name in obsp"))
