"""Is there a trajectory: verdicts on data of known kind."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime import simulation as sim

QUICK = vt.SoftEM(start_cells=500, start_genes=100, start_times=16)


def static_clusters(n_clusters, seed, n_cells=500, n_genes=100):
    """Cells at rest: each cluster in a steady state of its own."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0.3, 0.8, n_genes)
    change = rng.normal(0, 1, (n_clusters, n_genes)) * (rng.uniform(size=(n_clusters, n_genes)) < 0.5)
    spliced = base * np.exp(change)
    unspliced = spliced * 0.4 * np.exp(rng.normal(0, 0.4, n_genes))
    cluster = rng.integers(0, n_clusters, n_cells)
    depth = rng.lognormal(0, 0.3, n_cells)[:, None]
    layers = {
        name: sparse.csr_matrix(rng.poisson(means[cluster] * depth).astype(np.float32))
        for name, means in (("spliced", spliced), ("unspliced", unspliced))
    }
    adata = AnnData(layers["spliced"], layers=layers)
    adata.obs_names = [f"cell_{i}" for i in range(n_cells)]
    return adata


@pytest.mark.parametrize(("n_clusters", "seed"), [(3, 0), (7, 1)])
@pytest.mark.filterwarnings("ignore:Transition matrix")
def test_clusters_are_called_clusters(n_clusters, seed):
    adata = static_clusters(n_clusters, seed)
    assert vt.tl.compare_models(adata, method=QUICK) == "clusters"
    table = adata.uns["model_comparison"]["table"].set_index("model")
    assert f"{n_clusters} clusters" in table.index
    assert table.loc["constant", "behind"] < -1


def test_flat_genes_are_called_nothing():
    flat = sim.GeneMix(induction=0, repression=0, pulse=0, dip=0, flat=1)
    adata = sim.simulate(500, 100, rng=np.random.default_rng(0), genes=flat)
    assert vt.tl.compare_models(adata, method=QUICK) == "nothing"


def test_a_process_is_called_a_trajectory():
    adata = sim.simulate(500, 100, rng=np.random.default_rng(0))
    before = set(adata.uns)
    assert vt.tl.compare_models(adata, method=QUICK) == "trajectory"
    assert set(adata.uns) - before == {"model_comparison", "velotime_derived"}
    assert adata.uns["model_comparison"]["table"]["log_likelihood"].max() == pytest.approx(
        adata.uns["model_comparison"]["table"].set_index("model").loc["trajectory", "log_likelihood"]
    )


def test_normalised_values_cannot_be_held_out():
    adata = sim.simulate(100, 30, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="held-out counts"):
        vt.tl.compare_models(adata, method=vt.SoftEM(noise=vt.Gaussian(), start_cells=100))
