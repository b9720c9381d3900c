"""Several samples on one clock: capture, dispersion and composition of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

import velotime as vt
from velotime import simulation as sim
from velotime.compute import LayerSums
from velotime.data import Fitted, restore_soft_fit
from velotime.data.moments import read_for
from velotime.inference.curves.circle import PERIODIC
from velotime.inference.curves.line import SWITCH
from velotime.inference.heldout.comparison import Comparison
from velotime.inference.knowledge.time_prior import LearnedPrior, SharedPrior, likeliest_kappa
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import NegativeBinomial, newton
from velotime.inference.model.samples.effects import NOT_SEEN, with_capture
from velotime.inference.model.samples.learning import (
    DISPERSION_SD,
    Captured,
    learn_capture,
    learn_scatter,
    learn_spread,
)
from velotime.inference.results.restored_fit import Restored
from velotime.inference.results.samples.speed import PacedGenes, directions, speeds_of_samples
from velotime.inference.results.uncertainty import own_covariance, sums_along
from velotime.inference.search.geometry.samples import without_offsets
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter
from velotime.pl._by_sample.samples import sample_densities

QUICK = {"n_times": 24, "annealing": 8, "max_iterations": 12, "start_cells": 200, "start_genes": 40, "start_times": 12}


def fitted(adata, **more):
    adata = adata.copy()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**(QUICK | {"n_lineages": 1} | more)), progress=False)
    return adata


@pytest.fixture(scope="module")
def cells():
    samples = sim.Samples((2, 1), composition=1.5, dispersion=0.4, sizes=(1, 1, 0.4))
    return sim.simulate(360, 60, rng=np.random.default_rng(3), samples=samples, mean_unspliced=1.5, mean_spliced=4.0)


@pytest.fixture(scope="module")
def fit(cells):
    return fitted(cells, samples="sample", root=vt.Root(cell=cells.obs["true_time"].idxmin()))


def test_a_curve_times_capture_is_a_curve():
    theta = np.random.default_rng(0).normal(size=(5, 10))
    theta[:, [2, 6, 8]] = [0.2, -1.0, -1.2]
    capture = np.random.default_rng(1).normal(size=(2, 5))
    states = States.grid(9, 2, SWITCH)
    for before, after, factor in zip(
        states.means(theta), states.means(with_capture(theta, capture)), capture, strict=True
    ):
        assert np.allclose(after, before * np.exp(factor)[:, None], rtol=1e-12)


def test_capture_is_the_likeliest_with_mean_zero():
    """Against a general optimiser on the same objective, which no step makes worse."""
    rng = np.random.default_rng(2)
    size = rng.uniform(5, 20, (3, 6))
    means, phi = rng.uniform(0.2, 3, (4, 6)), (rng.uniform(0.05, 0.5, 4), np.log([1.2, 0.7, 1.1]))
    sums = [
        LayerSums.of_one_size(rng.poisson(means * size[b] * np.exp(rng.normal(0, 0.5, (4, 1)))), size[b], np.ones(6))
        for b in range(3)
    ]
    share, background = np.array([0.5, 0.3, 0.2]), rng.uniform(0, 0.3, (4, 3))
    layer = Captured.of(NegativeBinomial(), sums, means, phi, share, background)
    found, loss = np.zeros((4, 3)), np.inf
    found[0, 2] = NOT_SEEN
    for _ in range(12):
        found = learn_capture(layer, found, 0.4)
        assert np.all(layer.loss(found, 0.4) <= loss)
        loss = layer.loss(found, 0.4)
    assert found[0, 2] == NOT_SEEN
    assert np.allclose(found[1:] @ layer.share, 0, atol=1e-12)
    assert np.allclose(found[0, :2] @ layer.share[:2], 0, atol=1e-12)
    for other in rng.normal(0, 0.02, (40, 4, 3)):
        other -= (other @ layer.share)[:, None] / layer.share.sum()
        assert np.all(layer.loss(found + other * (found > NOT_SEEN), 0.4)[1:] > loss[1:])
    assert 0.1 < learn_spread(layer, found, 0.4)[0] < 1.0


def test_samples_side_by_side_say_what_each_says():
    """Log-likelihood of captures, and of dispersions up to what depends on no dispersion, sample by sample."""
    rng, noise = np.random.default_rng(5), NegativeBinomial()
    counts = [rng.poisson(rng.gamma(2, 1, (n, 4))).astype(np.float32) for n in (40, 25)]
    data = [LayerData.of(sparse.csr_array(x), rng.lognormal(0, 0.4, len(x)), 8) for x in counts]
    q = [rng.dirichlet(np.ones(6), len(x)) for x in counts]
    sums = [
        LayerSums(x.T.astype(float) @ own, np.stack([(one.size**p) @ own for p in (1, 2, 3, 4)]))
        for x, own, one in zip(counts, q, data, strict=True)
    ]
    means, phi, psi = rng.uniform(0.2, 3, (4, 6)), rng.uniform(0.05, 0.5, 4), np.array([1.3, 0.8])
    capture, background = rng.normal(0, 0.3, (4, 2)), rng.uniform(0, 0.3, (4, 2))
    layer = Captured.of(noise, sums, means, (phi, np.log(psi)), np.array([0.6, 0.4]), background)
    at = [np.exp(capture[:, [b]]) * means + background[:, [b]] for b in (0, 1)]
    alone = [noise.log_likelihood(sums[b], at[b], phi * psi[b]) for b in (0, 1)]
    np.testing.assert_allclose(layer.loss(capture, 0.5), 0.5 * (capture**2).sum(axis=1) / 0.25 - sum(alone), rtol=1e-12)
    scatter, logs = learn_scatter(layer, np.log(psi), data, capture)
    psi_before, phi_before = psi.copy(), phi.copy()

    def value(phi, psi):
        return [noise.scatter_log_likelihood(phi * psi[b], sums[b], at[b], data[b]) for b in (0, 1)]

    phi = np.exp(newton(lambda x: sum(value(np.exp(x), psi_before)), np.log(phi_before), np.log(0.01), np.log(20.0)))
    found = newton(
        lambda x: np.array([one.sum() for one in value(phi, np.exp(x))]) - 0.5 * (x / DISPERSION_SD) ** 2,
        np.log(psi_before),
        -2.0,
        2.0,
    )
    np.testing.assert_allclose(scatter[:, None] * np.exp(logs), phi[:, None] * np.exp(found), rtol=1e-9)
    assert abs(logs @ layer.share) < 1e-12


def test_time_priors_are_shared_as_far_as_samples_agree():
    states = States.grid(32)
    rng = np.random.default_rng(4)
    same = rng.multinomial(400, np.full(32, 1 / 32), size=4).astype(float)
    different = np.stack([np.roll(np.r_[np.full(8, 50.0), np.zeros(24)], 8 * b) for b in range(4)])
    prior = SharedPrior(LearnedPrior(), "sample")
    assert np.abs(prior.update(same, states) - 1 / 32).max() < 0.01
    assert np.all((prior.update(different, states) > 0.02).sum(axis=1) == 8)
    assert likeliest_kappa(same, np.full(32, 1 / 32)) > 1000 > likeliest_kappa(different, np.full(32, 1 / 32)) * 20
    one = np.arange(32.0)[None]
    assert np.array_equal(prior.update(one, states), LearnedPrior().update(one, states))


def places_on_a_way(seed, spread, *, forked):
    """Cells of two samples, of which one lacks the end of a way and the other its beginning, and an offset."""
    rng = np.random.default_rng(seed)
    sample = np.repeat([0, 1], 300)
    time = np.where(sample == 0, rng.uniform(0, 0.8, 600), rng.uniform(0.3, 1, 600))
    corners = rng.normal(0, 2, (5, 6))
    ways = [corners, np.r_[corners[:3], rng.normal(0, 2, (2, 6))] if forked else corners]
    along = [np.stack([np.interp(time, np.linspace(0, 1, 5), axis) for axis in way.T], axis=1) for way in ways]
    places = np.where(rng.random((600, 1)) < 0.5, *along) + rng.normal(0, 0.4, (600, 6))
    return places, sample, rng.normal(0, spread, 6)


def test_offsets_of_samples_are_told_by_what_they_share():
    """Of eight draws one may keep more than half of its offset: the likelihood has other maxima."""
    left = []
    for seed in range(4):
        for forked in (False, True):
            places, sample, offset = places_on_a_way(seed, 0.5, forked=forked)
            found = without_offsets(places + sample[:, None] * offset, sample, 0) - places
            rest = found[sample == 1].mean(axis=0) - found[sample == 0].mean(axis=0)
            left.append(np.linalg.norm(rest) / np.linalg.norm(offset))
    assert np.median(left) < 0.25
    assert np.sum(np.array(left) > 0.5) <= 1


def test_one_sample_is_the_fit_without(cells):
    alone = cells[cells.obs["sample"] == "A1"].copy()
    one, other = fitted(alone), fitted(alone, samples="sample")
    for slot in ("latent_time", "latent_time_sd", "fit_size_spliced"):
        assert np.array_equal(one.obs[slot], other.obs[slot])
    assert np.array_equal(one.var["fit_gamma"], other.var["fit_gamma"], equal_nan=True)
    assert "samples" not in other.uns


def test_captures_dispersions_and_times_are_found(cells, fit):
    assert stats.spearmanr(fit.obs["latent_time"], cells.obs["true_time"]).statistic > 0.99
    record = fit.uns["samples"]
    assert list(record["names"]) == ["A1", "A2", "B1"]
    assert record["spread"] == pytest.approx([0.5, 0.2], rel=0.1)
    for layer, least in (("u", 0.92), ("s", 0.82)):  # of spliced counts less is to be told
        found, true = (np.log(table.varm[f"{name}_capture_{layer}"]) for table, name in ((fit, "fit"), (cells, "true")))
        assert np.allclose(found @ record["shares"], 0, atol=1e-8)
        assert np.corrcoef(found.ravel(), (true - (true @ record["shares"])[:, None]).ravel())[0, 1] > least
    weights = fit.uns["time_prior"]["weights"]
    density = dict(zip(fit.uns["time_prior"]["groups"], weights @ fit.uns["time_prior"]["times"], strict=True))
    true = cells.obs.groupby("sample", observed=True)["true_time"].mean()
    assert max(density, key=density.get) == true.idxmax()
    assert list(record["table"]["n_cells"]) == [150, 150, 60]


def test_the_bound_does_not_fall(fit):
    _, restored = restore_soft_fit(fit)
    problem, parameters = restored.problem, restored.parameters
    assert np.abs(restored.latent_time - fit.obs["latent_time"]).max() < 1e-6
    statistics, last = problem.expect(parameters, 1.0)
    for iteration in range(100, 104):
        parameters = problem.maximise(parameters, statistics, iteration)
        statistics, bound = problem.expect(parameters, 1.0)
        assert bound > last - 1e-9
        last = bound


def test_values_are_as_if_all_samples_had_captured_alike(fit):
    stored = Fitted.of(fit)
    genes = stored.genes[:5]
    values, means = stored.values(genes)[1], stored.means(genes=genes)[1]
    for name in ("A1", "A2"):
        own = np.asarray(fit.obs["sample"] == name)
        assert values[own].mean(axis=0) == pytest.approx(means[own].mean(axis=0), rel=0.06)


def normal_equations_are_those_of_the_samples(fit):
    """The sums over samples, made once for all, are those of the samples one by one."""
    _, restored = restore_soft_fit(fit)
    problem, parameters = restored.problem, restored.parameters
    statistics, _ = problem.expect(parameters, 1.0)
    genes = problem.gene_problem(parameters, statistics)
    assert len({float(one.log_capture[0, 0]) for one in genes.samples}) == len(genes.samples)
    alone = [part.information(own) for part, own in genes.parts(parameters.theta)]
    for found, expected in zip(genes.information(parameters.theta), map(sum, zip(*alone, strict=True)), strict=True):
        scale = np.abs(expected).reshape(len(expected), -1).max(axis=1).reshape(-1, *[1] * (expected.ndim - 1))
        assert np.allclose(found / scale, expected / scale, atol=1e-6)


def test_normal_equations_are_those_of_the_samples(fit):
    normal_equations_are_those_of_the_samples(fit)


def test_speeds_change_curves_as_their_derivative_says(fit):
    """Gradient of the curves at speeds of their own against differences; and directions against curves."""
    _, restored = restore_soft_fit(fit)
    problem, parameters = restored.problem, restored.parameters
    statistics, _ = problem.expect(parameters, 1.0)
    genes = PacedGenes.of(problem.gene_problem(parameters, statistics), np.array([-0.2, 0.1, 0.3]))
    theta, step = parameters.theta, 1e-5
    gradient = genes.prior.gradient(theta) - genes.information(theta)[0]
    for p in (SwitchParameter.LOG_BETA, SwitchParameter.LOG_GAMMA, SwitchParameter.LOG_LEVEL_1):
        away = step * np.eye(theta.shape[1])[p]
        slope = (genes.loss(theta + away) - genes.loss(theta - away)) / (2 * step)
        assert np.allclose(gradient[:, p], slope, rtol=1e-3, atol=1e-2)
    layout = problem.states.layout
    captured = directions(layout)[1:].T @ np.array([0.3, -0.2])
    assert np.allclose(theta + captured, with_capture(theta, np.full((2, len(theta)), [[0.3], [-0.2]])))


def test_a_background_that_a_fit_took_a_speed_for_is_given_back(fit):
    """Speeds are the same whatever background a sample begins with: it is learned with them."""
    _, restored = restore_soft_fit(fit)
    problem, parameters = restored.problem, restored.parameters
    profile = problem.background_profile.reshape(3, 2, -1).transpose(1, 2, 0)
    found = []
    for share in (0.0, 0.2):
        effects = replace(parameters.effects, background=profile * np.array([0.0, 0.0, share]))
        found.append(speeds_of_samples(Restored(problem, replace(parameters, effects=effects))).log_slowing)
    assert np.allclose(*found, atol=0.03)


def test_sums_along_all_directions_make_the_covariance(fit):
    _, restored = restore_soft_fit(fit)
    problem, parameters = restored.problem, restored.parameters
    statistics, _ = problem.expect(parameters, 1.0)
    genes, n_cells = problem.gene_problem(parameters, statistics), statistics.weight.sum(axis=0)
    every = np.eye(problem.states.layout.n_parameters)
    within, cross, times = sums_along(genes, parameters.theta, n_cells, every)
    lost = (cross / times) @ cross.transpose(0, 2, 1)
    expected = own_covariance(genes, parameters.theta, n_cells)
    assert np.allclose(np.linalg.inv(within + genes.prior.hessian - lost), expected, rtol=1e-6, atol=1e-9)


def test_a_gene_that_a_sample_does_not_have_says_nothing_there(cells):
    less = cells.copy()
    rows, gene = np.flatnonzero(less.obs["sample"] == "B1"), int(np.argmax(less.layers["spliced"].sum(axis=0)))
    for layer in ("unspliced", "spliced"):
        counts = less.layers[layer].toarray()
        counts[rows, gene] = 0
        less.layers[layer] = counts
    found = fitted(less, samples="sample", root=vt.Root(cell=cells.obs["true_time"].idxmin()))
    assert found.varm["fit_capture_s"][gene, 2] < 1e-10
    assert found.uns["samples"]["spread"][1] < 0.4
    assert np.isnan(Fitted.of(found).values([gene])[1][rows]).all()


def test_samples_on_a_clock_that_goes_round():
    """Captures, phases and a mean phase of each sample; conditions that do not differ run as fast as each other."""
    samples = sim.Samples((2, 2), composition=1.0)
    cells = sim.simulate(
        400, 50, rng=np.random.default_rng(1), samples=samples, cycle=sim.Cycling(), mean_unspliced=2, mean_spliced=5
    )
    method = vt.SoftEM(clock=vt.Cycle(), samples="sample", **QUICK)
    vt.tl.recover_dynamics(cells, method=method, progress=False, layers=())
    phases = (cells.obs[name].to_numpy() for name in ("cycle_phase", "true_phase"))
    assert abs(PERIODIC.clock.correlation(*phases)) > 0.95
    for layer, least in (("u", 0.9), ("s", 0.85)):
        found, true = (np.log(cells.varm[f"{kind}_capture_{layer}"]) for kind in ("fit", "true"))
        assert np.corrcoef((found - found[:, [0]]).ravel(), (true - true[:, [0]]).ravel())[0, 1] > least
    table = cells.uns["samples"]["table"]
    for name, own in cells.obs.groupby("sample", observed=True)["cycle_phase"]:
        away = np.angle(np.exp(2j * np.pi * own).sum() * np.exp(-2j * np.pi * table.loc[name, "mean_time"]))
        assert abs(away) < 1e-6
    speed = vt.tl.compare_conditions(cells, "condition").speed.iloc[0]
    assert speed["low"] < 1 < speed["high"]
    normal_equations_are_those_of_the_samples(cells)
    densities = sample_densities(Fitted.of(cells))
    assert np.allclose(densities[:, 0], densities[:, -1])  # phase 1 is phase 0
    assert vt.pl.samples(cells, show=False)[0].get_xlabel() == "phase (turns of the cycle)"


def test_samples_that_cannot_be_used(cells):
    few = cells.copy()
    few.obs["sample"] = pd.Categorical(["x"] * 350 + ["y"] * 10)
    with pytest.raises(vt.InputError, match=r"fewer than 20 cells: {'y': 10}"):
        fitted(few, samples="sample")
    few.obs["sample"] = ["x"] * 350 + [None] * 10
    with pytest.raises(vt.InputError, match="10 cells have no sample"):
        fitted(few, samples="sample")
    with pytest.raises(vt.InputError, match="told from counts"):
        vt.SoftEM(samples="sample", noise=vt.Gaussian())


def test_another_chemistry_is_named(cells):
    nuclei = cells.copy()
    counts = nuclei.layers["unspliced"].toarray()
    counts[np.asarray(nuclei.obs["sample"] == "A2")] *= 6
    nuclei.layers["unspliced"] = counts
    with pytest.warns(vt.InputWarning, match="sample 'A2' has .* unspliced counts"):
        fitted(nuclei, samples="sample", max_iterations=1, annealing=1)


def test_another_chemistry_is_named_in_half_of_the_samples(cells):
    """No sample has the mean of both halves, from which neither is far."""
    pair = cells[cells.obs["sample"].isin(["A1", "A2"])].copy()
    counts = pair.layers["unspliced"].toarray()
    counts[np.asarray(pair.obs["sample"] == "A2")] *= 6
    pair.layers["unspliced"] = counts
    doubts = read_for(pair, vt.SoftEM(samples="sample")).doubts
    assert [doubt.split(" has ")[0] for doubt in doubts if "another chemistry" in doubt] == ["sample 'A2'"]


def test_a_sample_without_a_stage_is_no_branch():
    """Nothing is said of root or lineages; the second sample has no cell of the first two fifths of the clock."""
    adata = sim.simulate(
        560, 60, rng=np.random.default_rng(1), samples=sim.Samples((1, 1)), mean_unspliced=1.5, mean_spliced=4.0
    )
    adata = adata[~((adata.obs["sample"] == "B1") & (adata.obs["true_time"] < 0.4))].copy()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(samples="sample", **QUICK), progress=False, layers=())
    assert list(adata.uns["lineages"]["names"]) == ["0"]
    assert stats.spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic > 0.98
    table = adata.uns["samples"]["table"]
    assert (table["direction_per_cell"] > 0.1).all()  # each by itself agrees with the joint direction
    assert table.loc["B1", "mean_time"] > table.loc["A1", "mean_time"] + 0.1


def test_a_small_sample_beside_a_large_one():
    """50 cells beside 900: they keep their order, and the large sample's captures stay near one."""
    samples = sim.Samples((1, 1), sizes=(18, 1))
    adata = sim.simulate(950, 40, rng=np.random.default_rng(0), samples=samples, mean_unspliced=1.5, mean_spliced=4.0)
    found = fitted(adata, samples="sample", root=vt.Root(cell=adata.obs["true_time"].idxmin()))
    small = (adata.obs["sample"] == "B1").to_numpy()
    assert small.sum() == 50
    for own, least in ((small, 0.9), (~small, 0.97)):
        time, true = found.obs.loc[own, "latent_time"], adata.obs.loc[own, "true_time"]
        assert stats.spearmanr(time, true).statistic > least
    log, true = np.log(found.varm["fit_capture_u"]), np.log(adata.varm["true_capture_u"])
    assert np.abs(log[:, 0]).max() < 0.12
    assert np.corrcoef(log[:, 1] - log[:, 0], true[:, 1] - true[:, 0])[0, 1] > 0.9


def test_models_are_compared_within_the_largest_sample(cells, monkeypatch):
    """Models that know nothing of captures would take samples for clusters."""
    given = []

    def compare(method, observations, geometry, **rest):
        given.append((method, observations, geometry, rest["labels"]))
        return Comparison("trajectory", "It wins.", pd.DataFrame({"nats": [0.0]}, index=["trajectory"]))

    monkeypatch.setattr(vt.SoftEM, "compare", compare)
    adata = cells.copy()
    adata.obs["sample"] = np.where(adata.obs["sample"] == "A2", "large", "small")
    adata = adata[(adata.obs["sample"] == "large") | (np.arange(360) % 4 == 0)].copy()
    elsewhere = vt.Root(cell=adata.obs_names[adata.obs["sample"] == "small"][0])
    assert vt.tl.compare_models(adata, method=vt.SoftEM(samples="sample", root=elsewhere)) == "trajectory"
    ((method, observations, _, labels),) = given
    assert (method.samples, method.root) == (None, None)
    assert observations.n_cells == len(labels.names) == 150
    reason = adata.uns["model_comparison"]["reason"]
    assert reason == "It wins. Compared within the largest sample, large (150 cells)."
