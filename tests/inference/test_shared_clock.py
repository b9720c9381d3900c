"""One time per cell on a shared clock, against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

import velotime as vt
from velotime.inference import CellLabels, Observations
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.sums import sums_at
from velotime.inference.results.expectations import AtTimes
from velotime.inference.states import States
from velotime.inference.two_stage.shared_clock.fit import HardProblem, SharedClock
from velotime.inference.two_stage.shared_clock.placing import Exact
from velotime.kinetics import switch_velocity


@pytest.fixture(scope="module")
def simulated():
    """Normal values at known times."""
    return vt.simulation.simulate(
        300,
        60,
        rng=np.random.default_rng(0),
        noise=vt.simulation.GaussianValues(0.4),
        depth=vt.simulation.LogNormalDepth(0.0),
    )


def problem_of(adata, n_times=64, container=np.asarray):
    u, s = (container(adata.layers[name].toarray()) for name in ("unspliced", "spliced"))
    ones = np.ones(adata.n_obs)
    states = States.grid(n_times)
    rows = vt.SoftEM().prior_rows(CellLabels.plain(adata.n_obs))
    cells = Cells.of(Observations(u, s, ones, ones), rows, vt.Gaussian())
    return SoftProblem(cells, states, vt.Gaussian(), vt.UniformPrior(), RatePrior(states.layout))


def sums_of(problem, when):
    return sums_at(problem.cells.unspliced.values, problem.cells.spliced.values, when, problem.states.n_states)


def near_the_truth(problem, adata, rng):
    """Curves from times that are off by a tenth of the clock."""
    when = np.clip(adata.obs["true_time"].to_numpy() + rng.normal(0, 0.1, adata.n_obs), 0, 1)
    return problem.first(sums_of(problem, when[problem.cells.order]))


@pytest.mark.parametrize("settings", [(0, 30), (3, 30), (8, 0)], ids=["exact", "explicit then exact", "explicit"])
def test_time_is_found(simulated, settings):
    problem = problem_of(simulated)
    first = near_the_truth(problem, simulated, np.random.default_rng(1))
    *_, run = SharedClock(*settings).run(problem, first)
    when = np.empty(simulated.n_obs)
    when[problem.cells.order] = run.statistics.time
    least = 0.995 if settings[1] else 0.85
    assert spearmanr(when, simulated.obs["true_time"]).statistic > least


def test_exact_times_and_curves_never_lower_the_likelihood(simulated):
    problem = problem_of(simulated)
    first = near_the_truth(problem, simulated, np.random.default_rng(2))
    (run,) = SharedClock(0, 12, tolerance=0.0).run(problem, first)
    assert (np.diff(run.trace.bound) > -5e-3).all()
    assert run.trace.bound[-1] > run.trace.bound[0] + 0.1


def test_log_likelihood_is_that_of_the_values_at_their_times(simulated):
    problem = problem_of(simulated)
    parameters = near_the_truth(problem, simulated, np.random.default_rng(3))
    statistics, bound = HardProblem(problem, Exact()).expect(parameters, 1.0)
    total = -problem.rate_prior.penalty(parameters.theta).sum()
    means = problem.states.at(statistics.time).means(parameters.theta)
    for data, mean, variance in zip(
        (problem.cells.unspliced, problem.cells.spliced),
        means,
        (parameters.unspliced_scatter, parameters.spliced_scatter),
        strict=True,
    ):
        away = (data.values - mean.T) ** 2 / variance
        total += -0.5 * (away + np.log(2 * np.pi * variance)).sum()
    assert bound * simulated.n_obs == pytest.approx(total, abs=0.5)


def test_sums_share_a_cell_between_two_times(simulated):
    problem = problem_of(simulated, n_times=11)
    when = np.zeros(simulated.n_obs)
    when[0], when[1] = 0.33, 1.0
    sums = sums_of(problem, when)
    expected = np.zeros(11)
    expected[[0, 3, 4, 10]] = simulated.n_obs - 2, 0.7, 0.3, 1.0
    np.testing.assert_allclose(sums.weight[0], expected, atol=1e-9)
    values = problem.cells.spliced.values
    np.testing.assert_allclose(sums.spliced.value[:, 4], 0.3 * values[0], atol=1e-6)
    np.testing.assert_allclose(sums.spliced.value.sum(axis=1), values.sum(axis=0), rtol=1e-4)
    thin = problem_of(simulated, n_times=11, container=sparse.csr_array)
    np.testing.assert_allclose(sums_of(thin, when).spliced.value, sums.spliced.value, rtol=1e-5, atol=1e-5)


def test_velocity_is_that_of_the_curve_at_each_cell(simulated):
    problem = problem_of(simulated)
    theta = near_the_truth(problem, simulated, np.random.default_rng(4)).theta
    at = AtTimes(theta, np.array([0.2, 0.7]))
    velocity_u, velocity = at.velocity_u(), at.velocity()
    expected = switch_velocity(theta, np.array([0.2, 0.7]))
    np.testing.assert_allclose(velocity_u.T, expected[0], rtol=1e-5)
    np.testing.assert_allclose(velocity.T, expected[1], rtol=1e-5)


def test_slots_of_a_whole_fit(tmp_path):
    adata = vt.simulation.simulate(250, 40, rng=np.random.default_rng(5), mean_unspliced=2.0, mean_spliced=6.0)
    vt.pp.moments(adata)
    moments = adata.layers["Ms"].copy()
    vt.tl.recover_dynamics(adata, method=vt.TwoStageEM(clock="shared"), progress=False)
    adata.write_h5ad(tmp_path / "shared.h5ad")
    assert spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic > 0.95
    np.testing.assert_array_equal(adata.layers["Ms"], moments)
    v = adata.var
    alpha = np.where(
        adata.layers["fit_t"] < v["fit_t_on"].to_numpy(),
        v["fit_alpha_0"],
        np.where(adata.layers["fit_t"] < v["fit_t_"].to_numpy(), v["fit_alpha"], v["fit_alpha_2"]),
    )
    true_u = (alpha - adata.layers["velocity_u"] / v["fit_scaling"].to_numpy()) / v["fit_beta"].to_numpy()
    true_s = (v["fit_beta"].to_numpy() * true_u - adata.layers["velocity"]) / v["fit_gamma"].to_numpy()
    known = v["fit_deviance_explained"] > 0.8
    correlation = [np.corrcoef(true_s[:, g], moments[:, g])[0, 1] for g in np.flatnonzero(known)]
    assert np.median(correlation) > 0.9
    record = adata.uns["recover_dynamics"]
    assert record["first_stage"] <= 10
    assert len(record["bound"]) > record["first_stage"]
    assert "latent_time_sd" not in adata.obs
