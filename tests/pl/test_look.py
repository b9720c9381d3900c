"""What colours cells on an embedding, in scanpy's words."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scanpy as sc
from matplotlib.colors import to_hex

import velotime as vt


def shown(ax):
    """Values that colour the cells."""
    return np.asarray(ax.collections[0].get_array())


def test_a_list_has_a_panel_each_of_columns_and_genes(drawn):
    drawn.X = drawn.layers["spliced"].copy()
    axes = vt.pl.embedding(drawn, color=["latent_time", "gene_3", "stage"], ncols=2)
    assert [ax.get_title() for ax in axes] == ["latent_time", "gene_3", "stage"]
    g = drawn.var_names.get_loc("gene_3")
    np.testing.assert_array_equal(shown(axes[1]), drawn.X[:, [g]].toarray().ravel())
    rows = {round(ax.get_position().y0, 3) for ax in axes}
    assert len(rows) == 2


def test_genes_of_a_layer_by_their_symbols_and_of_raw(drawn):
    drawn.X = drawn.layers["spliced"].copy()
    drawn.raw = drawn.copy()
    drawn.var["symbol"] = [f"S{k}" for k in range(drawn.n_vars)]
    ax = vt.pl.embedding(drawn, color="S2", gene_symbols="symbol", layer="unspliced")
    np.testing.assert_array_equal(shown(ax), drawn.layers["unspliced"][:, [2]].toarray().ravel())
    few = drawn[:, 3:].copy()
    np.testing.assert_array_equal(shown(vt.pl.embedding(few, color="gene_0")), drawn.X[:, [0]].toarray().ravel())
    with pytest.raises(vt.InputError, match="layer 'no' not found"):
        vt.pl.embedding(drawn, color="gene_2", layer="no")


def test_limits_are_numbers_or_quantiles(drawn):
    drawn.obs["depth"] = drawn.obs["true_depth"]
    ax = vt.pl.embedding(drawn, color="depth", vmin=0.5, vmax="p90")
    assert ax.collections[0].get_clim() == pytest.approx((0.5, np.quantile(drawn.obs["depth"], 0.9)))


def test_palettes_sizes_titles_and_frames(drawn):
    colors = {"early": "#010203", "middle": "#040506", "late": "#070809"}
    ax = vt.pl.embedding(drawn, color="stage", palette=colors, size=7, title="A", frameon=False, figsize=(3, 2))
    assert ax.collections[0].get_sizes().tolist() == [7]
    assert ax.get_title() == "A"
    assert not ax.axison
    assert ax.figure.get_size_inches().tolist() == [3, 2]
    assert {to_hex(color) for color in ax.collections[0].get_facecolors()} == set(colors.values())
    assert list(drawn.uns["stage_colors"]) == list(colors.values())  # as scanpy keeps them
    with pytest.raises(vt.InputError, match="2 colours for 3 labels"):
        vt.pl.embedding(drawn, color="stage", palette=["red", "blue"])


@pytest.mark.parametrize("basis", ["umap", "X_umap", "spatial"])
def test_bases_with_and_without_their_prefix(drawn, basis):
    drawn.obsm["spatial"] = drawn.obsm["X_umap"][:, ::-1].copy()
    vt.tl.velocity_graph(drawn)
    ax = vt.pl.velocity_stream(drawn, basis=basis)
    expected = drawn.obsm["spatial" if basis == "spatial" else "X_umap"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), expected)
    assert f"velocity_{basis.removeprefix('X_')}" in drawn.obsm


@pytest.fixture
def settings(tmp_path):
    """scanpy's settings, put back afterwards: they are properties, which monkeypatch cannot."""
    names = ("autosave", "figdir", "file_format_figs")
    before = {name: getattr(sc.settings, name) for name in names}
    yield sc.settings
    for name, value in before.items():
        setattr(sc.settings, name, value)


def test_scanpy_saves_by_its_settings(drawn, tmp_path, settings, monkeypatch):
    settings.autosave, settings.figdir, settings.file_format_figs = True, tmp_path / "figures", "png"
    monkeypatch.setitem(plt.rcParams, "savefig.dpi", 31)
    vt.pl.embedding(drawn, color="stage", figsize=(4, 2))
    assert plt.imread(tmp_path / "figures" / "embedding.png").shape[:2] == (62, 124)


def test_lineages_and_clusters_share_no_color():
    from velotime.pl._canvas.colors import LINEAGE_PALETTE, default_palette

    assert not set(LINEAGE_PALETTE) & set(default_palette(9))


def test_what_is_neither_a_column_nor_a_gene_is_told_with_genes_like_it(drawn):
    with pytest.raises(vt.InputError, match=r"neither a column of adata\.obs nor a gene.*similar: \['gene_0'"):
        vt.pl.embedding(drawn, color="gene_x")
    with pytest.raises(vt.InputError, match=r"the first are \['gene_0'"):
        vt.pl.embedding(drawn, color="Ins2")
    del drawn.X
    with pytest.raises(vt.InputError, match=r"adata\.X is empty.*'spliced'"):
        vt.pl.embedding(drawn, color="gene_3")


def test_a_colour_bar_stands_at_its_panel_though_others_have_a_legend(drawn):
    axes = vt.pl.embedding(drawn, color=["latent_time", "stage"], ncols=1)
    axes[0].figure.canvas.draw()
    (bar,) = axes[0].child_axes
    panel = axes[0].get_position()
    assert 0 < bar.get_position().x0 - panel.x1 < 0.1 * panel.width
