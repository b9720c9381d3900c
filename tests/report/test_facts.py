"""What the report says in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime._numbers import number, percent
from velotime.data import write_derived
from velotime.report._facts import collect
from velotime.report._words import flatten


def with_verdicts(adata, trajectory, arrow):
    if trajectory is not None:
        table = pd.DataFrame({"model": ["constant", "trajectory"], "behind": [-3.2, 0.0]})
        record = {"verdict": trajectory, "reason": "Because.", "table": table}
        write_derived(adata, "model_comparison", {"uns": {"model_comparison": record}})
    adata.uns.pop("time_arrow")
    if arrow is not None:
        adata.uns["time_arrow"] = {
            "verdict": arrow,
            "log_likelihood_margin": 330.4,
            "n_cells": 150,
            "share_of_genes": 0.75,
        }
    return adata


@pytest.mark.parametrize(
    ("trajectory", "arrow", "headline"),
    [
        ("trajectory", "clear", "A trajectory, and the direction of time is clear."),
        ("trajectory", "unclear", "A trajectory, but the direction of time is not clear."),
        ("trajectory", None, "A trajectory, but the direction of time was not tested."),
        ("clusters", "clear", "These cells form clusters rather than a trajectory."),
        ("nothing", "unclear", "No trajectory: no model tells these cells apart."),
        (None, "clear", "The direction of time is clear."),
        (None, "unclear", "The direction of time is not clear."),
        (None, None, "The direction of time was not tested."),
    ],
)
def test_headline(drawn, trajectory, arrow, headline):
    assert collect(with_verdicts(drawn, trajectory, arrow)).headline == headline


def test_findings_of_a_good_fit(drawn):
    facts = collect(with_verdicts(drawn, "trajectory", "clear"))
    by_topic = {finding.topic: finding for finding in facts.findings}
    assert by_topic["Fit"].answer == "Converged"
    assert by_topic["Trajectory"].text == "Because."
    assert "330 nats" in by_topic["Direction of time"].text
    assert "75\u00a0% of the genes" in by_topic["Direction of time"].text
    assert by_topic["Time and rates"].answer == "Relative"
    assert not [finding for finding in facts.findings if finding.mark == "mind"]
    assert facts.warnings == ()


def test_every_doubt_is_a_warning(forked):
    adata = with_verdicts(forked, "clusters", "unclear")
    adata.uns["recover_dynamics"] |= {"status": "max_iter", "status_text": "It stopped. Raise max_iterations."}
    adata.obs["latent_time_sd"] = 0.3
    adata.uns["lineages"]["shares"] = np.array([0.996, 0.004])
    facts = collect(adata)
    text = "\n".join(facts.warnings)
    for part in (
        "Held-out counts",
        "Raise max_iterations",
        "the other way",
        "vague",
        "ineage '1' holds under 1\u00a0%",
    ):
        assert part in text
    assert len(facts.warnings) == 5
    assert [finding.topic for finding in facts.findings if finding.mark == "mind"] == [
        "Fit",
        "Direction of time",
        "Trajectory",
        "Time of a cell",
    ]


def test_what_was_done(fitted):
    adata = fitted.copy()
    adata.uns["filter_genes"] = {"left_out": {"spliced in fewer than 9 cells": 1234}}
    facts = collect(adata)
    rows = dict(facts.done)
    assert rows["Cells"] == "600"
    assert rows["Genes left out"] == "1,234 spliced in fewer than 9 cells"
    assert rows["Method"] == "SoftEM, NegativeBinomial, LearnedPrior, LearnedBackground, Line"
    assert rows["Noise"].startswith("negative binomial")
    starts = adata.uns["recover_dynamics"]["starts"]
    assert starts.loc[starts["chosen"], "root_cell"].iloc[0] in rows["Root cell"]
    assert rows["Starts tried"].startswith(f"{(starts['start'] != 'reversed').sum()} starts")
    assert rows["Number of lineages"] == "1 lineage came out in 5 of 5 draws of the cells"
    assert rows["Seed"] == "0"
    assert dict(facts.settings)["max_iterations"] == "40"
    assert [len(table.rows) for table in facts.tables] == [len(starts), len(adata.uns["time_arrow"]["rivals"])]
    assert facts.headline == "The model fits, and the direction of time is clear."


def test_a_file_that_was_read_again_says_the_same(drawn, tmp_path):
    """Files keep no order of settings and reasons."""
    drawn.uns["filter_genes"] = {"left_out": {"zebra": 1, "ant": 7}}
    vt.write.h5ad(drawn, tmp_path / "fitted.h5ad")
    assert collect(vt.read.h5ad(tmp_path / "fitted.h5ad")).done == collect(drawn).done


def test_what_is_not_recorded_is_left_out(drawn):
    del drawn.uns["recover_dynamics"]["settings"], drawn.uns["lineages"], drawn.obs["latent_time_sd"]
    facts = collect(drawn)
    assert facts.settings == ()
    assert "Lineages" not in dict(facts.done)
    assert "Time of a cell" not in {finding.topic for finding in facts.findings}


def test_a_fit_without_a_clock(drawn):
    del drawn.obs["latent_time"], drawn.obs["latent_time_sd"]
    facts = collect(drawn)
    assert "gives no order of the cells" in facts.headline
    assert [finding.topic for finding in facts.findings] == ["Fit"]


def test_settings_are_flattened():
    settings = {"noise": {"name": "Poisson"}, "prior": {"name": "LearnedPrior", "by": "stage"}, "n": 3}
    assert flatten({"name": "SoftEM", **settings}) == [
        ("noise", "Poisson"),
        ("prior", "LearnedPrior"),
        ("prior.by", "stage"),
        ("n", "3"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(3696, "3,696"), (0.12345, "0.123"), (-5778718.2, "−5,778,718"), (float("nan"), "none"), ("a", "a"), (None, "")],
)
def test_numbers_for_reading(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.001, "under 1 %"), (0.999, "over 99 %"), (1, "100 %"), (0.25, "25 %")])
def test_percent(share, text):
    assert percent(share).replace("\u00a0", " ") == text
