"""TwoStageEM with genes' own clocks, against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

import velotime as vt
from velotime.kinetics import spliced, unspliced

N_CELLS, N_GENES = 300, 24


def simulated(seed: int = 0, noise: float = 0.04):
    """Genes switched on at time 0 and off later, with beta and gamma of their own; normal noise."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, 1, (N_CELLS, 1))
    beta, gamma = rng.lognormal(np.log(8), 0.3, N_GENES), rng.lognormal(np.log(5), 0.3, N_GENES)
    t_off, alpha = rng.uniform(0.2, 0.8, N_GENES), rng.lognormal(np.log(20), 0.3, N_GENES)
    on, off = np.minimum(time, t_off), np.maximum(time - t_off, 0)
    u, s = unspliced(on, 0.0, alpha, beta), spliced(on, 0.0, 0.0, alpha, beta, gamma)
    u, s = unspliced(off, u, 0.0, beta), spliced(off, u, s, 0.0, beta, gamma)
    adata = vt.simulation.simulate(N_CELLS, N_GENES, rng=rng)
    for name, values in (("u", u), ("s", s)):
        adata.layers[name] = np.maximum(values + rng.normal(0, noise * values.max(axis=0), values.shape), 0)
    adata.obs["time"], adata.var["ratio"] = time, gamma / beta
    return adata


def fit(adata, **settings):
    method = vt.TwoStageEM(clock=vt.GeneClock(**settings)) if settings else vt.TwoStageEM()
    vt.tl.recover_dynamics(adata, method=method, unspliced="u", spliced="s", progress=False)
    return adata


@pytest.fixture(scope="module")
def two_stage():
    """A fit of the default; tests must not change it."""
    return fit(simulated())


def error(adata):
    return np.median(np.abs(np.log(adata.var["fit_gamma"] / adata.var["fit_beta"] / adata.var["ratio"])))


@pytest.mark.parametrize("last", [vt.ExactTimes(), vt.PosteriorTimes()])
def test_rates_and_time_are_found(two_stage, last):
    adata = two_stage if last == vt.PosteriorTimes() else fit(simulated(), last=last)
    assert error(adata) < 0.05
    assert spearmanr(adata.obs["latent_time"], adata.obs["time"]).statistic > 0.99
    t_off = adata.var["fit_t_"] + adata.var["fit_onset"]
    assert (adata.var["fit_scaling"] > 0).all()
    assert np.isfinite(t_off).all()


def test_points_do_not_change_where_the_fit_ends(two_stage, monkeypatch):
    monkeypatch.setattr("velotime.inference.two_stage.gene_clock.fit.SQUARE", 1e-9)
    monkeypatch.setattr("velotime.inference.two_stage.gene_clock.fit.WIDE_SQUARE", 1e-9)
    every = fit(simulated())
    for name in ("fit_gamma", "fit_beta", "fit_sigma_s"):
        assert np.median(np.abs(np.log(every.var[name] / two_stage.var[name]))) < 0.01, name
    assert np.quantile(np.abs(every.varm["loss"] - two_stage.varm["loss"]), 0.8) < 2e-3  # nats per cell


@pytest.mark.parametrize("last", [vt.ExactTimes(), vt.PosteriorTimes()])
def test_converged_genes_have_no_more_to_gain(last):
    """Twice the iterations leave them where they are."""
    short, long = (fit(simulated(), last=last, max_iterations=n) for n in (60, 120))
    done = (short.var["fit_convergence"] == "converged").to_numpy()
    assert done.mean() > 0.9
    ratios = [np.log(adata.var["fit_gamma"] / adata.var["fit_beta"]) for adata in (short, long)]
    assert np.quantile(np.abs(ratios[0] - ratios[1])[done], 0.9) < 0.03
    assert np.abs(short.varm["loss"] - long.varm["loss"])[done].max() < 0.01


def smoothed(seed: int, n: int = 30):
    """The same with means over cells next in time in place of values."""
    adata = simulated(seed, noise=0.1)
    near = np.argsort(np.abs(adata.obs["time"].to_numpy()[:, None] - adata.obs["time"].to_numpy()), axis=1)[:, :n]
    for target, name in (("Mu", "u"), ("Ms", "s")):
        adata.layers[target] = adata.layers[name][near].mean(axis=1).astype(np.float32)
    adata.uns["moments"] = {"source": "neighbors", "n_averaged": n}
    del adata.layers["unspliced"], adata.layers["spliced"]
    return adata


def test_moments_are_not_taken_for_so_many_independent_cells():
    """Neighbours share cells: single genes' moments count less, and the prior of all genes counts more."""
    errors = []
    for seed in range(4):
        aware, unaware = smoothed(seed), smoothed(seed)
        unaware.uns["moments"]["n_averaged"] = 1
        for adata in (aware, unaware):
            vt.tl.recover_dynamics(adata, method=vt.TwoStageEM(), progress=False)
        errors.append((error(aware), error(unaware)))
    aware, unaware = np.mean(errors, axis=0)
    assert aware < 0.85 * unaware


def test_explicit_times_alone_are_worse(two_stage):
    assert error(fit(simulated(), last=vt.ExplicitTimes())) > error(two_stage)


def test_every_slot_is_there_and_consistent(two_stage):
    var, layers = two_stage.var, two_stage.layers
    for name in ("alpha", "beta", "gamma", "t_", "scaling", "std_u", "std_s", "likelihood", "u0", "s0", "variance"):
        assert np.isfinite(var[f"fit_{name}"]).all(), name
    np.testing.assert_allclose(layers["fit_t"], layers["fit_tau"] + layers["fit_tau_"], rtol=1e-5)
    on = layers["fit_tau_"] == 0
    assert (layers["fit_tau"][on] <= np.broadcast_to(var["fit_t_"], on.shape)[on] * (1 + 1e-5)).all()
    # on the curve ds/dt = beta u - gamma s in scVelo's convention: both zero in the steady state
    np.testing.assert_allclose(var["fit_beta"] * var["fit_steady_u"], var["fit_gamma"] * var["fit_steady_s"], rtol=1e-6)
    record = two_stage.uns["recover_dynamics"]
    assert record["method"] == "TwoStageEM"
    assert record["n_converged"] == (var["fit_convergence"] == "converged").sum()
    assert (np.diff(record["bound"][record["first_stage"] : record["first_stage"] + 8]) > -1e-6).all()
    assert 0 == two_stage.obs["latent_time"].min() < two_stage.obs["latent_time"].max() == 1


def test_velocity_is_the_slope_of_spliced_along_time(two_stage):
    g = int(np.argmax(two_stage.var["fit_likelihood"]))
    velocity, spliced_ = two_stage.layers["velocity"][:, g], two_stage.layers["s"][:, g]
    time = two_stage.obs["latent_time"].to_numpy()
    order = np.argsort(time)
    slope = np.gradient(np.convolve(spliced_[order], np.ones(31) / 31, "same"), np.linspace(0, 1, N_CELLS))
    assert np.corrcoef(slope[30:-30], velocity[order][30:-30])[0, 1] > 0.8


def test_genes_that_cannot_be_fitted_say_why():
    adata = simulated()
    top = np.argsort(adata.layers["s"][:, 1])[-12:]
    adata.layers["u"][top, 1] = 0
    adata.layers["u"][:, 2] = 0
    adata.layers["s"][9:, 3] = 0
    del adata.layers["unspliced"], adata.layers["spliced"]
    fit(adata)
    assert list(adata.var["fit_status"][1:5]) == [
        "degenerate steady-state ratio",
        "no unspliced counts",
        "spliced in fewer than 10 cells",
        "fitted",
    ]
    assert adata.var["fit_gamma"][1:4].isna().all()
    assert np.isnan(adata.layers["velocity"][:, 1:4]).all()
    record = adata.uns["recover_dynamics"]
    assert record["n_genes"] == N_GENES - 3
    assert sum(record["left_out"].values()) == 3


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_layers_are_fitted_like_dense_ones(two_stage, kind):
    adata = simulated()
    for name in ("u", "s"):
        adata.layers[name] = kind(adata.layers[name])
    fit(adata)
    np.testing.assert_allclose(adata.var["fit_gamma"], two_stage.var["fit_gamma"], rtol=1e-5)


def test_bad_input():
    adata = simulated()
    with pytest.raises(vt.InputError, match=r"velotime\.pp\.moments"):
        vt.tl.recover_dynamics(adata, method=vt.TwoStageEM(), progress=False)
    with pytest.raises(vt.InputError, match="clock='cell'"):
        vt.TwoStageEM(clock="cell")
    adata.layers["u"][:] = np.where(adata.layers["s"] > np.median(adata.layers["s"], axis=0), 0, adata.layers["u"])
    with pytest.raises(vt.InputError, match="steady-state ratio"):
        fit(adata)
