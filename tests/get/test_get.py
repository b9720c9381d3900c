"""Any cells and genes of a fit, with their names."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError


def test_cells_and_genes_are_told_in_any_way(fitted):
    whole = vt.get.velocity(fitted, genes=fitted.var_names)
    assert whole.shape == fitted.shape
    np.testing.assert_allclose(whole, fitted.layers["velocity"], rtol=1e-4, atol=1e-4)
    names = list(fitted.var_names[[7, 3]])
    mask = fitted.obs["latent_time"] > 0.5
    for cells, genes, i, g in (
        (None, names, slice(None), [7, 3]),
        (mask, [7, 3], mask.to_numpy(), [7, 3]),
        (mask.to_numpy(), "gene_3", mask.to_numpy(), [fitted.var_names.get_loc("gene_3")]),
        (list(fitted.obs_names[:2]), slice(2, 4), [0, 1], [2, 3]),
        (np.int64(5), -1, [5], [-1]),
    ):
        found = vt.get.velocity(fitted, cells=cells, genes=genes)
        wanted = whole.loc[:, whole.columns[g]].loc[whole.index[i]]
        assert list(found.index) == list(wanted.index)
        assert list(found.columns) == list(wanted.columns)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        assert found.to_numpy().dtype == np.float32


def test_genes_that_were_not_fitted_are_nan(fitted):
    adata = fitted.copy()
    status = adata.var["fit_status"].astype(str)
    status.iloc[4] = "no spliced counts"
    adata.var["fit_status"] = status.astype("category")
    assert adata.var_names[4] not in vt.get.velocity(adata).columns
    asked = vt.get.velocity(adata, genes=[3, 4])
    assert asked.iloc[:, 1].isna().all()
    assert asked.iloc[:, 0].notna().all()


def test_tables_of_cells_and_genes(fitted):
    time = vt.get.latent_time(fitted, cells=[3, 1])
    assert list(time.columns) == ["mean", "sd", "clock_sd", "q05", "q95", "entropy"]
    assert list(time["mean"]) == list(fitted.obs["latent_time"].iloc[[3, 1]])
    posterior = vt.get.posterior(fitted, cells=slice(0, 5))
    assert posterior.columns.names == ["lineage", "time"]
    at = posterior.columns.get_level_values("time").to_numpy(dtype=float)
    np.testing.assert_allclose(posterior.to_numpy() @ at, fitted.obs["latent_time"].iloc[:5], atol=1e-4)
    np.testing.assert_allclose(vt.get.lineage_posterior(fitted), 1, rtol=1e-6)
    rates = vt.get.rates(fitted, genes=["gene_2"])
    assert rates.loc["gene_2", "gamma"] == fitted.var.loc["gene_2", "fit_gamma"]
    sizes = vt.get.size_factors(fitted)
    np.testing.assert_array_equal(sizes["spliced"], fitted.obs["fit_size_spliced"])
    means = vt.get.fitted_means(fitted, genes="gene_2")
    np.testing.assert_allclose(means.spliced["gene_2"], fitted[:, "gene_2"].layers["Ms"][:, 0], rtol=1e-5)
    np.testing.assert_allclose(means.unspliced["gene_2"], fitted[:, "gene_2"].layers["Mu"][:, 0], rtol=1e-5)
    sd = vt.get.velocity_sd(fitted, genes="gene_2")["gene_2"]
    np.testing.assert_allclose(sd, fitted[:, "gene_2"].layers["velocity_sd"][:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"genes": "nothing"}, r"genes not found: \['nothing'\]; names look like"),
        ({"cells": [10_000]}, "there are 600 cells"),
        ({"cells": np.ones(3, dtype=bool)}, "a mask of 3 for 600 cells"),
        ({"genes": 1.5}, "must be names of genes, their indices"),
    ],
)
def test_what_is_not_there_is_named(fitted, asked, message):
    with pytest.raises(InputError, match=message):
        vt.get.velocity(fitted, **asked)
