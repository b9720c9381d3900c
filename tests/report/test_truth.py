"""Text, page and ``uns`` give the same numbers, for every method."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime._numbers import nats, number, percent
from velotime.report import run_in_text
from velotime.report._facts import collect
from velotime.report._words import Roots

QUICK = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_cells": 100, "start_genes": 15, "start_times": 8}
QUICK |= {"n_lineages": 1}
WAYS = {
    "plain": vt.SoftEM(**QUICK),
    "root": vt.SoftEM(root=vt.Root("stage", "early"), **QUICK),
    "wrong root": vt.SoftEM(root=vt.Root("stage", "A"), **QUICK),
    "terminals": vt.SoftEM(lineages=vt.Terminals("stage", ("A", "B")), **QUICK),
    "knowledge": vt.SoftEM(knowledge=(vt.Ends("stage", ("A", "B")), vt.TimeLabels("day")), **QUICK),
    "Gaussian": vt.SoftEM(noise=vt.Gaussian(), **QUICK),
    "auto": vt.SoftEM(**QUICK | {"n_lineages": "auto"}),
    "shared clock": vt.TwoStageEM(clock=vt.SharedClock(n_times=16)),
    "gene clock": vt.TwoStageEM(),
    "mixture": vt.MixtureEM(n_components=3),
}


@pytest.fixture(scope="module", params=WAYS)
def told(request):
    """A fit of 150 cells by each method, what it warned of, and what is said of it."""
    adata = vt.simulation.simulate(
        150, 25, rng=np.random.default_rng(5), branches=vt.simulation.Branches(times=(0.4,)), mean_spliced=3.0
    )
    late = np.where(adata.obs["true_lineage"].astype(int) == 0, "A", "B")
    adata.obs["stage"] = pd.Categorical(np.where(adata.obs["true_time"] < 0.4, "early", late))
    adata.obs["day"] = np.digitize(adata.obs["true_time"], [0.33, 0.66]).astype(float)
    method = WAYS[request.param]
    if not isinstance(method, vt.SoftEM):
        vt.pp.moments(adata)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=method, progress=False)
    texts = [str(one.message) for one in caught if issubclass(one.category, vt.UnclearWarning)]
    return adata, texts, run_in_text(adata, seconds=99.0), collect(adata)


def rows_of(text):
    rows = {}
    for line in text.splitlines():
        name, value = re.split(r"  +", line, maxsplit=1)
        rows.setdefault(name, []).append(value)
    return rows


def test_terminal_and_page_say_the_same(told):
    _, _, text, facts = told
    terminal, page = rows_of(text), {}
    for name, value in facts.done:
        page.setdefault(name, []).append(value)
    for here, there in (
        ("cells", "Cells"),
        ("genes fitted", "Genes fitted"),
        ("method", "Method"),
        ("iterations", "Iterations"),
        ("log-likelihood", "Log-likelihood"),
        ("time taken", "Time taken"),
        ("starts tried", "Starts tried"),
        ("known", "Known of the cells"),
        ("fate genes", "Genes that tell lineages apart"),
    ):
        assert terminal.get(here) == page.get(there), here
    if "root" in terminal:
        assert terminal["root"] == page["Root cell"]
    found = {finding.topic: finding.text for finding in facts.findings}
    assert found["Fit"] == terminal["status"][0]
    if "direction" in terminal:
        assert terminal["direction"][0].split(". ", 1)[1] in found["Direction of time"]


def test_numbers_are_those_of_the_record(told):
    adata, _, text, _ = told
    record, rows = adata.uns["recover_dynamics"], rows_of(text)
    assert rows["log-likelihood"] == [nats(record["log_likelihood"])]
    assert rows["time taken"][0].startswith(f"{record['seconds']:,.1f} s")
    assert rows["iterations"] == [number(len(record["bound"]))]
    assert "99.0 s" in rows["whole run"][0]
    if "time_arrow" in adata.uns:
        arrow, said = adata.uns["time_arrow"], rows["direction"][0]
        assert said.startswith(f"{arrow['verdict']}.")
        assert nats(abs(arrow["log_likelihood_margin"])) in said
        assert ("less likely" in said) == (arrow["log_likelihood_margin"] >= 0)
        assert percent(arrow["share_of_genes"]) in said
        assert ("rivals" in rows) == (len(arrow["rivals"]) > 0)
        if "rivals" in rows and len(arrow["rivals"]) > 1:
            assert rows["rivals"][0].startswith(f"Of {len(arrow['rivals'])} rivals ")
        assert arrow["reason"] in said
    assert ("direction" in rows) == ("time_arrow" in adata.uns)
    assert ("time and rates" in rows) == ("latent_time" in adata.obs)


def test_the_margin_of_the_root_is_that_of_the_table(told):
    adata, _, text, facts = told
    record = adata.uns["recover_dynamics"]
    if "starts" not in record:
        assert "root" not in rows_of(text)
        return
    table, roots = record["starts"], Roots.of(record)
    chosen = table[table["chosen"]]
    assert len(chosen) == 1
    own = chosen.iloc[0]
    others = table[(table["root_cell"] != own["root_cell"]) & (table["start"] != "reversed")]
    assert roots.cell.startswith(own["root_cell"])
    assert roots.n_roots == table.loc[table["start"] != "reversed", "root_cell"].nunique()
    said = rows_of(text).get("other roots", [])
    assert len(said) == others["root_cell"].nunique()
    if len(others):
        margin = own["log_likelihood"] - others["log_likelihood"].max()
        assert record["root_margin"] == pytest.approx(margin)
        assert nats(abs(margin)) in roots.margin
        assert nats(abs(margin)) in said[0]
    else:
        assert record["root_margin"] == np.inf
        assert "as given" in roots.margin or "no other root" in roots.margin
    caption, rows = facts.tables[0].caption, facts.tables[0].rows
    assert len(rows) == len(table)
    assert "weighed afterwards, on all genes" in caption


def test_no_cure_is_named_that_was_given(told):
    adata, texts, _, facts = told
    settings = adata.uns["recover_dynamics"].get("settings", {})
    unclear = [text for text in (*texts, *facts.warnings) if "direction of time is not clear" in text]
    if "knowledge" not in settings:
        assert not any("What can settle it" in text for text in unclear)  # its method takes none
        return
    for text in unclear:
        assert "What can settle it" in text
        assert ("root cells" in text) == (settings["root"] == "none")
        for piece, cure in (("Ends", "end cells"), ("TimeLabels", "experimental times")):
            assert (cure in text) == all(one["name"] != piece for one in named(settings["knowledge"]))


def named(knowledge):
    return list(knowledge.values()) if isinstance(knowledge, dict) else []


def test_every_warning_is_on_the_page(told):
    _, texts, _, facts = told
    page = "\n".join(facts.warnings).lower()
    for text in texts:
        assert text.split(" What can settle it")[0].lower() in page


def test_what_each_method_says(told, request):
    _, texts, text, facts = told
    way = request.node.callspec.params["told"]
    assert any("whole numbers" in one for one in texts) == (way == "Gaussian")
    if way == "auto":
        assert "draws of the cells" in rows_of(text)["number"][0]
    if way == "gene clock":
        assert "TwoStageEM, gene clock" in text
        assert re.search(r"[\d,]+ of [\d,]+ genes converged", text)
    if way == "mixture":
        assert "clock" not in text
        assert "best genes" not in text
    asked = next((finding.text for finding in facts.findings if finding.topic == "Trajectory"), "")
    assert ("--skip-comparison" in asked) == (isinstance(WAYS[way], vt.SoftEM) and way != "Gaussian")


def record_of(chosen):
    """Two roots and the first one's fit run backwards, of which one was chosen."""
    starts = pd.DataFrame(
        {
            "root_cell": ["a", "b", "c"],
            "start": ["rank", "rank", "reversed"],
            "log_likelihood": [0.0, -12.5, -4.0],
            "backwards": [False, False, True],
            "chosen": [k == chosen for k in range(3)],
        }
    )
    return {"starts": starts, "settings": {"root": "none"}}


def test_the_root_is_that_of_the_fit_where_all_genes_overrule_the_search():
    forward, backward = Roots.of(record_of(0)), Roots.of(record_of(2))
    assert (forward.cell, forward.margin) == ("a", "12.5 nats over the next best root in the short fits")
    assert forward.others == (("b", 12.5),)
    assert (backward.cell, backward.others) == ("c", (("a", -4.0), ("b", 8.5)))
    assert backward.margin == "4 nats behind another root in the short fits, but ahead on all genes"
    assert (forward.n_roots, forward.n_starts) == (2, 2)


def test_a_negative_margin_is_said_as_one(drawn):
    drawn.uns["time_arrow"] = {
        "verdict": "unclear",
        "log_likelihood_margin": -3.0,
        "n_cells": 150,
        "share_of_genes": 0.4,
        "least_margin": 10.0,
    }
    drawn.uns["recover_dynamics"]["settings"] |= {"root": {"name": "Root"}, "knowledge": np.array([])}
    facts = collect(drawn)
    said = next(finding.text for finding in facts.findings if finding.topic == "Direction of time")
    assert "3 nats more likely, too little to overrule the root that was given" in said
    (warned,) = (text for text in facts.warnings if "not clear" in text)
    assert "root cells" not in warned
    assert "end cells, markers known to be early or late or experimental times" in warned
