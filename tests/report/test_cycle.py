"""What is said of a clock that goes round: phases and turns, nowhere an earliest and a latest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime.data import write_derived
from velotime.report import run_in_text, tables
from velotime.report._facts import collect
from velotime.report._genes import collect_genes
from velotime.report._page import _gene_table
from velotime.report.sections.headline import headline
from velotime.report.sections.methods import methods_paragraph


@pytest.fixture
def cycling(cycle_fit):
    return cycle_fit.copy()


def asked(adata, verdict):
    table = pd.DataFrame({"model": ["constant", "cycle"], "log_likelihood": [-2.0, -1.0], "behind": [-1.0, 0.0]})
    record = {"verdict": verdict, "reason": "Because.", "table": table.assign(standard_error=0.1)}
    write_derived(adata, "model_comparison", {"uns": {"model_comparison": record}})
    return adata


def test_words_are_of_phases_and_turns(cycling):
    by_topic = {finding.topic: finding for finding in collect(cycling).findings}
    assert by_topic["Phases and rates"].answer == "In turns"
    assert by_topic["Phases and rates"].text.endswith("Phase 0 is anywhere, as nothing says where the cycle begins.")
    assert "of a turn" in by_topic["Phase of a cell"].text
    assert by_topic["Cycle"].answer == "Not asked"
    done = dict(collect(cycling).done)
    assert "Root cell" not in done
    assert done["Orders tried"].endswith("round a circle, each both ways")
    text = run_in_text(cycling, seconds=1.0)
    assert "turns of the cycle" in text
    assert "latent time" not in text
    short = str(vt.summary(cycling))
    assert "of a turn" in short
    assert "phase of a cell" in short
    assert "orders" in short
    assert "vt.pl.cycle(adata)" in short
    assert "rates are per turn" in methods_paragraph(cycling)
    cycling.uns["cycle"]["origin"] = "growth"
    assert "the division" in run_in_text(cycling, seconds=1.0)


def test_the_page_tells_hours_and_not_turns_where_they_are_known(cycling, tmp_path):
    facts, _ = collect_genes(cycling, np.arange(20))
    assert any("per turn" in column.text_in(None) for column in facts.columns)
    assert not any("turn of" in column.text_in(24.6) or "per turn" in column.text_in(24.6) for column in facts.columns)
    vt.report(cycling, tmp_path / "turns.html")
    vt.tl.to_real_time(cycling, half_lives=24.6 * np.log(2) / cycling.var["fit_gamma"].dropna())
    cycling.obs.loc[cycling.obs["stage"] == "S", "cycle_phase"] = np.nan  # as those that do not cycle
    vt.report(cycling, tmp_path / "hours.html")
    turns, hours = ((tmp_path / f"{name}.html").read_text(encoding="utf-8") for name in ("turns", "hours"))
    for words in ("fraction of a turn: from 0 to 1", "Splicing rate per turn of the cycle", "Phase at which"):
        assert words in turns
        assert words not in hours
    assert "Splicing rate per hour" in hours
    assert "nan (nan to nan)" not in hours


def test_the_page_knows_which_genes_are_smooth(cycling):
    facts, _ = collect_genes(cycling, np.arange(20))
    shape = cycling.var["fit_shape"].astype(str).loc[facts.table.index]
    assert {"smooth", "switch"} == set(shape)
    np.testing.assert_array_equal(facts.table["smooth"], shape == "smooth")
    assert "smooth" in _gene_table(facts)["columns"]
    assert list(tables(cycling)["genes"]["shape"].loc[shape.index].astype(str)) == list(shape)


@pytest.mark.parametrize(
    ("clock", "verdict", "answer", "said"),
    [
        ("cycle", "cycle", "Found", "a cycle, and the direction"),
        ("cycle", "trajectory", "A line", "do not go round"),
        ("cycle", "clusters", "Clusters instead", "clusters rather than a cycle"),
        ("line", "cycle", "A cycle", "fit them as a cycle"),
    ],
)
def test_held_out_counts_may_ask_for_the_other_clock(cycling, drawn, clock, verdict, answer, said):
    adata = asked(cycling if clock == "cycle" else drawn, verdict)
    adata.uns["recover_dynamics"]["status"] = "converged"
    adata.uns["fit_verdict"] = {"verdict": "fits", "reason": "", "agreement": 0.9}
    adata.uns["time_arrow"] = dict(adata.uns["time_arrow"]) | {"verdict": "clear", "reason": ""}
    facts = collect(adata)
    found = next(finding for finding in facts.findings if finding.text == "Because.")
    assert (found.topic, found.answer) == ("Cycle" if clock == "cycle" else "Trajectory", answer)
    assert found.mark == ("good" if answer == "Found" else "mind")
    assert said in headline(adata)
    assert len(facts.warnings) == (answer != "Found")


@pytest.mark.parametrize(("errors", "said"), [(1.0, "does not fit"), (5.0, "fit them as a cycle")])
def test_another_clock_is_a_cure_only_where_it_is_clearly_better(drawn, errors, said):
    """Where nothing fits, empty droplets for one, either clock is a little ahead of the other by chance."""
    adata = asked(drawn, "cycle")
    table = pd.DataFrame({"model": ["trajectory", "cycle"], "log_likelihood": [-1.0 - 0.1 * errors, -1.0]})
    table = table.assign(behind=table["log_likelihood"] + 1.0, standard_error=[0.1, 0.0])
    adata.uns["model_comparison"] = dict(adata.uns["model_comparison"]) | {"table": table}
    adata.uns["fit_verdict"] = {"verdict": "does not fit", "reason": "", "agreement": 0.1}
    assert said in headline(adata)
    assert any("as a cycle" in warning for warning in collect(adata).warnings) == (errors > 2)


def test_quartiles_of_clusters_pass_zero(cycling):
    """A cluster around phase 0 has its median there, not half a turn away."""
    phase = np.linspace(-0.1, 0.1, 200) % 1
    cycling.obs["cycle_phase"] = phase
    cycling.obs["stage"] = pd.Categorical(np.where(np.arange(200) < 150, "M", "G1"))
    found = tables(cycling)
    row = found["clusters"].loc["M"]
    expected = (np.quantile(np.linspace(-0.1, 0.1, 200)[:150], [0.25, 0.5, 0.75])) % 1
    np.testing.assert_allclose(row[["cycle_phase_q25", "cycle_phase", "cycle_phase_q75"]].to_numpy(float), expected)
    assert list(found["clusters"].index) == ["G1", "M"]
    assert {"cycle_phase", "cycle_phase_sd", "cycle_phase_q05"} <= set(found["cells"])


def test_the_page_knows_no_latent_time(cycling, tmp_path):
    vt.report(cycling, tmp_path / "fit.html")
    page = (tmp_path / "fit.html").read_text()
    page = page[page.index("<main") : page.index("</main>")]
    assert "Along phase" in page
    assert "atent time</" not in page
    assert "Which way round the cells go" in page
