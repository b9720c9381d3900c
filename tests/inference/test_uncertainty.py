"""Uncertainty of curves and clock: against plain dense algebra, and intervals against simulated truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime.compute import LayerSums
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.noise import NegativeBinomial
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.results.genes import last_switch_errors
from velotime.inference.results.uncertainty import GRID_INFORMATION, UNMOVED, _layers, _terms, uncertainty
from velotime.inference.states import Layout, States


def small_problem(n_genes, n_lineages, seed=0):
    rng = np.random.default_rng(seed)
    states = States.grid(9, n_lineages)
    layout = Layout(n_lineages)
    theta = np.zeros((n_genes, layout.n_parameters))
    theta[:, 0], theta[:, 1] = rng.normal(1.9, 0.3, n_genes), rng.normal(1.5, 0.3, n_genes)
    theta[:, 2] = rng.uniform(0.05, 0.4, n_genes)
    theta[:, 3:5] = rng.normal(0.5, 1.0, (n_genes, 2))
    theta[:, layout.durations] = np.log(rng.uniform(0.2, 0.4, (n_genes, n_lineages)))
    theta[:, layout.last_levels] = rng.normal(0.5, 1.0, (n_genes, n_lineages))
    count = rng.uniform(20, 60, states.n_states)
    size = 1.1 * count
    scatter = np.full(n_genes, 0.2)
    sums = [LayerSums.of_one_size(size * means, size, np.full_like(size, 1.2)) for means in states.means(theta)]
    problem = GeneProblem(states, NegativeBinomial(), RatePrior(layout), *sums, scatter, scatter)
    return problem, theta, count


def layers_of(problem, theta):
    """Lineage, sums, weights, slopes and Jacobian of each layer, written out."""
    n_times = len(problem.states.times)
    velocity = problem.states.velocities(theta)
    for lineage, (u, s, ju, js) in enumerate(problem.states.jacobians(theta)):
        own = slice(lineage * n_times, (lineage + 1) * n_times)
        for sums, mean, slope, jacobian, scatter in (
            (problem.unspliced, u, velocity[0], ju, problem.unspliced_scatter),
            (problem.spliced, s, velocity[1], js, problem.spliced_scatter),
        ):
            variance = mean * (1 + scatter[:, None] * sums.mean_size[own] * mean)
            yield lineage, sums.size[own] / variance, slope[:, own], jacobian


def blurred(jacobian, times, resolution):
    """Mean of the Jacobian over the posterior around each time, normal in units of the resolution there."""
    out = np.empty_like(jacobian)
    for t in range(len(times)):
        weight = np.zeros(len(times))
        for k in range(len(times)):
            first, last = min(t, k), max(t, k)
            away = np.trapezoid(resolution[first : last + 1], times[first : last + 1])
            weight[k] = np.exp(-0.5 * away**2)
        out[:, :, t] = jacobian @ weight / weight.sum()
    return out


def dense_reference(problem, theta, count):
    """Covariances from the joint information matrix of everything, written out and inverted."""
    states, p = problem.states, problem.states.layout.n_parameters
    n_genes, n_states, n_times = len(theta), states.n_states, len(states.times)
    joint = np.zeros((n_genes * p + n_states, n_genes * p + n_states))
    clock = slice(n_genes * p, None)
    information = GRID_INFORMATION * count
    for lineage, w, slope, _ in layers_of(problem, theta):
        information[lineage * n_times : (lineage + 1) * n_times] += (w * slope**2).sum(axis=0)
    resolution = np.sqrt(information / count)
    for lineage, w, steep, jacobian in layers_of(problem, theta):
        columns = states.layout.columns(lineage)
        own = resolution[lineage * n_times : (lineage + 1) * n_times]
        seen, slope = (blurred(values, states.times, own) for values in (jacobian, steep[None]))
        slope = slope[0]
        for g in range(n_genes):
            at = g * p + columns
            for t in range(n_times):
                j = n_genes * p + lineage * n_times + t
                joint[j, j] += w[g, t] * slope[g, t] ** 2
                joint[np.ix_(at, at)] += w[g, t] * np.outer(seen[g, :, t], seen[g, :, t])
                joint[at, j] += w[g, t] * slope[g, t] * seen[g, :, t]
                joint[j, at] += w[g, t] * slope[g, t] * seen[g, :, t]
    for g in range(n_genes):
        own = slice(g * p, (g + 1) * p)
        joint[own, own] += problem.prior.hessian
    A, M = joint[: n_genes * p, clock], joint[clock, clock]
    curves = np.linalg.inv(joint)[: n_genes * p, : n_genes * p]
    follow = -np.linalg.solve(M, A.T)  # how cells' times follow the curves
    time = states.time
    design = np.stack([np.ones(n_states), time], axis=1)
    align = np.linalg.solve(design.T @ (count[:, None] * design), design.T * count)
    gauge = np.zeros((n_genes * p, 2))
    for g in range(n_genes):
        gauge[g * p : g * p + 2, 1] = -1
        gauge[g * p + 2] = 1, theta[g, 2]
        gauge[g * p + np.arange(p)[states.layout.durations], 1] = 1
    aligned = np.eye(n_genes * p) - gauge @ align @ follow
    undecided = UNMOVED * follow @ curves @ follow.T  # where the fit may have left the clock
    moved = np.linalg.solve(joint[: n_genes * p, : n_genes * p], A) + gauge @ align
    covariance = aligned @ curves @ aligned.T + moved @ undecided @ moved.T
    keep = np.eye(n_states) - design @ align
    blocks = np.stack([covariance[g * p : (g + 1) * p, g * p : (g + 1) * p] for g in range(n_genes)])
    return blocks, np.diagonal(keep @ (follow @ curves @ follow.T + undecided) @ keep.T)


@pytest.mark.parametrize("n_lineages", [1, 2])
def test_low_rank_formulas_against_dense_algebra(n_lineages):
    problem, theta, count = small_problem(4, n_lineages)
    found = uncertainty(problem, theta, count)
    covariance, clock = dense_reference(problem, theta, count)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.clock_variance, clock, rtol=1e-6, atol=1e-12)
    assert np.all(found.widening > 1)


def test_a_shift_and_a_stretch_of_the_clock_tell_nothing():
    """Else all slow bends of the clock seem far better known than they are; sharp slopes leave a fifth here."""
    problem, theta, count = small_problem(6, 1)
    u, s = (LayerSums(1e4 * sums.value, 1e4 * sums.size_powers) for sums in (problem.unspliced, problem.spliced))
    many = replace(problem, unspliced=u, spliced=s)  # the prior is small beside them
    terms = _terms(many, list(_layers(many, theta, 1.0)), 1e4 * count)
    shift, stretch = problem.states.clock.design(problem.states.time)

    def left(displacement):
        followed = terms.cross @ displacement  # (genes, parameters)
        known = displacement**2 @ terms.shared
        return 1 - np.einsum("gp,gpq,gq->", followed, terms.conditional, followed) / known

    assert left(shift) < 1e-3
    assert left(stretch) < 0.01


@pytest.mark.parametrize("finer", [1.0, 30.0], ids=["coarser than the grid", "finer than the grid"])
def test_widening_against_pairs_of_times(finer):
    """Errors of slopes between the times a cell may have, pair by pair, and their slope by regression."""
    problem, theta, count = small_problem(4, 1)
    u, s = (LayerSums(sums.value, finer * sums.size_powers) for sums in (problem.unspliced, problem.spliced))
    problem, times = replace(problem, unspliced=u, spliced=s), problem.states.times
    layers = list(layers_of(problem, theta))
    information = sum((w * slope**2).sum(axis=0) for _, w, slope, _ in layers) + GRID_INFORMATION * count
    resolution = np.sqrt(information / count)
    inside = np.tile(problem.prior.hessian, (len(theta), 1, 1))
    for _, w, _, jacobian in layers:
        seen = blurred(jacobian, times, resolution)
        inside += np.einsum("gt,gpt,gqt->gpq", w, seen, seen)
    form = np.linalg.inv(inside)
    capped = np.minimum(resolution, 1 / (times[1] - times[0]))
    spurious = np.zeros(len(times))
    for _, w, _, jacobian in layers:
        for j in range(len(times)):
            q = blurred(np.eye(len(times))[None], times, capped)[0, :, j]
            for g in range(len(theta)):
                away = jacobian[g] - jacobian[g][:, [j]]
                apart = np.einsum("pk,pq,qk->k", away, form[g], away) @ q / (q @ (times - times[j]) ** 2)
                slope = np.polyfit(times, jacobian[g].T, 1, w=np.sqrt(q))[0]
                spurious[j] += w[g, j] * (apart + slope @ form[g] @ slope)
    found = uncertainty(problem, theta, count).widening
    np.testing.assert_allclose(found, 1 + spurious / information, rtol=1e-6)


def test_more_cells_leave_less_uncertainty():
    """Where data outweigh the prior, a hundred times as many cells leave a hundredth of the variance."""
    problem, theta, count = small_problem(6, 1)

    def with_cells(times):
        sums = [
            LayerSums(times * layer.value, times * layer.size_powers) for layer in (problem.unspliced, problem.spliced)
        ]
        return uncertainty(replace(problem, unspliced=sums[0], spliced=sums[1]), theta, times * count)

    some, many = with_cells(1e3), with_cells(1e5)
    assert np.all(many.widening - 1 < 0.02 * (some.widening - 1))
    assert many.clock_variance.mean() < 0.02 * some.clock_variance.mean()


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # 150 genes: half of them may not know the root
@pytest.mark.parametrize("noise", [vt.Poisson(), vt.NegativeBinomial()], ids=lambda n: type(n).__name__)
def test_intervals_cover_the_truth(noise):
    """Up to origin and unit of the clock, 90 % intervals hold between 85 and 95 % of the true times."""
    counts = vt.simulation.PoissonCounts() if isinstance(noise, vt.Poisson) else vt.simulation.NegativeBinomialCounts()
    adata = vt.simulation.simulate(1000, 150, rng=np.random.default_rng(1), noise=counts)
    method = vt.SoftEM(noise=noise, n_lineages=1, start_times=16)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    obs, truth = adata.obs, adata.obs["true_time"]
    unit = np.polyfit(obs["latent_time"], truth, 1)
    low, high = (np.polyval(unit, obs[f"latent_time_{q}"]) for q in ("q05", "q95"))
    assert 0.85 <= ((truth >= low) & (truth <= high)).mean() <= 0.95
    assert (obs["latent_time_clock_sd"] < obs["latent_time_sd"]).all()


def test_velocity_sd_covers_its_error(fitted):
    moving = (fitted.var["true_class"] != "flat").to_numpy()
    unit = np.polyfit(fitted.obs["latent_time"], fitted.obs["true_time"], 1)[0]
    error = fitted.layers["velocity"] / unit - fitted.layers["true_velocity"]
    z = np.abs(error / np.maximum(fitted.layers["velocity_sd"] / unit, 1e-6))[:, moving]
    assert 0.6 < (z < 1.645).mean() <= 0.97


def test_errors_of_the_last_switch_against_draws():
    """The first switch and the duration move against each other: an error that adds them up is wrong."""
    problem, theta, count = small_problem(5, 2)
    covariance = uncertainty(problem, theta, count).covariance
    covariance /= 100  # close enough for the delta method
    found = last_switch_errors(covariance, theta, problem.states.layout)
    rng = np.random.default_rng(3)
    for gene in range(len(theta)):
        draws = rng.multivariate_normal(theta[gene], covariance[gene], 20_000)
        last = draws[:, [2]] + np.exp(draws[:, problem.states.layout.durations])
        np.testing.assert_allclose(found[gene], last.std(axis=0), rtol=0.05)
