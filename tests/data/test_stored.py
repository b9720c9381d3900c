"""A stored fit taken up again."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from quick_fit import QUICK

import velotime as vt
from velotime import InputError
from velotime.data import restore_soft_fit


def simulated(**options):
    adata = vt.simulation.simulate(
        200, 40, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0, **options
    )
    adata.obs["stage"] = np.where(adata.obs["true_time"] > 0.6, "end " + adata.obs["true_lineage"].astype(str), "trunk")
    adata.obs["day"] = (adata.obs["true_time"] * 3).round()
    return adata


METHODS = {
    "plain": vt.SoftEM(**QUICK),
    "two lineages": vt.SoftEM(**QUICK | {"n_lineages": "auto"}),
    "prior by stage": vt.SoftEM(prior=vt.LearnedPrior(by="stage"), noise=vt.Poisson(), **QUICK),
    "fixed prior": vt.SoftEM(prior=vt.FixedPrior((1.0, 2.0, 1.0)), root=vt.Root("stage", "trunk"), **QUICK),
    "knowledge": vt.SoftEM(
        prior=vt.LearnedPrior(smoothness=0.05),
        knowledge=(vt.Ends("stage", ["end 0", "end 1"]), vt.Markers(late=["gene_0", "gene_1"]), vt.TimeLabels("day")),
        **QUICK,
    ),
    "terminals": vt.SoftEM(lineages=vt.Terminals("stage", ("end 0", "end 1")), **QUICK),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_the_posterior_is_that_of_the_fit_after_a_file(name, tmp_path):
    adata = simulated(branches=vt.simulation.Branches((0.4,)))
    vt.tl.recover_dynamics(adata, method=METHODS[name], progress=False)
    adata.write_h5ad(tmp_path / "fitted.h5ad")
    again = ad.read_h5ad(tmp_path / "fitted.h5ad")
    genes, fit = restore_soft_fit(again)
    np.testing.assert_allclose(fit.latent_time, adata.obs["latent_time"], atol=1e-6)
    assert np.array_equal(genes, np.flatnonzero(np.isfinite(adata.var["fit_gamma"])))
    q_lineage = adata.obsm["lineage_posterior"]
    assert fit.problem.states.layout.n_lineages == q_lineage.shape[1]


@pytest.fixture(scope="module")
def quick():
    adata = simulated()
    vt.tl.recover_dynamics(adata, method=METHODS["plain"], progress=False)
    return adata


def test_what_is_not_the_fit_is_refused(quick):
    with pytest.raises(InputError, match="recover_dynamics"):
        restore_soft_fit(simulated())
    with pytest.raises(InputError, match="made of 200 cells and 40 genes, but 150 cells"):
        restore_soft_fit(quick[:150].copy())
    other = quick.copy()
    other.layers["spliced"] = other.layers["spliced"][::-1].copy()
    with pytest.raises(InputError, match="counts are not those of the fit"):
        restore_soft_fit(other)
    other = quick.copy()
    other.uns["recover_dynamics"]["method"] = "TwoStageEM"
    with pytest.raises(InputError, match=r"made by TwoStageEM.*SoftEM"):
        restore_soft_fit(other)
