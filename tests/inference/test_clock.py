"""Moves along the clock: exact where they can be, and right where they must choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

import velotime as vt
from velotime.compute import LayerSums
from velotime.data import read_observations
from velotime.inference.em import Schedule, watch_nothing
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.methods.passes import main_run
from velotime.inference.model.clock import LEAVE_ROOM, Waves, best_warp, try_warp, warp_density, warp_theta
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.noise import Poisson
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import States


def sums_of_curves(n_genes=60, n_cells=40.0, n_lineages=1):
    rng = np.random.default_rng(0)
    states = States.grid(48, n_lineages)
    theta = np.zeros((n_genes, states.layout.n_parameters))
    theta[:, 0], theta[:, 1] = rng.normal(2.1, 0.2, n_genes), rng.normal(1.6, 0.2, n_genes)
    theta[:, 2] = rng.uniform(0.0, 0.5, n_genes)
    theta[:, 3:5] = rng.normal(1, 1.5, (n_genes, 2))
    theta[:, states.layout.durations] = np.log(rng.uniform(0.2, 0.5, (n_genes, n_lineages)))
    theta[:, states.layout.last_levels] = rng.normal(1, 1.5, (n_genes, n_lineages))
    n = np.full(states.n_states, n_cells)
    sums = [LayerSums.of_one_size(n * means, n, np.ones_like(n)) for means in states.means(theta)]
    none = np.zeros(n_genes)
    return GeneProblem(states, Poisson(), RatePrior(states.layout), *sums, none, none), theta


@pytest.mark.parametrize("warp", [Waves((0.1, -0.08, 0.12)), Waves((0.0, 0.25)), LEAVE_ROOM], ids=str)
def test_warps_rise_and_know_their_slope(warp):
    t = np.linspace(0.02, 0.98, 200)
    assert np.all(np.diff(warp(np.linspace(-0.3, 2.0, 500))) > 0)
    np.testing.assert_allclose((warp(t + 1e-6) - warp(t - 1e-6)) / 2e-6, warp.slope(t), rtol=1e-4)


@pytest.mark.parametrize("n_lineages", [1, 2])
def test_a_shift_of_the_clock_changes_no_mean(n_lineages):
    problem, theta = sums_of_curves(n_lineages=n_lineages)
    moved = warp_theta(theta, problem.states.layout, LEAVE_ROOM, problem.prior)
    there = States(LEAVE_ROOM(problem.states.times), problem.states.layout)
    for before, after in zip(problem.states.means(theta), there.means(moved), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-10)


def test_density_moves_with_the_warp():
    states = States.grid(64, 2)
    rng = np.random.default_rng(1)
    weight = rng.dirichlet(np.ones(states.n_states), 3)
    moved = warp_density(weight, states, Waves((0.2, -0.1)))
    np.testing.assert_allclose(moved.reshape(3, 2, -1).sum(axis=2), weight.reshape(3, 2, -1).sum(axis=2), rtol=1e-9)
    mean, expected = moved @ states.time, weight @ Waves((0.2, -0.1))(states.time)
    np.testing.assert_allclose(mean, expected, atol=0.01)


@pytest.mark.parametrize("warp", [Waves((0.1, 0.0, 0.0)), Waves((0.0, -0.1, 0.05))], ids=str)
def test_a_warped_clock_is_put_right(warp):
    """States that really stand at warped times, in a fit that takes them to be even."""
    problem, theta = sums_of_curves(n_cells=400.0)
    there = States(warp(problem.states.times), problem.states.layout)
    n = problem.spliced.size
    sums = [LayerSums.of_one_size(n * means, n, np.ones_like(n)) for means in there.means(theta)]
    warped = replace(problem, unspliced=sums[0], spliced=sums[1])
    found = best_warp(warped, theta)
    assert found is not None
    stay, moved, right = (try_warp(warped, theta, w).loss.sum() for w in (Waves((0.0,)), found, warp))
    assert stay - moved > 0.6 * (stay - right)
    assert best_warp(problem, theta) is None


def test_a_main_run_leaves_a_bent_clock():
    """EM alone stays on the clock that it begins with; a run ends on the same one from wherever it began."""
    adata = vt.simulation.simulate(400, 80, rng=np.random.default_rng(5), mean_unspliced=2.0, mean_spliced=6.0)
    cells = read_observations(adata).observations
    everyone = Cells.of(
        cells, PriorRows.of(Groups.of(CellLabels.plain(400), None), (), CellLabels.plain(400)), vt.NegativeBinomial()
    )
    states = States.grid(48)
    problem = SoftProblem(everyone, states, vt.NegativeBinomial(), vt.LearnedPrior(), RatePrior(states.layout))
    schedule = Schedule(annealing=8, hottest=5.0, longest=12, tolerance=1e-3)
    true = adata.obs["true_time"].to_numpy()
    rank = (rankdata(true) - 0.5) / len(true)
    times: dict[bool, list] = {False: [], True: []}
    for bend in (-0.6, 0.6):
        time = Waves((0.0, bend))(rank)
        near = np.exp(-0.5 * ((time[:, None] - states.time) / 0.05) ** 2)
        statistics = problem.statistics_of(near / near.sum(axis=1, keepdims=True))
        first = problem.first(statistics)
        for moving in (False, True):
            moved = replace(problem, clock_moves=frozenset({3, 5, 7, 9})) if moving else problem
            run = main_run(moved, first, schedule, watch_nothing)
            times[moving].append(time_and_lineage(problem, run.parameters)[0])
    held, put_right = (np.corrcoef(*times[moving])[0, 1] for moving in (False, True))
    assert 1 - put_right < 0.5 * (1 - held)
