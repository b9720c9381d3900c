"""The M-step: gradients, noise models, and curves found again from their own sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom

from velotime.compute import LayerSums
from velotime.inference.curves.circle import PERIODIC, PeriodicCurve
from velotime.inference.model import shapes
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.layer import LayerData
from velotime.inference.model.mstep import begin, improve, restart, restart_by_shapes
from velotime.inference.model.noise import Gaussian, NegativeBinomial, Poisson
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.shapes import best_shapes
from velotime.inference.states import Layout, States
from velotime.kinetics import is_smooth

NOISES = [NegativeBinomial(), Poisson(), Gaussian()]


def random_theta(n, layout, seed=0):
    rng = np.random.default_rng(seed)
    theta = np.zeros((n, layout.n_parameters))
    theta[:, 0], theta[:, 1] = rng.normal(2.1, 0.3, n), rng.normal(1.6, 0.3, n)
    theta[:, 2] = rng.uniform(0.0, 0.5, n)
    theta[:, 3:5] = rng.normal(0, 1.5, (n, 2))
    theta[:, layout.durations] = np.log(rng.uniform(0.2, 0.5, (n, layout.n_lineages)))
    theta[:, layout.last_levels] = rng.normal(0, 1.5, (n, layout.n_lineages))
    return theta


def problem_of(theta, states, noise, cells_per_state=200.0):
    """The sums that the curves themselves would leave, without scatter."""
    n = np.full(states.n_states, cells_per_state)
    scatter = np.full(len(theta), 0.2)
    sums = [LayerSums.of_one_size(n * means, n, np.ones_like(n)) for means in states.means(theta)]
    return GeneProblem(states, noise, RatePrior(states.layout), *sums, scatter, scatter)


@pytest.mark.parametrize("noise", NOISES, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("n_lineages", [1, 3])
def test_gradient_against_differences(noise, n_lineages):
    states = States.grid(24, n_lineages)
    problem = problem_of(random_theta(6, states.layout), states, noise)
    theta = random_theta(6, states.layout, seed=1) * 0.9
    gradient, fisher = problem.information(theta)
    full = gradient - problem.prior.gradient(theta)
    h = 1e-6
    for k in range(theta.shape[1]):
        up, down = theta.copy(), theta.copy()
        up[:, k] += h
        down[:, k] -= h
        numeric = (problem.loss(down) - problem.loss(up)) / (2 * h)
        # at a grid time that sits on a switch the derivative is one-sided; none does here
        np.testing.assert_allclose(full[:, k], numeric, rtol=2e-3, atol=1e-4 * np.abs(full).max())
    assert np.all(np.linalg.eigvalsh(fisher) > -1e-6 * np.abs(fisher).max())


@pytest.mark.parametrize("noise", NOISES, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("n_lineages", [1, 2])
def test_restart_finds_the_curves_again(noise, n_lineages):
    states = States.grid(48, n_lineages)
    truth = random_theta(40, states.layout, seed=2)
    problem = problem_of(truth, states, noise, 2000.0)
    found = improve(problem, restart(problem, None), 40)
    best = problem.log_likelihood(states.means(truth))
    gap = best - problem.log_likelihood(states.means(found.theta))
    assert np.median(gap) < 1.0
    assert np.mean(gap < 20.0) > 0.9  # nats, of some 1e5 cells
    s = states.means(found.theta)[1]
    close = np.abs(s / states.means(truth)[1] - 1).max(axis=1) < 0.2
    assert close.mean() > 0.85


def test_more_shapes_find_better_optima():
    """The place of a shape before it is fitted says little of its place afterwards."""
    states = States.grid(48, 2)
    problem = problem_of(random_theta(60, states.layout, seed=4), states, NegativeBinomial())
    few, many = restart_by_shapes(problem, None).loss, restart(problem, None).loss
    assert (few - many).sum() > 100.0  # nats
    assert (many - few).max() < 0.1


@pytest.mark.parametrize("n_lineages", [1, 2])
def test_shapes_are_the_same_however_many_are_fitted_at_once(n_lineages, monkeypatch):
    states = States.grid(16, n_lineages)
    problem = problem_of(random_theta(30, states.layout), states, NegativeBinomial())
    together = best_shapes(problem, states.curve.families[0], 4)
    monkeypatch.setattr(shapes, "ROWS", 1)
    np.testing.assert_allclose(best_shapes(problem, states.curve.families[0], 4), together, rtol=1e-9)
    loss = [problem.loss(theta) for theta in together]
    assert (np.diff(loss, axis=0) >= 0).all()


def test_no_gene_gets_worse():
    states = States.grid(32)
    problem = problem_of(random_theta(300, states.layout), states, NegativeBinomial())
    fit = begin(problem, random_theta(300, states.layout, seed=3))
    for _ in range(3):
        better = improve(problem, fit, 2)
        assert np.all(better.loss <= fit.loss + 1e-9)
        fit = better
    again = restart(problem, fit.theta)
    assert np.all(again.loss <= fit.loss + 1e-9)


def test_genes_are_independent():
    states = States.grid(32)
    problem = problem_of(random_theta(700, states.layout), states, NegativeBinomial())
    some = np.array([3, 490, 680])
    whole = restart(problem, None).theta[some]
    np.testing.assert_allclose(restart(problem.genes(some), None).theta, whole, rtol=1e-6, atol=1e-6)


def test_weak_prior_pulls_lineages_together():
    states = States.grid(24, 2)
    prior = RatePrior(states.layout)
    same, apart = np.zeros((1, 10)), np.zeros((1, 10))
    apart[0, 7], apart[0, 9] = 1.0, -1.0
    own = 0.5 * ((apart - prior.mean) ** 2 - (same - prior.mean) ** 2) @ prior.precision
    assert prior.penalty(apart)[0] - prior.penalty(same)[0] - own[0] == pytest.approx(0.25)
    assert np.all(RatePrior(Layout(1)).coupling == 0)


@pytest.mark.parametrize("phi", [0.05, 0.4, 2.0])
def test_dispersion_is_learned(phi):
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 6, (1, 4))
    state = rng.integers(0, 4, 6000)
    mu = np.repeat(mean[:, state], 8, axis=0).T
    counts = rng.poisson(mu * rng.gamma(1 / phi, phi, mu.shape)).astype(np.float32)
    data = LayerData.of(counts, np.ones(6000), 1)
    q = np.eye(4)[state]
    sums = LayerSums(counts.T @ q, np.stack([q.sum(axis=0)] * 4))
    noise = NegativeBinomial()
    scatter = noise.initial_scatter(data)
    means = np.repeat(mean, 8, axis=0)
    heights = []
    for _ in range(12):
        scatter = noise.update_scatter(scatter, sums, means, data)
        heights.append((noise.log_likelihood(sums, means, scatter) + noise.constant(data, scatter)).sum())
    assert np.all(np.diff(heights) >= -1e-6)
    assert np.mean(scatter) == pytest.approx(phi, rel=0.12)


def test_dispersion_is_learned_from_cells_of_many_sizes():
    """Within a state sizes vary widely; the likeliest dispersion by all single cells is found from the sums."""
    rng = np.random.default_rng(3)
    n, phi, mean = 4000, 0.5, 3.0
    size = rng.lognormal(0, 0.35, n)
    counts = rng.negative_binomial(1 / phi, 1 / (1 + phi * size * mean))[:, None].astype(np.float32)
    data = LayerData.of(counts, size, 200)
    q = np.ones((n, 1))
    sums = LayerSums(counts.T @ q, data.size ** np.array([[1], [2], [3], [4]]) @ q)

    def by_cells(log_phi):
        r = np.exp(-log_phi)
        return -nbinom.logpmf(counts[:, 0], r, r / (r + data.size * mean)).sum()

    exact = np.exp(minimize_scalar(by_cells, bracket=(-2, 0)).x)
    noise, found = NegativeBinomial(), np.array([0.1])
    for _ in range(20):
        found = noise.update_scatter(found, sums, np.full((1, 1), mean), data)
    assert found[0] == pytest.approx(exact, rel=0.05)
    one_size = LayerSums.of_one_size(sums.value, sums.size, sums.mean_size)
    for _ in range(20):  # one size for all of them will not do
        found = noise.update_scatter(found, one_size, np.full((1, 1), mean), data)
    assert found[0] < 0.9 * exact


def test_two_sizes_have_the_moments_of_all():
    rng = np.random.default_rng(4)
    size, q = rng.lognormal(0, 0.6, 500), rng.dirichlet(np.ones(3), 500)
    sums = LayerSums(np.zeros((1, 3)), size ** np.array([[1], [2], [3], [4]]) @ q)
    for power in range(4):
        moment = sum(share * at**power for at, share in sums.two_sizes)
        np.testing.assert_allclose(moment, sums.size_powers[power] / sums.size)
    one_size = LayerSums.of_one_size(np.zeros((1, 3)), np.ones(3), np.full(3, 0.7))
    assert all(np.allclose(at, 0.7) for at, _ in one_size.two_sizes)


@pytest.mark.parametrize("noise", NOISES, ids=lambda n: type(n).__name__)
def test_likelihood_by_gene_by_cell_and_by_state_agree(noise):
    """The three ways in which the log-likelihood is added up: sums, constants of genes, constants of cells."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(2.0, (300, 5)).astype(np.float32)
    data = LayerData.of(counts, np.ones(300), 1)
    means, scatter = rng.uniform(1, 3, (5, 4)), rng.uniform(0.2, 1, 5)
    q = rng.dirichlet(np.ones(4), 300)
    sums = LayerSums(counts.T @ q, np.stack([q.sum(axis=0)] * 4))
    by_gene = noise.log_likelihood(sums, means, scatter) + noise.constant(data, scatter)
    tables = noise.tables(means, scatter, data.levels)
    scores = counts @ tables.slope[0].astype(float) - tables.offset[0] + noise.cell_constant(data, scatter)[:, None]
    assert (q * scores).sum() == pytest.approx(by_gene.sum(), rel=1e-5)


def test_merging_states_keeps_the_sums():
    rng = np.random.default_rng(2)
    sums = LayerSums(rng.uniform(size=(3, 20)), rng.uniform(1, 2, (4, 20)))
    merged = sums.merge(10, 3)
    assert merged.size.shape == (8,)  # ten times of each lineage in fours, the last short
    np.testing.assert_allclose(merged.value[:, 4:].sum(axis=1), sums.value[:, 10:].sum(axis=1))
    together = sums.over_lineages(2)
    np.testing.assert_allclose(together.value, sums.value[:, :10] + sums.value[:, 10:])
    for other in (merged, together):
        np.testing.assert_allclose(other.size_powers.sum(axis=1), sums.size_powers.sum(axis=1))


def test_smooth_shapes_crowd_no_switch_out(monkeypatch):
    """A gene ends no worse than where switches alone end, though a sine is at first nearly as good as many of them."""
    states = States.grid(24, 1, PERIODIC)
    problem, rng = (
        problem_of(random_theta(60, states.layout), states, NegativeBinomial(), 8.0),
        np.random.default_rng(0),
    )
    counts = [rng.poisson(layer.value).astype(float) for layer in (problem.unspliced, problem.spliced)]
    unspliced, spliced = (LayerSums.of_one_size(drawn, np.full(24, 8.0), np.ones(24)) for drawn in counts)
    problem = replace(problem, unspliced=unspliced, spliced=spliced, prior=RatePrior(states.layout, 24 * 8))
    both = restart_by_shapes(problem, None).loss
    monkeypatch.setattr(PeriodicCurve, "families", PERIODIC.families[:1])
    assert (both - restart_by_shapes(problem, None).loss).max() < 1e-6


def test_no_step_turns_a_switch_into_a_sine():
    """Steps of a long pulse go past a whole turn, which stands for smooth transcription; a sine stays one."""
    states = States.grid(24, 1, PERIODIC)
    dip = random_theta(40, states.layout)
    dip[:, 6] = -0.006
    start = dip.copy()
    start[:, 6] = np.log(0.9)
    start[::4, 6] = 0.0
    problem = replace(problem_of(dip, states, NegativeBinomial(), 8.0), prior=RatePrior(states.layout, 1e4))
    after = improve(problem, begin(problem, start), 8)
    np.testing.assert_array_equal(is_smooth(after.theta), is_smooth(start))
    assert (after.theta[:, 6] == np.log(0.97)).any()
    beyond = start + 0.97
    assert (problem.within(beyond, start)[:, 6] == np.where(is_smooth(start), 0.0, np.log(0.97))).all()


def test_a_shape_costs_what_independent_cells_say():
    """Three copies of every cell, told to be so, weigh shapes as the cells alone, whose likelihood is a third."""
    layout = Layout(1, PERIODIC)
    smooth = random_theta(5, layout)
    smooth[:, 6] = 0.0
    once, thrice = RatePrior(layout, 400), RatePrior(layout, 1200, 3.0)
    saved = [prior.penalty(smooth) - RatePrior(layout).penalty(smooth) for prior in (once, thrice)]
    np.testing.assert_allclose(saved[0], -0.5 * np.log(400))
    np.testing.assert_allclose(saved[1], 3 * saved[0])
