"""Whatever is there: a file or the folder of a quantifier, recognised by what is in it; one sample or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.alevin_fry import FRY, from_alevin_fry
from velotime.data.formats.cellranger import CALLED
from velotime.data.formats.h5ad import is_zarr, read_h5ad, read_h5mu, read_zarr, require_only, with_gene_names
from velotime.data.formats.kb import KB, KB_LAMANNO, from_kb, from_kb_lamanno
from velotime.data.formats.lazy import read_lazy, stays
from velotime.data.formats.loom import read_loom
from velotime.data.formats.manifest import Manifest
from velotime.data.formats.parse import PARSE, from_parse
from velotime.data.formats.parts.layout import read_layout
from velotime.data.formats.starsolo import SOLO, SOLO_OLD, TWO_MATRICES, from_old_starsolo, from_starsolo
from velotime.data.formats.tidesurf import find_tidesurf, read_tidesurf
from velotime.data.samples import merge_samples, sample_column, sample_names

READABLE = (".h5ad", ".loom", ".h5mu", ".zarr")
FOLDERS = (
    (SOLO, from_starsolo),
    (KB, from_kb),
    (KB_LAMANNO, from_kb_lamanno),
    (FRY, from_alevin_fry),
    (PARSE, from_parse),
    (SOLO_OLD, from_old_starsolo),
    (TWO_MATRICES, from_starsolo),
)


#: Files that are almost what is wanted, by how their names end, and what to do with them.
CURES = {
    (".rds", ".rda", ".rdata", ".qs", ".qs2", ".h5seurat"): (
        " This is a file of R: write both layers of counts as .h5ad there, e.g. with write_h5ad of anndataR; the guide "
        "'R and Seurat' has the lines."
    ),
    (".h5",): (
        " Cell Ranger's .h5 holds one count per gene, which does not tell spliced from unspliced: quantify reads by "
        "velocyto, STARsolo, kb-python, alevin-fry or tidesurf; the guide 'From FASTQ' has the commands."
    ),
    (".mtx", ".gz", ".tsv"): (
        " A folder is read as a whole: give the one that holds spliced.mtx, unspliced.mtx, barcodes.tsv and "
        "features.tsv (or .gz), or a run of a quantifier."
    ),
}
#: Where STARsolo leaves counts of genes.
GENES_ALONE = tuple(f"{before}{name}" for before in ("", "Solo.out/") for name in ("Gene", "GeneFull"))


def read_file(path: str | Path, *, mod: str | None = None) -> AnnData:
    """Read an ``.h5ad``, ``.loom`` or ``.h5mu`` file or a ``.zarr`` store, told apart by how the name ends.

    Raises
    ------
    InputError
        If there is no such file, its kind is unknown, or it cannot be read.
    """
    path = Path(path)
    if is_zarr(path) or path.suffix == ".zarr":
        return read_zarr(path, mod=mod)
    if path.suffix == ".h5mu":
        return read_h5mu(path, mod=mod)
    if path.exists() and not path.is_dir() and path.suffix not in READABLE:
        cure = next((text for ends, text in CURES.items() if path.suffix.lower() in ends), "")
        raise InputError(
            f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; known: {', '.join(READABLE)}.{cure}"
        )
    require_only(path, {"mod": mod})
    return read_h5ad(path) if path.suffix == ".h5ad" else read_loom(path)


def read_any(path: str | Path, *, mod: str | None = None, gene_names: str | None = None) -> AnnData:
    """Read a file or store (``.h5ad``, ``.loom``, ``.h5mu``, ``.zarr``) or a folder of a quantifier or of R's matrices.

    Parameters
    ----------
    path
        As of the other readers.
    mod
        The modality of an ``.h5mu`` file or table of a ``.zarr`` store that holds several.
    gene_names
        Column of ``var`` that names the genes, see :func:`h5ad`.

    Returns
    -------
    Cells x genes with the layers of the file, or ``spliced``, ``unspliced`` and ``ambiguous`` from a folder.

    Raises
    ------
    InputError
        If it does not exist, or is neither (the message lists what was looked for).
    """
    return with_gene_names(_recognise(Path(path), mod), gene_names)


def _recognise(path: Path, mod: str | None) -> AnnData:
    if not path.is_dir() or is_zarr(path):
        return read_file(path, mod=mod)
    require_only(path, {"mod": mod})
    if find_tidesurf(path):
        return read_tidesurf(path)
    if _holds_counts(path):
        return read_layout(path, *FOLDERS)
    without = next((path / name for name in GENES_ALONE if (path / name).is_dir()), None)
    if without is not None:
        raise InputError(
            f"{without} holds STARsolo's counts of genes, but no Velocyto is beside it, which tells spliced from "
            "unspliced: run STAR again with --soloFeatures Gene Velocyto."
        )
    if CALLED.find(path):
        raise InputError(
            f"{path} holds counts of genes by Cell Ranger, which do not tell spliced from unspliced. Quantify the "
            "reads by velocyto, STARsolo, kb-python, alevin-fry or tidesurf, or run Cell Ranger with and without "
            "introns and give both to velotime.read.cellranger_pair."
        )
    runs = list(runs_in(path))
    if runs:
        raise InputError(
            f"{path} holds no counts itself, but its folders do: {', '.join(runs[:10])}{', ...' * (len(runs) > 10)}. "
            f"Read them as samples with velotime.read.samples({str(path)!r}), or give one of them."
        )
    return read_layout(path, *FOLDERS)


def _holds_counts(path: Path) -> bool:
    return bool(find_tidesurf(path)) or any(layout.find(path) for layout, _ in FOLDERS)


def runs_in(folder: str | Path) -> dict[str, Path]:
    """Folders of one run each in a folder that holds no counts itself, by name; none if it does, or is no folder."""
    folder = Path(folder)
    if not folder.is_dir() or is_zarr(folder) or _holds_counts(folder):
        return {}
    runs = [path for path in sorted(folder.iterdir()) if path.is_dir() and not is_zarr(path) and _holds_counts(path)]
    return {path.name.removesuffix("Solo.out").rstrip("._-") or path.name: path for path in runs}


def read_samples(
    paths: Sequence[str | Path] | Mapping[str, str | Path] | str | Path | pd.DataFrame,
    *,
    gene_names: str | None = None,
    lazily: bool = False,
) -> AnnData:
    """Read several samples, each as :func:`auto` does, into one object.

    Parameters
    ----------
    paths
        Files or folders; a dict names the samples, a list leaves that to the names of the files. Or a table of them, a
        ``.csv`` or ``.tsv`` file or a DataFrame, with columns ``sample`` and ``path`` (relative to the table) and any
        others, such as ``condition``, which are written to ``obs``. Or a folder of runs: each folder in it is a sample.
    gene_names
        Column of ``var`` that names the genes, see :func:`h5ad`.
    lazily
        Leave counts of ``.h5ad`` files and ``.zarr`` stores where they are, as :func:`lazy` does; other samples are
        read. Matrices of the result are Dask arrays in blocks of cells: ``pip install 'velotime[dask]'``. By default
        everything is read: most samples fit in memory, and their files are not needed any more then.

    Returns
    -------
    Cells of all samples x genes that all have, with the sample in ``obs["sample"]`` and the other columns of the table.
    Where a barcode occurs in two samples, as it does in most pairs, names of cells begin with that of their sample.

    Warns
    -----
    InputWarning
        If cells were renamed for that, or genes left out.

    Raises
    ------
    InputError
        If one cannot be read, the table lacks a column or has a sample twice, or the samples share no gene.
    """
    manifest = samples_in(paths)
    read = {name: _read_one(path, gene_names, lazily=lazily) for name, path in manifest.paths.items()}
    if len(read) == 1 and not isinstance(paths, str | Path | pd.DataFrame):
        return next(iter(read.values()))
    merged = merge_samples(read)
    manifest.annotate(merged, sample_column(read))
    return merged


def samples_in(paths: Sequence[str | Path] | Mapping[str, str | Path] | str | Path | pd.DataFrame) -> Manifest:
    """Where samples lie that are given as of :func:`read_samples`, which see."""
    if isinstance(paths, pd.DataFrame):
        return Manifest.of(paths)
    if isinstance(paths, Mapping):
        return Manifest.named(paths)
    if not isinstance(paths, str | Path):
        return Manifest.named(dict(zip(sample_names(paths), paths, strict=True)))
    if not Path(paths).is_dir():
        return Manifest.read(paths)
    runs = runs_in(paths)
    if not runs:
        raise InputError(
            f"{paths} holds no folder with counts of one run. Give a folder of the folders that STARsolo, "
            "kb-python, alevin-fry, tidesurf or Parse left, or a table with columns 'sample' and 'path'."
        )
    return Manifest.named(runs)


def _read_one(path: Path, gene_names: str | None, *, lazily: bool) -> AnnData:
    if lazily and stays(path):
        return read_lazy(path, gene_names=gene_names)
    return read_any(path, gene_names=gene_names)
