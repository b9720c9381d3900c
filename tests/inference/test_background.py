"""The background: its step against a numerical twin, its size against the truth, and a fit that has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime.compute import LayerSums
from velotime.data import Fitted, restore_soft_fit
from velotime.inference.em import Run, Schedule, Trace, watch_nothing
from velotime.inference.model.background.choice import tried_background
from velotime.inference.model.background.learning import _of_shares, learn_background
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, restart
from velotime.inference.model.noise import NegativeBinomial
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter
from velotime.report._words import background_in_words

pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # so few cells

TRUE = np.array([0.01, 0.08])  # shares of a background with far fewer unspliced molecules than the cells have
N_GENES = 40


def problem_of(share, rng):
    """Expected sums of genes that are silent for part of the clock, with a background; its profile, and the curves."""
    p, states = SwitchParameter, States.grid(24)
    theta = np.zeros((N_GENES, 8))
    theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = (
        np.log(rng.uniform(5, 15, N_GENES)),
        np.log(rng.uniform(4, 9, N_GENES)),
    )
    theta[:, p.T_ON], theta[:, p.LOG_DURATION] = rng.uniform(0.1, 0.5, N_GENES), np.log(rng.uniform(0.2, 0.4, N_GENES))
    theta[:, [p.LOG_LEVEL_0, p.LOG_LEVEL_1, p.LOG_LEVEL_2]] = np.where(
        rng.permuted(np.tile([True, False, False], (N_GENES, 1)), axis=1), 1.0, -8.0
    )
    size = np.full(24, 200.0)
    curves = states.means(theta)
    profile = np.stack([mean.mean(axis=1) for mean in curves])
    sums = [
        LayerSums.of_one_size((mean + e * own[:, None]) * size, size, np.ones(24))
        for mean, e, own in zip(curves, share, profile, strict=True)
    ]
    scatter = np.full(N_GENES, 0.1)
    return GeneProblem(states, NegativeBinomial(), RatePrior(states.layout), *sums, scatter, scatter), profile, theta


def test_the_slopes_by_the_shares_are_those_of_the_log_likelihood():
    problem, profile, theta = problem_of(TRUE, np.random.default_rng(0))
    here = np.array([0.03, 0.05])

    def value(share):
        return replace(problem, background=share[:, None] * profile).log_likelihood(problem.states.means(theta)).sum()

    slope, curvature, _ = _of_shares(replace(problem, background=here[:, None] * profile), theta, profile)
    for k, step in enumerate(np.eye(2) * 1e-5):
        assert slope[k] == pytest.approx((value(here + step) - value(here - step)) / 2e-5, rel=1e-4)
    assert (curvature > 0).all()


@pytest.mark.parametrize("share", [TRUE, np.zeros(2)])
def test_the_difference_of_shares_is_found_and_no_step_raises_the_loss(share):
    problem, profile, _ = problem_of(share, np.random.default_rng(1))
    fit, moved = restart(problem, None), problem
    for _ in range(6):
        before = begin(moved, fit.theta).loss.sum()
        fit, moved = learn_background(moved, fit, profile)
        assert fit.loss.sum() <= before
    _, moved, gain = tried_background(problem, fit.theta, profile)
    found = moved.shares(profile)  # what both layers have alike may as well be a level of the curves
    assert np.diff(found) == pytest.approx(np.diff(share), abs=0.005)
    assert (found <= share + 0.004).all()
    assert gain > 100 if share.any() else gain < 3


def ambient_cells():
    """Cells of which one gene in two is silent for most of the clock, with ambient spliced counts."""
    rng, ambient = np.random.default_rng(2), vt.simulation.Ambient(0.0, 0.3)
    return vt.simulation.simulate(160, 24, rng=rng, ambient=ambient, mean_unspliced=2.0, mean_spliced=5.0)


@pytest.fixture(scope="module")
def with_background():
    """Fitted with a background whatever it gains."""
    adata = ambient_cells()
    method = vt.SoftEM(background=vt.LearnedBackground(least_gain=0.0), n_lineages=1, max_iterations=12, n_times=24)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    return adata


def test_a_fit_with_a_background_is_stored_and_taken_up_again(with_background):
    adata = with_background
    background = np.stack([adata.var["fit_background_u"], adata.var["fit_background_s"]])
    assert adata.uns["background"]["spliced"] > 0.02
    np.testing.assert_array_equal(Fitted.of(adata).background(), background)
    _, fit = restore_soft_fit(adata)  # raises an error if latent times were others
    np.testing.assert_array_equal(fit.parameters.background, background)
    assert "of spliced counts come with every cell" in background_in_words(adata)
    size = adata.obs["fit_size_spliced"].to_numpy()
    whole = vt.get.fitted_means(adata).spliced.to_numpy() + background[1]
    counted = np.asarray(adata.layers["spliced"].sum(axis=0)).ravel()
    np.testing.assert_allclose(size @ whole, counted, rtol=0.1)  # means are those without it


def test_where_it_does_not_pay_the_fit_stays_as_it_is_and_that_is_said(with_background):
    _, fit = restore_soft_fit(with_background)
    parameters = replace(fit.parameters, background=None)
    statistics, bound = fit.problem.expect(parameters, 1.0)
    run = Run(parameters, statistics, bound, vt.Status.CONVERGED, Trace(np.array([bound]), np.ones(1)))
    schedule = Schedule(0, 1.0, 2, 0.0)
    assert vt.NoBackground().settle(fit.problem, run, schedule, watch_nothing) is run
    assert vt.LearnedBackground(least_gain=100.0).settle(fit.problem, run, schedule, watch_nothing) is run
    later = vt.LearnedBackground(least_gain=0.0).settle(fit.problem, run, schedule, watch_nothing)
    assert later.bound > run.bound
    said = with_background.copy()
    said.uns["background"] = {"unspliced": 0.0, "spliced": 0.0}
    assert "none that pays" in background_in_words(said)
    said.uns["recover_dynamics"]["settings"]["background"] = {"name": "NoBackground"}
    assert background_in_words(said) == ""


def test_ambient_counts_are_the_share_that_was_asked_for():
    clean = vt.simulation.simulate(4000, 5, rng=np.random.default_rng(4), noise=vt.simulation.PoissonCounts())
    rng, ambient = np.random.default_rng(4), vt.simulation.Ambient(0.1, 0.3)
    adata = vt.simulation.simulate(4000, 5, rng=rng, noise=vt.simulation.PoissonCounts(), ambient=ambient)
    for layer, share in (("unspliced", 0.1), ("spliced", 0.3)):
        more = adata.layers[layer].sum() / clean.layers[layer].sum()
        assert more == pytest.approx(1 / (1 - share), rel=0.02)
        truth = adata.varm[f"true_ambient_{layer[0]}"]
        assert truth.shape == (5, 1)
        assert truth.sum() * 4000 == pytest.approx(share * adata.layers[layer].sum(), rel=0.05)


@pytest.fixture(scope="module")
def one_of_two():
    """Two samples, of which the first has ambient spliced counts, fitted with a background whatever it gains."""
    rng, samples = np.random.default_rng(3), vt.simulation.Samples((1, 1))
    adata = vt.simulation.simulate(240, 30, rng=rng, samples=samples, mean_unspliced=2.0, mean_spliced=5.0)
    own = np.asarray(adata.obs["sample"] == "A1")
    counts = adata.layers["spliced"].toarray()
    total = counts[own].sum(axis=1, keepdims=True)
    counts[own] += rng.poisson(0.25 / 0.75 * total * counts[own].sum(axis=0) / total.sum())
    adata.layers["spliced"] = counts
    method = vt.SoftEM(
        background=vt.LearnedBackground(least_gain=0.0),
        samples="sample",
        n_lineages=1,
        max_iterations=12,
        n_times=24,
        start_times=12,
        start_genes=15,
    )
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    return adata


def test_each_sample_has_a_background_of_its_own(one_of_two):
    table = one_of_two.uns["samples"]["table"]
    assert table.loc["A1", "background_spliced"] == pytest.approx(0.25, abs=0.05)
    assert table.loc["B1", "background_spliced"] < 0.05
    assert one_of_two.uns["background"]["spliced"] == pytest.approx(table["background_spliced"].mean(), abs=0.03)
    assert "each sample has shares of its own" in background_in_words(one_of_two)
    fitted = Fitted.of(one_of_two)
    (_, values), (_, means) = fitted.values(fitted.genes), fitted.means()
    own = fitted.sample == 0
    assert values[own].sum() == pytest.approx(means[own].sum(), rel=0.05)  # both are without it, and without capture
    assert (one_of_two.layers["spliced"][own] / fitted.sizes[1][own, None]).sum() > 1.2 * values[own].sum()


def test_a_fit_of_samples_with_a_background_is_taken_up_again(one_of_two):
    _, fit = restore_soft_fit(one_of_two)  # raises an error if latent times were others
    effects, slot = fit.parameters.effects, one_of_two.varm["fit_background_s"]
    np.testing.assert_array_equal(effects.background[1], slot)
    np.testing.assert_allclose(one_of_two.var["fit_background_s"], slot @ effects.share, rtol=1e-12)
    assert effects.genes(np.array([2])).background.shape == (2, 1, 2)
    other = effects.named(("new", "A1"))
    np.testing.assert_array_equal(other.background[..., 1], effects.background[..., 0])
    assert not other.background[..., 0].any()


def test_the_slopes_by_the_shares_of_samples_are_those_of_the_log_likelihood(one_of_two):
    """Captures give way to the shares, and what is common to all of them goes to the curves: totals stay."""
    _, fit = restore_soft_fit(one_of_two)
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    genes, profile = fit.problem.gene_problem(fit.parameters, statistics), fit.problem.background_profile
    here, theta = genes.with_shares(np.array([0.03, 0.2, 0.05, 0.1]), profile, fit.parameters.theta)

    def value(share):
        moved, carried = here.with_shares(share, profile, theta)
        np.testing.assert_allclose(moved.shares(profile), share, rtol=1e-9)
        weight = np.array([part.share for part in moved.samples])
        assert abs(np.stack([part.log_capture for part in moved.samples], axis=2) @ weight).max() < 1e-9
        return moved.log_likelihood(moved.states.means(carried)).sum(), moved.prior_of_shares(share)[0]

    share = here.shares(profile)
    slope, curvature, _ = _of_shares(here, theta, profile)
    for k, step in enumerate(np.eye(4) * 1e-5):
        assert slope[k] == pytest.approx((value(share + step)[0] - value(share - step)[0]) / 2e-5, rel=1e-3, abs=0.05)
    assert (curvature > 0).all()
