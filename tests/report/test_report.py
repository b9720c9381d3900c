"""The report as a file: what is in it, what is not, and what cannot be written."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import velotime as vt
from velotime.report import _cells, _genes, _write

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture
def page(tmp_path):
    """Writes a report and gives its text."""

    def write(adata, **options):
        path = tmp_path / "report.html"
        vt.report(adata, path, force=True, **options)
        return path.read_text(encoding="utf-8")

    return write


def facts_in(text):
    """The data of a page, its packed table of genes as one record per gene."""
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text).group(1))
    table, packed = data["table"], data["genes"]
    raw = np.frombuffer(unpack(table["numbers"]), dtype=np.uint8)
    values = np.ascontiguousarray(raw.reshape(4, -1).T).view("<f4").reshape(-1, table["n"])
    data["genes"] = [
        {"name": name, "values": dict(zip(table["columns"], values[:, k], strict=False))}
        | (packed[k] if k < len(packed) else {})
        for k, name in enumerate(json.loads(unpack(table["names"])))
    ]
    data["leftOut"] = json.loads(unpack(data["leftOut"]))
    return data


def unpack(text):
    return zlib.decompress(base64.b64decode(text))


def test_one_file_with_all_in_it(drawn, page, tmp_path):
    before = drawn.copy()
    text = page(drawn, title="Pancreas")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "<title>Pancreas · velotime</title>" in text
    data = facts_in(text)
    assert [gene["name"] for gene in data["genes"]] == list(drawn.var_names)  # by gain, which falls
    assert data["cells"]["n"] == 150
    assert {label["column"] for label in data["labels"]} == {"stage"}
    assert data["labels"][0]["colors"] == ["#112233", "#aa3311", "#22bb88"]
    assert all("data" in gene for gene in data["genes"])
    assert before.obs.equals(drawn.obs)
    assert before.var.equals(drawn.var)


def test_the_heading_is_the_file_or_what_was_fitted(drawn, tmp_path):
    for name, heading in (("liver", "liver"), ("report", f"{drawn.n_obs} cells, {drawn.n_vars} genes")):
        vt.report(drawn, tmp_path / f"{name}.html")
        assert f"<h1>{heading}</h1>" in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_and_no_other_script_runs(drawn, page):
    text = page(drawn)
    head = text[: text.index("</head>")]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', head).group(1).replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split(";")[1]
    bodies = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", text, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert len(hashes) == 2
    for one in hashes:
        assert f"'sha256-{one}'" in policy
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", outside)
    assert "url(" not in outside
    assert "@import" not in outside


def test_names_are_only_names(drawn, page):
    drawn.var_names = [HOSTILE, "<img src=x onerror=alert(1)>", *drawn.var_names[2:]]
    drawn.obs_names = [HOSTILE, *drawn.obs_names[1:]]
    drawn.obs[HOSTILE] = drawn.obs["stage"].cat.rename_categories({"early": HOSTILE})
    drawn.uns["recover_dynamics"]["status_text"] = HOSTILE
    text = page(drawn, title=HOSTILE)
    assert text.count("<script") == text.count("</script>") == 4
    assert "alert(1)</script>" not in text
    data = facts_in(text)
    assert data["genes"][0]["name"] == HOSTILE
    assert HOSTILE in next(label for label in data["labels"] if label["column"] == HOSTILE)["names"]


def test_without_an_embedding_it_says_so(drawn, page):
    del drawn.obsm["X_umap"]
    text = page(drawn)
    assert "There is no embedding in adata.obsm" in text
    assert "first principal component" in text


def test_cells_without_coordinates_are_counted(drawn, page):
    drawn.obsm["X_umap"][:3] = np.nan
    assert "3 cells without coordinates left out" in page(drawn)


def test_a_basis_can_be_chosen(drawn, page):
    drawn.obsm["X_mine"] = drawn.obsm["X_umap"] + 1
    assert "mine 1" in page(drawn, basis="mine")
    with pytest.raises(vt.InputError, match=r"basis 'tsne' not found.*umap"):
        page(drawn, basis="tsne")


def test_many_cells_are_thinned_with_a_note(drawn, page, monkeypatch):
    monkeypatch.setattr(_cells, "MOST_CELLS", 100)
    text = page(drawn)
    assert "100 of 150 cells are drawn" in text
    assert facts_in(text)["cells"]["n"] == 100
    assert facts_in(page(drawn))["cells"] == facts_in(text)["cells"]  # always the same ones


def test_genes_beyond_the_budget_keep_their_rates(drawn, page, monkeypatch):
    drawn.var["fit_t_"] = drawn.var["true_t_off"]
    largest = len(page(drawn).encode()) - 8_000
    monkeypatch.setattr(_write, "LARGEST", largest)
    text = page(drawn)
    assert len(text.encode()) <= largest + 300  # and a sentence that says so
    genes = facts_in(text)["genes"]
    packed = [gene for gene in genes if "data" in gene]
    assert 0 < len(packed) < len(genes) == drawn.n_vars
    assert f"counts and curves of the {len(packed)} genes" in text
    assert all("beta" in gene["values"] for gene in genes)


def wide_object(n_cells, n_genes):
    """What a fit leaves of so many cells and genes, at random; the first 50 genes are expressed well."""
    rng = np.random.default_rng(0)
    time = rng.random(n_cells)
    rate = np.r_[np.full(50, 0.9), np.full(n_genes - 50, 1000 / n_cells)] if n_genes > 50 else np.full(n_genes, 0.5)
    layers = {}
    for name in ("unspliced", "spliced"):
        columns = np.repeat(np.arange(n_genes), (rate * min(n_cells, 2000)).astype(int))
        rows = rng.integers(n_cells, size=len(columns))
        values = rng.poisson(3, len(columns)) + 1.0
        layers[name] = sparse.csr_matrix((values, (rows, columns)), shape=(n_cells, n_genes), dtype=np.float32)
    obs = pd.DataFrame({"latent_time": time, "latent_time_sd": 0.05}, index=[f"cell_{k}" for k in range(n_cells)])
    obs["fit_lineage"] = pd.Categorical(["0"] * n_cells)
    for name in ("fit_size_unspliced", "fit_size_spliced"):
        obs[name] = 1.0
    var = pd.DataFrame(index=[f"ENSMUSG{k:08d}" for k in range(n_genes)])
    for name in ("beta", "gamma", "alpha", "alpha_0", "alpha_2", "scaling", "dispersion_u", "dispersion_s"):
        var[f"fit_{name}"] = np.exp(rng.normal(size=n_genes))
    var["fit_status"] = pd.Categorical(["fitted"] * n_genes)
    var["fit_t_on"] = rng.random(n_genes)
    var["fit_t_"] = var["fit_t_on"] + 0.3
    for name in (
        "beta_se",
        "gamma_se",
        "t_on_se",
        "t_se",
        "deviance_explained",
        "gain",
        "check_means",
        "check_zeros",
        "arrow_evidence",
        "likelihood",
    ):
        var[f"fit_{name}"] = np.abs(rng.normal(size=n_genes))
    adata = ad.AnnData(None, obs=obs, var=var, layers=layers)
    adata.varm["fit_lineage_t"] = var[["fit_t_"]].to_numpy()
    adata.varm["fit_lineage_alpha"] = var[["fit_alpha_2"]].to_numpy()
    adata.obsm["lineage_posterior"] = np.ones((n_cells, 1))
    state = (16 * time).astype(int)
    adata.obsm["time_posterior"] = sparse.csr_matrix(
        (np.ones(n_cells, dtype=np.float32), (np.arange(n_cells), state)), shape=(n_cells, 16)
    )
    adata.obsm["X_umap"] = np.c_[time, rng.normal(size=n_cells)]
    adata.uns["lineages"] = {"names": np.array(["0"], dtype=object), "shares": np.ones(1)}
    adata.uns["recover_dynamics"] = {
        "id": "wide",
        "n_cells": n_cells,
        "n_genes": n_genes,
        "state_times": np.linspace(0, 1, 16),
        "method": "SoftEM",
        "settings": {"name": "SoftEM", "noise": {"name": "NegativeBinomial"}},
        "status": "converged",
        "layers": {"unspliced": "unspliced", "spliced": "spliced"},
    }
    return adata


@pytest.mark.parametrize(("n_cells", "n_genes"), [(300, 20_000), (200_000, 20)])
def test_any_size_stays_below_10_mb(page, n_cells, n_genes):
    text = page(wide_object(n_cells, n_genes))
    assert len(text.encode()) < 10_000_000
    data = facts_in(text)
    assert len(data["genes"]) == n_genes
    assert data["cells"]["n"] == min(n_cells, 20_000)
    packed = sum("data" in gene for gene in data["genes"])
    assert packed >= min(n_genes, 1000)
    assert (f"curves of the {packed:,} genes" in text) == (packed < n_genes)
    assert ("20,000 of 200,000 cells are drawn" in text) == (n_cells > 20_000)


def test_a_table_that_would_grow_too_large_says_so(drawn, page, monkeypatch):
    monkeypatch.setattr(_genes, "MOST_NUMBERS", 60)
    text = page(drawn)
    n = len(facts_in(text)["genes"])
    assert 0 < n < drawn.n_vars
    assert re.search(rf"holds {n} of {drawn.n_vars} fitted\s+genes", text)


def test_thinning_keeps_rare_places():
    rng = np.random.default_rng(1)
    points = np.r_[rng.normal(0, 0.02, (9_900, 2)), rng.normal(5, 0.02, (99, 2)), [[np.nan, 0.0]]]
    drawn = _cells._thin(points, 1000)
    assert len(np.unique(drawn)) == 1000
    assert np.all(np.diff(drawn) > 0)
    rare = ((drawn >= 9_900) & (drawn < 9_999)).mean()
    assert rare > 2 * 0.0099
    assert np.array_equal(drawn, _cells._thin(points, 1000))


def test_a_fit_without_kinetics(small, page):
    vt.pp.moments(small)
    vt.tl.recover_dynamics(small, method=vt.MixtureEM(n_components=3), progress=False)
    text = page(small)
    assert "gives no order of the cells" in text
    data = facts_in(text)
    assert data["lineages"] == []
    assert "mixture_component" in {label["column"] for label in data["labels"]}
    assert len(data["genes"]) == (small.var["fit_status"] == "fitted").sum()


def test_a_fit_without_a_posterior_of_time(drawn, page):
    """As methods leave it that give each cell one time: curves, and no sd."""
    drawn.uns["recover_dynamics"] |= {"method": "TwoStageEM", "settings": {"name": "TwoStageEM", "clock": "shared"}}
    drawn.var["fit_t_"] = drawn.var["true_t_off"]
    del drawn.obs["latent_time_sd"], drawn.uns["time_prior"]
    data = facts_in(page(drawn))
    assert data["lineages"] == [{"name": "lineage 0", "color": "#000000"}]
    assert "sd" not in data["cells"]["rows"]
    assert data["genes"][0]["values"]["gamma"] == pytest.approx(drawn.var["fit_gamma"].iloc[0], rel=7e-5)


@pytest.mark.parametrize(
    "slots",
    [
        ("uns", "time_arrow"),
        ("uns", "time_prior"),
        ("uns", "lineages"),
        ("obs", "latent_time_sd"),
        ("var", "fit_gain"),
        ("var", "velocity_genes"),
        ("var", "fit_alpha_0"),
        ("var", "fit_gamma"),
        ("varm", "fit_lineage_t"),
        ("obs", "fit_lineage"),
        ("obsm", "lineage_posterior"),
    ],
    ids=lambda slots: slots[1],
)
def test_what_is_missing_is_left_out(drawn, page, slots):
    container, name = slots
    del getattr(drawn, container)[name]
    assert len(facts_in(page(drawn))["genes"]) == drawn.n_vars


def test_unfitted_names_the_call(small, tmp_path):
    with pytest.raises(vt.InputError, match=r"call velotime\.tl\.recover_dynamics\(adata\) first"):
        vt.report(small, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(drawn, tmp_path):
    old = tmp_path / "old.html"
    old.write_text("old")
    for path, message in (
        (old, "exists.*force=True"),
        (tmp_path / "report.pdf", "reports are written as .html"),
        (tmp_path / "nowhere" / "report.html", "does not exist"),
    ):
        with pytest.raises(vt.InputError, match=message):
            vt.report(drawn, path)
    assert old.read_text() == "old"


def test_a_failure_leaves_the_old_page(drawn, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(vt.InputError, match="disk full"):
        vt.report(drawn, path, force=True)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert _write.report is vt.report
