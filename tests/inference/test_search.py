"""The search and its finals: equal chances for both directions, and one measure for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime.data import read_labels, read_observations
from velotime.inference.heldout.scores import StateModel
from velotime.inference.knowledge.labels import CellLabels
from velotime.inference.methods import soft_em
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.search import finals as finals_module
from velotime.inference.search.trials import Trial, halve
from velotime.inference.states import Layout, States
from velotime.tl._geometry import place_cells


@pytest.fixture(scope="module")
def cells():
    adata = vt.simulation.simulate(150, 30, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["stage"] = np.where(adata.obs["true_time"] < 0.3, "early", "rest")
    return adata


def search_of(adata, **settings):
    """A search and the observations that it is of."""
    method = vt.SoftEM(start_times=16, **settings)
    observations = read_observations(adata).observations
    labels = read_labels(adata, method.columns) if method.columns else CellLabels.plain(adata.n_obs)
    rng = np.random.default_rng(0)
    geometry = place_cells(observations, rng)
    rows = method.prior_rows(labels)
    return method._starts.search(observations, geometry, rows, method.landmarks(labels), rng), observations


def times_of(search, trial):
    return search._times(search.problem(1), trial)


def test_a_fit_backwards_can_win_the_search(cells):
    """Only the true end is tried as a root: the reverse of what comes of it is right, and wins."""
    search, observations = search_of(cells)
    truth = cells.obs["true_time"].to_numpy()[search.geometry.cells]
    search.__dict__["_roots"] = np.array([int(np.argmax(truth))])
    outcome = search.run(1)
    assert outcome.best.start.how == "reversed"
    assert outcome.best.bound > outcome.backwards.bound
    assert outcome.backwards is outcome.trials[1]
    assert spearmanr(times_of(search, outcome.best), truth).statistic > 0.8
    assert spearmanr(times_of(search, outcome.backwards), truth).statistic < -0.8
    chosen, arrow = finals_module.finals(search, observations, outcome, np.random.default_rng(0))
    assert chosen is outcome.best
    assert arrow.log_likelihood_margin > 0
    table = search.table(outcome)
    assert table["start"].iloc[0] == "reversed"
    assert len(table) == len(outcome.trials)


@pytest.mark.parametrize("settings", [{}, {"root": vt.Root("stage", "early")}], ids=["no root", "root"])
def test_backwards_has_as_many_rounds_as_the_winner(cells, settings):
    search, _ = search_of(cells, **settings)
    outcome = search.run(1)
    assert outcome.best.rounds == outcome.backwards.rounds >= 1


def test_two_trials_go_on_once(cells):
    """As with a root and terminals, which leave two starts."""
    search, _ = search_of(cells)
    problem = search.problem(1)
    two = search.first_trials[:2]
    after = halve(problem, two)
    assert [trial.rounds for trial in after] == [1, 1]
    assert after[0].bound >= after[1].bound
    assert search._best_backwards(problem, after).rounds == 1


@pytest.mark.parametrize("n_averaged", [1.0, 30.0])
def test_the_direction_that_is_reported_has_the_margin_for_it(cells, monkeypatch, n_averaged):
    """Counts speak for one direction, half as many nats of knowledge for the other: what counts are worth decides."""
    search, observations = search_of(cells)
    outcome = search.run(1)
    averaged = replace(observations, n_averaged=n_averaged)
    on_all_genes = finals_module._on_all_genes
    made = {}

    def with_knowledge(problem, genes, trial):
        made[trial] = on_all_genes(problem, genes, trial)
        if trial is outcome.backwards:
            first = made[outcome.best]
            against = (first.run.bound - made[trial].run.bound) * problem.cells.n_cells / 2
            assert against > 0
            made[trial] = replace(made[trial], known=against)
        return made[trial]

    monkeypatch.setattr(finals_module, "_on_all_genes", with_knowledge)
    monkeypatch.setattr(Trial, "__hash__", lambda trial: id(trial))
    chosen, arrow = finals_module.finals(search, averaged, outcome, np.random.default_rng(0))
    assert arrow.log_likelihood_margin > 0
    assert chosen is (outcome.best if n_averaged == 1 else outcome.backwards)
    ahead, behind = made[chosen], made[outcome.backwards if chosen is outcome.best else outcome.best]
    assert arrow.log_likelihood_margin == pytest.approx(ahead.log_likelihood - behind.log_likelihood)


@pytest.mark.parametrize(("hottest", "expected"), [(1.0, 1.0), (1.5, 1.0), (10.0, 5.0)])
def test_the_starts_never_hand_over_below_temperature_1(cells, monkeypatch, hottest, expected):
    seen = []

    def stop(problem, genes, coarse, chosen, temperature):
        seen.append(temperature)
        raise vt.FitError("seen")

    monkeypatch.setattr(soft_em, "hand_over", stop)
    method = vt.SoftEM(hottest=hottest, start_times=8, start_genes=10)
    with pytest.raises(vt.FitError, match="seen"):
        vt.tl.recover_dynamics(cells.copy(), method=method, progress=False)
    assert seen == [expected]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_heat_weakens_knowledge_as_it_does_counts(cells, temperature):
    """q ~ pi w^(1/T) p(x)^(1/T): the prior of time stays, labels and counts give way."""
    method = vt.SoftEM(root=vt.Root("stage", "early"))
    labels = read_labels(cells, ["stage"])
    states = States.grid(8)
    rows = method.prior_rows(labels)
    observations = read_observations(cells).observations
    problem = SoftProblem(
        Cells.of(observations, rows, method.noise), states, method.noise, method.prior, RatePrior(states.layout)
    )
    start = np.random.default_rng(0).dirichlet(np.ones(8), cells.n_obs).astype(np.float32)
    parameters = problem.first(problem.statistics_of(start))
    parameters = replace(parameters, known=rows.initial(states), prior=np.arange(1.0, 9.0)[None] / 36)
    q, _ = problem.posterior(problem.sweep_model(parameters, temperature)[0], slice(0, cells.n_obs))
    curves = StateModel.of_curves(problem, parameters)
    counts = curves.known - curves.log_weight
    known = parameters.known[0][(np.asarray(cells.obs["stage"]) == "early").astype(int)][problem.cells.order]
    log_q = np.log(parameters.prior) + (known + counts) / temperature
    expected = np.exp(log_q - log_q.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(q, expected, atol=2e-4)


def test_last_switches_of_lineages_are_drawn_together():
    """Penalty of the coupling: squared distances from their mean, log-durations with sd 0.5, log-levels with sd 2."""
    layout = Layout(3)
    prior = RatePrior(layout)
    theta = np.tile(prior.mean, (2, 1))
    theta[0, layout.durations] += [0.6, -0.3, 0.0]
    theta[1, layout.last_levels] += [2.0, -1.0, -4.0]
    away = theta - prior.mean
    own = 0.5 * (away**2 * prior.precision).sum(axis=1)
    spread = np.array(
        [
            ((np.array([0.6, -0.3, 0.0]) - 0.1) ** 2).sum() / 0.5**2,
            ((np.array([2.0, -1.0, -4.0]) + 1.0) ** 2).sum() / 2.0**2,
        ]
    )
    np.testing.assert_allclose(prior.penalty(theta), own + 0.5 * spread)
    step = 1e-6
    for parameter in range(layout.n_parameters):
        moved = theta.copy()
        moved[:, parameter] += step
        slope = (prior.penalty(moved) - prior.penalty(theta)) / step
        np.testing.assert_allclose(prior.gradient(theta)[:, parameter], slope, atol=1e-4)
