"""Sections of the page for readers who were not there."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime.report import tables, write_tables
from velotime.report._facts import collect
from velotime.report._words import rivals_in_words
from velotime.report.sections import picture
from velotime.report.sections.fates import fates_of, titles_of
from velotime.report.sections.methods import methods_paragraph
from velotime.report.sections.picture import draw_stream
from velotime.report.sections.quality import quality_rows


@pytest.fixture
def ending(forked):
    """Two lineages: 0 ends in A, 1 in B; gene_2 is high at the end of 1 only."""
    late = (forked.obs["latent_time"] > 0.6).to_numpy()
    side = forked.obs["fit_lineage"].to_numpy()
    forked.obs["clusters"] = pd.Categorical(np.where(~late, "early", np.where(side == "0", "A", "B")))
    forked.varm["fit_lineage_alpha"][:] = forked.varm["fit_lineage_alpha"][:, :1]
    forked.varm["fit_lineage_t"][:] = forked.var[["fit_t_on"]].to_numpy() + 0.5
    g = forked.var_names.get_loc("gene_2")
    forked.varm["fit_lineage_alpha"][g] = [0.1, 500.0]
    forked.var["fit_lineage_ratio"] = 0.0
    forked.var.loc["gene_2", "fit_lineage_ratio"] = 90.0
    return forked


def test_fates_end_in_clusters_and_name_the_genes_that_lead_there(ending):
    first, second = fates_of(ending)
    assert first.end.startswith("A (")
    assert second.end.startswith("B (")
    assert (first.drivers, second.drivers) == ((), ("gene_2",))


def test_lineages_are_called_by_the_clusters_that_they_end_in(ending, tmp_path):
    assert titles_of(ending) == {"0": "A (lineage 0)", "1": "B (lineage 1)"}
    vt.report(ending, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert '<th scope="col">To A (lineage 0)</th>' in page
    assert '<th scope="row">B (lineage 1)</th>' in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))
    assert [one["name"] for one in data["lineages"]] == ["A (lineage 0)", "B (lineage 1)"]
    assert next(one for one in data["labels"] if one["column"] == "fit_lineage")["names"] == [
        "A (lineage 0)",
        "B (lineage 1)",
    ]
    assert "A (lineage 0), " in dict(vt.summary(ending).rows)["lineages"]
    assert "A (lineage 0), " in dict(collect(ending).done)["Lineages"]


def test_a_mixed_end_names_no_lineage(ending):
    ending.obs["clusters"] = pd.Categorical(np.resize(list("abcde"), ending.n_obs))
    assert titles_of(ending) == {"0": "lineage 0", "1": "lineage 1"}


def rival(start, margin, *halves, known=0.0):
    columns = {"root_cell": "c7", "root_clusters": "A", "start": start, "margin": margin, "known": known}
    return columns | dict(zip(("half_1", "half_2"), halves, strict=True))


def test_the_closest_rival_is_told_with_the_half_in_which_it_comes_closest():
    table = pd.DataFrame(
        [rival("rank", 0.9, 0.8, 0.7), rival("reversed", 1.2, 0.9, 0.25), rival("tips", 9.0, np.nan, np.nan)]
    )
    assert rivals_in_words(table) == (
        "Of 3 rivals the reversed clock came closest: 1.2 nats per cell behind on all genes of the search; it comes "
        "closest in the second half of the genes, 0.25 nats per cell behind, and is 0.9 nats per cell behind in the "
        "other."
    )
    joined = rivals_in_words(pd.DataFrame([rival("rank", 0.5, np.nan, -0.1, known=0.2)]))
    assert joined == (
        "The one rival is time from c7 (clusters A): 0.5 nats per cell behind on all genes of the search, +0.2 by what "
        "is known; it comes closest in the second half of the genes, 0.1 nats per cell ahead, and ends with the "
        "reported times in the other."
    )
    assert "too far" in rivals_in_words(table.iloc[2:])
    assert rivals_in_words(table.iloc[:0]) == ""


def test_every_column_is_explained_on_the_page(ending, tmp_path):
    starts = {"root_cell": ["c7"], "root_clusters": ["A"], "start": ["rank"], "log_likelihood": [0.0]}
    starts |= {"backwards": [False], "chosen": [True]}
    ending.uns["recover_dynamics"]["starts"] = pd.DataFrame(starts)
    told = rival("rank", 0.9, 0.8, 0.7) | {"correlation": 0.5, "loses": True}
    arrow = {"verdict": "clear", "log_likelihood_margin": 90.0, "rivals": pd.DataFrame([told])}
    ending.uns["time_arrow"] = arrow
    vt.report(ending, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    explained = set(re.findall(r"<dt>(.*?)</dt>", page))
    data = json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))
    assert {column["title"] for column in data["columns"]} <= explained
    tables_there = re.findall(r"<details>\s*<summary>.*?</details>", page, flags=re.DOTALL)
    heads = {head for one in tables_there for head in re.findall(r'<th scope="col">(.*?)</th>', one)}
    assert heads
    assert heads <= explained


def test_shapes_that_are_not_settled_and_the_background_are_shown(drawn):
    drawn.var["fit_unique"] = 1.0
    drawn.var.loc["gene_3", "fit_unique"] = 0.0
    drawn.uns["background"] = {"unspliced": 0.03, "spliced": 0.02}
    drawn.uns["recover_dynamics"]["settings"]["background"] = {"name": "LearnedBackground"}
    rows = dict(quality_rows(drawn))
    assert rows["Shape not settled"].startswith("1 (")
    assert rows["Shape not settled"].endswith(": gene_3")
    assert rows["Background"].startswith("3\u00a0% of unspliced and 2\u00a0% of spliced counts")
    assert tables(drawn)["genes"].loc["gene_3", "fit_unique"] == 0


def test_one_lineage_has_no_fates(drawn):
    assert fates_of(drawn) == []
    assert len(tables(drawn)["fates"]) == 0


def test_clusters_come_in_the_order_of_time(ending):
    table = tables(ending)["clusters"]
    assert table.index[0] == "early"
    expected = ending.obs.groupby("clusters", observed=True)["latent_time"].median()
    np.testing.assert_allclose(table["latent_time"], expected[table.index])
    assert table.loc["B", "lineage_1"] > 0.99


def test_quality_names_genes_at_a_bound(drawn):
    drawn.var["fit_deviance_explained"] = 0.9
    drawn.var.loc["gene_4", "fit_beta"] = 100.0
    drawn.var.loc["gene_5", "fit_deviance_explained"] = 0.1
    rows = dict(quality_rows(drawn))
    assert rows["Rates at their bound"].endswith(": gene_4")
    assert rows["Doubtful genes"].endswith(": gene_5")
    assert rows["Unspliced share"].endswith("of the counts of all genes")


def test_methods_say_what_is_not_settled(drawn):
    assert "The direction of time was clear" in methods_paragraph(drawn)
    drawn.uns["time_arrow"] = {"verdict": "unclear", "log_likelihood_margin": 3.0}
    drawn.uns["recover_dynamics"]["status"] = "max_iter"
    text = methods_paragraph(drawn)
    assert "The direction of time was not clear (margin over the closest rival: 3 nats)" in text
    assert "before it had converged" in text
    assert "was told" not in text
    nothing = pd.DataFrame({"piece": [], "n_cells": [], "nats": [], "correlation": [], "in_conflict": []})
    drawn.uns["knowledge"] = {"table": nothing}  # as a file gives it back
    assert "was told" not in methods_paragraph(drawn)


def test_the_page_holds_picture_and_tables(ending, tmp_path):
    before = set(ending.uns)
    vt.report(ending, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert set(ending.uns) == before
    picture = re.search(r'class="stream"[^>]*src="data:image/png;base64,([^"]+)"', page).group(1)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    link = re.search(r'download="genes.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page).group(1)
    table = pd.read_csv(io.BytesIO(base64.b64decode(link)), index_col="gene")
    np.testing.assert_allclose(table["gamma"], ending.var["fit_gamma"], rtol=1e-3)


def test_arrows_that_are_missing_are_made_beside_the_object(drawn, monkeypatch):
    del drawn.obsm["velocity_umap"]
    before = {box: set(getattr(drawn, box)) for box in ("obs", "uns", "obsm", "obsp", "layers")}
    assert draw_stream(drawn, None).startswith("data:image/png;base64,")
    assert {box: set(getattr(drawn, box)) for box in before} == before
    monkeypatch.setattr(picture, "MOST_CELLS", drawn.n_obs - 1)
    assert draw_stream(drawn, None) == ""
    monkeypatch.undo()
    del drawn.obsm["X_umap"]
    assert draw_stream(drawn, None) == ""


def test_tables_are_not_written_over(drawn, tmp_path):
    assert {path.name for path in write_tables(drawn, tmp_path / "t")} == {
        "genes.csv",
        "cells.csv",
        "clusters.csv",
        "verdict.csv",
    }
    with pytest.raises(vt.InputError, match="force=True"):
        write_tables(drawn, tmp_path / "t")
    write_tables(drawn, tmp_path / "t", force=True)
