"""Evidence for the direction of time."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.inference import Arrow
from velotime.inference.evidence.rivals import Rival


def rival(margin, halves=(1.0, 1.0), known=0.0):
    return Rival(root=0, how="tree, way", margin=margin, halves=halves, known=known, correlation=-1.0)


def arrow(margin, n_cells=1000, **rest):
    return Arrow(margin, n_cells, np.ones(1), 1.0, **rest)


@pytest.mark.parametrize(
    ("margin", "n_cells", "rest", "reason"),
    [
        (500.0, 1000, {}, ""),
        (40.0, 1000, {}, "40 nats behind on all genes .50 are asked"),
        (40.0, 100, {}, ""),
        (9.0, 100, {}, "9 nats behind"),
        (500.0, 1000, {"rivals": (rival(0.5), rival(0.06, (0.03, 0.03)))}, ""),
        (500.0, 1000, {"rivals": (rival(0.5), rival(0.04))}, "0.04 nats per cell behind"),
        (
            500.0,
            1000,
            {"rivals": (rival(0.5, (0.6, -0.1)),)},
            "0.50 nats per cell behind on all genes, but -0.10 in one",
        ),
        (500.0, 1000, {"rivals": (rival(0.5, (0.6, -0.1), known=0.2),)}, ""),
        (500.0, 1000, {"rivals": (rival(3.0, None),)}, ""),
        (500.0, 1000, {"rivals": (rival(0.5, (np.nan, 0.1)),)}, ""),  # in one half it ended as the fit reported
        (500.0, 1000, {"rivals": (rival(0.5, (np.nan, np.nan)),)}, ""),
        (500.0, 1000, {"rivals": (rival(0.5, (np.nan, 0.01)),)}, "0.01 in one half"),
        (500.0, 1000, {"rivals": (rival(0.03, (np.nan, np.nan)),)}, "0.03 nats per cell behind"),
        (500.0, 1000, {"misfit": ("halves differ",)}, "halves differ"),
        (500.0, 1000, {"misfit": ("halves differ",), "knowledge_margin": 400.0}, ""),
        (500.0, 1000, {"misfit": ("bad",), "does_not_fit": True, "knowledge_margin": 400.0}, "bad"),
        (500.0, 1000, {"whole_numbers": True}, "Gaussian"),
        (500.0, 1000, {"knowledge_margin": 700.0, "rivals": (rival(-0.2, (-0.1, -0.1), 0.7),)}, "opposite"),
    ],
)
def test_what_counts_as_clear(margin, n_cells, rest, reason):
    found = arrow(margin, n_cells, **rest)
    assert found.verdict == ("unclear" if reason else "clear")
    assert re.search(reason, "; ".join(found.doubts))


def test_evidence_of_a_process(fitted):
    record = fitted.uns["time_arrow"]
    evidence = fitted.var["fit_arrow_evidence"]
    assert record["verdict"] == "clear"
    assert record["reason"] == ""
    assert record["share_of_genes"] == pytest.approx((evidence > 0).mean())
    assert evidence.sum() == pytest.approx(
        record["log_likelihood_margin"], rel=0.35
    )  # the rest: how sure of their times cells are
    changing = fitted.var["true_class"] != "flat"
    assert evidence[changing].median() > 3 * evidence[~changing].abs().median()


def test_rivals_are_a_table_that_survives_a_file(fitted, tmp_path):
    """The one that runs against the truth is among them, and all lose on all genes and in either half."""
    rivals = fitted.uns["time_arrow"]["rivals"]
    assert rivals["loses"].all()
    assert rivals["correlation"].min() < -0.9
    assert (np.diff(rivals["margin"] + rivals["known"]) >= 0).all()
    assert set(rivals["root_cell"]) <= set(fitted.obs_names)
    fitted.write_h5ad(tmp_path / "fitted.h5ad")
    again = ad.read_h5ad(tmp_path / "fitted.h5ad")
    pd.testing.assert_frame_equal(again.uns["time_arrow"]["rivals"], rivals, check_dtype=False)
    for name, value in fitted.uns["fit_verdict"].items():
        assert again.uns["fit_verdict"][name] == value or np.isnan(value)
    assert again.uns["lineages"]["votes"].tolist() == [1] * 5


def test_genes_that_do_not_change_give_no_direction():
    flat = sim.GeneMix(induction=0, repression=0, pulse=0, dip=0, flat=1)
    adata = sim.simulate(400, 60, rng=np.random.default_rng(0), genes=flat)
    with pytest.warns(vt.UnclearWarning, match="does not fit these cells"):
        vt.tl.recover_dynamics(adata, progress=False)
    assert adata.uns["time_arrow"]["verdict"] == "unclear"
    assert adata.uns["fit_verdict"]["verdict"] == "does not fit"


@pytest.mark.parametrize("kind", ["SoftEM", "shared clock"])
def test_gaussian_noise_on_counts_warns_and_is_never_clear(small, kind):
    """Its margins are large where those of a count noise are not."""
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_times": 16, "start_genes": 20}
    gaussian = vt.SoftEM(noise=vt.Gaussian(), **quick)
    shared = vt.TwoStageEM(vt.SharedClock(explicit_iterations=1, max_iterations=1, n_times=16))
    method, layers = {
        "SoftEM": (gaussian, {}),
        "shared clock": (shared, {"unspliced": "unspliced", "spliced": "spliced"}),
    }[kind]
    with pytest.warns(vt.UnclearWarning, match="whole numbers.*Gaussian.*SoftEM") as caught:
        vt.tl.recover_dynamics(small, method=method, progress=False, **layers)
    assert len(caught) == 1
    record = small.uns["time_arrow"]
    assert record["log_likelihood_margin"] > record["least_margin"]
    assert record["whole_numbers"]
    assert record["verdict"] == "unclear"


def test_gaussian_noise_on_normalised_values_may_be_clear(small):
    for name in ("unspliced", "spliced"):
        small.layers[name] = np.log1p(small.layers[name])
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_times": 16, "start_genes": 60}
    vt.tl.recover_dynamics(small, method=vt.SoftEM(noise=vt.Gaussian(), **quick), progress=False)
    assert not small.uns["time_arrow"]["whole_numbers"]
    assert small.uns["time_arrow"]["verdict"] == "clear"
