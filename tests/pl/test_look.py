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


# Plots of genes: the plot, the axes that hold its cells, and those that are entitled, of what it gives for one gene.
OF_GENES = {
    "phase_portrait": (lambda found: [found], lambda found: [found]),
    "along_time": (list, lambda found: [found[0]]),
}


@pytest.mark.parametrize("name", OF_GENES)
def test_plots_of_genes_take_what_plots_of_cells_take(name, drawn):
    plot, (panels, entitled) = getattr(vt.pl, name), OF_GENES[name]
    drawn.var["symbol"] = [f"S{k}" for k in range(drawn.n_vars)]
    look = {"color": "S2", "gene_symbols": "symbol", "layer": "unspliced", "cmap": "magma", "vmin": 0.5, "vmax": "p99"}
    found = plot(drawn, "S3", **look, size=7, title="A", figsize=(3, 2), frameon=False)
    values = drawn.layers["unspliced"][:, [2]].toarray().ravel()
    for panel in panels(found):
        cells = panel.collections[0]
        np.testing.assert_array_equal(np.asarray(cells.get_array()), values)
        assert cells.get_clim() == pytest.approx((0.5, np.quantile(values, 0.99)))
        assert (cells.get_cmap().name, cells.get_sizes().tolist()) == ("magma", [7])
        assert not panel.axison
        assert panel.figure.figure.get_size_inches().tolist() == [3, 2]
    assert [panel.get_title(loc="left") for panel in entitled(found)] == ["A"]
    by_name = plot(drawn, drawn.var_names[3])
    for one, other in zip(panels(found), panels(by_name), strict=True):
        np.testing.assert_array_equal(one.collections[0].get_offsets(), other.collections[0].get_offsets())


@pytest.mark.parametrize("name", OF_GENES)
def test_plots_of_genes_have_palettes_and_a_title_each(name, drawn):
    plot, (panels, entitled) = getattr(vt.pl, name), OF_GENES[name]
    colors = ["#010203", "#040506", "#070809"]
    several = plot(drawn, ["gene_1", "gene_2"], color="stage", palette=colors, title=["A", "B"], legend_loc="on data")
    for found, title in zip(several, "AB", strict=True):
        assert [panel.get_title(loc="left") for panel in entitled(found)] == [title]
        assert {to_hex(color) for color in panels(found)[0].collections[0].get_facecolors()} == set(colors)
        assert {"early", "middle", "late"} <= {text.get_text() for text in panels(found)[0].texts}
    with pytest.raises(vt.InputError, match="title: 1 for 2 panels"):
        plot(drawn, ["gene_1", "gene_2"], title="A")
    with pytest.raises(vt.InputError, match=r"column 'no' not found in adata\.var"):
        plot(drawn, "gene_1", gene_symbols="no")


def test_times_are_coloured_by_anything(drawn):
    ax = vt.pl.time_against(drawn, "true_time", color="stage", palette=["#010203", "#040506", "#070809"], size=7)
    cells = ax.collections[-1]
    assert {to_hex(color) for color in cells.get_facecolors()} == {"#010203", "#040506", "#070809"}
    assert cells.get_sizes().tolist() == [7]
    assert ax.get_legend() is not None


ONE_PANEL = {
    "time_against": ("true_time",),
    "heatmap": (),
    "time_prior": (),
    "em_trace": (),
    "arrow_evidence": (),
    "proportions": (),
}


@pytest.mark.parametrize("name", ONE_PANEL)
def test_plots_of_one_panel_have_a_title_and_a_size(name, drawn):
    figure, given = plt.subplots()
    given.set_title("mine")
    plot = getattr(vt.pl, name)
    ax = plot(drawn, *ONE_PANEL[name], title="A", figsize=(3, 2))
    assert "A" in {ax.get_title(loc=loc) for loc in ("left", "center")}
    assert ax.figure.get_size_inches().tolist() == [3, 2]
    plot(drawn, *ONE_PANEL[name], ax=given)
    assert given.get_title() == "mine"
    assert figure.get_size_inches().tolist() != [3, 2]


def test_heatmaps_name_genes_by_symbols_and_colour_labels_as_told(drawn):
    drawn.var["symbol"] = [f"S{k}" for k in range(drawn.n_vars)]
    colors = {"early": "#010203", "middle": "#040506", "late": "#070809"}
    ax = vt.pl.heatmap(drawn, ["S3", "S2"], gene_symbols="symbol", color="stage", palette=colors)
    assert {label.get_text() for label in ax.get_yticklabels()} == {"S2", "S3"}
    assert {to_hex(patch.get_facecolor()) for patch in ax.get_legend().get_patches()} == set(colors.values())
    assert set(vt.pl.heatmap_genes(drawn, ["S3", "S2"], gene_symbols="symbol").index) == {"S2", "S3"}


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
