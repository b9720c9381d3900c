"""SoftEM against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime import InputError
from velotime import simulation as sim


def simulated(seed=0, n_cells=500, n_genes=80, **options):
    options = {"mean_unspliced": 1.0, "mean_spliced": 3.0} | options
    return sim.simulate(n_cells, n_genes, rng=np.random.default_rng(seed), **options)


#: Of small data, where the number of lineages is not in question.
QUICK = {"n_lineages": 1, "n_times": 32, "start_times": 16, "annealing": 4, "max_iterations": 10}


def spearman(adata, truth="true_time"):
    return spearmanr(adata.obs["latent_time"], adata.obs[truth]).statistic


def test_time_rates_and_velocity_are_found(fitted):
    assert spearman(fitted) > 0.98
    moving = (fitted.var["true_class"] != "flat").to_numpy()
    for rate in ("gamma", "beta"):
        ratio = np.log(fitted.var[f"fit_{rate}"] / fitted.var[f"true_{rate}"])[moving]
        assert ratio.abs().median() < 0.5
    found, truth = fitted.layers["velocity"][:, moving], fitted.layers["true_velocity"][:, moving]
    correlations = [np.corrcoef(found[:, g], truth[:, g])[0, 1] for g in range(found.shape[1])]
    assert np.median(correlations) > 0.8


def test_slots_and_their_types(fitted):
    assert fitted.layers["Ms"].dtype == np.float32
    assert fitted.layers["Mu"].shape == fitted.shape
    assert fitted.var["velocity_genes"].dtype == bool
    assert set(fitted.var["fit_status"]) == {"fitted"}
    assert (fitted.obs["latent_time_q05"] <= fitted.obs["latent_time_q95"]).all()
    np.testing.assert_allclose(fitted.uns["time_prior"]["weights"].sum(), 1.0)
    assert fitted.uns["recover_dynamics"]["units"] == "relative"
    assert fitted.uns["time_arrow"]["verdict"] == "clear"
    total = fitted.var["fit_likelihood"]
    assert ((total > 0) & (total < 1)).all()


def test_velocity_is_what_the_rates_say(fitted):
    """velocity = beta u - gamma s at the posterior means, as both are linear in the curves."""
    v = fitted.var
    u, s = fitted.layers["Mu"].astype(float), fitted.layers["Ms"].astype(float)
    expected = (v["fit_beta"] / v["fit_scaling"]).to_numpy() * u - v["fit_gamma"].to_numpy() * s
    np.testing.assert_allclose(fitted.layers["velocity"], expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("noise", [vt.Poisson(), vt.NegativeBinomial()], ids=["Poisson", "NegativeBinomial"])
def test_count_noises(noise):
    adata = simulated(noise=sim.PoissonCounts(), n_cells=300)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(noise=noise, **QUICK), progress=False)
    assert spearman(adata) > 0.98


def test_gaussian_noise_on_dense_values():
    adata = simulated(noise=sim.GaussianValues(0.3), depth=sim.LogNormalDepth(0.0), n_cells=300)
    for name in ("unspliced", "spliced"):
        adata.layers[name] = adata.layers[name].toarray()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(noise=vt.Gaussian(), **QUICK), progress=False)
    assert spearman(adata) > 0.98


@pytest.mark.parametrize("prior", [vt.UniformPrior(), vt.FixedPrior((3.0, 2.0, 1.0)), vt.LearnedPrior(5.0)])
def test_priors(prior):
    adata = simulated(times=sim.ExponentialTimes(2.0), n_cells=300, n_genes=60)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(prior=prior, **QUICK), progress=False)
    assert spearman(adata) > 0.95
    weights = adata.uns["time_prior"]["weights"][0]
    if isinstance(prior, vt.UniformPrior):
        np.testing.assert_allclose(weights, weights[0])
    if isinstance(prior, vt.FixedPrior):
        np.testing.assert_allclose(weights[0] / weights[-1], 3.0)


def test_a_learned_prior_for_each_label():
    adata = simulated(n_cells=250, n_genes=50)
    adata.obs["batch"] = np.where(adata.obs["true_time"] < 0.5, "a", "b")
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(prior=vt.LearnedPrior(by="batch"), **QUICK), progress=False)
    prior = adata.uns["time_prior"]
    early, late = prior["weights"] @ prior["times"]
    assert early < late


def test_the_same_seed_gives_the_same_bits():
    results, method = [], vt.SoftEM(**QUICK | {"n_lineages": "auto", "max_iterations": 3})
    for _ in range(2):
        adata = simulated(n_cells=150, n_genes=40)
        vt.tl.recover_dynamics(adata, method=method, rng=7, progress=False)
        results.append(
            (adata.obs["latent_time"].to_numpy(), adata.layers["velocity"], adata.var["fit_gamma"].to_numpy())
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_left_out_genes_are_nan_and_counted():
    adata = simulated(n_cells=150, n_genes=40)
    layer = adata.layers["unspliced"].tolil()
    layer[:, 3] = 0
    adata.layers["unspliced"] = layer.tocsr()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**QUICK), progress=False)
    assert np.isnan(adata.var["fit_gamma"].iloc[3])
    assert np.isnan(adata.layers["velocity"][:, 3]).all()
    assert adata.var["fit_status"].iloc[3] == "no unspliced counts"
    assert not adata.var["velocity_genes"].iloc[3]
    assert adata.uns["recover_dynamics"]["left_out"] == {"no unspliced counts": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_times": 2}, "n_times=2"),
        ({"max_iterations": 0}, "max_iterations=0"),
        ({"hottest": 0.5}, "hottest=0.5"),
        ({"n_lineages": 0}, "n_lineages=0"),
        ({"n_lineages": "two"}, "n_lineages='two'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        vt.SoftEM(**settings)


@pytest.mark.long
@pytest.mark.parametrize(
    ("times", "least"),
    [
        (sim.UniformTimes(), 0.98),
        (sim.ClumpedTimes(), 0.98),
        (sim.GappedTimes(), 0.95),
        (sim.ExponentialTimes(), 0.95),
    ],
    ids=lambda v: type(v).__name__ if not isinstance(v, float) else "",
)
def test_sparse_counts_of_any_distribution_of_times(times, least):
    adata = simulated(n_cells=800, n_genes=500, times=times, mean_unspliced=0.3, mean_spliced=1.0)
    vt.tl.recover_dynamics(adata, progress=False)
    assert spearman(adata) >= least


ISLETS = ("Alpha", "Beta", "Delta", "Epsilon")


@pytest.mark.long
def test_pancreas(shared_data):
    adata = vt.data.read_file(shared_data / "pancreas.h5ad")
    vt.pp.filter_genes(adata)
    vt.tl.recover_dynamics(adata, progress=False)
    rank = {"Ductal": 0, "Ngn3 low EP": 1, "Ngn3 high EP": 2, "Pre-endocrine": 3}
    adata.obs["stage"] = [rank.get(label, 4) for label in adata.obs["clusters"]]
    assert spearman(adata, "stage") >= 0.95
    assert adata.uns["time_arrow"]["verdict"] == "clear"
    found = adata.obsm["lineage_posterior"].argmax(axis=1)
    own = {label: np.bincount(found[adata.obs["clusters"] == label]).argmax() for label in ISLETS}
    assert len(set(own.values())) == 4  # Delta and Epsilon are 2 and 4 % of the cells
    assert all((found[adata.obs["clusters"] == label] == k).mean() > 0.85 for label, k in own.items())
