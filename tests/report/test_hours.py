"""Where hours are known, the report and plots tell hours."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import velotime as vt
from velotime.report import summary, tables
from velotime.report._text import time_rows

HOURS = 48.0


@pytest.fixture
def told(drawn):
    """Fitted cells whose rates are the true ones, with half-lives that fit a clock of 48 hours."""
    known = pd.Series(HOURS * np.log(2) / drawn.var["fit_gamma"], drawn.var_names)
    vt.tl.to_real_time(drawn, half_lives=known)
    return drawn


def test_the_terminal_and_the_page_tell_hours(told, tmp_path):
    hours = told.uns["real_time"]["hours_per_clock"]
    assert hours == pytest.approx(HOURS, rel=0.05)
    text = str(summary(told)).replace("\n", " ")
    assert f"the clock takes {hours:.3g} hours (90 % interval" in " ".join(text.split())
    assert time_rows(told)[0][1].startswith(f"hours; the clock takes {hours:.3g} hours")
    vt.report(told, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "latent time (hours)" in page
    assert '"hours": true' in page or '"hours":true' in page
    words = page[page.index("<body") :]
    assert not re.search(r"(runs|clock|share,?) from 0 to 1|[^2]0 to 1[ ,.]", words.split("application/json")[0])
    assert "half_life_hours" in tables(told)["genes"]
    np.testing.assert_allclose(tables(told)["cells"]["latent_time_hours"], told.obs["latent_time_hours"])


def test_where_genes_disagree_the_page_says_so(drawn):
    turned = pd.Series(np.asarray(drawn.var["fit_gamma"], dtype=float), drawn.var_names)
    with pytest.warns(vt.UnclearWarning, match="no hours"):
        vt.tl.to_real_time(drawn, half_lives=turned)
    assert "no hours by half-lives: given and fitted half-lives" in time_rows(drawn)[0][1]
    assert "latent_time_hours" not in tables(drawn)["cells"]


def test_plots_tell_hours(told):
    axes = vt.pl.along_time(told, "gene_0", show=False)[1]
    assert axes.get_xlabel() == "latent time (hours)"
    axes.figure.canvas.draw()
    ticks = dict(zip(axes.get_xticks(), [text.get_text() for text in axes.get_xticklabels()], strict=True))
    hours = told.uns["real_time"]["hours_per_clock"]
    for at, text in ticks.items():
        assert float(text.replace("\u2212", "-")) == pytest.approx(at * hours, rel=0.01, abs=0.01)
    assert vt.pl.heatmap(told, show=False).get_xlabel() == "latent time (hours)"
    embedding = vt.pl.embedding(told, show=False)
    assert "latent time (hours)" in [one.get_ylabel() for one in embedding.child_axes]
    plt.close("all")
