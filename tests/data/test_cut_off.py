"""Files that are cut off or damaged are refused, whatever their kind, and never read as if whole."""

from __future__ import annotations

import gzip
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import write_elem
from scipy import sparse

import velotime as vt
from velotime import InputError

CELLS = [f"AAACCTGAGAAAC{k:03d}" for k in range(60)]
GENES = [f"ENSG{k:05d}" for k in range(30)]
RNG = np.random.default_rng(0)
COUNTS = {"spliced": RNG.poisson(2.0, (60, 30)), "unspliced": RNG.poisson(1.0, (60, 30))}
COUNTS["ambiguous"] = np.zeros_like(COUNTS["spliced"])


def mtx(matrix):
    at = sparse.coo_matrix(matrix)
    lines = [f"{i + 1} {j + 1} {v}\n" for i, j, v in zip(at.row, at.col, at.data, strict=True)]
    return "%%MatrixMarket matrix coordinate integer general\n%\n{} {} {}\n{}".format(*at.shape, at.nnz, "".join(lines))


def old_mtx(change=lambda lines: lines):
    at = sparse.coo_matrix(sum(COUNTS.values()))
    lines = [
        f"{g + 1} {c + 1} {COUNTS['spliced'][c, g]} {COUNTS['unspliced'][c, g]} 0"
        for c, g in zip(at.row, at.col, strict=True)
    ]
    header = ["%%MatrixMarket matrix coordinate integer general", "%", f"30 60 {at.nnz}"]
    return "\n".join(change([*header, *lines])) + "\n"


def starsolo(folder, files):
    folder.mkdir(exist_ok=True)
    (folder / "barcodes.tsv").write_text("".join(f"{cell}\n" for cell in CELLS))
    (folder / "features.tsv").write_text("".join(f"{gene}\t{gene}\n" for gene in GENES))
    for name, content in files.items():
        content = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(content)
    return folder


def new_layout():
    return {f"{kind}.mtx": mtx(layer.T) for kind, layer in COUNTS.items()}


def whole_object():
    adata = vt.simulation.simulate(60, 30, rng=np.random.default_rng(0))
    adata.obs_names, adata.var_names = CELLS, GENES
    return adata


def test_whole_files_are_read(tmp_path):
    for name, files in {"new": new_layout(), "old": {"matrix.mtx": old_mtx()}}.items():
        adata = vt.read.starsolo(starsolo(tmp_path / name, files))
        np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), COUNTS["unspliced"])


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("layout", ["new", "old", "new.gz", "old.gz"])
def test_matrices(tmp_path, layout, share):
    files = new_layout() if layout.startswith("new") else {"matrix.mtx": old_mtx()}
    cut = "unspliced.mtx" if layout.startswith("new") else "matrix.mtx"
    text = files.pop(cut).encode()
    if layout.endswith("gz"):
        cut, text = f"{cut}.gz", gzip.compress(text)
    folder = starsolo(tmp_path, files | {cut: text[: int(share * len(text))]})
    with pytest.raises(InputError, match=cut):
        vt.read.auto(folder)


def test_a_matrix_that_ends_with_a_line(tmp_path):
    """The cut that is hardest to see: whole lines, only fewer of them."""
    for text in (new_layout()["spliced.mtx"], old_mtx()):
        whole = text.splitlines(keepends=True)
        old = text == old_mtx()
        files = {"matrix.mtx": "".join(whole[:-7])} if old else new_layout() | {"spliced.mtx": "".join(whole[:-7])}
        with pytest.raises(InputError, match=r"promises \d+ entries in its first line and holds|Truncated"):
            vt.read.starsolo(starsolo(tmp_path / str(old), files))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:-1], "31 1 1 1 1"], r"entry \d+ of \d+: must be a gene from 1 to 30"),
        (lambda lines: [*lines[:-1], "0 1 1 1 1"], "must be a gene from 1 to 30"),
        (lambda lines: [*lines[:-1], "1 61 1 1 1"], "a cell from 1 to 60"),
        (lambda lines: [*lines[:-1], "1 1 1 -1 1"], "three counts of 0 or more"),
        (lambda lines: [*lines[:-1], "1 1 0.5 1 1"], "three counts of 0 or more"),
        (lambda lines: [*lines[:-1], "1 1 1 1"], "three counts of 0 or more"),
        (lambda lines: [*lines, "1 1 1 1 1"], "promises"),
        (lambda lines: [*lines[:2], "30 60", *lines[3:]], "promises no number of entries"),
        (lambda lines: lines[:2], "cannot be read"),
        (lambda lines: [], "cannot be read"),
        (lambda lines: [*lines[:-1], "1 1 one 1 1"], "cannot be read"),
    ],
)
def test_damaged_entries_of_the_old_layout(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        vt.read.starsolo(starsolo(tmp_path, {"matrix.mtx": old_mtx(change)}))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".h5ad", ".loom", ".h5mu"])
def test_hdf5_files(tmp_path, suffix, share):
    path = tmp_path / f"cells{suffix}"
    write_hdf5(path)
    vt.read.auto(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=f"cells{suffix} cannot be read as {suffix}"):
        vt.read.auto(path)


def write_hdf5(path):
    adata = whole_object()
    if path.suffix == ".h5ad":
        adata.write_h5ad(path)
        return
    with h5py.File(path, "w") as file:
        if path.suffix == ".h5mu":
            write_elem(file.create_group("mod"), "rna", adata)
            return
        file["matrix"] = adata.X.toarray().T
        for kind in ("spliced", "unspliced"):
            file.create_dataset(f"layers/{kind}", data=adata.layers[kind].toarray().T, chunks=(10, 10))
        file["row_attrs/Gene"], file["col_attrs/CellID"] = np.array(GENES, dtype="S"), np.array(CELLS, dtype="S")


def test_pieces_that_were_never_written(tmp_path):
    path = tmp_path / "cells.loom"
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", (30, 60), "f4", chunks=(10, 60))[:10] = COUNTS["spliced"].T[:10]
        file["row_attrs/Gene"], file["col_attrs/CellID"] = np.array(GENES, dtype="S"), np.array(CELLS, dtype="S")
    with pytest.raises(InputError, match="1 of 3 pieces of matrix were written"):
        vt.read.loom(path)


@pytest.mark.parametrize("part", ["data", "indices"])
def test_a_zarr_store_without_a_piece(tmp_path, part):
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "cells.zarr"
    adata = whole_object()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata warns about the version of zarr that it writes
        adata.write_zarr(path)
        layer = zarr.open_group(str(path / "layers" / "unspliced"), mode="r+")
        values = layer[part][:]
        del layer[part]
        layer.create_array(part, data=values, chunks=(100,))
        zarr.consolidate_metadata(str(path))
    assert (vt.read.zarr(path).layers["unspliced"] != adata.layers["unspliced"]).nnz == 0
    files = (path / "layers" / "unspliced" / part).rglob("*")
    pieces = [file for file in files if file.is_file() and file.name not in (".zarray", ".zattrs", "zarr.json")]
    assert len(pieces) > 2
    pieces[1].unlink()
    with pytest.raises(InputError, match=rf"{len(pieces) - 1} of {len(pieces)} pieces of layers/unspliced/{part} are"):
        vt.read.auto(path)


def test_transcripts_of_parse(tmp_path):
    process = tmp_path / "process"
    process.mkdir()
    table = pd.DataFrame({"bc_wells": "01_01_01", "gene": "G1", "gene_name": "n", "exonic": [True, False] * 200})
    table.to_csv(process / "tscp_assignment.csv.gz", index=False)
    assert vt.read.auto(tmp_path).layers["spliced"].sum() == 200
    whole = (process / "tscp_assignment.csv.gz").read_bytes()
    (process / "tscp_assignment.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"tscp_assignment.csv.gz cannot be read"):
        vt.read.auto(tmp_path)
    (process / "tscp_assignment.csv.gz").unlink()
    text = table.to_csv(index=False)
    (process / "tscp_assignment.csv").write_text(text[:-4])
    with pytest.raises(InputError, match="'exonic' holds 'Fa' where True or False must be"):
        vt.read.auto(tmp_path)
