"""What users of scanpy expect of every function: copy=, key_added=, n_jobs=, messages by verbosity, a summary."""

from __future__ import annotations

import enum
import inspect
import io
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import velotime as vt
from velotime import InputError
from velotime._log import scanpy_aside
from velotime.tl._progress import ProgressBar

pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # of two iterations on 150 cells
SMALL = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_cells": 60, "start_genes": 20, "start_times": 8}
METHOD = vt.SoftEM(n_lineages=2, root=vt.Root("stage", "early"), **SMALL)
OTHER = vt.MixtureEM(n_components=3)  # at once


@pytest.fixture(scope="module")
def counts():
    adata = vt.simulation.simulate(150, 24, rng=0, mean_unspliced=1.0, mean_spliced=3.0)
    time = adata.obs["true_time"].to_numpy()
    adata.obsm["X_umap"] = np.c_[time, time**2]
    adata.obs["stage"] = pd.Categorical(np.where(time < 0.4, "early", "<late>"))
    return adata


@pytest.fixture(scope="module")
def fitted(counts):
    adata = counts.copy()
    vt.tl.recover_dynamics(adata, method=METHOD, progress=False)
    vt.tl.velocity_graph(adata)
    return adata


# ------------------------------------------------------------------------------------ copy=
WRITERS = {
    "pp.filter_cells": {"min_counts": 80},
    "pp.filter_genes": {"n_top_genes": 10},
    "pp.moments": {},
    "tl.recover_dynamics": {"method": METHOD, "progress": False},
    "tl.velocity_graph": {},
    "tl.velocity_embedding": {},
}


def function_of(name):
    room, word = name.split(".")
    return getattr(getattr(vt, room), word)


def test_every_function_that_only_writes_can_copy():
    found = {
        f"{room}.{word}"
        for room in ("pp", "tl")
        for word in getattr(vt, room).__all__
        if "copy" in inspect.signature(function_of(f"{room}.{word}")).parameters
    }
    silent = {
        f"{room}.{word}"
        for room in ("pp", "tl")
        for word in getattr(vt, room).__all__
        if "None" in str(inspect.signature(function_of(f"{room}.{word}")).return_annotation)
    }
    assert found == silent == set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_a_copy_is_what_would_have_been_written(name, counts, fitted):
    adata = (counts if name.startswith("pp") or name == "tl.recover_dynamics" else fitted).copy()
    before = {box: set(getattr(adata, box)) for box in ("obs", "var", "layers", "obsm", "obsp", "uns")}
    copied = function_of(name)(adata, **WRITERS[name], copy=True)
    assert adata.shape == (150, 24)
    assert before == {box: set(getattr(adata, box)) for box in before}
    assert function_of(name)(adata, **WRITERS[name]) is None
    assert copied.shape == adata.shape
    for box in before:
        assert set(getattr(copied, box)) == set(getattr(adata, box))
    for layer in ("Ms", "velocity"):
        if layer in adata.layers:
            np.testing.assert_array_equal(copied.layers[layer], adata.layers[layer])


def test_a_file_is_not_copied(counts, tmp_path):
    counts.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(InputError, match=r"copy=True.*to_memory"):
        vt.pp.moments(backed, copy=True)


# ------------------------------------------------------------------------------------ key_added=
TABLES = {
    "rank_genes": (),
    "rank_genes_in_groups": ("stage",),
    "rank_fate_genes": (),
    "differential_kinetics": ("stage",),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_kept_where_asked(name, fitted, tmp_path):
    adata = fitted.copy()
    before = set(adata.uns)
    table = getattr(vt.tl, name)(adata, *TABLES[name])
    assert set(adata.uns) == before
    for _ in range(2):  # a second call replaces the first
        getattr(vt.tl, name)(adata, *TABLES[name], key_added="mine")
    adata.write_h5ad(tmp_path / "a.h5ad")
    kept = ad.read_h5ad(tmp_path / "a.h5ad").uns["mine"]
    assert list(kept.index) == list(table.index.astype(str))
    for column in table.columns:
        assert kept[column].tolist() == table[column].tolist() or np.allclose(
            kept[column], table[column], equal_nan=True
        )
    vt.tl.recover_dynamics(adata, method=OTHER, unspliced="unspliced", spliced="spliced", progress=False)
    assert "mine" not in adata.uns  # it was of another fit


def test_a_table_replaces_nothing_else(fitted):
    with pytest.raises(InputError, match="is there already"):
        vt.tl.rank_genes(fitted, key_added="recover_dynamics")


def test_transitions_of_several_graphs_are_kept_side_by_side(fitted, tmp_path):
    adata = fitted.copy()
    plain = vt.tl.transition_matrix(adata, key_added="plain")
    vt.tl.velocity_graph(adata, posterior=True)
    drawn = vt.tl.transition_matrix(adata, key_added="drawn")
    assert abs(plain - drawn).max() > 0.01
    adata.write_h5ad(tmp_path / "a.h5ad")
    kept = ad.read_h5ad(tmp_path / "a.h5ad").obsp
    for name, matrix in (("plain", plain), ("drawn", drawn)):
        assert abs(kept[name] - matrix).max() == 0
    with pytest.raises(InputError, match=r"obsp\['velocity_graph'\] is there already"):
        vt.tl.transition_matrix(adata, key_added="velocity_graph")
    vt.tl.recover_dynamics(adata, method=METHOD, rng=1, progress=False)
    assert not {"plain", "drawn"} & set(adata.obsp)


# ------------------------------------------------------------------------------------ n_jobs=
def test_threads_are_limited_and_set_free_again():
    code = """
from velotime.compute.threads import at_most_threads, n_threads
for asked, given in ((1, 1), (2, 2), (99, 3), (-1, 3), (None, 3)):
    with at_most_threads(asked):
        assert n_threads() == given, (asked, n_threads())
    assert n_threads() == 3
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "3"})


def test_n_jobs_reaches_the_kernels(counts, monkeypatch):
    import velotime.tl._recover_dynamics as module

    asked = []
    whole = module.at_most_threads
    monkeypatch.setattr(module, "at_most_threads", lambda n: asked.append(n) or whole(n))
    layers = {"unspliced": "unspliced", "spliced": "spliced"}
    vt.tl.recover_dynamics(counts.copy(), method=OTHER, **layers, progress=False, n_jobs=1)
    assert asked == [1]


# ------------------------------------------------------------------------------------ messages
@pytest.fixture
def scanpy_says():
    """scanpy's own log, as text; its settings are put back."""
    verbosity, logfile = sc.settings.verbosity, sc.settings.logfile
    sc.settings.logfile = said = io.StringIO()
    yield said
    sc.settings.verbosity, sc.settings.logfile = verbosity, logfile


@pytest.mark.parametrize(("verbosity", "speaks"), [(1, False), (2, True), (3, True)])
def test_scanpys_verbosity_decides(verbosity, speaks, counts, scanpy_says):
    sc.settings.verbosity = verbosity
    vt.pp.filter_genes(counts, n_top_genes=10, copy=True)
    vt.pp.moments(counts, copy=True)
    said = scanpy_says.getvalue()
    assert (
        "kept 10 genes; left out: 1 unspliced in fewer than 10 cells, 13 not among the most variable" in said
    ) == speaks
    assert ("computing means over neighbours" in said) == speaks
    assert ("finished (0:00:0" in said) == speaks


def test_scanpy_says_nothing_of_objects_that_nobody_sees(counts, scanpy_says):
    """Of principal components and neighbours of a fit, for example, which are on a copy."""
    sc.settings.verbosity = 3
    vt.tl.recover_dynamics(counts.copy(), method=METHOD, progress=False)
    said = scanpy_says.getvalue()
    assert "fitting 24 genes in 150 cells" in said
    assert ".uns['neighbors']" not in said
    assert "X_diffmap" not in said
    assert int(sc.settings.verbosity) == 3


def test_slots_have_the_names_of_scanpy_1_while_we_call_it(monkeypatch):
    presets = enum.Enum("Preset", {"ScanpyV1": "scanpy-v1", "ScanpyV2Preview": "scanpy-v2-preview"})
    settings = SimpleNamespace(verbosity=3, preset=presets.ScanpyV2Preview)
    monkeypatch.setitem(sys.modules, "scanpy", SimpleNamespace(settings=settings))
    with scanpy_aside():
        assert (settings.verbosity, settings.preset) == (1, presets.ScanpyV1)
    assert (settings.verbosity, settings.preset) == (3, presets.ScanpyV2Preview)


def test_a_program_that_listens_gets_each_line_once(counts, scanpy_says, caplog):
    sc.settings.verbosity = 3
    with caplog.at_level(logging.INFO, logger="velotime"):
        vt.pp.filter_genes(counts, n_top_genes=10, copy=True)
    assert [record.name for record in caplog.records] == ["velotime"]
    assert "kept 10 genes" in caplog.text
    assert "kept" not in scanpy_says.getvalue()


def test_no_bar_where_scanpy_is_silent(scanpy_says):
    sc.settings.verbosity = 0
    with ProgressBar(show=True) as bar:
        assert bar._bar.disable
    sc.settings.verbosity = 1
    with ProgressBar(show=True) as bar:
        assert not bar._bar.disable


def test_the_readers_are_no_reader():
    with pytest.raises(TypeError, match=r"call velotime\.read\.auto\(path\)"):
        vt.read("cells.h5ad", cache=True)


# ------------------------------------------------------------------------------------ vt.summary
def test_a_summary_says_what_was_found_and_what_to_do(fitted):
    found = vt.summary(fitted)
    topics = dict(found.rows)
    assert topics["direction"].startswith(fitted.uns["time_arrow"]["verdict"])
    assert topics["fit"].startswith(fitted.uns["fit_verdict"]["verdict"])
    assert topics["root"].startswith(fitted.uns["recover_dynamics"]["starts"].query("chosen")["root_cell"].iloc[0])
    assert f"{len(fitted.var)} fitted" in topics["genes"]
    assert "velotime" not in fitted.uns
    calls = [call for call, _ in found.steps]
    assert "vt.tl.compare_models(adata)" in calls
    assert calls[-1].startswith("vt.report(")
    for call in calls:
        assert callable(eval(call.split("(")[0], {"vt": vt}))


def test_a_summary_is_text_html_and_markdown(fitted):
    found = vt.summary(fitted)
    text, html, markdown = repr(found), found._repr_html_(), found._repr_markdown_()
    for version in (text, html, markdown):
        assert found.headline.split(",")[0] in version
        assert "vt.report(adata" in version
        assert fitted.uns["time_arrow"]["verdict"] in version
    assert max(map(len, text.splitlines())) <= 120
    assert "<late>" not in html
    assert "&lt;late&gt;" in html or "late" not in html
