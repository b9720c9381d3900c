"""Evidence for the direction of time."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.inference import Arrow


def arrow(evidence, margin, n_cells=1000, probability=1.0):
    return Arrow(margin, n_cells, np.asarray(evidence), float((np.asarray(evidence) > 0).mean()), probability)


@pytest.mark.parametrize(
    ("margin", "n_cells", "probability", "verdict"),
    [
        (500.0, 1000, 0.99, "clear"),
        (500.0, 1000, 0.90, "unclear"),
        (40.0, 1000, 1.0, "unclear"),
        (40.0, 100, 1.0, "clear"),
        (9.0, 100, 1.0, "unclear"),
    ],
)
def test_what_counts_as_clear(margin, n_cells, probability, verdict):
    assert arrow([1.0], margin, n_cells, probability).verdict == verdict


def test_evidence_of_a_process(fitted):
    record = fitted.uns["time_arrow"]
    evidence = fitted.var["fit_arrow_evidence"]
    assert record["verdict"] == "clear"
    assert record["probability"] > 0.99
    assert record["share_of_genes"] == pytest.approx((evidence > 0).mean())
    assert evidence.sum() == pytest.approx(record["log_likelihood_margin"], rel=0.25)
    changing = fitted.var["true_class"] != "flat"
    assert evidence[changing].median() > 3 * evidence[~changing].abs().median()


def test_genes_that_do_not_change_give_no_direction():
    flat = sim.GeneMix(induction=0, repression=0, pulse=0, dip=0, flat=1)
    adata = sim.simulate(400, 60, rng=np.random.default_rng(0), genes=flat)
    with pytest.warns(vt.UnclearWarning, match="root cells"):
        vt.tl.recover_dynamics(adata, progress=False)
    assert adata.uns["time_arrow"]["verdict"] == "unclear"


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
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_times": 16, "start_genes": 20}
    vt.tl.recover_dynamics(small, method=vt.SoftEM(noise=vt.Gaussian(), **quick), progress=False)
    assert not small.uns["time_arrow"]["whole_numbers"]
    assert small.uns["time_arrow"]["verdict"] == "clear"
