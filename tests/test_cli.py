"""The command line as a user runs it."""

from __future__ import annotations

import importlib
import re
import signal
import subprocess
import sys
import time

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse

import velotime as vt
from velotime._status import Cure, FitError, UnclearWarning
from velotime.cli import main
from velotime.cli.labels import split_labels
from velotime.cli.methods import WAYS, Asked
from velotime.cli.words import warning_text
from velotime.data import embed, list_embeddings
from velotime.simulation import simulate

PYTHON = r"\bvt\.|\bvelotime\.[a-z]+\.|\badata\b|\w=[\w\"'(\[]"  # what only a user of the library can type
QUICK = ["--max-iterations", "2", "--lineages", "1", "--skip-comparison", "-q"]
AT_ONCE = ["--method", "mixture", "--max-iterations", "2", "-q"]  # where the fit is not what is looked at


@pytest.fixture
def cells(small, tmp_path):
    path = tmp_path / "cells.h5ad"
    small.obsm["X_umap"] = small.obs[["true_time", "true_depth"]].to_numpy()
    small.obs["stage"] = pd.cut(small.obs["true_time"], [-1, 0.5, 2], labels=["early", "late"])
    small.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with fitted.h5ad, made from 200 cells and 40 genes of which one is too rare to be fitted."""
    folder = tmp_path_factory.mktemp("done")
    adata = simulate(200, 40, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obsm["X_umap"] = adata.obs[["true_time", "true_depth"]].to_numpy()
    adata.obs["stage"] = pd.cut(adata.obs["true_time"], [-1, 0.5, 2], labels=["early", "late"])
    for name in ("unspliced", "spliced"):
        adata.layers[name] = adata.layers[name] @ sparse.diags(np.r_[0, np.ones(39)]).astype(np.float32)
    adata.X = adata.layers["spliced"]
    adata.write_h5ad(folder / "cells.h5ad")
    quick = ["--max-iterations", "3", "--lineages", "1", "--skip-comparison", "--tables", str(folder / "tables")]
    out = CliRunner().invoke(main, ["run", str(folder / "cells.h5ad"), "-o", str(folder / "fitted.h5ad"), *quick])
    assert out.exit_code == 0, out.output
    return folder


def velotime(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "velotime", *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_run_writes_a_fitted_file_and_a_table(cells):
    done = velotime("run", cells, "--threads", "1")
    assert done.returncode == 0, done.stderr
    for word in ("cells", "250", "genes fitted", "iterations", "status", "direction", "best genes", "time taken"):
        assert word in done.stdout
    fitted = ad.read_h5ad(cells.with_name("cells_velotime.h5ad"))
    assert fitted.obs["latent_time"].between(0, 1).all()
    assert fitted.layers["velocity"].shape == fitted.shape
    assert fitted.uns["recover_dynamics"]["status"] in ("converged", "max_iter", "bound_fell")


def test_the_file_holds_all_genes_graph_and_arrows_compressed(done):
    fitted = ad.read_h5ad(done / "fitted.h5ad")
    assert fitted.n_vars < 40
    assert fitted.raw.shape == (200, 40)
    assert fitted.obsp["velocity_graph"].nnz > 0
    assert np.isfinite(fitted.obsm["velocity_umap"]).all()
    with h5py.File(done / "fitted.h5ad") as file:
        assert file["layers/velocity"].compression == "gzip"


def test_tables_say_what_the_fit_says(done):
    fitted, folder = ad.read_h5ad(done / "fitted.h5ad"), done / "tables"
    genes, cells = (pd.read_csv(folder / f"{name}.csv", index_col=0) for name in ("genes", "cells"))
    np.testing.assert_allclose(cells["latent_time"], fitted.obs["latent_time"], rtol=1e-5)
    np.testing.assert_allclose(genes["gamma"], fitted.var["fit_gamma"], rtol=1e-5)
    clusters = pd.read_csv(folder / "clusters.csv", index_col=0)
    assert clusters["cells"].to_dict() == fitted.obs["stage"].value_counts().to_dict()
    assert "Direction of time" in pd.read_csv(folder / "verdict.csv", index_col=0).index
    assert not (folder / "fates.csv").exists()  # one lineage


@pytest.mark.parametrize(
    "arguments",
    [
        ["gene_1", "gene_2"],
        ["gene_1", "--kind", "time"],
        ["--kind", "heatmap", "--color", "stage"],
        ["--kind", "cells", "--color", "stage"],
        [],
    ],
)
def test_plots_of_a_fitted_file(done, tmp_path, arguments):
    out = tmp_path / "out.png"
    said = CliRunner().invoke(main, ["plot", str(done / "fitted.h5ad"), "-o", str(out), *arguments])
    assert said.exit_code == 0, said.output
    assert out.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot", "{fitted}", "-o", "out.png", "--kind", "time"], "name some"),
        (["plot", "{fitted}", "gene_x", "-o", "out.png"], "gene 'gene_x' not found"),
        (["plot", "{cells}", "-o", "out.png"], "Fit it first: velotime run"),
        (["report", "{cells}"], "holds no fit to show"),
        (["report", "{fitted}", "--tables", "{tables}"], "--force"),
        (["run", "{cells}", "--method", "mixture", "--root", "a:b", "-o", "out.h5ad"], "read by --method soft only"),
    ],
)
def test_commands_on_files_say_what_is_wrong(done, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    names = {"fitted": done / "fitted.h5ad", "cells": done / "cells.h5ad", "tables": done / "tables"}
    said = CliRunner().invoke(main, [argument.format(**names) for argument in arguments])
    assert said.exit_code == 2, said.output
    assert message in said.output
    assert not re.search(PYTHON, said.output), said.output
    assert not list(tmp_path.iterdir())


def test_a_plot_without_a_name_stands_beside_its_file(done, tmp_path):
    file = tmp_path / "fitted.h5ad"
    file.write_bytes((done / "fitted.h5ad").read_bytes())
    said = CliRunner().invoke(main, ["plot", str(file), "--kind", "heatmap"])
    assert said.exit_code == 0, said.output
    assert (tmp_path / "fitted.png").exists()


def test_report_of_a_fitted_file(done, tmp_path):
    said = CliRunner().invoke(main, ["report", str(done / "fitted.h5ad"), "-o", str(tmp_path / "a.html")])
    assert said.exit_code == 0, said.output
    assert "<title>fitted.h5ad · velotime</title>" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_compare_asks_a_file(done, tmp_path):
    said = CliRunner().invoke(main, ["compare", str(done / "cells.h5ad"), "-o", str(tmp_path / "models.csv"), "-q"])
    assert said.exit_code == 0, said.output
    assert "trajectory: " in said.output
    assert "constant" in pd.read_csv(tmp_path / "models.csv")["model"].tolist()


def test_other_methods(done, tmp_path):
    out = tmp_path / "out.h5ad"
    said = CliRunner().invoke(main, ["run", str(done / "cells.h5ad"), "-o", str(out), *AT_ONCE])
    assert said.exit_code == 0, said.output
    assert ad.read_h5ad(out).uns["recover_dynamics"]["method"] == "MixtureEM"
    said = CliRunner().invoke(main, ["plot", str(out), "gene_1"])  # cells have components, and no latent time
    assert said.exit_code == 0, said.output
    assert WAYS["gene-clock"].method(Asked(max_iterations=7), None) == vt.TwoStageEM(vt.GeneClock(max_iterations=7))
    assert WAYS["two-stage"].method(Asked(), None) == vt.TwoStageEM(vt.SharedClock())


def test_umap_is_made_where_there_is_no_embedding(small):
    embed(small)
    assert small.obsm["X_umap"].shape == (250, 2)
    assert list_embeddings(small) == ["umap"]
    assert "neighbors" not in small.uns


def test_lineages_and_root_from_the_command_line(cells, tmp_path):
    out = tmp_path / "out.h5ad"
    quick = ["--skip-comparison", "-q", "--max-iterations", "3"]
    arguments = ["--lineages", "2", *quick, "--report", str(tmp_path / "report.html")]
    done = CliRunner().invoke(main, ["run", str(cells), "-o", str(out), *arguments])
    assert done.exit_code == 0, done.output
    assert f"Wrote {tmp_path / 'report.html'}" in done.output
    assert "<title>cells.h5ad · velotime</title>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "fate genes" in done.output
    assert ad.read_h5ad(out).obsm["lineage_posterior"].shape == (250, 2)


def test_what_is_known_from_the_command_line(small, tmp_path):
    small.obs["day"] = (3 * small.obs["true_time"]).round()
    small.obsm["X_umap"] = small.obs[["true_time", "true_depth"]].to_numpy()
    small.obs["stage"] = (small.obs["true_time"] > 0.7).map({True: "done", False: "going"})
    small.obs["first"] = (small.obs["true_time"] < 0.2).map({True: "yes", False: "no"})
    path, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    small.write_h5ad(path)
    rises = small.var_names[small.var["true_class"] == "induction"][0]
    known = ["--root", "first:yes", "--end", "stage:done", "--late-markers", rises, "--time-labels", "day"]
    quick = ["--skip-comparison", "-q", "--max-iterations", "3", "--n-top-genes", "30"]
    done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), *known, *quick])
    assert done.exit_code == 0, done.output
    for words in ("Root(first: yes)", "Ends(stage: done)", f"Markers(late: {rises})", "TimeLabels(day)"):
        assert words in done.output
    assert "from what is known of the cells" in done.output
    assert "the clock spans" in done.output
    fitted = ad.read_h5ad(out)
    assert len(fitted.uns["knowledge"]["table"]) == 4
    assert rises in fitted.var_names
    assert not fitted.uns["knowledge"]["table"]["in_conflict"].any()
    assert fitted.uns["experimental_time"]["units_per_clock"] == pytest.approx(3, rel=0.3)


def test_a_cycle_from_the_command_line(tmp_path):
    cycle = vt.simulation.Cycling()
    adata = vt.simulation.simulate(
        120, 30, rng=np.random.default_rng(1), cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0
    )
    adata.obsm["X_umap"] = np.c_[np.cos(6 * adata.obs["true_phase"]), np.sin(6 * adata.obs["true_phase"])]
    path, out, wheel = (tmp_path / name for name in ("cells.h5ad", "out.h5ad", "wheel.png"))
    adata.write_h5ad(path)
    quick = ["--skip-comparison", "-q", "--max-iterations", "2"]
    done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), "--cycle", "--early-markers", "gene_1", *quick])
    assert done.exit_code == 0, done.output
    assert "phase 0 is where the markers of the origin say" in done.output
    assert "cycle_phase" in ad.read_h5ad(out).obs
    done = CliRunner().invoke(main, ["plot", str(out), "--kind", "cycle", "-o", str(wheel)])
    assert done.exit_code == 0, done.output
    assert wheel.stat().st_size > 10_000
    done = CliRunner().invoke(main, ["run", str(path), "--cycle", "--root", "a:b", "--lineages", "2"])
    assert done.exit_code == 2
    assert "--lineages, --root: a cycle has no root, ends or lineages" in done.output
    done = CliRunner().invoke(main, ["run", str(path), "--not-cycling"])
    assert done.exit_code == 2
    assert "give --cycle too" in done.output


def test_genes_are_left_out_of_the_clock(small, tmp_path):
    small.obsm["X_umap"] = small.obs[["true_time", "true_depth"]].to_numpy()
    path, out, names = (tmp_path / name for name in ("cells.h5ad", "out.h5ad", "cycle.txt"))
    small.write_h5ad(path)
    names.write_text("gene_1\n# of the other phase\ngene_2, gene_3\n\nABSENT\n", encoding="utf-8")
    quick = ["--skip-comparison", "-q", "--max-iterations", "1"]
    done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), "--without", str(names), *quick])
    assert done.exit_code == 0, done.output
    assert "1 of the 4 genes of --without are not there" in done.output
    status = ad.read_h5ad(out).var["fit_status"]
    assert list(status.index[status == "left out of the clock"]) == ["gene_1", "gene_2", "gene_3"]
    for given, message in (("A,B", "none of its 2 genes, e.g. A, is among those of IN"), (",", "give names of genes")):
        done = CliRunner().invoke(main, ["run", str(path), "-o", str(out), "--force", "--without", given])
        assert done.exit_code == 2
        assert message in done.output
    done = CliRunner().invoke(main, ["run", str(path), "--method", "mixture", "--without", "gene_1"])
    assert "--without: read by --method soft only" in done.output


def test_labels_with_blanks_commas_and_colons(small, tmp_path):
    small.obs["res:1"] = pd.cut(small.obs["true_time"], [-1, 0.3, 0.6, 2], labels=["early", "A", "CD4+, naive"])
    small.obsm["X_umap"] = small.obs[["true_time", "true_depth"]].to_numpy()
    small.obs["leiden"] = small.obs["res:1"].cat.codes.astype("int64").astype("category")
    path, out = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    small.write_h5ad(path)
    quick = ["--skip-comparison", "-q", "--max-iterations", "1"]
    labels = ["--root", "res:1:early", "--terminals", "res:1:CD4+, naive, A", "--end", 'res:1:"CD4+, naive" , A']
    done = CliRunner().invoke(
        main, ["run", str(path), "-o", str(out), *labels, "--time-labels", "leiden:0, 1,2 ", *quick]
    )
    assert done.exit_code == 0, done.output
    fitted = ad.read_h5ad(out)
    assert list(fitted.uns["lineages"]["names"]) == ["CD4+, naive", "A"]
    assert list(fitted.uns["knowledge"]["table"]["piece"]) == [
        "Terminals(res:1: CD4+, naive, A)",
        "Root(res:1: early)",
        "Ends(res:1: CD4+, naive, A)",
        "TimeLabels(leiden)",
    ]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("A,B", ["A", "B"]),
        (" A , B ", ["A", "B"]),
        ("A, B", ["A, B"]),  # a label as it stands goes first
        ('"A", B', ["A", "B"]),
        ("C+, x,A", ["C+, x", "A"]),
        ("A,C+, x", ["A", "C+, x"]),
        ("A,unknown, B", ["A", "unknown", "B"]),
        ('"C+, x"', ["C+, x"]),
        (",", []),
    ],
)
def test_labels_are_split_at_commas_that_belong_to_none_of_them(text, labels):
    assert split_labels(text, {"A", "B", "A, B", "C+, x"}) == labels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.h5ad"], "does not exist"),
        (["{cells}", "--spliced", "mature"], "layer 'mature' not found"),
        (["{cells}", "-o", "out.csv"], "ends in .h5ad"),
        (["{cells}", "-o", "no/such/folder/out.h5ad"], "does not exist"),
        (["{cells}", "-o", "{cells}"], "--force"),
        (["{cells}", "--report", "report.pdf"], "ends in .html"),
        (["{cells}", "--report", "no/such/folder/report.html"], "does not exist"),
        (["{cells}", "--lineages", "many"], "whole number"),
        (["{cells}", "--lineages", "0"], "1 or more"),
        (["{cells}", "--terminals", "clusters"], "COLUMN:LABEL"),
        (["{cells}", "--terminals", "step:A,B"], "column 'step' not found"),
        (["{cells}", "--root", "true_lineage:9"], "label '9' not found"),
        (["{cells}", "--end", "stage"], "COLUMN:LABEL"),
        (["{cells}", "--early-markers", "gene_1,Gene_22x"], "similar: gene_22"),
        (["{cells}", "--time-labels", "day"], "column 'day' not found"),
        (["{cells}", "--time-labels", "true_lineage"], "have no place"),
        (["{cells}", "--min-cells", "100000"], "no gene is left"),
        (["{cells}", "--noise", "cauchy"], "Invalid value"),
        (["{cells}", "--seed", "-1"], "Invalid value"),
        (["{cells}", "--terminals", "true_lineage:0,,"], "two or more labels"),
        (["{cells}", "--noise", "gaussian", "--min-cells", "5"], "--min-cells: genes are chosen by raw counts"),
        (["{cells}", "--noise", "gaussian", "--n-top-genes", "5", "--min-cells", "5"], "--min-cells and --n-top-genes"),
        (["{cells}", "--lineages", "90", "-q"], "--lineages 90"),
        (["{cells}", "--basis", "nowhere", "--max-iterations", "9999"], "'nowhere' not found"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_exit_2_with_one_clear_line(cells, arguments, message):
    before = cells.read_bytes()
    arguments = [argument.format(cells=cells) for argument in arguments]
    done = CliRunner().invoke(main, ["run", *arguments])
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert "Traceback" not in done.output
    assert not re.search(PYTHON, done.output), done.output
    assert cells.read_bytes() == before


def test_warnings_name_options(small, tmp_path):
    small.layers["unspliced"], small.layers["spliced"] = small.layers["spliced"], small.layers["unspliced"]
    small.obsm["X_umap"] = small.obs[["true_time", "true_depth"]].to_numpy()
    path = tmp_path / "cells.h5ad"
    small.write_h5ad(path)
    done = CliRunner().invoke(main, ["run", str(path), "--noise", "gaussian", *QUICK])
    assert done.exit_code == 0, done.output
    assert "Warning: the values are whole numbers" in done.output
    assert "(--noise negative-binomial)" in done.output
    assert not re.search(PYTHON, done.output), done.output


def test_every_cure_is_an_option():
    help_text = CliRunner().invoke(main, ["run", "--help"]).output
    warning = UnclearWarning("the direction of time is not clear.", tuple(Cure))
    text = warning_text(warning)
    for option in re.findall(r"--[\w-]+", text):
        assert option in help_text
    assert text.count("--") >= len(Cure)
    assert not re.search(PYTHON, text)
    assert "vt.Root('clusters', 'progenitors')" in str(warning)


def test_a_failed_fit_is_exit_1(cells, monkeypatch):
    from velotime import FitError, tl

    def fail(*_, **__):
        raise FitError("it would not")

    monkeypatch.setattr(tl, "recover_dynamics", fail)
    done = CliRunner().invoke(main, ["run", str(cells)])
    assert done.exit_code == 1
    assert "The fit failed: it would not" in done.output


def test_force_replaces(cells, tmp_path):
    out = tmp_path / "out.h5ad"
    out.write_text("old")
    done = CliRunner().invoke(main, ["run", str(cells), "-o", str(out), "--force", *AT_ONCE])
    assert done.exit_code == 0, done.output
    assert ad.read_h5ad(out).n_obs == 250


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_checkpoint_and_nothing_else(cells, sent):
    before, checkpoint = cells.read_bytes(), cells.with_name("cells_velotime.h5ad.checkpoint")
    process = subprocess.Popen(
        [sys.executable, "-m", "velotime", "run", str(cells), "--max-iterations", "100000", "--lineages", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "Reading" in process.stderr.readline()
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(sent)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()  # it would fit for hours
    if process.returncode != 0:  # on a fast machine it may have been done
        assert process.returncode == 130
        said = f"nothing was written. {checkpoint} keeps what was computed: the same command with --resume goes on"
        assert said in err
        assert "Traceback" not in err
        assert {path.name for path in cells.parent.iterdir()} == {"cells.h5ad", checkpoint.name}
    assert cells.read_bytes() == before


def test_resume_goes_on_and_tidies_up(cells, monkeypatch):
    out = cells.with_name("out.h5ad")
    arguments = ["run", str(cells), "-o", str(out), "--max-iterations", "2", "--lineages", "1", "--skip-comparison"]

    def stop(*_, **__):
        raise FitError("stopped")

    half = cells.with_name(".out-12345678.h5ad.part")
    with monkeypatch.context() as patched:
        patched.setattr("velotime.tl.velocity_graph", stop)
        assert CliRunner().invoke(main, arguments).exit_code == 1
    half.write_text("left by a kill in the middle of writing")
    assert cells.with_name("out.h5ad.checkpoint").exists()
    warned = CliRunner().invoke(main, ["run", str(cells), "-o", str(out), "--method", "mixture", "--resume"])
    assert warned.exit_code == 2
    assert "--resume: only --method soft" in warned.output
    done = CliRunner().invoke(main, [*arguments, "--resume"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in cells.parent.iterdir()} == {"cells.h5ad", "out.h5ad"}


def test_ctrl_c_while_the_report_is_written_names_what_is_there(cells, monkeypatch):
    writing = importlib.import_module("velotime.report._write")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "write_page", interrupt)
    arguments = ["run", str(cells), *AT_ONCE, "--report"]
    done = CliRunner().invoke(main, [*arguments, str(cells.with_name("report.html"))])
    assert done.exit_code == 130
    assert done.output.splitlines()[-1] == f"Interrupted; {cells.with_name('cells_velotime.h5ad')} was written before."
    assert {path.name for path in cells.parent.iterdir()} == {"cells.h5ad", "cells_velotime.h5ad"}


def test_stages_are_named_as_they_begin(cells):
    done = CliRunner().invoke(main, ["run", str(cells), "--max-iterations", "1", "--lineages", "1"])
    assert done.exit_code == 0, done.output
    said = ["Reading", "Fitting 250 cells", "Comparing with clusters", "Writing", "whole run", "Wrote"]
    places = [done.output.find(word) for word in said]
    assert -1 not in places
    assert places == sorted(places)


def test_help_imports_nothing_that_takes_time():
    code = (
        "import sys; from velotime.cli import main; main(['run', '--help'], standalone_mode=False); "
        "print([name for name in ('numpy', 'pandas', 'scanpy', 'numba', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_demo_needs_nothing(tmp_path):
    out = tmp_path / "demo"
    done = CliRunner().invoke(main, ["demo", "-o", str(out), "--cells", "150", "--genes", "40", "-q"])
    assert done.exit_code == 0, done.output
    assert "Spearman correlation" in done.output
    names = {path.name for path in out.iterdir()}
    assert {"demo.h5ad", "report.html", "latent_time.png", "phase_portraits.png", "velocity.png"} <= names


def test_help_and_version():
    assert "--lineages" in CliRunner().invoke(main, ["run", "--help"]).output
    assert "version" in CliRunner().invoke(main, ["--version"]).output
