"""Folders that quantifiers leave: found by the files in them, assembled from their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime._status import InputError
from velotime.data.formats.parts.source import absent, existing

KINDS = ("spliced", "unspliced", "ambiguous")


@dataclass(frozen=True)
class Layout:
    """Where a tool puts what.

    Attributes
    ----------
    tool
        Name of the tool.
    places
        Sub-folders in which to look, in this order.
    files
        Names of the files that must all be in one of them, by what they hold; compressed (``.gz``) or not.
    """

    tool: str
    places: tuple[str, ...]
    files: dict[str, str]

    def find(self, folder: Path) -> dict[str, Path] | None:
        """Paths of the files, and of the folder they are in under ``"folder"``; None if any is missing."""
        for place in self.places:
            found = {key: existing(folder / place / name) for key, name in self.files.items()}
            if all(found.values()):
                return {key: path for key, path in found.items() if path} | {"folder": folder / place}
        return None

    def __str__(self) -> str:
        places = ", ".join(place or "the folder itself" for place in self.places)
        return f"{self.tool}: {', '.join(self.files.values())} (or .gz) in {places}"


def read_layout(path: str | Path, *known: tuple[Layout, Callable[[dict[str, Path]], AnnData]]) -> AnnData:
    """Read the first layout that is there."""
    folder = Path(path)
    if not folder.exists():
        raise absent(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder. Looked for {_all(known)}.")
    for layout, reader in known:
        files = layout.find(folder)
        if files is not None:
            return reader(files)
    here = sorted(child.name for child in folder.iterdir())
    listing = ", ".join(here[:10]) + (", ..." if len(here) > 10 else "") if here else "nothing"
    raise InputError(
        f"{folder} holds no counts that are known. Looked for {_all(known)}. Found in the folder: {listing}."
    )


def _all(known: Iterable[tuple[Layout, Any]]) -> str:
    return "; ".join(str(layout) for layout, _ in known)


def check_shapes(files: dict[str, Path], layers: dict[str, Any], cells: Any, genes: Any) -> None:
    """Check that layers have a row for each cell and a column for each gene."""
    for kind, layer in layers.items():
        if layer.shape != (len(cells), len(genes)):
            raise InputError(
                f"{files.get(kind, files.get('all'))} is of {layer.shape[0]} cells and {layer.shape[1]} genes, but "
                f"{files['cells'].name} has {len(cells)} and {files['genes'].name} {len(genes)}: these files are not "
                "of one run, or not complete."
            )


def assemble(layers: dict[str, Any], cells: pd.Series, genes: pd.Series, names: pd.Series) -> AnnData:
    """An AnnData of the layers and their sum."""
    made = {kind: sparse.csr_matrix(layer, dtype=np.float32) for kind, layer in layers.items()}
    for layer in made.values():
        layer.eliminate_zeros()
    var = pd.DataFrame({"gene_id": genes.to_numpy()}, index=unambiguous(names, genes))
    obs = pd.DataFrame(index=cells.astype(str).to_numpy())
    return AnnData(sparse.csr_matrix(sum(made.values())), obs=obs, var=var, layers=made)


def seen_cells(adata: AnnData) -> AnnData:
    """Without the barcodes of a whitelist that no count fell on."""
    seen = np.asarray(adata.X.sum(axis=1)).ravel() > 0
    return adata if seen.all() else adata[seen].copy()


def unambiguous(names: Iterable[str], identifiers: Iterable[str]) -> pd.Index:
    """Names of genes, and the identifier of each gene whose name occurs twice or is empty."""
    name, identifier = (pd.Series(list(given), dtype=object) for given in (names, identifiers))
    unclear = name.duplicated(keep=False) | name.isna() | (name == "")
    return pd.Index(name.where(~unclear, identifier).astype(str))
