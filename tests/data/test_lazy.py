"""Counts that stay in their file: opened, fitted and written block by block."""

from __future__ import annotations

import os
import shutil
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from one_search import one_search
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.cli import main
from velotime.data.on_disk import whole
from velotime.data.on_disk.objects import write_h5ad, write_zarr

pytest.importorskip("dask")
NAMES = ("unspliced", "spliced")
QUICK = ["--max-iterations", "2", "--lineages", "1", "--skip-comparison"]


@pytest.fixture(scope="module")
def cells():
    adata = vt.simulation.simulate(300, 30, rng=np.random.default_rng(4), mean_unspliced=1.0, mean_spliced=3.0)
    del adata.layers["true_velocity"]
    for name in NAMES:
        adata.layers[name] = sparse.csr_matrix(sparse.diags(np.r_[0, np.ones(299)]).astype("f4") @ adata.layers[name])
    adata.X = adata.layers["spliced"] * 2
    adata.obsm["X_umap"] = adata.obs[["true_time", "true_depth"]].to_numpy()
    return adata


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks, and a few counts are many."""
    monkeypatch.setattr("velotime.data.blocks.sources.ENTRIES", 200)
    monkeypatch.setattr("velotime.data.blocks.sources.CHUNK", 128)
    monkeypatch.setattr("velotime.data.on_disk.matrices.DENSE_CELLS", 150)
    monkeypatch.setattr("velotime.data.formats.lazy.LARGE", 1000)


def written(adata, path, **more):
    getattr(vt.write, path.suffix[1:])(adata, path, **more)
    return path


def same(one, other):
    return (sparse.csr_matrix(one) != sparse.csr_matrix(other)).nnz == 0


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_what_is_opened_and_written_is_what_was_there(cells, tmp_path, suffix):
    whole_cells = cells.copy()
    whole_cells.raw = whole_cells
    adata = vt.read.lazy(written(whole_cells, tmp_path / f"cells{suffix}"))
    assert all(hasattr(each, "dask") for each in (adata.X, adata.raw.X, *adata.layers.values()))
    assert max(map(len, adata.layers["spliced"].chunks)) > 1
    some = adata[::3, 5:20].copy()  # chosen without reading
    assert hasattr(some.X, "dask")
    for kind in (".h5ad", ".zarr"):
        again = vt.read.auto(written(some, tmp_path / f"again{kind}"))
        for name in NAMES:
            assert same(again.layers[name], cells[::3, 5:20].layers[name])
        assert same(again.X, cells[::3, 5:20].X)
        assert same(again.raw.X, cells[::3].X)
        assert list(again.raw.var_names) == list(cells.var_names)
        np.testing.assert_array_equal(again.obsm["X_umap"], cells.obsm["X_umap"][::3])
    assert {path.name for path in tmp_path.iterdir()} == {f"cells{suffix}", "again.h5ad", "again.zarr"}


def test_a_run_on_a_large_file_is_that_in_memory(cells, tmp_path, monkeypatch):
    path = written(cells, tmp_path / "cells.zarr")
    before = {file: file.read_bytes() for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    out, usual = tmp_path / "fitted.zarr", tmp_path / "usual.h5ad"
    more = ["--report", str(tmp_path / "page.html"), "--layers", "velocity,Ms"]
    done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), *QUICK, *more])
    assert done.exit_code == 0, done.output
    monkeypatch.setattr("velotime.data.formats.lazy.LARGE", 10**9)
    assert CliRunner().invoke(main, ["run", str(path), "-o", str(usual), *QUICK]).exit_code == 0
    ours, theirs = vt.read.auto(out), vt.read.auto(usual)
    assert ours.n_obs == 299  # the empty cell was left out, block by block
    assert list(ours.var_names) == list(theirs.var_names)
    assert set(ours.layers) - {None} == {*NAMES, "velocity", "Ms"}  # X, from AnnData 0.13 on
    assert all(same(ours.layers[name], theirs.layers[name]) for name in NAMES)
    assert same(ours.raw.X, theirs.raw.X)
    np.testing.assert_allclose(ours.obs["latent_time"], theirs.obs["latent_time"], atol=1e-6)
    np.testing.assert_allclose(ours.layers["velocity"], theirs.layers["velocity"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.layers["Ms"], theirs.layers["Ms"], rtol=1e-4, atol=1e-4)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_what_anndata_wrote_is_opened(cells, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata warns about the version of zarr that it writes
        few = ad.AnnData(obs=cells.obs, var=cells.var, layers={name: cells.layers[name] for name in NAMES})
        few.write_zarr(tmp_path / "cells.zarr")
    few.write_h5ad(tmp_path / "cells.h5ad")
    for path in tmp_path.iterdir():
        adata = vt.read.lazy(path)
        assert adata.X is adata.raw is None
        assert same(adata.layers["spliced"].compute(), cells.layers["spliced"])


def test_cells_are_chosen_as_in_memory(cells, tmp_path):
    usual, adata = cells.copy(), vt.read.lazy(written(cells, tmp_path / "cells.zarr"))
    for each in (usual, adata):
        vt.pp.filter_cells(each, min_counts=90)
    assert list(usual.obs_names) == list(adata.obs_names)
    assert 0 < adata.n_obs < 290
    assert hasattr(adata.layers["spliced"], "dask")


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_rows_are_computed_block_by_block(tmp_path, suffix):
    values, asked = np.random.default_rng(0).normal(size=(400, 7)).astype("f4"), []

    def rows(cells):
        asked.append(len(values[cells]))
        return values[cells]

    adata = ad.AnnData(
        obs=pd.DataFrame(index=[f"cell {k}" for k in range(400)]), var=pd.DataFrame(index=list("abcdefg"))
    )
    path = tmp_path / f"cells{suffix}"
    (write_h5ad if suffix == ".h5ad" else write_zarr)(adata, path, {"velocity": rows})
    np.testing.assert_array_equal(vt.read.auto(path).layers["velocity"], values)
    assert asked == [150, 150, 100]


def test_what_is_wrong_is_said(cells, tmp_path):
    path = written(cells, tmp_path / "cells.zarr")
    with pytest.raises(InputError, match=r"must end in \.h5ad"):
        vt.write.h5ad(cells, path)
    with pytest.raises(InputError, match="exists"):
        vt.write.zarr(cells, path)
    with pytest.raises(InputError, match="nothing is fitted"):
        vt.write.zarr(cells, tmp_path / "new.zarr", layers=("velocity",))
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="a folder that holds no zarr store"):
        vt.write.zarr(cells, tmp_path / "mine.zarr", force=True)
    with pytest.raises(InputError, match=r"only \.h5ad files and \.zarr stores"):
        vt.read.lazy(tmp_path)
    done = CliRunner().invoke(main, ["run", str(path), "-o", str(path), "--force"])
    assert done.exit_code == 2
    assert "give another name" in done.output


def test_samples_of_a_large_file_are_run_as_in_memory(cells, tmp_path, monkeypatch):
    """Samples lie among each other in every block; genes are left out, conditions compared, and the page is written."""
    several = cells.copy()
    kinds = np.random.default_rng(0).integers(4, size=300)
    several.obs["sample"] = pd.Categorical.from_codes(kinds, list("abcd"))
    several.obs["condition"] = pd.Categorical.from_codes(kinds // 2, ["A", "B"])
    path, out, usual = written(several, tmp_path / "cells.zarr"), tmp_path / "fitted.zarr", tmp_path / "usual.h5ad"
    asked = ["--samples", "sample", "--condition", "condition", "--without", str(several.var_names[3])]
    page = ["--report", str(tmp_path / "page.html"), "--tables", str(tmp_path / "tables")]
    with one_search([]):
        done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), *QUICK, *asked, *page])
        assert done.exit_code == 0, done.output
        monkeypatch.setattr("velotime.data.formats.lazy.LARGE", 10**9)
        assert CliRunner().invoke(main, ["run", str(path), "-o", str(usual), *QUICK, *asked]).exit_code == 0
    ours, theirs = vt.read.auto(out), vt.read.auto(usual)
    assert list(ours.var_names) == list(theirs.var_names)
    assert ours.var["fit_status"].iloc[3] == "left out of the clock"
    np.testing.assert_allclose(ours.obs["latent_time"], theirs.obs["latent_time"], atol=1e-5)
    np.testing.assert_allclose(ours.varm["fit_capture_u"], theirs.varm["fit_capture_u"], rtol=1e-4)
    tables = [each.uns["condition_comparison"]["composition"]["log2_fold"] for each in (ours, theirs)]
    np.testing.assert_allclose(*tables, atol=1e-4)
    assert "Samples differ in how well they capture a gene" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "tables" / "speed.csv").is_file()


@pytest.fixture
def manifest(cells, tmp_path):
    """Samples that differ in their genes, in the names of their layers, and in where and how they lie."""
    rng = np.random.default_rng(1)
    parts = [cells[k::3][:, rng.permutation(30)[:n]].copy() for k, n in ((0, 30), (1, 28), (2, 29))]
    for part in parts:
        part.obs_names = [f"cell {k}" for k in range(part.n_obs)]
        del part.uns
    parts[1].layers["nascent"], parts[1].layers["mature"] = map(parts[1].layers.pop, NAMES)
    parts[1].X, parts[2].X = parts[1].X.toarray(), parts[2].X.tocsc()
    paths = [tmp_path / name for name in ("a.zarr", "b.h5ad", "c.h5ad")]
    for part, path in zip(parts, paths, strict=True):
        written(part, path)
    table = pd.DataFrame({"sample": list("abc"), "path": [path.name for path in paths], "age": [1.5, 2.5, 3.5]})
    table.to_csv(tmp_path / "samples.csv", index=False)
    return tmp_path / "samples.csv"


def told(read):
    """What is read, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "The 'mode.chained_assignment' option")  # anndata sets it, pandas 3 minds
        return read(), {str(one.message) for one in caught}


def test_samples_that_stay_in_their_files_are_those_read(manifest):
    usual, said = told(lambda: vt.read.samples(manifest))
    lazy, also_said = told(lambda: vt.read.samples(manifest, lazily=True))
    assert said == also_said
    assert len(said) == 2  # of names and of genes
    pd.testing.assert_frame_equal(lazy.obs, usual.obs)
    pd.testing.assert_frame_equal(lazy.var, usual.var)
    np.testing.assert_array_equal(lazy.obsm["X_umap"], usual.obsm["X_umap"])
    assert set(lazy.layers) - {None} == set(usual.layers) - {None} == set(NAMES)  # X, from AnnData 0.13 on
    for ours, theirs in ((lazy.X, usual.X), *((lazy.layers[name], usual.layers[name]) for name in NAMES)):
        assert hasattr(ours, "dask")
        assert same(ours.compute(), theirs)


def test_samples_some_of_which_are_read(manifest):
    """The one that cannot stay where it is stands in blocks of cells too; without an X in one of them there is none."""
    third = vt.read.h5ad(manifest.with_name("c.h5ad"))
    with h5py.File(manifest.with_name("c.loom"), "w") as file:
        file["matrix"] = third.layers["spliced"].toarray().T
        for name in NAMES:
            file[f"layers/{name}"] = third.layers[name].toarray().T
        file["row_attrs/Gene"], file["col_attrs/CellID"] = (
            np.array(names, dtype="S") for names in (third.var_names, third.obs_names)
        )
    first = vt.read.zarr(manifest.with_name("a.zarr"))
    first.X = None
    paths = {"a": written(first, manifest.with_name("bare.zarr")), "c": manifest.with_name("c.loom")}
    (usual, _), (lazy, _) = (
        told(lambda lazily=lazily: vt.read.samples(paths, lazily=lazily)) for lazily in (False, True)
    )
    assert usual.X is None
    assert lazy.X is None
    assert list(lazy.obs["sample"]) == ["a"] * 100 + ["c"] * 100
    assert all(same(lazy.layers[name].compute(), usual.layers[name]) for name in NAMES)


def test_a_run_on_large_samples_is_that_in_memory(manifest, monkeypatch):
    fits = []
    done = CliRunner().invoke(main, ["run", str(manifest), "-o", str(manifest.with_name("b.h5ad")), "--force"])
    assert done.exit_code == 2
    assert "give another name" in done.output
    with one_search([]):
        for largest in (1000, 10**9):
            monkeypatch.setattr("velotime.data.formats.lazy.LARGE", largest)
            out = manifest.with_name(f"fitted {largest}.h5ad")
            done = CliRunner().invoke(main, ["run", str(manifest), "-o", str(out), *QUICK])
            assert done.exit_code == 0, done.output
            fits.append(vt.read.h5ad(out))
    ours, theirs = fits
    assert "velocity" in theirs.layers
    assert "velocity" not in ours.layers  # as of one large file
    assert list(ours.uns["samples"]["names"]) == list("abc")
    assert ours.uns["recover_dynamics"]["log_likelihood"] == pytest.approx(
        theirs.uns["recover_dynamics"]["log_likelihood"], rel=1e-6
    )
    np.testing.assert_allclose(ours.obs["latent_time"], theirs.obs["latent_time"], atol=1e-5)


def test_a_store_that_was_replaced_is_not_read(cells, tmp_path):
    path = written(cells, tmp_path / "cells.zarr")
    adata = vt.read.lazy(path)
    vt.write.zarr(adata[:, :20].copy(), path, force=True)
    assert vt.read.zarr(path).n_vars == 20
    with pytest.raises(InputError, match="was replaced since it was opened"):
        adata.layers["spliced"].compute()


@pytest.mark.parametrize("swap", [True, False])
def test_a_failed_write_leaves_the_old_store_and_no_litter(cells, tmp_path, monkeypatch, swap):
    if not swap:
        monkeypatch.setattr(whole, "_exchanged", lambda *_: False)
    path = written(cells, tmp_path / "cells.zarr")
    written(cells[:200].copy(), path, force=True)
    assert vt.read.zarr(path).n_obs == 200

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("velotime.data.on_disk.objects.write_matrix", interrupt)
    with pytest.raises(KeyboardInterrupt):
        written(cells, path, force=True)
    assert vt.read.zarr(path).n_obs == 200
    assert [each.name for each in tmp_path.iterdir()] == ["cells.zarr"]


def test_parts_of_killed_runs_are_removed(tmp_path):
    for name in (".out-abc.h5ad.part", ".other-abc.h5ad.part"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".out-abc.zarr.part").mkdir()
    whole.remove_parts(tmp_path / "out.h5ad")
    whole.remove_parts(tmp_path / "out.zarr")
    assert os.listdir(tmp_path) == [".other-abc.h5ad.part"]
    shutil.rmtree(tmp_path)
