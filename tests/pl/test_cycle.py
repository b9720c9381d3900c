"""Plots of a clock that goes round: nothing ends at phase 1."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import velotime as vt
from velotime import InputError
from velotime.data import Fitted
from velotime.pl._curves import gene_curves
from velotime.pl._cycle import BINS, HIGHEST, HOLE, spread
from velotime.pl._phase_colors import PHASE_MAP, phase_colors


@pytest.fixture
def cycling(cycle_fit):
    return cycle_fit.copy()


def test_a_wheel_holds_all_cells_and_genes_by_their_peaks(cycling):
    ax = vt.pl.cycle(cycling, color="stage", n_genes=12)
    bars = ax.patches[:BINS]
    area = np.array([((bar.get_height() + HOLE) ** 2 - HOLE**2) for bar in bars])
    counts = np.histogram(cycling.obs["cycle_phase"], bins=BINS, range=(0, 1))[0]
    np.testing.assert_allclose(area / area.sum(), counts / counts.sum(), atol=1e-9)
    assert area.max() == pytest.approx(HIGHEST**2 - HOLE**2)
    names = [text.get_text() for text in ax.texts if text.get_text().startswith("gene")]
    assert names == list(vt.pl.heatmap_genes(cycling, n_genes=12).index)
    ring = ax.patches[BINS:]
    colors = {tuple(np.round(bar.get_facecolor()[:3], 6)) for bar in ring}
    legend = {tuple(np.round(to_rgb(patch.get_facecolor()[:3]), 6)) for patch in ax.get_legend().get_patches()}
    assert colors == legend
    assert len(legend) == 3


def test_a_wheel_tells_hours_where_they_are_known(cycling):
    def told(adata):
        return [text.get_text() for text in vt.pl.cycle(adata).texts if not text.get_text().startswith("gene")]

    assert told(cycling)[:4] == ["0", "0.25", "0.5", "0.75"]
    vt.tl.to_real_time(cycling, half_lives=24.6 * np.log(2) / cycling.var["fit_gamma"].dropna())
    assert told(cycling)[:5] == ["0 h", "5 h", "10 h", "15 h", "20 h"]


def test_a_wheel_is_labelled_coloured_and_sized_as_told(cycling):
    cycling.var["symbol"] = [f"S{k}" for k in range(cycling.n_vars)]
    colors = {"red": (1, 0, 0), "lime": (0, 1, 0), "blue": (0, 0, 1)}
    ax = vt.pl.cycle(
        cycling, ["S3", "S2"], gene_symbols="symbol", color="stage", palette=list(colors), title="A", figsize=(5, 4)
    )
    assert {text.get_text() for text in ax.texts if text.get_text().startswith("S")} == {"S2", "S3"}
    assert {patch.get_facecolor()[:3] for patch in ax.get_legend().get_patches()} == set(colors.values())
    assert (ax.get_title(), ax.figure.get_size_inches().tolist()) == ("A", [5, 4])


def test_a_wheel_needs_a_circle_and_polar_axes(cycling):
    with pytest.raises(InputError, match="polar axes"):
        vt.pl.cycle(cycling, ax=plt.subplots()[1])
    del cycling.uns["cycle"]
    with pytest.raises(InputError, match="a plot of the cycle needs a clock that goes round"):
        vt.pl.cycle(cycling)


def test_smooth_transcription_has_no_switches(cycling):
    fitted, shape = Fitted.of(cycling), cycling.var["fit_shape"].astype(str).to_numpy()
    assert {"smooth", "switch"} <= set(shape)
    curves = {g: gene_curves(fitted, int(g))[0] for g in fitted.genes}
    for g, curve in curves.items():
        assert len(curve.switches) == (0 if shape[g] == "smooth" else 2)
        assert np.isfinite(curve.means).all()
        assert np.isfinite(curve.covariance).all()


def test_names_are_apart_and_in_order():
    at = np.array([0.0, 0.0, 0.01, 0.5, 0.995, 0.999])
    place = spread(at, 0.02)
    gaps = np.append(place[1:], place[0] + 1) - place
    assert gaps.min() > 0.02 - 2e-4
    assert np.abs(place - at).max() < 0.06
    assert np.diff(spread(np.linspace(0, 0.1, 10), 0.05)).min() > 0.05 - 2e-4


def test_colours_close_and_opposite_phases_differ():
    colors = phase_colors()
    steps = np.linalg.norm(colors - np.roll(colors, 1, axis=0), axis=1)
    assert steps[0] < 1.5 * np.median(steps)
    assert steps.max() < 4 * np.median(steps)
    light = colors @ [0.2126, 0.7152, 0.0722]
    assert light[180] - light[0] > 0.3
    assert light.max() < 0.85


def test_cells_are_coloured_by_a_map_that_closes(cycling):
    cycling.obsm["X_umap"] = np.random.default_rng(0).normal(size=(200, 2))
    for column in ("latent_time", "cycle_phase"):
        dots = vt.pl.embedding(cycling, color=column).collections[0]
        assert dots.cmap.name == PHASE_MAP.name
        assert dots.get_clim() == (0, 1)
        np.testing.assert_array_equal(dots.get_array(), cycling.obs["cycle_phase"])
    assert vt.pl.embedding(cycling, color="cycle_phase", cmap="hsv").collections[0].cmap.name == "hsv"
    spread_of = vt.pl.embedding(cycling, color="latent_time_sd")
    assert spread_of.collections[0].cmap.name == "viridis"
    np.testing.assert_array_equal(spread_of.collections[0].get_array(), cycling.obs["cycle_phase_sd"])
    assert vt.pl.phase_portrait(cycling, "gene_1").collections[0].cmap.name == PHASE_MAP.name


def test_a_heatmap_runs_on_past_its_end(cycling):
    """Turning all phases turns the picture, and nothing else: the seam is nowhere."""
    before = np.asarray(vt.pl.heatmap(cycling, ["gene_1"]).images[0].get_array())[0]
    cycling.obs["cycle_phase"] = (cycling.obs["cycle_phase"] + 0.25) % 1
    after = np.asarray(vt.pl.heatmap(cycling, ["gene_1"]).images[0].get_array())[0]
    np.testing.assert_allclose(np.roll(before, 50), after, atol=1e-6)


def test_intervals_that_pass_zero_are_drawn_in_two_parts(cycling):
    cycling.obs["x"] = np.arange(200.0)
    ax = vt.pl.time_against(cycling, "x")
    whole, late, early = (np.array(lines.get_segments()) for lines in ax.collections[:3])
    past = (cycling.obs["cycle_phase_q95"] < cycling.obs["cycle_phase_q05"]).sum()
    assert (len(whole), len(late), len(early)) == (200 - past, past, past)
    assert past > 0
    assert (late[:, 1, 1] == 1).all()
    assert (early[:, 0, 1] == 0).all()
    assert ax.get_ylabel() == "phase (turns of the cycle)"


def test_the_prior_closes_and_integrates_to_one(cycling):
    line = vt.pl.time_prior(cycling).lines[0]
    x, y = line.get_data()
    assert (x[0], x[-1]) == (0, 1)
    assert y[0] == y[-1]
    assert np.trapezoid(y, x) == pytest.approx(1)


def test_curves_close(cycling):
    unspliced, spliced = vt.pl.along_time(cycling, "gene_1")
    for ax in (unspliced, spliced):
        x, y = ax.lines[0].get_data()
        assert (x[0], x[-1]) == (0, 1)
        assert y[0] == pytest.approx(y[-1])
    assert spliced.get_xlabel() == "phase (turns of the cycle)"
