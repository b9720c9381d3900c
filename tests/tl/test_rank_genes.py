"""Tables of genes."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError


def test_intervals_by_hand(fitted):
    table = vt.tl.rank_genes(fitted)
    assert table["fit_deviance_explained"].is_monotonic_decreasing
    assert table.columns[0] == "fit_deviance_explained"
    gene = table.index[3]
    row, var = table.loc[gene], fitted.var.loc[gene]
    assert row["gamma"] == var["fit_gamma"]
    assert row["gamma_high"] == pytest.approx(var["fit_gamma"] * np.exp(1.6448536 * var["fit_gamma_se"]))
    assert row["gamma_low"] * row["gamma_high"] == pytest.approx(row["gamma"] ** 2)
    assert row["beta_low"] == pytest.approx(var["fit_beta"] * np.exp(-1.6448536 * var["fit_beta_se"]))
    assert row["t_on_low"] == var["fit_t_on_q05"]
    assert row["t_off_high"] == var["fit_t_q95"]


def test_any_numeric_column_ranks(fitted):
    adata = fitted.copy()
    assert vt.tl.rank_genes(adata, by="fit_gain").index[0] == adata.var["fit_gain"].idxmax()
    adata.var["fit_arrow_evidence"] = np.arange(adata.n_vars, dtype=float)
    adata.var.loc[adata.var_names[-1], "fit_arrow_evidence"] = np.nan
    adata.var.loc[adata.var_names[0], ["fit_gamma"]] = np.nan
    table = vt.tl.rank_genes(adata, by="fit_arrow_evidence")
    assert table.index[0] == adata.var_names[-2]
    assert len(table) == adata.n_vars - 2
    assert table.attrs["n_genes_left_out"] == 2


def test_genes_in_groups_are_those_that_change_there(fitted):
    """Of genes switched once, those switched while a group's cells are seen must lead its list."""
    adata = fitted.copy()
    adata.obs["half"] = np.where(adata.obs["true_time"] < 0.5, "early", "late")
    table = vt.tl.rank_genes_in_groups(adata, "half")
    assert list(table.columns[:4]) == ["group", "gene", "gain", "gain_per_cell"]
    assert len(table) == 2 * adata.n_vars
    once = adata.var_names[adata.var["true_class"].isin(["induction", "repression"])]
    leading = table[table["gene"].isin(once)].groupby("group", sort=False).head(8)
    switch = adata.var["true_t_on"].loc[leading["gene"]].to_numpy()
    early = (leading["group"] == "early").to_numpy()
    assert switch[early].mean() < 0.4
    assert switch[~early].mean() > 0.4
    first = table.iloc[0]
    n_cells = (adata.obs["half"] == first["group"]).sum()
    assert first["gain_per_cell"] == pytest.approx(first["gain"] / n_cells)
    assert table[table["group"] == "late"]["gain"].is_monotonic_decreasing


def test_bad_arguments(fitted, small):
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.tl.rank_genes(small)
    with pytest.raises(InputError, match=r"'fit_beauty' not found.*fit_gamma"):
        vt.tl.rank_genes(fitted, by="fit_beauty")
    with pytest.raises(InputError, match="not numbers"):
        vt.tl.rank_genes(fitted, by="fit_status")
    with pytest.raises(InputError, match="column 'stage' not found"):
        vt.tl.rank_genes_in_groups(fitted, "stage")
    without = fitted.copy()
    without.var = without.var.drop(columns="fit_arrow_evidence", errors="ignore")
    with pytest.raises(InputError, match="arrow evidence"):
        vt.tl.rank_genes(without, by="fit_arrow_evidence")
