"""Heatmap, time prior, EM trace, arrow evidence, proportions."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba
from scipy import sparse

import velotime as vt


def test_heatmap_orders_genes_by_their_peak(drawn):
    ax = vt.pl.heatmap(drawn)
    image = np.asarray(ax.images[0].get_array())
    assert image.shape == (drawn.n_vars, 200)
    assert np.all(np.diff(image.argmax(axis=1)) >= 0)
    np.testing.assert_allclose([np.nanmin(image, axis=1), np.nanmax(image, axis=1)], [[0] * 12, [1] * 12], atol=1e-12)
    assert {label.get_text() for label in ax.get_yticklabels()} == set(drawn.var_names)
    assert ax.get_xlabel() == "latent time (relative)"


def test_heatmap_is_the_kernel_mean_of_counts(drawn):
    image = np.asarray(vt.pl.heatmap(drawn, ["gene_4"]).images[0].get_array())[0]
    counts = drawn.layers["spliced"].toarray()[:, drawn.var_names.get_loc("gene_4")]
    time, depth = drawn.obs["latent_time"].to_numpy(), drawn.obs["true_depth"].to_numpy()
    at = (np.arange(200) + 0.5) / 200
    weight = np.exp(-0.5 * ((at[:, None] - time) / 0.02) ** 2)
    mean = weight @ counts / (weight @ (depth / depth.mean()))
    mean[weight.sum(axis=1) < 0.9] = np.nan
    expected = (mean - np.nanmin(mean)) / (np.nanmax(mean) - np.nanmin(mean))
    np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-7)


def test_heatmap_genes_are_those_of_the_plot_in_its_order(forked):
    ax = vt.pl.heatmap(forked, color="stage")
    table = vt.pl.heatmap_genes(forked, n_groups=3)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    peaks = np.nanargmax(np.asarray(ax.images[0].get_array()), axis=1)
    np.testing.assert_allclose(table["peak"], (peaks + 0.5) / 200)
    assert table["group"].value_counts().to_dict() == {0: 4, 1: 4, 2: 4}
    assert table["group"].is_monotonic_increasing


def test_heatmap_of_a_lineage_shows_its_cells_only(forked):
    own = (forked.obs["fit_lineage"] == "1").to_numpy()
    image = np.asarray(vt.pl.heatmap(forked, ["gene_4"], lineage="1").images[0].get_array())[0]
    alone = forked[own].copy()
    expected = np.asarray(vt.pl.heatmap(alone, ["gene_4"]).images[0].get_array())[0]
    np.testing.assert_allclose(image, expected)
    with pytest.raises(vt.InputError, match=r"lineage '7' not found; available: \['0', '1'\]"):
        vt.pl.heatmap(forked, lineage="7")


def test_heatmap_chooses_genes_that_tell_most(drawn):
    ax = vt.pl.heatmap(drawn, n_genes=3)
    assert {label.get_text() for label in ax.get_yticklabels()} == {"gene_0", "gene_1", "gene_2"}
    drawn.var.loc["gene_0", "velocity_genes"] = False
    ax = vt.pl.heatmap(drawn, n_genes=3)
    assert {label.get_text() for label in ax.get_yticklabels()} == {"gene_1", "gene_2", "gene_3"}


def test_heatmap_leaves_times_without_cells_grey(drawn):
    some = drawn[drawn.obs["latent_time"] < 0.5].copy()
    image = np.asarray(np.ma.filled(vt.pl.heatmap(some).images[0].get_array(), np.nan))
    assert np.isnan(image[:, 130:]).all()
    assert np.isfinite(image[:, 5:80]).all()


def test_heatmap_shows_the_most_common_label_above(drawn):
    ax = vt.pl.heatmap(drawn, color="stage")
    strip = next(child for child in ax.child_axes if child.images and child.images[0].get_array().ndim == 3)
    pixels = strip.images[0].get_array()[0]
    np.testing.assert_allclose(pixels[[10, 100, 190]], [to_rgb(color) for color in drawn.uns["stage_colors"]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["early", "middle", "late"]


def test_heatmap_errors(drawn):
    with pytest.raises(vt.InputError, match=r"layer 'Ms' not found.*'spliced'"):
        vt.pl.heatmap(drawn, layer="Ms")
    with pytest.raises(vt.InputError, match=r"gene 'Sox9' not found"):
        vt.pl.heatmap(drawn, ["Sox9"])
    with pytest.raises(vt.InputError, match=r"'latent_time' of adata.obs is numeric.*'stage'"):
        vt.pl.heatmap(drawn, color="latent_time")
    with pytest.raises(vt.InputError, match="no genes"):
        vt.pl.heatmap(drawn, [])


def test_prior_of_one_lineage_has_area_one(drawn):
    ax = vt.pl.time_prior(drawn)
    _, density = ax.lines[0].get_data()
    assert density.mean() == pytest.approx(1)  # each time stands for as much of the clock
    assert ax.get_xlabel() == "latent time (relative)"


def test_a_uniform_prior_is_flat_up_to_both_ends(drawn):
    n_times = len(drawn.uns["time_prior"]["times"])
    drawn.uns["time_prior"]["weights"] = np.full((1, n_times), 1 / n_times)
    np.testing.assert_allclose(vt.pl.time_prior(drawn).lines[0].get_ydata(), 1.0)


def test_prior_stacks_lineages(forked):
    forked.uns["time_prior"]["weights"][0, :16] *= 3  # lineage-major: all of lineage 0
    forked.uns["time_prior"]["weights"] /= forked.uns["time_prior"]["weights"].sum()
    ax = vt.pl.time_prior(forked)
    first, second = (layer.get_paths()[0].vertices for layer in ax.collections)
    assert first[:, 1].max() == pytest.approx(0.75 * second[:, 1].max(), rel=1e-6)
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert {"lineage 0", "lineage 1"} <= labels


def test_prior_of_groups_is_a_line_each(forked):
    """Rows are in the order of the sorted labels, not of the categories."""
    weights = forked.uns["time_prior"]["weights"]
    forked.uns["time_prior"]["weights"] = np.vstack([weights, weights[:, ::-1] ** 2, weights**3])
    forked.uns["time_prior"]["groups"] = np.array(["early", "late", "middle"], dtype=object)
    forked.uns["recover_dynamics"]["settings"]["prior"]["by"] = "stage"
    lines = vt.pl.time_prior(forked).lines
    assert [line.get_label() for line in lines] == ["early", "late", "middle"]
    assert [line.get_color() for line in lines] == ["#112233", "#22bb88", "#aa3311"]
    for line in lines:
        assert line.get_ydata().mean() == pytest.approx(1)


def test_prior_of_groups_that_are_gone(forked):
    weights = forked.uns["time_prior"]["weights"]
    forked.uns["time_prior"]["weights"] = np.vstack([weights, weights])
    assert [line.get_label() for line in vt.pl.time_prior(forked).lines] == ["group 0", "group 1"]


def test_trace_shows_bound_and_temperature(drawn):
    ax = vt.pl.em_trace(drawn)
    record = drawn.uns["recover_dynamics"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), record["bound"] - record["bound"][-1])
    right = next(other for other in ax.figure.axes if other is not ax)
    np.testing.assert_allclose(right.lines[0].get_ydata(), record["temperature"])
    assert ax.lines[1].get_xdata()[0] == 9  # where it is cold
    assert right.get_ylabel() == "temperature"
    ax.figure.canvas.draw()
    ticks = [text.get_text() for text in right.get_yticklabels(which="both") if text.get_text()]
    assert ticks  # numbers, not powers of ten
    assert all(float(tick) > 0 for tick in ticks)
    record["temperature"][-3:] = [2.0, 1.0, 1.0]  # warmed up again, for another number of lineages
    assert vt.pl.em_trace(drawn).lines[1].get_xdata()[0] == len(record["bound"]) - 1
    del record["bound"]
    with pytest.raises(vt.InputError, match="no trace"):
        vt.pl.em_trace(drawn)


def test_arrow_evidence_counts_every_gene(drawn):
    drawn.var.loc["gene_7", "fit_arrow_evidence"] = np.nan
    ax = vt.pl.arrow_evidence(drawn)
    heights = {tuple(bar.get_facecolor()): 0.0 for bar in ax.patches}
    for bar in ax.patches:
        heights[tuple(bar.get_facecolor())] += bar.get_height()
        assert bar.get_height() == 0 or (bar.get_x() >= 0) == (tuple(bar.get_facecolor()) == to_rgba("tab:blue", 0.8))
    evidence = drawn.var["fit_arrow_evidence"].dropna()
    assert heights == {to_rgba("tab:blue", 0.8): (evidence > 0).sum(), to_rgba("tab:red", 0.8): (evidence <= 0).sum()}
    assert "330 nats" in ax.get_title(loc="left")
    assert "known" not in ax.get_title(loc="left")
    drawn.uns["time_arrow"]["knowledge_margin"] = 120.0
    assert "330 nats for this direction, 120 of them from what is known" in vt.pl.arrow_evidence(drawn).get_title(
        "left"
    )


def test_arrow_evidence_that_is_missing(drawn):
    del drawn.var["fit_arrow_evidence"]
    with pytest.raises(vt.InputError, match=r"fit_arrow_evidence.*Call velotime.tl.recover_dynamics"):
        vt.pl.arrow_evidence(drawn)


def test_proportions_pool_the_cells_of_a_group(drawn):
    del drawn.obs["initial_size_unspliced"]
    drawn.layers["ambiguous"] = sparse.csr_matrix(np.ones(drawn.shape))
    ax = vt.pl.proportions(drawn, "stage")
    own = drawn.obs["stage"] == "middle"
    sums = np.array([drawn.layers[name][own.to_numpy()].sum() for name in ("spliced", "unspliced", "ambiguous")])
    widths = [container[1].get_width() for container in ax.containers]
    np.testing.assert_allclose(widths, sums / sums.sum(), rtol=1e-6)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["early", "middle", "late"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["spliced", "unspliced", "ambiguous"]


def test_proportions_use_totals_from_before_filtering(drawn):
    drawn.obs["initial_size_unspliced"], drawn.obs["initial_size_spliced"] = 30.0, 70.0
    widths = [container[0].get_width() for container in vt.pl.proportions(drawn).containers]
    np.testing.assert_allclose(widths, [0.7, 0.3])


def test_proportions_need_no_fit_but_layers(drawn):
    del drawn.uns["recover_dynamics"]
    vt.pl.proportions(drawn)
    with pytest.raises(vt.InputError, match=r"column 'cluster' not found.*'stage'"):
        vt.pl.proportions(drawn, "cluster")
    del drawn.layers["unspliced"]
    with pytest.raises(vt.InputError, match=r"no unspliced layer.*'spliced'"):
        vt.pl.proportions(drawn)


def test_arrow_evidence_ticks_do_not_crowd(drawn):
    drawn.uns["time_arrow"]["reason"] = "a rival is close"
    ax = vt.pl.arrow_evidence(drawn)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["-10", "-1", "0", "1", "10"]
    assert "a rival is close" in ax.get_title(loc="left")
    drawn.var["fit_arrow_evidence"] *= 40
    ax = vt.pl.arrow_evidence(drawn)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["-100", "-1", "0", "1", "100"]
