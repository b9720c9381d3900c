"""Samples and conditions: from a table of samples on the command line to tables and the page."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import velotime as vt
from velotime.cli import main
from velotime.report.sections.fates import cluster_column
from velotime.report.sections.samples import facts_of_samples

pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
QUICK = ["--max-iterations", "3", "--lineages", "1", "--skip-comparison"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four samples of 70 cells each, and a table of them; and the run that reads it."""
    folder = tmp_path_factory.mktemp("samples")
    samples = vt.simulation.Samples((2, 2), condition_composition=2.5)
    adata = vt.simulation.simulate(280, 30, rng=np.random.default_rng(0), samples=samples, mean_spliced=4.0)
    for name, own in adata.obs.groupby("sample", observed=True):
        layers = {layer: adata[own.index].layers[layer] for layer in ("unspliced", "spliced")}
        obs = adata.obs.loc[own.index, ["true_time"]]
        umap = {"X_umap": adata.obs.loc[own.index, ["true_time", "true_depth"]].to_numpy()}
        one = ad.AnnData(layers["spliced"], obs=obs, var=adata.var[[]], layers=layers, obsm=umap)
        one.write_h5ad(folder / f"{name}.h5ad")
    names = ["A1", "A2", "B1", "B2"]
    table = pd.DataFrame({"sample": names, "path": [f"{n}.h5ad" for n in names], "day": ["one", "one", "two", "two"]})
    table.to_csv(folder / "samples.csv", index=False)
    options = ["-o", str(folder / "fitted.h5ad"), "--tables", str(folder / "tables"), "--condition", "day"]
    page = ["--report", str(folder / "report.html")]
    out = CliRunner().invoke(main, ["run", str(folder / "samples.csv"), *options, *page, *QUICK])
    assert out.exit_code == 0, out.output
    assert "Comparing conditions, with samples as the replicates" in out.output
    assert "none that pays: all counts of a cell are taken as its own" in out.output
    return folder


def test_a_table_of_samples_is_fitted_on_one_clock(folder):
    fitted = ad.read_h5ad(folder / "fitted.h5ad")
    assert list(fitted.uns["samples"]["names"]) == ["A1", "A2", "B1", "B2"]
    assert fitted.obs.groupby("sample", observed=True)["day"].first().tolist() == ["one", "one", "two", "two"]
    assert fitted.uns["condition_comparison"]["reference"] == "one"


def test_tables_hold_samples_conditions_and_composition(folder):
    fitted = ad.read_h5ad(folder / "fitted.h5ad")
    samples, conditions, speed, composition = (
        pd.read_csv(folder / "tables" / f"{name}.csv") for name in ("samples", "conditions", "speed", "composition")
    )
    assert samples["condition"].tolist() == ["one", "one", "two", "two"]
    assert samples["n_cells"].tolist() == [70] * 4
    table = fitted.uns["samples"]["table"]
    assert np.allclose(samples["direction_per_cell"], table["direction_per_cell"], rtol=1e-4)
    record = fitted.uns["condition_comparison"]
    assert np.allclose(conditions["p_value"], record["genes"]["p_value"], rtol=1e-4, equal_nan=True)
    assert len(composition) == 8
    assert np.allclose(speed["times_slower"], record["speed"]["times_slower"], rtol=1e-4)


def test_the_page_has_columns_of_what_is_known_only(folder):
    fitted = ad.read_h5ad(folder / "fitted.h5ad")
    facts = facts_of_samples(fitted)
    assert facts.columns[:3] == ("Sample", "Condition", "Cells")
    assert facts.rows[0][:3] == ("A1", "one", "70")
    assert not any("Background" in name for name in facts.columns)
    del fitted.uns["condition_comparison"]
    fitted.uns["samples"]["table"]["background_spliced"] = [0.0, 0.12, 0.0, 0.0]
    facts = facts_of_samples(fitted)
    assert facts.columns[:2] == ("Sample", "Cells")
    assert [row[-1] for row in facts.rows] == ["0\xa0%, 0\xa0%", "0\xa0%, 12\xa0%", "0\xa0%, 0\xa0%", "0\xa0%, 0\xa0%"]


def test_samples_and_conditions_are_no_clusters(folder, tmp_path):
    """No fate ends in a sample, and cells.csv says of each cell where it is from all the same."""
    fitted = ad.read_h5ad(folder / "fitted.h5ad")
    assert cluster_column(fitted) is None
    fitted.obs["tissue"] = np.where(np.arange(fitted.n_obs) % 3, "a", "b")
    assert cluster_column(fitted) == "tissue"
    fitted.obs["cell_type"] = fitted.obs["day"]  # sorted cells, one sample for each
    assert cluster_column(fitted) == "cell_type"
    assert "clusters.csv" not in {path.name for path in (folder / "tables").iterdir()}
    assert pd.read_csv(folder / "tables" / "cells.csv")["sample"].nunique() == 4


def test_compare_asks_within_a_sample_of_those_fitted(folder):
    out = CliRunner().invoke(main, ["compare", str(folder / "fitted.h5ad"), "-q"])
    assert out.exit_code == 0, out.output
    assert "Compared within the largest sample, A1 (70 cells)" in out.output


def test_margins_of_samples_add_up_to_that_of_all(folder):
    """Each sample's own direction is its part of the joint margin, but for the prior of the curves."""
    fitted = ad.read_h5ad(folder / "fitted.h5ad")
    table, arrow = fitted.uns["samples"]["table"], fitted.uns["time_arrow"]
    parts = float((table["direction_per_cell"] * table["n_cells"]).sum())
    assert parts == pytest.approx(float(arrow["log_likelihood_margin"]), rel=0.25)
    assert (table["gain_per_cell"] > 1).all()


def test_the_page_says_so(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    section = page.split('id="samples"')[1].split("</section>")[0]
    for text in (
        "Samples and conditions",
        "curves and times are free of it",
        '<th scope="row">B2</th>',
        "With samples as",
        "All genes of two together run",
    ):
        assert text in section
    assert section.count("data:image/png") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--condition", "true_time"], "--condition true_time: samples are the replicates"),
        (["--samples", "no"], "--samples no: no such column in obs"),
        (["--samples", "sample", "--noise", "gaussian"], "--samples sample: how samples capture molecules is told"),
        (["--samples", "sample", "--method", "mixture"], "read by --method soft only"),
    ],
)
def test_what_cannot_be_compared_is_exit_2(folder, options, message):
    out = CliRunner().invoke(main, ["run", str(folder / "A1.h5ad"), "-o", str(folder / "no.h5ad"), *options])
    assert out.exit_code == 2
    assert message in out.output
