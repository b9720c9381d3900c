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
    with pytest.warns(vt.UnclearWarning, match="Root cells settle it"):
        vt.tl.recover_dynamics(adata, progress=False)
    assert adata.uns["time_arrow"]["verdict"] == "unclear"
