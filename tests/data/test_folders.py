"""Folders of quantifiers, written here as each tool writes them."""

from __future__ import annotations

import gzip
import json
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import sparse

import velotime as vt
from velotime import InputError, InputWarning
from velotime.cli import main

CELLS = ["AAACCTGAGAAACCAT", "AAACCTGAGAAACGAG", "AAACCTGAGAAAGTGG", "AAACCTGAGACAGACC"]
GENES = ["ENSMUSG00000000001", "ENSMUSG00000000003", "ENSMUSG00000000028", "ENSMUSG00000000031", "ENSMUSG00000000037"]
NAMES = ["Gnai3", "Pbsn", "Cdc45", "H19", "H19"]
KINDS = ("spliced", "unspliced", "ambiguous")


def counts(seed=0, n_cells=4, n_genes=5):
    """Cells x genes of each kind; no cell is empty."""
    rng = np.random.default_rng(seed)
    made = {kind: rng.poisson(rate, (n_cells, n_genes)) for kind, rate in zip(KINDS, (1.5, 0.8, 0.5), strict=True)}
    made["spliced"][:, 0] += 1
    return made


def write_mtx(path, matrix, kind, digits="{:d}"):
    """As STAR and bustools write it: entries column by column, the header's comment empty."""
    entries = sparse.coo_matrix(matrix)
    lines = [
        f"%%MatrixMarket matrix coordinate {kind} general\n%\n",
        f"{matrix.shape[0]} {matrix.shape[1]} {entries.nnz}\n",
    ]
    lines += [
        f"{i + 1} {j + 1} {digits.format(v)}\n" for i, j, v in zip(entries.row, entries.col, entries.data, strict=True)
    ]
    path.write_text("".join(lines))


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


def write_starsolo(folder, made, cells=CELLS, genes=GENES, names=NAMES):
    folder.mkdir(parents=True)
    for kind in KINDS:
        write_mtx(folder / f"{kind}.mtx", made[kind].T, "integer")
    write_lines(folder / "barcodes.tsv", cells)
    write_lines(folder / "features.tsv", [f"{i}\t{n}\tGene Expression" for i, n in zip(genes, names, strict=True)])


def write_old_starsolo(folder, made):
    """Gene, cell, and three counts per line."""
    folder.mkdir(parents=True)
    total = sparse.coo_matrix(sum(made.values()).T)
    lines = [f"%%MatrixMarket matrix coordinate integer general\n%\n{len(GENES)} {len(CELLS)} {total.nnz}\n"]
    for gene, cell in zip(total.row, total.col, strict=True):
        lines.append(f"{gene + 1} {cell + 1} " + " ".join(str(made[kind][cell, gene]) for kind in KINDS) + "\n")
    (folder / "matrix.mtx").write_text("".join(lines))
    write_lines(folder / "barcodes.tsv", CELLS)
    write_lines(folder / "features.tsv", [f"{i}\t{n}" for i, n in zip(GENES, NAMES, strict=True)])


def write_kb(folder, made, cells=CELLS, genes=GENES, names=("Gnai3", "Pbsn", "Cdc45", *GENES[3:])):
    """kb replaces names that occur twice by identifiers itself."""
    folder.mkdir(parents=True)
    for kind, word in zip(KINDS, ("mature", "nascent", "ambiguous"), strict=True):
        write_mtx(folder / f"cells_x_genes.{word}.mtx", made[kind], "real", "{:g}")
    write_lines(folder / "cells_x_genes.barcodes.txt", cells)
    write_lines(folder / "cells_x_genes.genes.txt", genes)
    write_lines(folder / "cells_x_genes.genes.names.txt", names)


def write_alevin_fry(folder, made, usa_mode=True):
    """Cells x 3 genes; identifiers plain, with -U, with -A."""
    (folder / "alevin").mkdir(parents=True)
    record = {
        "alt_resolved_cell_numbers": [],
        "cmd": "alevin-fry quant -r cr-like --use-mtx -m t2g_3col.tsv -i quant -o quant -t 16",
        "dump_eq": False,
        "empty_resolved_cell_numbers": [],
        "num_genes": 3 * len(GENES),
        "num_quantified_cells": len(CELLS),
        "resolution_strategy": "CellRangerLike",
        "usa_mode": usa_mode,
        "version_str": "0.8.2",
    }
    (folder / "quant.json").write_text(json.dumps(record, indent=2))
    write_mtx(folder / "alevin" / "quants_mat.mtx", np.hstack([made[kind] for kind in KINDS]), "real", "{:g}")
    write_lines(folder / "alevin" / "quants_mat_rows.txt", CELLS)
    write_lines(folder / "alevin" / "quants_mat_cols.txt", [f"{g}{end}" for end in ("", "-U", "-A") for g in GENES])


def compress(folder):
    for path in [path for path in folder.rglob("*") if path.suffix in (".mtx", ".tsv", ".txt")]:
        with gzip.open(path.with_name(path.name + ".gz"), "wb") as file:
            file.write(path.read_bytes())
        path.unlink()


def assert_read(adata, made, var_names):
    for kind in KINDS:
        np.testing.assert_array_equal(adata.layers[kind].toarray(), made[kind])
    np.testing.assert_array_equal(adata.X.toarray(), sum(made.values()))
    assert adata.layers["spliced"].dtype == np.float32
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == var_names
    assert list(adata.var["gene_id"]) == GENES


UNIQUE = ["Gnai3", "Pbsn", "Cdc45", *GENES[3:]]  # H19 occurs twice


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("reader", [vt.read.starsolo, vt.read.auto])
def test_starsolo(tmp_path, reader, zipped):
    made = counts()
    folder = tmp_path / "Solo.out" / "Velocyto" / "filtered"
    write_starsolo(folder, made)
    if zipped:
        compress(tmp_path)
    for path in (folder, folder.parent, tmp_path / "Solo.out", tmp_path):
        assert_read(reader(path), made, UNIQUE)


@pytest.mark.filterwarnings("ignore:.*holds all barcodes")
def test_starsolo_prefers_called_cells_and_drops_barcodes_that_were_never_seen(tmp_path):
    made = counts()
    raw = {kind: np.insert(layer, 2, 0, axis=0) for kind, layer in made.items()}
    write_starsolo(tmp_path / "Velocyto" / "raw", raw, cells=[*CELLS[:2], "TTTTTTTTTTTTTTTT", *CELLS[2:]])
    assert_read(vt.read.starsolo(tmp_path), made, UNIQUE)
    few = {kind: layer[:3] for kind, layer in made.items()}
    write_starsolo(tmp_path / "Velocyto" / "filtered", few, cells=CELLS[:3])
    assert vt.read.starsolo(tmp_path).n_obs == 3
    assert vt.read.starsolo(tmp_path / "Velocyto" / "raw").n_obs == 4


def test_raw_barcodes_of_starsolo_are_cut_to_the_cells_that_it_called(tmp_path):
    """Older versions leave Velocyto/raw alone; the calls are those of the counts of genes."""
    made = counts()
    solo = tmp_path / "Solo.out"
    write_starsolo(solo / "Velocyto" / "raw", made)
    with pytest.warns(InputWarning, match=r"raw holds all barcodes, and no cells .* 4 of 4 have fewer than 100 counts"):
        assert vt.read.starsolo(tmp_path).n_obs == 4
    (solo / "GeneFull" / "filtered").mkdir(parents=True)
    write_lines(solo / "GeneFull" / "filtered" / "barcodes.tsv", [CELLS[3], CELLS[1]])
    for path in (tmp_path, solo, solo / "Velocyto", solo / "Velocyto" / "raw"):
        assert list(vt.read.auto(path).obs_names) == [CELLS[1], CELLS[3]]
    for kind in KINDS:
        made[kind] = made[kind] * 100 + 100
        write_mtx(solo / "Velocyto" / "raw" / f"{kind}.mtx", made[kind].T, "integer")
    shutil.rmtree(solo / "GeneFull")
    assert vt.read.starsolo(solo).n_obs == 4  # cells, all of them: nothing is said


def test_a_folder_of_runs_is_told_and_read_as_samples(tmp_path):
    made = counts()
    runs = tmp_path / "runs"
    write_starsolo(runs / "b" / "Solo.out" / "Velocyto" / "filtered", made)
    write_starsolo(runs / "a_Solo.out" / "Velocyto" / "filtered", counts(1))
    (runs / "logs").mkdir()
    with pytest.raises(InputError, match=r"runs holds no counts itself, but its folders do: a, b. Read them .*samples"):
        vt.read.auto(runs)
    with pytest.warns(InputWarning, match="cells"):  # the same barcodes in both
        adata = vt.read.samples(runs)
    assert list(adata.obs["sample"].cat.categories) == ["a", "b"]
    assert np.array_equal(adata.layers["spliced"].toarray()[4:], made["spliced"])
    with pytest.raises(InputError, match="logs holds no folder with counts of one run"):
        vt.read.samples(runs / "logs")


@pytest.mark.filterwarnings("ignore:.*holds all barcodes")
@pytest.mark.parametrize("reader", [vt.read.starsolo, vt.read.auto])
def test_starsolo_of_its_first_versions(tmp_path, reader):
    made = counts(1)
    write_old_starsolo(tmp_path / "Velocyto" / "raw", made)
    assert_read(reader(tmp_path), made, UNIQUE)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("reader", [vt.read.kb, vt.read.auto])
def test_kb(tmp_path, reader, zipped):
    made = counts(2)
    write_kb(tmp_path / "counts_unfiltered", made)
    if zipped:
        compress(tmp_path)
    for path in (tmp_path, tmp_path / "counts_unfiltered"):
        assert_read(reader(path), made, UNIQUE)


def test_two_matrices_as_r_writes_them(tmp_path):
    """Names alone, values as reals, no ambiguous counts; and what is cells x genes is told."""
    made = counts()
    folder = tmp_path / "from_r"
    folder.mkdir()
    for kind in ("spliced", "unspliced"):
        write_mtx(folder / f"{kind}.mtx", made[kind].T, "real", "{:.1f}")
    write_lines(folder / "barcodes.tsv", CELLS)
    write_lines(folder / "features.tsv", GENES)
    adata = vt.read.auto(folder)
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == GENES
    assert set(adata.layers) - {None} == {"spliced", "unspliced"}
    for kind in ("spliced", "unspliced"):
        assert np.array_equal(adata.layers[kind].toarray(), made[kind])
    write_mtx(folder / "spliced.mtx", made["spliced"], "real", "{:.1f}")
    with pytest.raises(InputError, match="is of 5 cells and 4 genes, but"):
        vt.read.auto(folder)


def test_kb_of_several_samples_and_without_names(tmp_path):
    made = counts(2)
    write_kb(tmp_path / "counts_unfiltered", made)
    (tmp_path / "counts_unfiltered" / "cells_x_genes.genes.names.txt").unlink()
    write_lines(tmp_path / "counts_unfiltered" / "cells_x_genes.barcodes.prefix.txt", ["AAAA", "AAAA", "AAAC", "AAAC"])
    adata = vt.read.kb(tmp_path)
    assert list(adata.var_names) == GENES
    assert adata.obs_names[2] == "AAAC" + CELLS[2]


def test_kb_h5ad(tmp_path):
    made = counts(3)
    write_kb(tmp_path / "counts_unfiltered", made)
    adata = vt.read.kb(tmp_path)
    adata.layers["mature"], adata.layers["nascent"] = adata.layers.pop("spliced"), adata.layers.pop("unspliced")
    path = tmp_path / "counts_unfiltered" / "adata.h5ad"
    adata.write_h5ad(path)
    assert_read(vt.read.kb(path), made, UNIQUE)
    assert "mature" in vt.read.h5ad(path).layers
    vt.read.kb(path).write_h5ad(path)  # as the workflow lamanno leaves it
    assert_read(vt.read.kb(path), made, UNIQUE)
    del adata.layers["mature"]
    adata.write_h5ad(path)
    with pytest.raises(InputError, match=r"no layer 'mature' or 'spliced', but \['ambiguous', 'nascent'\]"):
        vt.read.kb(path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("reader", [vt.read.kb, vt.read.auto])
def test_kb_lamanno_keeps_the_cells_of_both_matrices(tmp_path, reader, zipped):
    made = counts(6)
    folder = tmp_path / "counts_unfiltered"
    folder.mkdir()
    for kind, order in (("spliced", [3, 1, 0, 2]), ("unspliced", [2, 0, 3])):  # each in an order of its own
        write_mtx(folder / f"{kind}.mtx", made[kind][order], "real", "{:g}")
        write_lines(folder / f"{kind}.barcodes.txt", [CELLS[k] for k in order])
        write_lines(folder / f"{kind}.genes.txt", GENES)
    if zipped:
        compress(tmp_path)
    adata = reader(tmp_path)
    assert list(adata.obs_names) == [CELLS[k] for k in (3, 0, 2)]
    assert list(adata.var_names) == GENES
    for kind in ("spliced", "unspliced"):
        np.testing.assert_array_equal(adata.layers[kind].toarray(), made[kind][[3, 0, 2]])


def test_kb_lamanno_of_two_runs_is_refused(tmp_path):
    for kind, cells in (("spliced", CELLS[:2]), ("unspliced", CELLS[2:])):
        write_mtx(tmp_path / f"{kind}.mtx", counts()[kind][:2], "real", "{:g}")
        write_lines(tmp_path / f"{kind}.barcodes.txt", cells)
        write_lines(tmp_path / f"{kind}.genes.txt", GENES)
    with pytest.raises(InputError, match="share 0 cells and 5 genes"):
        vt.read.kb(tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("reader", [vt.read.alevin_fry, vt.read.auto])
def test_alevin_fry(tmp_path, reader, zipped):
    made = counts(4)
    write_alevin_fry(tmp_path / "af_quant", made)
    if zipped:
        compress(tmp_path)
    for path in (tmp_path, tmp_path / "af_quant"):
        assert_read(reader(path), made, GENES)
    write_lines(tmp_path / "af_quant" / "gene_id_to_name.tsv", [f"{i}\t{n}" for i, n in zip(GENES, NAMES, strict=True)])
    assert_read(reader(tmp_path), made, UNIQUE)


def test_velocyto_loom_with_names_that_occur_twice(tmp_path):
    made = counts(5)
    path = tmp_path / "cells.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = sum(made.values()).T
        for kind in KINDS:
            file[f"layers/{kind}"] = made[kind].T
        file["row_attrs/Gene"], file["row_attrs/Accession"] = (np.array(x, dtype="S") for x in (NAMES, GENES))
        file["col_attrs/CellID"] = np.array(CELLS, dtype="S")
    for reader in (vt.read.loom, vt.read.auto):
        assert list(reader(path).var_names) == UNIQUE


@pytest.mark.parametrize(
    ("reader", "wanted"),
    [
        (vt.read.starsolo, ["spliced.mtx", "barcodes.tsv", "features.tsv", "Velocyto/filtered", "matrix.mtx"]),
        (vt.read.kb, ["cells_x_genes.nascent.mtx", "cells_x_genes.barcodes.txt", "counts_unfiltered"]),
        (vt.read.alevin_fry, ["quant.json", "alevin/quants_mat.mtx", "af_quant"]),
        (vt.read.auto, ["spliced.mtx", "cells_x_genes.mature.mtx", "quant.json"]),
    ],
)
def test_a_wrong_folder_is_told_what_was_looked_for(tmp_path, reader, wanted):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(InputError) as caught:
        reader(tmp_path)
    for word in [*wanted, "Found in the folder: notes.md"]:
        assert word in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        reader(tmp_path / "nowhere")


def test_the_folder_of_another_tool_is_told_too(tmp_path):
    write_kb(tmp_path / "counts_unfiltered", counts())
    with pytest.raises(InputError, match=r"Looked for STARsolo.*Found in the folder: counts_unfiltered"):
        vt.read.starsolo(tmp_path)
    with pytest.raises(InputError, match="is a file; give a folder"):
        vt.read.alevin_fry(tmp_path / "counts_unfiltered" / "cells_x_genes.genes.txt")


def test_counts_of_genes_alone_are_told_from_spliced_and_unspliced(tmp_path):
    made = counts()
    folder = tmp_path / "Gene" / "raw"
    write_old_starsolo(folder, made)
    write_mtx(folder / "matrix.mtx", made["spliced"].T, "integer")
    for reader in (vt.read.starsolo, vt.read.auto):
        with pytest.raises(InputError, match=r"one count per entry.*Velocyto"):
            reader(folder)
    shutil.rmtree(folder)
    write_alevin_fry(tmp_path / "fry", made, usa_mode=False)
    with pytest.raises(InputError, match="USA mode"):
        vt.read.alevin_fry(tmp_path / "fry")


def test_files_that_do_not_fit_or_cannot_be_read(tmp_path):
    made = counts()
    write_starsolo(tmp_path / "a", made)
    write_lines(tmp_path / "a" / "barcodes.tsv", CELLS[:3])
    with pytest.raises(InputError, match=r"spliced.mtx is of 4 cells and 5 genes, but barcodes.tsv has 3"):
        vt.read.starsolo(tmp_path / "a")
    write_starsolo(tmp_path / "b", made)
    (tmp_path / "b" / "unspliced.mtx").write_text("no matrix")
    with pytest.raises(InputError, match=r"unspliced.mtx cannot be read"):
        vt.read.starsolo(tmp_path / "b")
    write_alevin_fry(tmp_path / "c", made)
    write_lines(tmp_path / "c" / "alevin" / "quants_mat_cols.txt", GENES[:4])
    with pytest.raises(InputError, match=r"15 columns and quants_mat_cols.txt 4 lines"):
        vt.read.alevin_fry(tmp_path / "c")


def test_the_command_line_fits_a_folder(tmp_path, small):
    made = {kind: small.layers[kind].toarray().astype(int) for kind in KINDS[:2]}
    made["ambiguous"] = np.zeros_like(made["spliced"])
    write_kb(tmp_path / "run" / "counts_unfiltered", made, small.obs_names, small.var_names, small.var_names)
    arguments = ["run", str(tmp_path / "run"), "--max-iterations", "2", "--lineages", "1", "--skip-comparison", "-q"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    fitted = vt.read.auto(tmp_path / "run_velotime.h5ad")
    assert fitted.obs["latent_time"].between(0, 1).all()
    empty = tmp_path / "empty"
    empty.mkdir()
    failed = CliRunner().invoke(main, ["run", str(empty)])
    assert failed.exit_code == 2
    assert "cells_x_genes.mature.mtx" in failed.output
