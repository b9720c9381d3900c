"""Folders that quantifiers leave: found by the files in them, read into layers spliced, unspliced, ambiguous."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.io import mmread

from velotime._status import InputError
from velotime.data.files import read_file, unambiguous

KINDS = ("spliced", "unspliced", "ambiguous")


@dataclass(frozen=True)
class _Layout:
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
            found = {key: _existing(folder / place / name) for key, name in self.files.items()}
            if all(found.values()):
                return {key: path for key, path in found.items() if path} | {"folder": folder / place}
        return None

    def __str__(self) -> str:
        places = ", ".join(place or "the folder itself" for place in self.places)
        return f"{self.tool}: {', '.join(self.files.values())} (or .gz) in {places}"


SOLO_PLACES = tuple(
    f"{above}{cells}" for above in ("", "Velocyto/", "Solo.out/Velocyto/") for cells in ("", "filtered", "raw")
)
SOLO_NAMES = {"cells": "barcodes.tsv", "genes": "features.tsv"}
SOLO = _Layout("STARsolo", SOLO_PLACES, {kind: f"{kind}.mtx" for kind in KINDS} | SOLO_NAMES)
SOLO_OLD = _Layout("STARsolo as of its first versions", SOLO_PLACES, {"all": "matrix.mtx"} | SOLO_NAMES)
KB = _Layout(
    "kb-python --workflow nac",
    ("", "counts_filtered", "counts_unfiltered", "counts_unfiltered_modified"),
    {
        "spliced": "cells_x_genes.mature.mtx",
        "unspliced": "cells_x_genes.nascent.mtx",
        "ambiguous": "cells_x_genes.ambiguous.mtx",
        "cells": "cells_x_genes.barcodes.txt",
        "genes": "cells_x_genes.genes.txt",
    },
)
FRY = _Layout(
    "alevin-fry",
    ("", "af_quant"),
    {
        "record": "quant.json",
        "all": "alevin/quants_mat.mtx",
        "cells": "alevin/quants_mat_rows.txt",
        "genes": "alevin/quants_mat_cols.txt",
    },
)


def read_starsolo(path: str | Path) -> AnnData:
    """Read what STARsolo counts with ``--soloFeatures Gene Velocyto``.

    Parameters
    ----------
    path
        A folder with ``spliced.mtx``, ``unspliced.mtx``, ``ambiguous.mtx``, ``barcodes.tsv`` and ``features.tsv``, or
        one above it: ``Velocyto``, ``Solo.out`` or that of the run. Where there are both, ``filtered`` is read (the
        cells that STARsolo called), not ``raw``. The one ``matrix.mtx`` with three counts an entry that
        its first versions wrote is read too.

    Returns
    -------
    Cells x genes; layers ``spliced``, ``unspliced`` and ``ambiguous``, CSR, float32, and their sum in ``X``; gene names
    (the identifier where a name occurs twice) as ``var_names`` and identifiers in ``var["gene_id"]``. Barcodes of the
    whitelist without a single count are left out.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where) or do not fit each other.
    """
    return _read(path, (SOLO, _from_solo), (SOLO_OLD, _from_old_solo))


def read_kb(path: str | Path) -> AnnData:
    """Read what ``kb count --workflow=nac`` counts: mature, nascent and ambiguous molecules.

    kb's ambiguous molecules lie within exons: they fit the mature and the nascent transcript alike, and there are many.
    They are kept apart here; to count them as spliced, as ``kb count --sum=cell`` does, add them up:
    ``adata.layers["spliced"] += adata.layers["ambiguous"]``.

    Parameters
    ----------
    path
        The output folder, or ``counts_unfiltered`` (``counts_filtered`` is preferred where it exists) in it; or the
        ``adata.h5ad`` or ``adata.loom`` that kb writes there on demand.

    Returns
    -------
    Cells x genes as of :func:`read_starsolo`: mature counts in layer ``spliced``, nascent ones in ``unspliced``. All
    barcodes that were seen are there: leave out empty droplets before a fit.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where) or do not fit each other.
    """
    if Path(path).is_file():
        return _from_kb_file(Path(path))
    return _read(path, (KB, _from_kb))


def read_alevin_fry(path: str | Path) -> AnnData:
    """Read what alevin-fry counts in USA mode (unspliced, spliced, ambiguous).

    Ambiguous molecules are kept apart; to count them as spliced, as pyroe's and fishpond's format "velocity" does,
    add them up: ``adata.layers["spliced"] += adata.layers["ambiguous"]``. With a "spliceu" reference do: there nearly
    all molecules within exons are ambiguous.

    Parameters
    ----------
    path
        The output folder of ``alevin-fry quant``, with ``quant.json`` and the folder ``alevin``; or that of
        ``simpleaf quant``, which holds it under ``af_quant``.

    Returns
    -------
    Cells x genes as of :func:`read_starsolo`. Names of genes are read from ``gene_id_to_name.tsv`` where simpleaf left
    it; otherwise identifiers serve.

    Raises
    ------
    InputError
        If the files are not there (the message lists what was looked for, and where), were not counted in USA mode,
        or do not fit each other.
    """
    return _read(path, (FRY, _from_fry))


def read_any(path: str | Path) -> AnnData:
    """Read a file (``.h5ad``, ``.loom``) or the folder of a quantifier, recognised by what is in it.

    Parameters
    ----------
    path
        As of the other readers.

    Returns
    -------
    Cells x genes with the layers of the file, or ``spliced``, ``unspliced`` and ``ambiguous`` from a folder.

    Raises
    ------
    InputError
        If it does not exist, or is neither (the message lists what was looked for).
    """
    if not Path(path).is_dir():
        return read_file(path)
    return _read(path, (SOLO, _from_solo), (KB, _from_kb), (FRY, _from_fry), (SOLO_OLD, _from_old_solo))


def _read(path: str | Path, *known: tuple[_Layout, Callable[[dict[str, Path]], AnnData]]) -> AnnData:
    """Read the first layout that is there."""
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"{folder} does not exist.")
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


def _all(known: Iterable[tuple[_Layout, Any]]) -> str:
    return "; ".join(str(layout) for layout, _ in known)


def _from_solo(files: dict[str, Path]) -> AnnData:
    cells = _column(files["cells"])
    names = _table(files["genes"])
    layers = {kind: _matrix(files[kind]).T for kind in KINDS}
    _check_shapes(files, layers, cells, names)
    return _seen(_assemble(layers, cells, names.iloc[:, 0], names.iloc[:, min(1, names.shape[1] - 1)]))


def _from_old_solo(files: dict[str, Path]) -> AnnData:
    """Entries "gene cell spliced unspliced ambiguous", which is no Matrix Market format."""
    cells, names = _column(files["cells"]), _table(files["genes"])
    entries = _read_or_say(files["all"], _five_columns)
    if np.isnan(entries[1:, 3:]).any():
        raise InputError(
            f"{files['all']} holds one count an entry: a matrix of genes, not spliced and unspliced counts. Give the "
            "folder Velocyto beside it, made by STAR with --soloFeatures Gene Velocyto."
        )
    shape = tuple(entries[0, :2].astype(int))
    at = tuple(entries[1:, :2].astype(int).T - 1)
    layers = {kind: sparse.coo_matrix((entries[1:, 2 + k], at), shape=shape).T for k, kind in enumerate(KINDS)}
    _check_shapes(files, layers, cells, names)
    return _seen(_assemble(layers, cells, names.iloc[:, 0], names.iloc[:, min(1, names.shape[1] - 1)]))


def _five_columns(path: Path) -> Any:
    return pd.read_csv(path, sep=r"\s+", header=None, names=range(5), comment="%", dtype=np.float64).to_numpy()


def _from_kb(files: dict[str, Path]) -> AnnData:
    cells, genes = _column(files["cells"]), _column(files["genes"])
    prefix, names = (
        _existing(files["folder"] / f"cells_x_genes.{name}.txt") for name in ("barcodes.prefix", "genes.names")
    )
    if prefix is not None:
        cells = _column(prefix) + cells
    layers = {kind: _matrix(files[kind]) for kind in KINDS}
    _check_shapes(files, layers, cells, genes)
    return _assemble(layers, cells, genes, genes if names is None else _column(names))


def _from_kb_file(path: Path) -> AnnData:
    adata = read_file(path)
    for kb, ours in (("mature", "spliced"), ("nascent", "unspliced")):
        if kb not in adata.layers:
            raise InputError(
                f"{path} was not made by kb-python --workflow nac: it has no layer {kb!r}, but {list(adata.layers)}. "
                "Read any other file with velotime.read.auto(path)."
            )
        adata.layers[ours] = adata.layers.pop(kb)
    return adata


def _from_fry(files: dict[str, Path]) -> AnnData:
    """One matrix, cells x (spliced, unspliced, ambiguous) genes."""
    record = _read_or_say(files["record"], lambda path: json.loads(_text(path)))
    if not record.get("usa_mode"):
        raise InputError(
            f"{files['record']} says that the counts were not made in USA mode: they do not tell spliced from "
            "unspliced. Run alevin-fry quant with a reference of introns and a map of transcripts to genes in three "
            "columns."
        )
    cells = _table(files["cells"]).iloc[:, 0]
    genes = _column(files["genes"])
    counts = _matrix(files["all"])
    n = counts.shape[1] // 3
    if counts.shape[1] != 3 * n or len(genes) not in (n, 3 * n):
        raise InputError(
            f"{files['all']} has {counts.shape[1]} columns and {files['genes'].name} {len(genes)} lines: USA mode has "
            "three columns a gene, spliced, unspliced and ambiguous."
        )
    genes = genes[:n]
    layers = {kind: counts[:, k * n : (k + 1) * n] for k, kind in enumerate(KINDS)}
    _check_shapes(files, layers, cells, genes)
    return _assemble(layers, cells, genes, _fry_names(files["folder"], genes))


def _fry_names(folder: Path, genes: pd.Series) -> pd.Series:
    """Names of the genes where simpleaf left them, identifiers otherwise."""
    paths = (_existing(place / "gene_id_to_name.tsv") for place in (folder, folder.parent))
    path = next((path for path in paths if path is not None), None)
    if path is None:
        return genes
    table = _table(path)
    return genes.map(dict(zip(table[0], table[1], strict=True))).fillna(genes)


def _existing(path: Path) -> Path | None:
    """The path, or that of its compressed form, if it is a file."""
    zipped = path.with_name(path.name + ".gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def _text(path: Path) -> str:
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as file:
            return file.read()
    return path.read_text()


def _column(path: Path) -> pd.Series:
    """The lines of a file."""
    return pd.Series(_read_or_say(path, _text).splitlines(), dtype=object)


def _table(path: Path) -> pd.DataFrame:
    """Columns of a file with tabs between them, all as text."""
    return pd.DataFrame([line.split("\t") for line in _column(path)], dtype=object)


def _matrix(path: Path) -> sparse.csr_matrix:
    return _read_or_say(path, lambda path: sparse.csr_matrix(mmread(path), dtype=np.float32))


def _read_or_say(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except Exception as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}.") from error


def _check_shapes(files: dict[str, Path], layers: dict[str, Any], cells: Any, genes: Any) -> None:
    for kind, layer in layers.items():
        if layer.shape != (len(cells), len(genes)):
            raise InputError(
                f"{files.get(kind, files.get('all'))} is of {layer.shape[0]} cells and {layer.shape[1]} genes, but "
                f"{files['cells'].name} has {len(cells)} and {files['genes'].name} {len(genes)}: these files are not "
                "of one run, or not complete."
            )


def _assemble(layers: dict[str, Any], cells: pd.Series, genes: pd.Series, names: pd.Series) -> AnnData:
    """An AnnData of the layers and their sum."""
    made = {kind: sparse.csr_matrix(layer, dtype=np.float32) for kind, layer in layers.items()}
    for layer in made.values():
        layer.eliminate_zeros()
    var = pd.DataFrame({"gene_id": genes.to_numpy()}, index=unambiguous(names, genes))
    obs = pd.DataFrame(index=cells.astype(str).to_numpy())
    return AnnData(sparse.csr_matrix(sum(made.values())), obs=obs, var=var, layers=made)


def _seen(adata: AnnData) -> AnnData:
    """Without the barcodes of a whitelist that no count fell on."""
    seen = np.asarray(adata.X.sum(axis=1)).ravel() > 0
    return adata if seen.all() else adata[seen].copy()
