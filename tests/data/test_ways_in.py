"""Ways in beside the folders of quantifiers: stores, modalities, tidesurf, Parse, pairs of runs, several samples."""

from __future__ import annotations

import sys
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import write_elem
from click.testing import CliRunner
from scipy import sparse

import velotime as vt
from velotime import InputError, InputWarning
from velotime.cli import main

CELLS = ["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACGAG-1", "AAACCTGAGAAAGTGG-1"]
GENES = ["ENSG1", "ENSG2", "ENSG3", "ENSG4"]
NAMES = ["A", "B", "C", "A"]
UNIQUE = ["ENSG1", "B", "C", "ENSG4"]
SPLICED = np.array([[3, 0, 1, 0], [0, 2, 0, 5], [1, 1, 0, 0]])
UNSPLICED = np.array([[1, 0, 0, 2], [0, 0, 4, 0], [0, 3, 0, 1]])


def cells(seed=0, n=3, names=CELLS):
    made = vt.simulation.simulate(n, 4, rng=np.random.default_rng(seed))
    made.obs_names, made.var_names = list(names), ["A", "B", "C", "D"]
    return made


def quietly(write):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData's: which version of zarr it writes, and that names are not unique
        write()


def same(one, other):
    return all((one.layers[kind] != other.layers[kind]).nnz == 0 for kind in ("spliced", "unspliced"))


# ------------------------------------------------------------------ stores and modalities
def test_zarr(tmp_path):
    pytest.importorskip("zarr")
    quietly(lambda: cells().write_zarr(tmp_path / "a.zarr"))
    quietly(lambda: cells().write_zarr(tmp_path / "without_suffix"))
    for read in (vt.read.zarr, vt.read.auto):
        assert same(read(tmp_path / "a.zarr"), cells())
        assert same(read(tmp_path / "without_suffix"), cells())
        with pytest.raises(InputError, match="does not exist"):
            read(tmp_path / "nowhere.zarr")
    (tmp_path / "file.zarr").write_text("")
    with pytest.raises(InputError, match="a zarr store is a folder"):
        vt.read.auto(tmp_path / "file.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"empty.zarr cannot be read as .zarr"):
        vt.read.auto(tmp_path / "empty.zarr")


def test_zarr_that_is_not_installed_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match="needs the package zarr; install it: pip install zarr"):
        vt.read.zarr(tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["h5mu", "zarr", "spatial"])
def test_one_modality_of_several(tmp_path, kind):
    """As mudata and spatialdata write them: AnnData objects in a group."""
    path = tmp_path / ("cells.h5mu" if kind == "h5mu" else "cells.zarr")
    protein = ad.AnnData(np.ones((3, 2), dtype=np.float32))
    group = "tables" if kind == "spatial" else "mod"

    def write():
        if kind == "h5mu":
            with h5py.File(path, "w", userblock_size=512) as file:
                write_elem(file.create_group(group), "rna", cells())
                write_elem(file[group], "prot", protein)
            with path.open("br+") as file:
                file.write(b"MuData (format-version=0.1.0;creator=muon;creator-version=0.2.0)")
        else:
            store = pytest.importorskip("zarr").open_group(str(path), mode="w")
            inner = store.create_group(group)
            write_elem(inner, "rna", cells())
            write_elem(inner, "prot", protein)

    quietly(write)
    own = vt.read.h5mu if kind == "h5mu" else vt.read.zarr
    for read in (own, vt.read.auto):
        assert same(read(path, mod="rna"), cells())
        assert same(read(path), cells())  # the only one with both layers
        assert read(path, mod="prot").n_vars == 2
        with pytest.raises(InputError, match=r"no modality 'atac'; available: \['prot', 'rna'\]. Pass mod='...'"):
            read(path, mod="atac")


def test_a_modality_of_a_file_with_one_object_is_refused(tmp_path):
    cells().write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match=r"mod='rna': .*a.h5ad holds one object"):
        vt.read.auto(tmp_path / "a.h5ad", mod="rna")
    (tmp_path / "a.h5mu").write_bytes((tmp_path / "a.h5ad").read_bytes())
    with pytest.raises(InputError, match="is no MuData file"):
        vt.read.auto(tmp_path / "a.h5mu")


def test_genes_named_by_a_column(tmp_path):
    """As R writes them: genes numbered, their names in a column."""
    adata = cells()
    adata.var["features"] = pd.Categorical(["Sox2", "Pax6", "Pax6", "Actb"])
    adata.var_names = ["0", "1", "2", "3"]
    adata.write_h5ad(tmp_path / "a.h5ad")
    for read in (vt.read.h5ad, vt.read.auto):
        named = read(tmp_path / "a.h5ad", gene_names="features")
        assert list(named.var_names) == ["Sox2", "1", "2", "Actb"]
        assert list(named.var["gene_id"]) == ["0", "1", "2", "3"]
        with pytest.raises(InputError, match=r"column 'symbol' not found in adata.var; available: .*'features'"):
            read(tmp_path / "a.h5ad", gene_names="symbol")


# ------------------------------------------------------------------ tidesurf
def test_tidesurf(tmp_path):
    folder = tmp_path / "tidesurf_out"
    folder.mkdir()
    counted = cells()
    counted.layers["ambiguous"] = counted.layers["spliced"] * 0
    counted.write_h5ad(folder / "tidesurf.h5ad")
    for read in (vt.read.tidesurf, vt.read.auto):
        for path in (folder, tmp_path, folder / "tidesurf.h5ad"):
            assert same(read(path), counted)
    (folder / "tidesurf.h5ad").rename(folder / "tidesurf_one.h5ad")
    counted.write_h5ad(folder / "tidesurf_two.h5ad")
    with pytest.warns(InputWarning, match="6 cells have a barcode that another sample has too"):
        both = vt.read.tidesurf(folder)
    assert list(both.obs["sample"]) == ["one"] * 3 + ["two"] * 3
    cells().write_h5ad(folder / "tidesurf_two.h5ad")
    with pytest.raises(InputError, match=r"tidesurf_two.h5ad has no layers \['ambiguous'\]"):
        vt.read.tidesurf(folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"holds no tidesurf\.h5ad"):
        vt.read.tidesurf(tmp_path)


# ------------------------------------------------------------------ Parse
def write_parse(folder, called=True):
    """A row per transcript, its ``count`` that of reads, as split-pipe writes it."""
    (folder / "process").mkdir(parents=True)
    wells = ["01_01_01", "01_01_02", "05_20_96"]
    rows = []
    for counts, exonic in ((SPLICED, True), (UNSPLICED, False)):
        for i, g in zip(*np.nonzero(counts), strict=True):
            row = (wells[i], "hg38", GENES[g], NAMES[g], 7, exonic, "T", "1_1_1", "AA_CC_GG", "ACGT")
            rows += [row] * counts[i, g]
    rows += [("99_99_99", "hg38", GENES[0], NAMES[0], 1, True, "R", "1_1_1", "AA_CC_GG", "ACGT")]  # a droplet
    columns = [
        "bc_wells",
        "genome",
        "gene",
        "gene_name",
        "count",
        "exonic",
        "rt_type",
        "bc_bcis",
        "cell_barcode",
        "polyN",
    ]
    table = pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0)
    table.to_csv(folder / "process" / "tscp_assignment.csv.gz", index=False)
    if called:
        (folder / "all-sample" / "DGE_filtered").mkdir(parents=True)
        metadata = pd.DataFrame({"bc_wells": wells, "sample": ["x", "x", "y"], "tscp_count": [7, 11, 6]})
        metadata.to_csv(folder / "all-sample" / "DGE_filtered" / "cell_metadata.csv", index=False)
    return wells


@pytest.mark.parametrize("rows", [5, 1_000_000])
@pytest.mark.parametrize("reader", [vt.read.parse, vt.read.auto])
def test_parse(tmp_path, monkeypatch, reader, rows):
    monkeypatch.setattr("velotime.data.formats.parse.ROWS", rows)  # in pieces, and at once
    wells = write_parse(tmp_path)
    adata = reader(tmp_path)
    assert list(adata.obs_names) == wells
    assert list(adata.obs["sample"]) == ["x", "x", "y"]
    adata = adata[:, [list(adata.var["gene_id"]).index(gene) for gene in GENES]]
    assert list(adata.var_names) == UNIQUE
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), SPLICED)
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), UNSPLICED)


def test_parse_without_called_cells_keeps_all(tmp_path):
    write_parse(tmp_path, called=False)
    adata = vt.read.parse(tmp_path)
    assert adata.n_obs == 4
    assert adata.layers["spliced"].sum() == SPLICED.sum() + 1


def test_parse_of_two_runs_is_refused(tmp_path):
    write_parse(tmp_path)
    path = tmp_path / "all-sample" / "DGE_filtered" / "cell_metadata.csv"
    path.write_text(path.read_text() + "09_09_09,y,4\n")
    with pytest.raises(InputError, match="has no transcript of 1 of the 4 cells"):
        vt.read.parse(tmp_path)
    path.write_text("cell,sample\n01_01_01,x\n")
    with pytest.raises(InputError, match="has no column 'bc_wells'"):
        vt.read.parse(tmp_path)


# ------------------------------------------------------------------ a pair of Cell Ranger runs
def write_cellranger(folder, counts, barcodes=CELLS, genes=GENES, names=NAMES, kind="filtered"):
    """As ``cellranger count`` leaves it, an antibody among the features."""
    folder = folder / "outs" / f"{kind}_feature_bc_matrix"
    folder.mkdir(parents=True)
    counts = np.c_[counts, np.full(len(counts), 9)]
    at = sparse.coo_matrix(counts.T)
    lines = [f"{i + 1} {j + 1} {v}\n" for i, j, v in zip(at.row, at.col, at.data, strict=True)]
    header = '%%MatrixMarket matrix coordinate integer general\n%metadata_json: {"software_version": "7"}\n'
    (folder / "matrix.mtx").write_text(f"{header}{at.shape[0]} {at.shape[1]} {at.nnz}\n" + "".join(lines))
    (folder / "barcodes.tsv").write_text("".join(f"{cell}\n" for cell in barcodes))
    features = [f"{i}\t{n}\tGene Expression\n" for i, n in zip(genes, names, strict=True)]
    (folder / "features.tsv").write_text("".join([*features, "CD3\tCD3\tAntibody Capture\n"]))
    return folder


def test_a_pair_of_cell_ranger_runs(tmp_path):
    write_cellranger(tmp_path / "with", SPLICED + UNSPLICED)
    back = [2, 0, 1, 3]  # the other run has its genes and cells in another order, and one cell more
    write_cellranger(
        tmp_path / "without",
        np.r_[SPLICED[::-1], [[9, 9, 9, 9]]][:, back],
        [*CELLS[::-1], "TTTTTTTTTTTTTTTT-1"],
        [GENES[k] for k in back],
        [NAMES[k] for k in back],
        kind="raw",
    )
    adata = vt.read.cellranger_pair(tmp_path / "with", tmp_path / "without")
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == UNIQUE
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), SPLICED)
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), UNSPLICED)


def test_files_of_velocity_kit_are_read_as_they_are(tmp_path):
    """Spliced counts in X as well, names of cells and genes once more as columns, and what it did in ``uns``."""
    spliced, unspliced = sparse.csr_matrix(SPLICED.astype(np.float32)), sparse.csr_matrix(UNSPLICED.astype(np.float32))
    names = {"Gene": UNIQUE, "Accession": UNIQUE}
    made = ad.AnnData(spliced, pd.DataFrame({"CellID": CELLS}, index=CELLS), pd.DataFrame(names, index=UNIQUE))
    made.layers["spliced"], made.layers["unspliced"] = spliced.copy(), unspliced
    made.uns["velocity_params"] = {"method": "dual_run_subtraction", "overlap_pct": 100.0}
    made.write_h5ad(tmp_path / "velocity.h5ad", compression="gzip")
    adata = vt.read.auto(tmp_path / "velocity.h5ad")
    assert same(adata, made)
    assert (list(adata.obs_names), list(adata.var_names)) == (CELLS, UNIQUE)


def test_a_difference_below_zero_is_counted(tmp_path):
    write_cellranger(tmp_path / "with", SPLICED + UNSPLICED)
    more = SPLICED.copy()
    more[0, 1] += 2  # there is none with introns
    write_cellranger(tmp_path / "without", more)
    with pytest.warns(InputWarning, match="1 of 7 counts are higher without introns than with them, by 2 molecules"):
        adata = vt.read.cellranger_pair(tmp_path / "with", tmp_path / "without")
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), UNSPLICED)
    assert adata.layers["spliced"][0, 1] == 2


def test_runs_that_are_no_pair(tmp_path):
    write_cellranger(tmp_path / "with", SPLICED + UNSPLICED)
    write_cellranger(tmp_path / "part", SPLICED[:2], CELLS[:2])
    with pytest.warns(InputWarning, match="1 of 3 cells are not in the run without introns"):
        assert vt.read.cellranger_pair(tmp_path / "with", tmp_path / "part").n_obs == 2
    write_cellranger(tmp_path / "others", SPLICED, [cell[::-1] for cell in CELLS])
    with pytest.raises(InputError, match="share no cell"):
        vt.read.cellranger_pair(tmp_path / "with", tmp_path / "others")
    write_cellranger(tmp_path / "reference", SPLICED, genes=["X1", *GENES[1:]])
    with pytest.raises(InputError, match="differ in 2 genes: they were made with different references"):
        vt.read.cellranger_pair(tmp_path / "with", tmp_path / "reference")
    with pytest.raises(InputError, match=r"does not exist. Looked for Cell Ranger: matrix.mtx"):
        vt.read.cellranger_pair(tmp_path / "with", tmp_path / "nowhere")
    write_cellranger(tmp_path / "small", SPLICED // 3)
    with pytest.warns(InputWarning), pytest.raises(InputError, match="exchange the two"):
        vt.read.cellranger_pair(tmp_path / "small", tmp_path / "with")


def test_a_single_cell_ranger_run_is_told_from_counts_of_both(tmp_path):
    folder = write_cellranger(tmp_path, SPLICED)
    with pytest.raises(InputError, match=r"do not tell spliced from unspliced.*cellranger_pair"):
        vt.read.auto(tmp_path)
    with pytest.raises(InputError, match=r"one count per entry.*cellranger_pair"):
        vt.read.auto(folder)


# ------------------------------------------------------------------ several samples
def write_loom(path, adata):
    with h5py.File(path, "w") as file:
        file["matrix"] = adata.X.toarray().T
        for kind in ("spliced", "unspliced"):
            file[f"layers/{kind}"] = adata.layers[kind].toarray().T
        file["row_attrs/Gene"] = np.array(adata.var_names, dtype="S")
        file["col_attrs/CellID"] = np.array(adata.obs_names, dtype="S")


def test_samples_with_the_same_barcodes(tmp_path):
    one, two = cells(1), cells(2)
    for name, sample in (("ctrl", one), ("stim", two)):
        write_loom(tmp_path / f"{name}.loom", sample)
    paths = [tmp_path / "ctrl.loom", tmp_path / "stim.loom"]
    with pytest.warns(InputWarning, match=r"6 cells have a barcode .* 'ctrl_AAACCTGAGAAACCAT-1' for"):
        both = vt.read.samples(paths)
    assert list(both.obs_names) == [f"ctrl_{cell}" for cell in CELLS] + [f"stim_{cell}" for cell in CELLS]
    assert list(both.obs["sample"]) == ["ctrl"] * 3 + ["stim"] * 3
    assert same(both[:3], one)
    assert same(both[3:], two)
    with pytest.warns(InputWarning):
        named = vt.read.samples({"day 0": paths[0], "day 1": paths[1]})
    assert named.obs_names[0] == f"day 0_{CELLS[0]}"


def test_samples_that_differ(tmp_path):
    one, two = (
        cells(1),
        cells(2, names=["CCCCCCCCCCCCCCCC-1", "CCCCCCCCCCCCCCCG-1", "CCCCCCCCCCCCCCCT-1"])[:, [3, 1]].copy(),
    )
    two.layers["nascent"], two.layers["mature"] = two.layers.pop("unspliced"), two.layers.pop("spliced")
    for folder, sample in (("a", one), ("b", two)):
        (tmp_path / folder).mkdir()
        sample.write_h5ad(tmp_path / folder / "cells.h5ad")
    paths = [tmp_path / "a" / "cells.h5ad", tmp_path / "b" / "cells.h5ad"]
    with pytest.warns(InputWarning, match=r"the samples differ in their genes .*: the 2 that all have are kept"):
        both = vt.read.samples(paths)
    assert list(both.obs_names) == [*one.obs_names, *two.obs_names]  # none the same: no name changes
    assert list(both.obs["sample"].cat.categories) == ["a-cells", "b-cells"]
    assert set(both.var_names) == {"B", "D"}
    unspliced = both[3:, ["D", "B"]].layers["unspliced"]
    assert (unspliced != two.layers["nascent"]).nnz == 0
    two.var_names = ["x", "y"]
    two.write_h5ad(paths[1])
    with pytest.raises(InputError, match="the samples share no gene"):
        vt.read.samples(paths)
    two.obs_names = ["a", "a", "b"]
    quietly(lambda: two.write_h5ad(paths[1]))
    with pytest.raises(InputError, match=r"sample 'b-cells': cells of the same name, e.g. 'a'"):
        vt.read.samples(paths)
    with pytest.raises(InputError, match="the same input is given twice"):
        vt.read.samples([paths[0], paths[0]])
    with pytest.raises(InputError, match="must be a list of files"):
        vt.read.samples(str(paths[0]))


def test_a_table_of_samples(tmp_path):
    one, two = cells(1), cells(2)[:, :3].copy()
    write_loom(tmp_path / "one.loom", one)
    (tmp_path / "deep").mkdir()
    two.write_h5ad(tmp_path / "deep" / "two.h5ad")
    table = pd.DataFrame(
        {
            "sample": [2, 1],
            "path": ["one.loom", "deep/two.h5ad"],
            "condition": ["ctrl", "stim"],
            "age": [1.5, 2.5],
            "treated": [False, True],
        }
    )
    table.to_csv(tmp_path / "samples.csv", index=False)
    with pytest.warns(InputWarning, match=r"barcode|differ in their genes \({'2': 4, '1': 3}\)"):
        both = vt.read.samples(tmp_path / "samples.csv")
    assert same(both[:3], one[:, :3])
    assert list(both.obs["sample"]) == ["2"] * 3 + ["1"] * 3
    assert list(both.obs["condition"]) == ["ctrl"] * 3 + ["stim"] * 3
    assert list(both.obs["treated"]) == ["False"] * 3 + ["True"] * 3
    assert list(both.obs["age"]) == [1.5] * 3 + [2.5] * 3
    both.write_h5ad(tmp_path / "both.h5ad")
    absolute = table.assign(path=[str(tmp_path / name) for name in table["path"]])
    with pytest.warns(InputWarning):
        assert vt.read.samples(absolute).obs.equals(both.obs)
    alone = vt.read.samples(absolute.iloc[:1])
    assert (list(alone.obs["sample"]), list(alone.obs["condition"])) == (["2"] * 3, ["ctrl"] * 3)


def test_tables_of_samples_that_cannot_be_used(tmp_path):
    cells(1).write_h5ad(tmp_path / "one.h5ad")
    good = pd.DataFrame({"sample": ["a"], "path": [str(tmp_path / "one.h5ad")]})
    with pytest.raises(InputError, match=r"lacks \['path'\]; its columns are \['sample'\]"):
        vt.read.samples(good[["sample"]])
    with pytest.raises(InputError, match="has 'a' twice"):
        vt.read.samples(pd.concat([good, good]))
    with pytest.raises(InputError, match="without name or path"):
        vt.read.samples(good.assign(path=[None]))
    with pytest.raises(InputError, match="cannot be read as a table of samples"):
        vt.read.samples(tmp_path / "none.csv")
    marked = cells(1)
    marked.obs["day"] = 1
    marked.write_h5ad(tmp_path / "one.h5ad")
    with pytest.raises(InputError, match=r"says \['day'\], but the files have"):
        vt.read.samples(good.assign(day=2))


def run(*arguments):
    quick = ["-q", "--method", "mixture", "--max-iterations", "2"]
    return CliRunner().invoke(main, ["run", *map(str, arguments), *quick])


def test_samples_on_the_command_line(tmp_path):
    for seed, name in enumerate(("ctrl", "stim")):
        write_loom(tmp_path / f"{name}.loom", vt.simulation.simulate(120, 40, rng=np.random.default_rng(seed)))
    paths = [tmp_path / "ctrl.loom", tmp_path / "stim.loom"]
    done = run(*paths)
    assert done.exit_code == 2
    assert "give one, e.g. -o fitted.h5ad" in done.output
    done = run(*paths, "-o", tmp_path / "both.h5ad")
    assert done.exit_code == 0, done.output
    assert "Warning: 240 cells have a barcode that another sample has too" in done.output
    assert list(ad.read_h5ad(tmp_path / "both.h5ad").obs["sample"].value_counts()) == [120, 120]


def test_merged_samples_in_one_file_on_the_command_line(tmp_path):
    """In Python this is an error, with a cure in Python; here it is cured, and said."""
    parts = [vt.simulation.simulate(120, 40, rng=np.random.default_rng(seed)) for seed in (0, 1)]
    path = tmp_path / "both.h5ad"
    quietly(lambda: ad.concat(parts).write_h5ad(path))
    with pytest.raises(InputError, match="obs_names are not unique"):
        vt.tl.recover_dynamics(vt.read.auto(path), progress=False)
    done = run(path)
    assert done.exit_code == 0, done.output
    assert "Warning: 240 cells have a name that others have too, e.g. 'cell_0'" in done.output
    assert ad.read_h5ad(tmp_path / "both_velotime.h5ad").obs_names.is_unique
    quietly(lambda: ad.concat([parts[0], parts[0][:5]]).write_h5ad(path))
    done = run(path, "--force")
    assert done.exit_code == 2
    assert "5 cells are there twice, with the same name and the same counts" in done.output


@pytest.mark.parametrize("folder", ["Gene", "Solo.out/Gene", "Solo.out/GeneFull"])
def test_a_starsolo_run_without_velocyto_says_what_to_run(folder, tmp_path):
    (tmp_path / folder / "raw").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no Velocyto is beside it.*--soloFeatures Gene Velocyto"):
        vt.read.auto(tmp_path)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("a.rds", "anndataR"),
        ("a.h5Seurat", "anndataR"),
        ("a.h5", "Cell Ranger"),
        ("spliced.mtx", "give the one that holds spliced.mtx"),
    ],
)
def test_files_that_are_almost_right_say_what_to_do(name, cure, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=f"known: .h5ad.*{cure}"):
        vt.read.auto(tmp_path / name)
