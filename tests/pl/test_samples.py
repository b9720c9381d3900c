"""Plots of several samples and of conditions show what the tables say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import PathPatch

import velotime as vt
from velotime.data import Fitted
from velotime.pl._by_sample.samples import GRID, sample_densities

pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")


def test_samples_show_where_cells_are_and_captures(sampled):
    densities, captures = vt.pl.samples(sampled, figsize=(8, 2), show=False)
    assert densities.figure.get_size_inches().tolist() == [8, 2]
    assert [line.get_label() for line in densities.get_lines()] == ["A1", "A2", "B1", "B2"]
    means = [np.average(GRID, weights=line.get_ydata()) for line in densities.get_lines()]
    time = sampled.obs.groupby("sample", observed=True)["latent_time"].mean()
    assert np.allclose(means, time, atol=0.03)
    assert min(means[2:]) > max(means[:2])
    assert np.allclose(sample_densities(Fitted.of(sampled)).sum(axis=1) * GRID[1], 1)
    boxes = [patch for patch in captures.patches if isinstance(patch, PathPatch)]
    assert len(boxes) == 8
    low, high = np.quantile(np.log2(sampled.varm["fit_capture_u"][:, 0]), [0.25, 0.75])
    assert boxes[0].get_path().get_extents().intervalx == pytest.approx([low, high])


def test_samples_are_coloured_by_condition(sampled):
    densities = vt.pl.samples(sampled, condition="condition", show=False)[0]
    colors = [line.get_color() for line in densities.get_lines()]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert [text.get_text() for text in densities.get_legend().get_texts()] == ["A", "B"]


def test_conditions_show_densities_changes_and_genes(compared):
    table = compared.uns["condition_comparison"]["genes"]
    own = table[table["parameter"] == "gamma"]
    compared.var["symbol"] = compared.var_names.str.upper()
    axes = vt.pl.conditions(compared, gene=["GENE_3", "GENE_5"], gene_symbols="symbol", figsize=(12, 6), show=False)
    assert axes[0].figure.get_size_inches().tolist() == [12, 6]
    assert [ax.get_title(loc="left") for ax in axes[3::2]] == ["GENE_3", "GENE_5"]
    assert len(axes) == 7
    thick = [line for line in axes[0].get_lines() if line.get_linewidth() == 2]
    assert [line.get_label() for line in thick] == ["A (2 samples)", "B (2 samples)"]
    assert len(axes[0].get_lines()) == 6
    points = np.concatenate([dots.get_offsets() for dots in axes[2].collections])
    assert np.allclose(np.sort(points[:, 0]), np.sort(own["log2_fold"]))
    assert np.allclose(np.sort(points[:, 1]), np.sort(-np.log10(own["p_value"])), equal_nan=True)
    assert axes[2].get_title(loc="left").startswith(f"{int((own['q_value'] < 0.05).sum())} of {len(own)} genes")
    for k, ax in enumerate(axes[3:]):
        assert ax.get_ylabel() == ("unspliced", "spliced")[k % 2]
        curves = [line for line in ax.get_lines() if len(line.get_xdata()) == len(GRID)]
        mean, thin = curves[2], curves[:2]  # of the first condition
        assert mean.get_label() == "A"
        assert np.allclose(mean.get_ydata() ** 2, np.prod([line.get_ydata() for line in thin], axis=0), rtol=1e-5)
        assert len(ax.collections) == 2  # a band each


def test_speeds_are_drawn_with_their_intervals(compared):
    record = compared.uns["condition_comparison"]
    ax = vt.pl.conditions(compared, show=False)[1]
    of_a, of_b, interval, point = (2 ** np.asarray(line.get_xdata()) for line in ax.get_lines()[:4])
    times_slower = record["samples"]["times_slower"]
    assert np.allclose(of_b[0] / of_a[0], times_slower["B1"] / times_slower["A1"])
    assert np.allclose(of_a.prod(), 1)  # against the reference
    assert np.allclose(interval, record["speed"].loc[0, ["low", "high"]].astype(float))
    assert np.allclose(point, record["speed"]["times_slower"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]


def test_without_replicates_there_are_estimates_only(sampled):
    adata = sampled.copy()
    adata.obs["each"] = adata.obs["sample"].astype(str)
    vt.tl.compare_conditions(adata, "each")
    axes = vt.pl.conditions(adata, gene="gene_3", condition="B1", show=False)
    assert axes[2].get_title(loc="left") == "no second sample: no p-values"
    assert not axes[3].collections
    plt.gcf().canvas.draw()


def test_what_is_missing_is_asked_for(sampled, compared):
    with pytest.raises(vt.InputError, match=r"call velotime\.tl\.compare_conditions"):
        vt.pl.conditions(sampled)
    with pytest.raises(vt.InputError, match="nothing to draw of parameter 'gamma' in condition 'C'"):
        vt.pl.conditions(compared, condition="C")
    with pytest.raises(vt.InputError, match="gene 'no' not found"):
        vt.pl.conditions(compared, gene="no")
