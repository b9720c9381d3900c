"""MixtureEM against scikit-learn, a slow reference, and the curve that it bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

import velotime as vt
from velotime import InputError, Status
from velotime.compute import GaussianComponents, accumulate_gaussian
from velotime.inference import Geometry, Observations
from velotime.inference.em import Schedule, run_em
from velotime.inference.labels import CellLabels
from velotime.inference.methods.mixture_em import MixtureEM, MixtureParameters, start_from
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import States


def cells_in_clusters(rng, n_cells=700, n_genes=4, n_clusters=3, away=0.0):
    """Overlapping clusters in two layers, far from zero if asked for."""
    centre = rng.normal(0, 1.5, (n_clusters, 2 * n_genes)) + away
    which = rng.integers(n_clusters, size=n_cells)
    values = rng.normal(centre[which], rng.uniform(0.5, 1.5, (n_clusters, 2 * n_genes))[which])
    ones = np.ones(n_cells)
    return Observations(values[:, :n_genes], values[:, n_genes:], ones, ones), which


def given_start(observations, rng, n_components=3):
    return start_from(observations, rng.dirichlet(np.ones(n_components), observations.n_cells), 0.0)


def joined(observations):
    return np.hstack([observations.unspliced, observations.spliced])


@pytest.mark.parametrize("away", [0.0, 10.0])
def test_agrees_with_scikit_learn_from_the_same_start(away):
    rng = np.random.default_rng(0)
    observations, which = cells_in_clusters(rng, away=away)
    start = start_from(observations, 0.7 * np.eye(3)[which] + 0.1, 0.0)
    method = MixtureEM(n_components=3, max_iterations=3000, tolerance=1e-12, least=0.0)
    fit = method.fit_from(observations, start)
    both = np.vstack([start.unspliced.mean, start.spliced.mean]).T
    variance = np.vstack([start.unspliced.variance, start.spliced.variance]).T
    peer = GaussianMixture(
        3,
        covariance_type="diag",
        weights_init=start.weight,
        means_init=both,
        precisions_init=1.0 / variance,
        reg_covar=0.0,
        tol=1e-12,
        max_iter=3000,
    ).fit(joined(observations))
    assert fit.status is Status.CONVERGED
    assert fit.log_likelihood == pytest.approx(peer.score_samples(joined(observations)).sum(), abs=1e-6)
    order = np.argsort(-peer.weights_)
    np.testing.assert_allclose(fit.parameters.weight, peer.weights_[order], rtol=1e-5)
    means = np.vstack([fit.parameters.unspliced.mean, fit.parameters.spliced.mean]).T
    np.testing.assert_allclose(means, peer.means_[order], atol=1e-5)
    variances = np.vstack([fit.parameters.unspliced.variance, fit.parameters.spliced.variance]).T
    np.testing.assert_allclose(variances, peer.covariances_[order], rtol=1e-4)
    np.testing.assert_allclose(fit.posterior, peer.predict_proba(joined(observations))[:, order], atol=1e-4)


def test_one_step_is_the_textbook():
    rng = np.random.default_rng(1)
    observations, _ = cells_in_clusters(rng, n_cells=90)
    start = given_start(observations, rng)
    problem = MixtureEM(n_components=3, least=0.0).problem(observations)
    statistics, bound = problem.expect(start, 1.0)
    after = problem.maximise(start, statistics, 0)
    x = joined(observations)
    mean = np.vstack([start.unspliced.mean, start.spliced.mean])
    variance = np.vstack([start.unspliced.variance, start.spliced.variance])
    density = np.stack([multivariate_normal(mean[:, k], np.diag(variance[:, k])).pdf(x) for k in range(3)], axis=1)
    density *= start.weight
    r = density / density.sum(axis=1, keepdims=True)
    assert bound == pytest.approx(np.log(density.sum(axis=1)).mean(), rel=1e-12)
    expected = (r.T @ x) / r.sum(axis=0)[:, None]
    spread = np.stack([r[:, k] @ (x - expected[k]) ** 2 / r[:, k].sum() for k in range(3)])
    np.testing.assert_allclose(after.weight, r.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.vstack([after.unspliced.mean, after.spliced.mean]).T, expected, rtol=1e-10)
    np.testing.assert_allclose(np.vstack([after.unspliced.variance, after.spliced.variance]).T, spread, rtol=1e-10)


def test_narrow_clusters_far_from_zero_keep_their_digits():
    """E[x^2] - E[x]^2 would give a variance of 0 or worse here."""
    rng = np.random.default_rng(2)
    values = 1e8 + np.repeat([0.0, 1.0], 200)[:, None] + rng.normal(0, 1e-3, (400, 2))
    observations = Observations(values[:, :1], values[:, 1:], np.ones(400), np.ones(400))
    start = start_from(observations, np.eye(2)[np.repeat([0, 1], 200)] * 0.9 + 0.05, 0.0)
    fit = MixtureEM(n_components=2, least=0.0, tolerance=1e-10).fit_from(observations, start)
    np.testing.assert_allclose(np.sqrt(fit.parameters.spliced.variance), 1e-3, rtol=0.15)


def test_log_likelihood_never_falls_with_the_variance_at_its_bound():
    rng = np.random.default_rng(3)
    observations, _ = cells_in_clusters(rng, n_cells=200)
    method = MixtureEM(n_components=8, least=0.3, tolerance=0.0, max_iterations=60)
    fit = method.fit_from(observations, given_start(observations, rng, 8))
    assert (np.diff(fit.trace.bound) >= -1e-10).all()
    floor = 0.3 * observations.spliced.var(axis=0)
    assert (fit.parameters.spliced.variance >= floor[:, None] * (1 - 1e-12)).all()
    assert (fit.parameters.spliced.variance <= floor[:, None] * (1 + 1e-12)).any()


def test_sparse_and_dense_chunks_and_threads_give_the_same():
    rng = np.random.default_rng(4)
    observations, _ = cells_in_clusters(rng, n_cells=1300)
    start = given_start(observations, rng)
    problem = MixtureEM(n_components=3).problem(observations)
    thin = [sparse.csr_array(np.maximum(layer, 0)) for layer in (observations.unspliced, observations.spliced)]
    dense = accumulate_gaussian(tuple(layer.toarray() for layer in thin), start.layers, start.weight)
    csr = accumulate_gaussian(tuple(thin), start.layers, start.weight)
    assert csr.log_evidence == dense.log_evidence
    np.testing.assert_array_equal(csr.second[0], dense.second[0])
    halves = [
        MixtureEM(n_components=3).problem(observations.select_cells(np.arange(*at))).expect(start, 1.0)[0]
        for at in ((0, 650), (650, 1300))
    ]
    whole = problem.expect(start, 1.0)[0]
    together = halves[0] + halves[1]
    for one, other in zip((*together.first, *together.second), (*whole.first, *whole.second), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_allclose(together.weight, whole.weight)
    assert together.log_evidence == pytest.approx(whole.log_evidence)


def test_k_means_start_finds_the_clusters():
    rng = np.random.default_rng(5)
    observations, which = cells_in_clusters(rng, n_cells=400, n_genes=20)
    placed = np.sort(rng.permutation(400)[:200])
    geometry = Geometry(placed, joined(observations)[placed][:, :5], joined(observations)[placed])
    fit = MixtureEM(n_components=3).fit(observations, geometry, rng=rng)
    together = np.array([[(fit.posterior.argmax(axis=1)[which == a] == k).mean() for k in range(3)] for a in range(3)])
    assert (together.max(axis=1) > 0.98).all()
    assert (np.diff(fit.parameters.weight) <= 0).all()


def test_bounds_the_curve_from_above():
    """SoftEM with Gaussian noise is a mixture whose means lie on a curve: from there the mixture only rises."""
    rng = np.random.default_rng(6)
    adata = vt.simulation.simulate(
        200, 20, rng=rng, noise=vt.simulation.GaussianValues(0.3), depth=vt.simulation.LogNormalDepth(0.0)
    )
    u, s = (adata.layers[name].toarray() for name in ("unspliced", "spliced"))
    observations = Observations(u, s, np.ones(200), np.ones(200))
    states, noise = States.grid(16), vt.Gaussian()
    rows = vt.SoftEM().prior_rows(CellLabels.plain(200))
    prior = RatePrior(states.layout)
    soft = SoftProblem(Cells.of(observations, rows, noise), states, noise, vt.LearnedPrior(), prior)
    nearest = np.abs(adata.obs["true_time"].to_numpy()[:, None] - states.times).argmin(axis=1)
    statistics = soft.statistics_of(np.eye(16, dtype=np.float32)[nearest])
    run = run_em(soft, soft.first(statistics), statistics, Schedule(0, 1.0, 5, 0.0))
    curve = run.bound * 200 + prior.penalty(run.parameters.theta).sum()
    layers = [
        GaussianComponents(mean, np.repeat(scatter[:, None], 16, axis=1))
        for mean, scatter in zip(
            states.means(run.parameters.theta),
            (run.parameters.unspliced_scatter, run.parameters.spliced_scatter),
            strict=True,
        )
    ]
    start = MixtureParameters(run.parameters.prior[0], *layers)
    method = MixtureEM(n_components=16)
    assert method.problem(observations).expect(start, 1.0)[1] * 200 == pytest.approx(curve, rel=1e-6)
    assert method.fit_from(observations, start).log_likelihood > curve


def test_slots(small, tmp_path):
    with pytest.raises(InputError, match=r"vt\.pp\.moments|velotime\.pp\.moments"):
        vt.tl.recover_dynamics(small, method=vt.MixtureEM(4), progress=False)
    vt.pp.moments(small)
    vt.tl.recover_dynamics(small, method=vt.MixtureEM(4), progress=False)
    small.write_h5ad(tmp_path / "mixture.h5ad")
    posterior, fitted = small.obsm["mixture_posterior"], (small.var["fit_status"] == "fitted").to_numpy()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    assert (small.obs["mixture_component"].cat.codes == posterior.argmax(axis=1)).all()
    weight = small.uns["recover_dynamics"]["weights"]
    np.testing.assert_allclose(weight, posterior.mean(axis=0), atol=1e-2)
    mean = small.varm["mixture_mean_s"]
    np.testing.assert_allclose(mean[fitted] @ weight, small.layers["Ms"][:, fitted].mean(axis=0), rtol=1e-2)
    assert np.isnan(mean[~fitted]).all()
    assert (small.varm["mixture_variance_u"][fitted] > 0).all()
    assert small.uns["recover_dynamics"]["method"] == "MixtureEM"
    assert "velocity_params" not in small.uns


def test_more_components_than_cells_is_an_error():
    rng = np.random.default_rng(7)
    observations, _ = cells_in_clusters(rng, n_cells=30)
    geometry = Geometry(np.arange(30), joined(observations), joined(observations))
    with pytest.raises(InputError, match=r"n_components=31\), but there are only 30 cells"):
        MixtureEM(n_components=31).fit(observations, geometry, rng=rng)


@pytest.mark.parametrize("settings", [{"n_components": 0}, {"max_iterations": 0}, {"least": 1.0}])
def test_bad_settings(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        MixtureEM(**settings)
