"""Means over neighbours are not treated as independent cells."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import _keys as keys
from velotime.compute import LayerSums
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.results.uncertainty import uncertainty
from velotime.inference.states import States

METHOD = vt.SoftEM(noise=vt.Gaussian(), start_genes=40, start_times=24, n_times=48)
MOMENTS = {"unspliced": keys.MU, "spliced": keys.MS}


@pytest.fixture(scope="module")
def fits():
    """The same fit of moments, as means, and as if they were independent cells."""
    out = []
    for aware in (True, False):
        adata = vt.simulation.simulate(300, 60, rng=np.random.default_rng(3), mean_unspliced=0.5, mean_spliced=1.5)
        vt.pp.moments(adata)
        if not aware:
            adata.uns[keys.MOMENTS][keys.N_AVERAGED] = 1.0
        before = {name: adata.layers[name].copy() for name in MOMENTS.values()}
        vt.tl.recover_dynamics(adata, method=METHOD, progress=False, **MOMENTS)
        out.append((adata, before))
    return out


def test_moments_that_were_fitted_stay(fits):
    for adata, before in fits:
        for name, values in before.items():
            np.testing.assert_array_equal(adata.layers[name], values)
        assert adata.uns[keys.MOMENTS]["source"] == keys.NEIGHBORS
        vt.tl.velocity_graph(adata, posterior=True)  # takes up the fit from its layers again


def coverage(adata):
    low, high = adata.obs["latent_time_q05"], adata.obs["latent_time_q95"]
    unit, origin = np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)
    truth = (adata.obs["true_time"] - origin) / unit
    return float(((low <= truth) & (truth <= high)).mean())


def test_intervals_know_of_it(fits):
    aware, unaware = (adata for adata, _ in fits)
    assert aware.uns["recover_dynamics"]["n_averaged"] > 30
    assert coverage(aware) > 0.65
    assert coverage(unaware) < 0.35
    np.testing.assert_allclose(aware.var["fit_gamma"], unaware.var["fit_gamma"])
    for error in ("fit_gamma_se", "fit_t_on_se"):
        assert (aware.var[error] > 2 * unaware.var[error]).mean() > 0.8
    assert np.median(aware.layers["velocity_sd"]) > 2 * np.median(unaware.layers["velocity_sd"])
    order = aware.obs[["latent_time"]].assign(other=unaware.obs["latent_time"]).corr("spearman").iloc[0, 1]
    assert order > 0.99


def test_evidence_for_the_direction_counts_once(fits):
    aware, unaware = (adata.uns["time_arrow"]["log_likelihood_margin"] for adata, _ in fits)
    n_averaged = fits[0][0].uns["recover_dynamics"]["n_averaged"]
    assert aware == pytest.approx(unaware / n_averaged, rel=0.05)
    roots = [adata.uns["recover_dynamics"]["root_margin"] for adata, _ in fits]
    assert roots[0] == pytest.approx(roots[1] / n_averaged, rel=0.05)


def test_tests_of_groups_know_of_it(fits):
    """Groups by chance do not differ."""
    found = []
    for adata, _ in fits:
        adata.obs["half"] = np.random.default_rng(0).integers(0, 2, adata.n_obs).astype(str)
        adata.obs["half"] = adata.obs["half"].astype("category")
        found.append(vt.tl.differential_kinetics(adata, "half")["p_value"])
    aware, unaware = found
    assert (aware >= unaware - 1e-9).mean() > 0.95


def test_n_copies_of_every_cell_say_what_one_says():
    states = States.grid(24)
    rng = np.random.default_rng(0)
    theta = np.array([[2.0, 1.6, 0.2, -2.0, 0.5, 0.0, -0.8, -2.0]]) + rng.normal(0, 0.2, (30, 8))
    one, three = (gene_problem(states, theta, copies) for copies in (1, 3))
    count = np.full(24, 40.0)
    expected, found = uncertainty(one, theta, count), uncertainty(three, theta, 3 * count, 3.0)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=0.1, atol=1e-3)
    np.testing.assert_allclose(found.clock_variance, expected.clock_variance, rtol=0.1)


def gene_problem(states, theta, copies):
    size = np.full(states.n_states, 40.0 * copies)
    layers = [LayerSums(size * mean, np.stack([size] * 4)) for mean in states.means(theta)]
    scatter = np.full(len(theta), 0.01)
    return GeneProblem(states, vt.Gaussian(), RatePrior(states.layout), *layers, scatter, scatter)
