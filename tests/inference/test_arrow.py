"""Evidence for the direction of time."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference import Arrow
from velotime.inference.em import Run, Trace
from velotime.inference.evidence.arrow import gene_evidence
from velotime.inference.evidence.rivals import Rival
from velotime.inference.labels import CellLabels
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import States


def rival(margin, halves=(1.0, 1.0), known=0.0, correlation=0.0):
    return Rival(root=0, how="tree, way", margin=margin, halves=halves, known=known, correlation=correlation)


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
        (500.0, 1000, {"rivals": (rival(0.15, correlation=-0.95),)}, "0.15 nats per cell behind .0.2 are asked"),
        (500.0, 1000, {"rivals": (rival(0.15, known=0.1, correlation=-0.95),)}, ""),
        (500.0, 1000, {"rivals": (rival(0.25, correlation=-0.95),)}, ""),
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
    assert evidence.sum() == pytest.approx(record["log_likelihood_margin"], rel=0.25)  # the rest: see the next test
    changing = fitted.var["true_class"] != "flat"
    assert evidence[changing].mean() > 3 * evidence[~changing].abs().mean()
    assert evidence[~changing].abs().max() < 2


def test_genes_and_how_sure_cells_are_of_their_times_make_up_the_margin():
    """Bound = sum over genes of E_q log p(x) + log prior of the curves - KL(q | prior), whatever the size factors."""
    adata = sim.simulate(200, 40, rng=np.random.default_rng(0), mean_spliced=4.0, depth=sim.LogNormalDepth(0.8))
    noise, states = vt.NegativeBinomial(), States.grid(8)
    rows = vt.SoftEM().prior_rows(CellLabels.plain(adata.n_obs))
    cells = Cells.of(read_observations(adata).observations, rows, noise)
    problem = SoftProblem(cells, states, noise, vt.LearnedPrior(), RatePrior(states.layout))

    def fit(time):
        near = np.exp(-0.5 * ((time[:, None] - states.times) / 0.1) ** 2)
        parameters = problem.first(problem.statistics_of(near / near.sum(axis=1, keepdims=True)))
        statistics, bound = problem.expect(parameters, 1.0)
        q = problem.posterior(problem.sweep_model(parameters)[0], slice(0, cells.n_cells))[0].astype(float)
        sure = (q * np.log(np.maximum(q, 1e-300) / parameters.prior[0])).sum()
        return Run(parameters, statistics, bound, vt.Status.MAX_ITER, Trace(np.zeros(0), np.zeros(0))), sure

    (ahead, one), (behind, other) = fit(adata.obs["true_time"].to_numpy()), fit(1 - adata.obs["true_time"].to_numpy())
    margin = (ahead.bound - behind.bound) * cells.n_cells
    assert abs(one - other) > 5
    assert gene_evidence(problem, ahead, behind).sum() == pytest.approx(margin + one - other, abs=0.01)


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
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_times=32, annealing=4, max_iterations=4), progress=False)
    assert adata.uns["time_arrow"]["verdict"] == "unclear"
    assert adata.uns["fit_verdict"]["verdict"] == "does not fit"


@pytest.mark.parametrize("kind", ["SoftEM", "shared clock"])
def test_gaussian_noise_on_counts_warns_and_is_never_clear(small, kind):
    """Its margins are large where those of a count noise are not."""
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_times": 16, "start_genes": 20}
    gaussian = vt.SoftEM(noise=vt.Gaussian(), n_lineages=1, **quick)
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
    vt.tl.recover_dynamics(small, method=vt.SoftEM(noise=vt.Gaussian(), n_lineages=1, **quick), progress=False)
    assert not small.uns["time_arrow"]["whole_numbers"]
    assert small.uns["time_arrow"]["verdict"] == "clear"
