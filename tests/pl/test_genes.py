"""What plots of genes and cells show."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch

import velotime as vt
from velotime.data import Fitted
from velotime.inference import columns_of
from velotime.kinetics import switch_means
from velotime.pl._canvas.axes import JITTER
from velotime.pl._curves import gene_curves, gene_times

GENE = "gene_1"


def dense(adata, layer, g):
    return adata.layers[layer].toarray()[:, g]


def thetas(adata, g):
    """Parameters of a gene, one array per lineage."""
    return columns_of(Fitted.of(adata).theta(np.array([g])))


def counts_of(adata, g):
    """Unspliced and spliced counts of a gene at size factor 1."""
    return [values[:, 0] for values in Fitted.of(adata).values([g])]


def legend_labels(ax):
    """Labels of every legend of the axes."""
    return {text.get_text() for legend in ax.findobj(plt.matplotlib.legend.Legend) for text in legend.get_texts()}


def test_phase_portrait_shows_every_cell_at_its_counts(drawn):
    ax = vt.pl.phase_portrait(drawn, GENE)
    g = drawn.var_names.get_loc(GENE)
    size = drawn.obs["true_depth"].to_numpy() / drawn.obs["true_depth"].mean()
    expected = np.c_[dense(drawn, "spliced", g) / size, dense(drawn, "unspliced", g) / size]
    found = ax.collections[0].get_offsets()
    assert found.shape == (drawn.n_obs, 2)
    assert np.abs(found - expected).max() <= JITTER
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("spliced", "unspliced")
    assert ax.get_title(loc="left") == GENE


def test_phase_portrait_draws_the_curve_and_its_switches(drawn):
    ax = vt.pl.phase_portrait(drawn, GENE)
    g = drawn.var_names.get_loc(GENE)
    theta = thetas(drawn, g)[0]
    u, s = switch_means(theta, np.linspace(0, 1, 401))
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.c_[s[0], u[0]])
    inside = [t for t in drawn.var[["true_t_on", "true_t_off"]].iloc[g] if 0 < t < 1]
    at_u, at_s = switch_means(theta, np.array(inside))
    np.testing.assert_allclose(ax.collections[1].get_offsets(), np.c_[at_s[0], at_u[0]])
    assert {"fit", "switch", "90 % band, misfit included"} <= legend_labels(ax)


def test_phase_portrait_colors_labels_by_the_palette(drawn):
    ax = vt.pl.phase_portrait(drawn, GENE, color="stage")
    found = ax.collections[0].get_facecolors()
    palette = dict(zip(drawn.obs["stage"].cat.categories, drawn.uns["stage_colors"], strict=True))
    expected = np.array([to_rgba(palette[label], 0.6) for label in drawn.obs["stage"]])
    np.testing.assert_allclose(found, expected)
    assert {"early", "middle", "late"} <= legend_labels(ax)


def test_phase_portrait_draws_one_curve_per_lineage(forked):
    ax = vt.pl.phase_portrait(forked, "gene_3")
    assert len(ax.lines) == 2
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    assert {"lineage 0", "lineage 1"} <= legend_labels(ax)
    forked.uns["fit_lineage_colors"] = ["#010203", "#040506"]
    ax = vt.pl.phase_portrait(forked, "gene_3", ax=plt.subplots()[1])
    assert [line.get_color() for line in ax.lines] == ["#010203", "#040506"]


def test_band_may_be_left_out(drawn):
    assert vt.pl.phase_portrait(drawn, GENE, band=False).findobj(PathPatch) == []
    assert len(vt.pl.phase_portrait(drawn, GENE).findobj(PathPatch)) == 1


def test_band_is_as_wide_across_as_the_posterior(drawn):
    """At the middle of a straight stretch: half-widths are 1.645 standard deviations across the curve."""
    ax = vt.pl.phase_portrait(drawn, GENE)
    curve = gene_curves(Fitted.of(drawn), drawn.var_names.get_loc(GENE))[0]
    corners = ax.findobj(PathPatch)[0].get_path().vertices.reshape(-1, 5, 2)
    k = 200
    # all four corners of piece k are within the largest error of the curve there, and not all on it
    away = np.linalg.norm(corners[k, :4, None] - curve.means[::-1, k : k + 2].T[None], axis=2).min(axis=1)
    largest = 1.645 * np.sqrt(np.linalg.eigvalsh(curve.covariance[k : k + 2]).max())
    smallest = 1.645 * np.sqrt(np.linalg.eigvalsh(curve.covariance[k : k + 2]).min())
    assert np.all(away <= 1.001 * largest)
    assert np.all(away >= 0.9 * smallest)


def test_gene_that_was_not_fitted_is_shown_without_a_curve(drawn):
    drawn.var.loc[GENE, "fit_gamma"] = np.nan
    assert len(vt.pl.phase_portrait(drawn, GENE).lines) == 0


def test_cells_beyond_the_axes_are_counted(drawn):
    g = drawn.var_names.get_loc(GENE)
    spliced = drawn.layers["spliced"].tolil()
    spliced[0, g] = 5000
    drawn.layers["spliced"] = spliced.tocsr()
    ax = vt.pl.phase_portrait(drawn, GENE)
    assert ax.get_xlim()[1] < 5000 * 0.1
    u, s = counts_of(drawn, g)
    beyond = int(((s > ax.get_xlim()[1]) | (u > ax.get_ylim()[1])).sum())
    assert f"{beyond} cell" in ax.texts[0].get_text()


def test_along_time_shows_both_layers_and_all_lineages(forked):
    axes = vt.pl.along_time(forked, "gene_3")
    g = forked.var_names.get_loc("gene_3")
    counts = counts_of(forked, g)
    for k, ax in enumerate(axes):
        assert ax.get_ylabel() == ("unspliced", "spliced")[k]
        points = ax.collections[0].get_offsets()
        np.testing.assert_allclose(points[:, 0], forked.obs["latent_time"])
        assert np.abs(points[:, 1] - counts[k]).max() <= JITTER
        curves = [line for line in ax.lines if len(line.get_xdata()) == 401]
        for line, theta in zip(curves, thetas(forked, g), strict=True):
            np.testing.assert_allclose(line.get_ydata(), switch_means(theta, line.get_xdata())[k][0])
    assert axes[1].get_xlabel() == "latent time (relative)"
    assert "mean count" in legend_labels(axes[0])


def test_along_time_means_are_counts_over_sizes(drawn):
    g = drawn.var_names.get_loc(GENE)
    axes = vt.pl.along_time(drawn, GENE)
    rings = next(line for line in axes[1].lines if line.get_marker() == "o")
    time, size = drawn.obs["latent_time"].to_numpy(), drawn.obs["true_depth"].to_numpy()
    piece = (time * 24).astype(int)
    enough = [k for k in range(24) if (piece == k).sum() >= 5]
    mean = [dense(drawn, "spliced", g)[piece == k].sum() / (size / size.mean())[piece == k].sum() for k in enough]
    np.testing.assert_allclose(rings.get_ydata(), mean, rtol=1e-6)


def test_along_time_takes_two_axes(drawn):
    given = plt.subplots(1, 2)[1]
    assert vt.pl.along_time(drawn, GENE, color="stage", ax=tuple(given)) == tuple(given)
    assert {"early", "middle", "late"} <= legend_labels(given[0])
    with pytest.raises(vt.InputError, match="a pair of matplotlib Axes"):
        vt.pl.along_time(drawn, GENE, ax=given[0])


def test_embedding_colors_by_time(drawn):
    ax = vt.pl.embedding(drawn)
    points = ax.collections[0]
    np.testing.assert_allclose(points.get_offsets(), drawn.obsm["X_umap"])
    np.testing.assert_allclose(points.get_array(), drawn.obs["latent_time"])
    assert points.get_clim() == (0, 1)
    assert points.get_cmap().name == "viridis"
    assert ax.child_axes[0].get_ylabel() == "latent time (relative)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("UMAP1", "UMAP2")


def test_embedding_names_groups_on_the_data(drawn):
    ax = vt.pl.embedding(drawn, color="stage", legend_loc="on data")
    assert {text.get_text() for text in ax.texts} == {"early", "middle", "late"}
    late = next(text for text in ax.texts if text.get_text() == "late")
    own = drawn.obsm["X_umap"][drawn.obs["stage"] == "late"]
    np.testing.assert_allclose(late.get_position(), np.median(own, axis=0))
    assert ax.get_legend() is None


def test_missing_labels_and_numbers_are_grey_and_not_in_the_legend(drawn):
    drawn.obs["some"] = drawn.obs["stage"].cat.add_categories("nowhere")
    drawn.obs.loc[drawn.obs_names[:5], "some"] = np.nan
    ax = vt.pl.embedding(drawn, color="some")
    np.testing.assert_allclose(ax.collections[0].get_facecolors()[:5], np.tile(to_rgba("lightgray"), (5, 1)))
    assert legend_labels(ax) == {"early", "middle", "late"}
    drawn.obs["number"] = np.where(np.arange(drawn.n_obs) < 5, np.nan, 1.0)
    ax = vt.pl.embedding(drawn, color="number")
    ax.figure.canvas.draw()
    np.testing.assert_allclose(ax.collections[0].get_facecolors()[0], to_rgba("lightgray"))


def test_palette_that_is_too_short_is_not_used(drawn):
    drawn.uns["stage_colors"] = ["#112233"]
    colors = {tuple(color) for color in vt.pl.embedding(drawn, color="stage").collections[0].get_facecolors()}
    assert len(colors) == 3


def test_cells_without_coordinates_are_counted(drawn):
    drawn.obsm["X_umap"][:2] = np.nan
    assert [text.get_text() for text in vt.pl.embedding(drawn).texts] == ["2 cells without coordinates left out"]


def test_time_against_draws_intervals(drawn):
    ax = vt.pl.time_against(drawn, "true_time")
    segments = np.array(ax.collections[0].get_segments())
    np.testing.assert_allclose(segments[:, 0, 1], drawn.obs["latent_time_q05"])
    np.testing.assert_allclose(segments[:, 1, 1], drawn.obs["latent_time_q95"])
    assert ax.get_xlabel() == "true time"


def test_a_gene_with_a_clock_of_its_own_moves_along_its_curve_at_its_velocity():
    adata = vt.simulation.simulate(150, 12, rng=np.random.default_rng(0), mean_unspliced=2.0, mean_spliced=6.0)
    vt.pp.moments(adata)
    vt.tl.recover_dynamics(adata, method=vt.TwoStageEM(clock=vt.GeneClock(max_iterations=4)), progress=False)
    fitted = Fitted.of(adata)
    for g in fitted.genes[:4]:
        (curve,) = gene_curves(fitted, g)
        time, label = gene_times(fitted, g)
        assert "own clock" in label
        moving = adata.layers["velocity"][:, g] != 0  # steady cells have no place of their own in time
        for layer, name in enumerate(("velocity_u", "velocity")):
            slope = np.gradient(curve.means[layer], curve.times)
            found = np.interp(time[moving], curve.times, slope)
            size = np.abs(adata.layers[name][:, g]).max()
            np.testing.assert_allclose(np.median(np.abs(found - adata.layers[name][moving, g])), 0, atol=0.02 * size)
    first, second = vt.pl.along_time(adata, adata.var_names[fitted.genes[:2]], show=False)
    assert len(first) == len(second) == 2


def test_a_list_of_genes_has_a_panel_each(drawn):
    axes = vt.pl.phase_portrait(drawn, ["gene_3", "gene_1", "gene_2"], ncols=2)
    assert [ax.get_title(loc="left") for ax in axes] == ["gene_3", "gene_1", "gene_2"]
    with pytest.raises(vt.InputError, match="2 axes for 3 panels"):
        vt.pl.phase_portrait(drawn, ["gene_3", "gene_1", "gene_2"], ax=axes[:2])
    with pytest.raises(vt.InputError, match="the list is empty"):
        vt.pl.along_time(drawn, [])
