"""A stored fit read back: parameters, posterior, and what follows from them."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from quick_fit import QUICK
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.data import Fitted, layer_sizes
from velotime.data.stored.gene_columns import lineage_columns, rate_columns, read_theta
from velotime.data.stored.identity import digest, fingerprint
from velotime.data.stored.settings import plain, read_settings
from velotime.inference.results.expectations import TAIL, draw_states, stack_cells, without_tail


def simulated(n_cells=200, n_genes=30, **options):
    rng = np.random.default_rng(0)
    return vt.simulation.simulate(n_cells, n_genes, rng=rng, mean_unspliced=1.0, mean_spliced=3.0, **options)


@pytest.mark.parametrize("n_lineages", [1, 3])
def test_parameters_come_back_from_their_columns(n_lineages):
    rng = np.random.default_rng(n_lineages)
    theta = rng.normal(0, 1.5, (20, 6 + 2 * n_lineages))
    adata = ad.AnnData(np.zeros((1, 20)))
    for name, values in rate_columns(theta).items():
        adata.var[name] = values
    adata.varm.update(lineage_columns(theta))
    genes = np.array([3, 0, 19])
    np.testing.assert_allclose(read_theta(adata, genes), theta[genes], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "method",
    [
        vt.SoftEM(n_lineages="auto", lineages=vt.Terminals("a", ("x", "y")), root=vt.Root(cell="c")),
        vt.SoftEM(
            noise=vt.Gaussian(), prior=vt.LearnedPrior(by="a"), knowledge=(vt.Ends("a", ["x"]), vt.Markers(["g"]))
        ),
        vt.TwoStageEM(),
        vt.TwoStageEM(clock=vt.SharedClock(max_iterations=7)),
        vt.TwoStageEM(clock=vt.GeneClock(last=vt.ExactTimes())),
        vt.MixtureEM(),
    ],
)
def test_settings_come_back(method):
    assert read_settings(plain(method)) == method


def test_the_posterior_gives_latent_time_and_the_layers(fitted):
    stored = Fitted.of(fitted)
    q = stored.posterior
    assert q.dtype == np.float32
    np.testing.assert_allclose(np.asarray(q.sum(axis=1)).ravel(), 1, atol=1e-6)
    assert q.nnz < 0.3 * q.shape[0] * q.shape[1]
    assert np.abs(q @ stored.states.time - fitted.obs["latent_time"]).max() < TAIL
    means = stored.means()
    for layer, values in (
        ("Mu", means[0]),
        ("Ms", means[1]),
        ("velocity", stored.velocity()),
        ("velocity_u", stored.velocity_u()),
        ("velocity_sd", stored.velocity_sd()),
    ):
        wanted = fitted.layers[layer][:, stored.genes]
        np.testing.assert_allclose(values, wanted, rtol=2e-5, atol=2e-5 * np.abs(wanted).max(), err_msg=layer)
    u, s = stored.states.means(stored.theta())
    dense = q.toarray().astype(float)
    np.testing.assert_allclose(means[0], dense @ u.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(means[1], dense @ s.T, rtol=1e-4, atol=1e-5)


def test_the_tail_is_what_is_cut_and_no_more():
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(60, 0.1), size=50)
    kept = without_tail(q).toarray()
    gone = (kept == 0) & (q > 0)
    assert gone.any()
    assert ((q * gone).sum(axis=1) <= TAIL).all()
    least = np.where(kept > 0, q, np.inf).min(axis=1)
    assert ((q * gone).sum(axis=1) + least > TAIL).all()  # the next one would have been too much
    np.testing.assert_allclose(kept.sum(axis=1), 1, atol=1e-6)
    value = rng.random(60)
    assert np.abs(kept @ value - q @ value).max() <= TAIL
    some = rng.random((5, 3))
    order = np.array([2, 0, 4, 1, 3])
    whole = stack_cells([sparse.csr_array(some[:2]), sparse.csr_array(some[2:])], order)
    np.testing.assert_allclose(whole.toarray()[order], some)


def test_draws_are_stratified():
    q = sparse.csr_array(np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], dtype=np.float32))
    states = draw_states(q, 10, np.random.default_rng(0))
    assert (states[0] == 0).sum() == (states[0] == 2).sum() == 5
    assert (states[1] == 1).all()


def test_cells_and_genes_keep_what_the_fit_said_of_them(fitted):
    order = np.random.default_rng(0).permutation(fitted.n_obs)[:200]
    part = fitted[order, 10:40].copy()
    whole, some = Fitted.of(fitted), Fitted.of(part)
    assert some.id == whole.id
    np.testing.assert_array_equal(some.sizes[1], whole.sizes[1][order])
    np.testing.assert_allclose(some.velocity(), whole.velocity(order, np.arange(10, 40)), rtol=1e-5, atol=1e-7)
    u, s = whole.values([12])
    for one, other in zip(some.values([2]), (u, s), strict=True):
        np.testing.assert_array_equal(one, other[order])
    np.testing.assert_array_equal(layer_sizes(part, "spliced"), whole.sizes[1][order])


def test_the_sizes_of_the_fit_are_those_that_counts_are_divided_by(fitted):
    total = np.asarray(fitted.layers["spliced"].sum(axis=1)).ravel()
    np.testing.assert_allclose(Fitted.of(fitted).sizes[1], np.maximum(total / total.mean(), 0.05))
    assert (layer_sizes(fitted, "Ms") == 1).all()  # no counts


def test_more_cells_than_were_fitted_are_refused(fitted):
    both = ad.concat([fitted, fitted], index_unique="-", uns_merge="first", merge="same")
    with pytest.raises(InputError, match="made of 600 cells, but 1,200 are here"):
        Fitted.of(both)


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_an_id_is_of_what_was_fitted():
    def fit(adata, **more):
        seed = more.pop("seed", 0)
        method = vt.SoftEM(**QUICK | {"start_genes": 10, "start_times": 8, "n_lineages": 1} | more)
        vt.tl.recover_dynamics(adata, method=method, rng=seed, layers=(), progress=False)
        return Fitted.of(adata).id

    adata = simulated()
    one = fit(adata.copy())
    assert one == fit(adata.copy())
    changed = adata.copy()
    changed.layers["spliced"] = changed.layers["spliced"].copy()
    changed.layers["spliced"].data[0] += 1
    others = [fit(adata.copy(), seed=1), fit(adata.copy(), n_times=25), fit(changed), fit(adata[::-1].copy())]
    assert len({one, *others}) == 5
    by_generator = adata.copy()
    id_of_it = fit(by_generator, seed=np.random.default_rng(7))
    assert id_of_it not in {one, *others}
    assert id_of_it == fit(adata.copy(), seed=by_generator.uns["recover_dynamics"]["seed"])


def test_fingerprints_know_no_order_and_digests_do():
    names = ["a", "b", "c"]
    assert fingerprint(names) == fingerprint(names[::-1]) != fingerprint(names[:2])
    assert digest(np.array([1.0, 2.0])) != digest(np.array([2.0, 1.0]))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


METHODS = {
    "SoftEM": vt.SoftEM(**QUICK),
    "gene": vt.TwoStageEM(),
    "shared": vt.TwoStageEM(clock="shared"),
    "mixture": vt.MixtureEM(),
}


@pytest.fixture(scope="module", params=list(METHODS))
def by_method(request):
    adata = simulated()
    vt.pp.moments(adata)
    method = METHODS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=method, progress=False)
    return request.param, adata


def test_every_method_says_what_it_holds(by_method, tmp_path):
    name, adata = by_method
    adata.write_h5ad(tmp_path / "fit.h5ad")
    again = ad.read_h5ad(tmp_path / "fit.h5ad")
    stored = Fitted.of(again)
    assert stored.id == Fitted.of(adata).id
    assert stored.settings == METHODS[name]
    shared = {"time", "curves", "scatter", "rates", "gains", "arrow"}
    holds = {
        "SoftEM": shared | {"intervals", "posterior", "velocity_sd", "prior"},
        "gene": {"time", "rates"},
        "shared": shared,
        "mixture": {"components"},
    }
    assert stored.capabilities == holds[name]
    if name == "mixture":
        with pytest.raises(InputError, match=r"made by MixtureEM, which gives no time of each cell.*SoftEM\(\)"):
            vt.get.velocity(again)
    else:
        velocity = vt.get.velocity(again)
        np.testing.assert_allclose(
            velocity,
            adata.layers["velocity"][:, stored.genes],
            rtol=1e-4,
            atol=1e-5 * np.abs(velocity.to_numpy()).max(),
        )
    if name in ("SoftEM", "shared", "mixture"):
        means = vt.get.fitted_means(again)
        for found, values in zip(means, stored.values(stored.genes), strict=True):
            np.testing.assert_allclose(found.mean(), values.mean(axis=0), rtol=0.5, atol=0.05)
    if name != "SoftEM":
        with pytest.raises(InputError, match=rf"made by {stored.method}, which gives no posterior of each cell's time"):
            vt.get.posterior(again)


def test_a_fit_that_is_not_whole_is_refused(fitted, small):
    with pytest.raises(InputError, match="nothing is fitted yet"):
        Fitted.of(small)
    small.uns["recover_dynamics"] = {"fit_connected_states": True, "use_raw": False}
    with pytest.raises(InputError, match="made by another tool, such as scVelo"):
        Fitted.of(small)
    old = fitted.copy()
    del old.uns["recover_dynamics"]["id"]
    with pytest.raises(InputError, match="earlier version of velotime"):
        Fitted.of(old)
    lost = fitted.copy()
    del lost.obsm["time_posterior"]
    with pytest.raises(InputError, match=r"slots of the fit are missing: adata.obsm\['time_posterior'\]"):
        vt.get.posterior(lost)


def test_the_column_lineage_is_the_users(fitted):
    assert "lineage" not in fitted.obs
    assert isinstance(fitted.obs["fit_lineage"].dtype, pd.CategoricalDtype)
