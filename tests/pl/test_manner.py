"""What all plots have in common: scanpy's arguments, errors, and leaving the input and matplotlib as they are."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime.data import read_file, write_file

PLOTS = {
    "phase_portrait": lambda a, **k: vt.pl.phase_portrait(a, a.var_names[0], **k),
    "along_time": lambda a, **k: vt.pl.along_time(a, a.var_names[0], **k),
    "embedding": vt.pl.embedding,
    "time_against": lambda a, **k: vt.pl.time_against(a, "true_time", **k),
    "velocity_stream": vt.pl.velocity_stream,
    "velocity_grid": vt.pl.velocity_grid,
    "velocity_arrows": vt.pl.velocity_arrows,
    "heatmap": vt.pl.heatmap,
    "time_prior": vt.pl.time_prior,
    "em_trace": vt.pl.em_trace,
    "arrow_evidence": vt.pl.arrow_evidence,
    "proportions": vt.pl.proportions,
}

NEED_NO_FIT = {"proportions", "embedding", "velocity_stream", "velocity_grid", "velocity_arrows"}


def test_every_plot_is_here():
    of_other_fits = {"cycle", "samples", "conditions"}  # in tests of their own
    assert set(PLOTS) | {"heatmap_genes"} | of_other_fits == set(vt.pl.__all__)  # heatmap_genes gives a table


@pytest.mark.parametrize("name", PLOTS)
def test_saves_and_leaves_the_input_alone(name, drawn, tmp_path):
    before = drawn.copy()
    path = tmp_path / f"{name}.png"
    PLOTS[name](drawn, save=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
    assert list(drawn.obs) == list(before.obs)
    assert drawn.uns.keys() == before.uns.keys()
    for layer in before.layers:
        assert (drawn.layers[layer] != before.layers[layer]).nnz == 0 if layer != "true_velocity" else True


@pytest.mark.parametrize("name", sorted(set(PLOTS) - {"along_time"}))
def test_draws_on_the_axes_that_are_given(name, drawn):
    figure, axes = plt.subplots(1, 2)
    assert PLOTS[name](drawn, ax=axes[1]) is axes[1]
    assert plt.get_fignums() == [figure.number]
    assert not axes[0].has_data()


def test_shows_when_asked(drawn, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    assert vt.pl.embedding(drawn, show=True) is None
    assert vt.pl.along_time(drawn, "gene_0", show=True) is None
    assert vt.pl.embedding(drawn, show=False) is not None
    assert shown == [True, True]


def test_wrong_places_to_save(drawn, tmp_path):
    with pytest.raises(vt.InputError, match=r"does not exist\. Make it first"):
        vt.pl.embedding(drawn, save=tmp_path / "none" / "a.png")
    with pytest.raises(vt.InputError, match=r"must end in one of .*'pdf'"):
        vt.pl.embedding(drawn, save=tmp_path / "a.h5ad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(PLOTS) - NEED_NO_FIT))
def test_unfitted_object(name, drawn):
    del drawn.uns["recover_dynamics"]
    with pytest.raises(vt.InputError, match=r"call velotime.tl.recover_dynamics\(adata\) first"):
        PLOTS[name](drawn)


def test_time_of_an_unfitted_object(drawn):
    del drawn.obs["latent_time"]
    with pytest.raises(vt.InputError, match=r"latent_time.*Call velotime.tl.recover_dynamics"):
        vt.pl.embedding(drawn)


def test_names_that_are_not_there(drawn):
    with pytest.raises(vt.InputError, match=r"similar: \['gene_0'"):
        vt.pl.phase_portrait(drawn, "Gene")
    with pytest.raises(vt.InputError, match=r"'cluster' is neither a column of adata\.obs nor a gene.*'stage'"):
        vt.pl.along_time(drawn, "gene_0", color="cluster")
    with pytest.raises(vt.InputError, match=r"basis 'pca' not found.*\['umap'\]"):
        vt.pl.embedding(drawn, basis="pca")
    with pytest.raises(vt.InputError, match="must be the name of a colour map of matplotlib"):
        vt.pl.embedding(drawn, cmap="rainbows")
    with pytest.raises(vt.InputError, match=r"legend_loc='left'.*'on data'"):
        vt.pl.embedding(drawn, legend_loc="left")
    with pytest.raises(vt.InputError, match="holds labels, but numbers are wanted"):
        vt.pl.time_against(drawn, "stage")
    drawn.obsm["X_line"] = drawn.obsm["X_umap"][:, :1]
    with pytest.raises(vt.InputError, match="two columns or more"):
        vt.pl.embedding(drawn, basis="line")


def test_fit_without_a_prior_says_which_has_one(drawn):
    del drawn.uns["time_prior"]
    with pytest.raises(vt.InputError, match=r"slots of the fit are missing: adata.uns\['time_prior'\]"):
        vt.pl.time_prior(drawn)
    drawn.uns["recover_dynamics"]["method"] = "TwoStageEM"
    with pytest.raises(vt.InputError, match=r"TwoStageEM, which gives no prior of time.*method=vt.SoftEM"):
        vt.pl.time_prior(drawn)


def test_import_changes_no_style():
    code = (
        "import matplotlib as m; m.use('Agg'); before = dict(m.rcParams); import velotime.pl; "
        "after = dict(m.rcParams); print([k for k in before if before[k] != after[k]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore:the model does not fit")  # after so few iterations
def test_every_plot_of_a_real_fit(tmp_path):
    """Slots as the fit writes them, and as they come back from a file."""
    branches = vt.simulation.Branches(times=(0.4,))
    adata = vt.simulation.simulate(150, 30, rng=np.random.default_rng(0), branches=branches, mean_spliced=3.0)
    root = vt.Root(cell=adata.obs_names[adata.obs["true_time"].argmin()])
    method = vt.SoftEM(n_lineages=2, n_times=16, annealing=3, max_iterations=4, start_times=12, root=root)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(150, 2))
    vt.pl.velocity_stream(adata, show=False)
    assert {"velocity_umap"} <= set(adata.obsm)
    assert "velocity_graph" in adata.uns
    write_file(adata, tmp_path / "a.h5ad")
    back = read_file(tmp_path / "a.h5ad")
    for name, plot in PLOTS.items():
        plot(back, save=tmp_path / f"{name}.png")
    assert len(list(tmp_path.glob("*.png"))) == len(PLOTS)


def test_categories_of_whole_numbers_are_labels_and_times(drawn):
    """Clusters as Seurat numbers them."""
    drawn.obs["seurat_clusters"] = pd.Categorical(drawn.obs["stage"].cat.codes.astype(int))
    assert vt.pl.embedding(drawn, color="seurat_clusters", show=False).get_legend() is not None
    vt.pl.proportions(drawn, "seurat_clusters", show=False)
    vt.pl.time_against(drawn, "seurat_clusters", show=False)
    drawn.obs["plain"] = drawn.obs["seurat_clusters"].astype(int)
    assert vt.pl.embedding(drawn, color="plain", show=False).get_legend() is None
