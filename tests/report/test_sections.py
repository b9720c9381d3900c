"""Sections of the page for readers who were not there."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime.report import tables, write_tables
from velotime.report.sections.fates import fates_of
from velotime.report.sections.methods import methods_paragraph
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
