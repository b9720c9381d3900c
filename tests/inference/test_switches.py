"""Intervals of switches: from the likelihood along them, over all shapes that are about as likely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.compute import LayerSums
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, improve, restart
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.results.genes import last_switch_errors
from velotime.inference.results.switches import _quantiles, switch_intervals
from velotime.inference.results.uncertainty import Uncertainty
from velotime.inference.states import Layout, States


def known_times(n_cells, seed, n_lineages=1):
    """A problem whose cells have known times, its best curves, and the genes' truth; lineages are drawn by lot."""
    rng = np.random.default_rng(seed)
    adata = sim.simulate(n_cells, 100, rng=rng, noise=sim.PoissonCounts(), genes=sim.GeneMix(0, 0, 0.7, 0.3, 0))
    n_times, size = 64, adata.obs["true_depth"].to_numpy()
    states = States.grid(n_times, n_lineages)
    nearest = np.round(adata.obs["true_time"].to_numpy() * (n_times - 1)).astype(int)
    q = np.zeros((n_cells, states.n_states))
    q[np.arange(n_cells), nearest + n_times * rng.integers(n_lineages, size=n_cells)] = 1.0
    powers = np.stack([q.T @ size**p for p in (1, 2, 3, 4)])
    layers = [LayerSums(np.asarray(adata.layers[name].T @ q), powers) for name in ("unspliced", "spliced")]
    none = np.zeros(adata.n_vars)
    problem = GeneProblem(states, vt.Poisson(), RatePrior(Layout(n_lineages)), *layers, none, none)
    theta = improve(problem, restart(problem, None), 30).theta
    return problem, theta, adata.var


def certain_clock(problem, theta):
    """Doubts of curves alone."""
    covariance = np.linalg.inv(problem.information(theta)[1] + problem.prior.hessian)
    nothing = np.zeros(problem.states.n_states)
    return Uncertainty(nothing, np.diag(nothing), nothing, covariance, nothing[None])


def coverage(interval, truth):
    return ((interval[:, 0] <= truth) & (truth <= interval[:, 1])).mean()


def test_intervals_hold_the_truth_where_curvature_does_not():
    held, by_curvature = [], []
    for seed in (20, 22):
        problem, theta, truth = known_times(300, seed)
        doubt = certain_clock(problem, theta)
        found = switch_intervals(problem, theta, doubt)
        held.append([coverage(found.t_on, truth["true_t_on"]), coverage(found.t_off, truth["true_t_off"])])
        error = 1.645 * last_switch_errors(doubt.covariance, theta, Layout(1))[:, 0]
        t_off = theta[:, 2] + np.exp(theta[:, 6])
        by_curvature.append(coverage(np.stack([t_off - error, t_off + error], axis=1), truth["true_t_off"]))
    assert np.mean(held) >= 0.86
    assert np.mean(held, axis=0).min() >= 0.8  # 200 genes: give or take 2 %
    assert np.mean(by_curvature) < 0.8


def test_what_uncertain_times_add_widens_both_halves():
    problem, theta, _ = known_times(300, 3)
    doubt = certain_clock(problem, theta)
    narrow = switch_intervals(problem, theta, doubt)
    more = np.zeros_like(doubt.covariance)
    more[:, 2, 2] = 0.1**2
    shifted = replace(doubt, covariance=doubt.covariance + more)
    wide = switch_intervals(problem, theta, shifted)
    for name, centre in (("t_on", theta[:, 2]), ("t_off", theta[:, 2] + np.exp(theta[:, 6]))):
        halves = [np.abs(getattr(found, name) - centre[:, None]) for found in (narrow, wide)]
        np.testing.assert_allclose(halves[1] ** 2 - halves[0] ** 2, (1.6448536 * 0.1) ** 2, rtol=0.05)


def test_lineages_that_say_the_same_are_taken_together():
    """Cells dealt out to two lineages tell of the shared switch what all of them do."""
    problem, theta, truth = known_times(1000, 4, n_lineages=2)
    found = switch_intervals(problem, theta, certain_clock(problem, theta))
    together = problem.without_lineages()
    one = improve(together, begin(together, Layout(2).average(theta)), 20).theta
    alone = switch_intervals(together, one, certain_clock(together, one))
    width, whole = (np.diff(each.t_on, axis=1)[:, 0] for each in (found, alone))
    clear = found.unique & alone.unique
    assert np.median(width[clear] / whole[clear]) == pytest.approx(1.0, abs=0.2)  # half of the cells enter as a normal
    assert coverage(found.t_on, truth["true_t_on"]) >= 0.8


def test_another_optimum_is_flagged_and_held():
    """With few cells shapes are about as likely as each other, with many cells they are not."""
    problem, theta, truth = known_times(60, 5)
    found = switch_intervals(problem, theta, certain_clock(problem, theta))
    many, its_theta, _ = known_times(3000, 5)
    better_known = switch_intervals(many, its_theta, certain_clock(many, its_theta))
    assert found.unique.mean() < better_known.unique.mean()
    lost = ~found.unique
    widths = np.diff(found.t_on, axis=1)[:, 0]
    assert np.median(widths[lost]) > np.median(widths[~lost])
    assert coverage(found.t_on[lost], truth["true_t_on"][lost]) > 0.8


def test_an_interval_holds_what_is_nearly_as_likely_as_the_best():
    """A density that is flat on the left and ends steeply: its 95 % quantile lies before the likeliest place."""
    time = np.linspace(-1.0, 0.1, 23)[None]
    flat = np.where(time <= 0.0, -1.0, 0.0) - 1e3 * np.maximum(time - 0.05, 0.0)
    low, high = _quantiles(np.zeros(1, dtype=int), time, flat)
    assert low[0] == -1.0
    assert high[0] > 0.05
    normal = -0.5 * np.linspace(-4, 4, 801)[None] ** 2
    low, high = _quantiles(np.zeros(1, dtype=int), np.linspace(-4, 4, 801)[None], normal)
    np.testing.assert_allclose([low[0], high[0]], [-1.645, 1.645], atol=0.02)
