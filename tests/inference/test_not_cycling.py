"""Cells off a clock that goes round: one state more, and a fit of the cycle that does not know of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

import velotime as vt
from velotime import InputError
from velotime import simulation as sim
from velotime.compute import LayerSums, Sums
from velotime.data import Fitted
from velotime.data.stored.soft_fit import restore_soft_fit
from velotime.inference.curves.circle import PERIODIC
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.model.leaving.cells import Beside
from velotime.inference.model.leaving.state import CREDIT, NotCycling, SumsBeside
from velotime.inference.model.noise import Poisson
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.scores import state_scores
from velotime.inference.observations import Observations
from velotime.inference.search.circle import leavers
from velotime.inference.states import States

SMALL = {"n_times": 24, "start_times": 12, "annealing": 4, "max_iterations": 6, "start_genes": 30}
COUNTS = {"mean_unspliced": 1.0, "mean_spliced": 3.0}
pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # of few cells


def simulated(share, seed=3, n_cells=160, **more):
    cycle = sim.Cycling(not_cycling=share)
    return sim.simulate(n_cells, 30, rng=np.random.default_rng(seed), cycle=cycle, **COUNTS, **more)


def fitted(adata, **more):
    method = vt.SoftEM(clock=vt.Cycle(not_cycling=True), **SMALL, **more)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    return adata


@pytest.fixture(scope="module")
def leaving():
    """160 cells, a fifth of which have left the cycle; one gene is left out of the clock."""
    return fitted(simulated(0.2), without=("gene_29",))


def small_problem():
    adata = simulated(0.3, n_cells=60)
    size = np.ones(60)
    layers = [np.asarray(adata.layers[name].toarray(), dtype=np.float32) for name in ("unspliced", "spliced")]
    labels = CellLabels.plain(60)
    rows = PriorRows.of(Groups.of(labels, None), (), labels)
    states = States.grid(16, 1, PERIODIC)
    cells = Cells.of(Observations(*layers, size, size), rows, Poisson())
    return SoftProblem(cells, states, Poisson(), vt.LearnedPrior(), RatePrior(states.layout, 60)), adata


def test_it_is_a_component_of_the_mixture():
    """The E-step against the slow one, and the M-step against means under its posterior."""
    problem, adata = small_problem()
    off = adata.obs["true_not_cycling"].to_numpy().astype(float)
    q = np.column_stack([np.repeat((1 - off)[:, None] / 16, 16, axis=1), off])
    parameters = problem.first(problem.statistics_of(q))
    state, cells = parameters.not_cycling, problem.cells
    assert state.share == pytest.approx(off.mean())
    means = state.beside(problem.means(parameters))
    scores = sum(
        state_scores(Poisson(), data, mean, scatter)
        for data, mean, scatter in zip(
            (cells.unspliced, cells.spliced),
            means,
            (parameters.unspliced_scatter, parameters.spliced_scatter),
            strict=True,
        )
    )
    prior = np.append(parameters.prior[0] * (1 - state.share), state.share)
    joint = scores + np.log(prior)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    found = Beside.of(problem, parameters).probability
    np.testing.assert_allclose(found[cells.order], expected[:, -1], atol=1e-4)
    statistics, bound = problem.expect(parameters, 1.0)
    weight = expected[:, -1]
    overall = cells.spliced.values.mean(axis=0)
    spliced = (weight @ cells.spliced.values + CREDIT * overall) / (weight.sum() + CREDIT)
    np.testing.assert_allclose(NotCycling.of(statistics.all_states).means[1], spliced, rtol=1e-3)
    np.testing.assert_allclose(statistics.weight.sum(), (1 - weight).sum(), rtol=1e-4)
    price = 30 * np.log(60 * state.share)  # of 60 means, half of log n each
    free = replace(parameters, not_cycling=replace(state, share=1 / 6))  # of ten cells
    assert problem.penalty(parameters) - problem.penalty(free) == pytest.approx(price - 30 * np.log(10))
    assert np.isfinite(bound)


def test_a_state_without_cells_is_like_all_of_them():
    rng = np.random.default_rng(0)
    value, size = rng.uniform(1, 2, (5, 4)), np.array([3.0, 4.0, 5.0, 0.0])
    value[:, -1] = 0
    layer = LayerSums.of_one_size(value, size, np.ones(4))
    sums = SumsBeside.of(Sums(layer, layer, size[None]))
    assert sums.weight.shape == (1, 3)
    np.testing.assert_allclose(NotCycling.of(sums.all_states).means[0], value.sum(axis=1) / 12)


def test_cells_that_left_are_found_and_have_no_phase(leaving):
    off = leaving.obs["true_not_cycling"].to_numpy()
    probability = leaving.obs["not_cycling"].to_numpy()
    assert ((probability > 0.5) == off).mean() > 0.98
    away = probability > 0.5
    for name in ("", "_sd", "_q05", "_q95", "_entropy"):
        assert (leaving.obs[f"cycle_phase{name}"].isna() == away).all()
    assert leaving.uns["cycle"]["not_cycling"] == pytest.approx(off.mean(), abs=0.02)
    assert leaving.uns["fit_verdict"]["off_cycle"] == 0  # it was asked
    assert vt.metrics.circular_error(leaving, "true_phase").error < 0.06
    assert vt.metrics.circular_correlation(leaving, "true_phase").correlation > 0.8


def test_their_velocity_is_zero_and_their_means_are_their_own(leaving):
    away = leaving.obs["not_cycling"].to_numpy() > 0.999
    velocity, true = np.asarray(leaving.layers["velocity"]), np.asarray(leaving.layers["Ms"])
    assert np.nanmax(np.abs(velocity[away])) < 1e-2 * np.nanmax(np.abs(velocity[~away]))
    gene = np.flatnonzero(leaving.var["fit_status"] == "fitted")
    spliced = (
        np.asarray(leaving.layers["spliced"].toarray())[away] / leaving.obs["fit_size_spliced"].to_numpy()[away, None]
    )
    stored = leaving.var["fit_not_cycling_s"].to_numpy()[gene]
    np.testing.assert_allclose(stored, spliced[:, gene].mean(axis=0), rtol=0.3, atol=0.15)
    np.testing.assert_allclose(true[np.ix_(away, gene)], np.tile(stored, (away.sum(), 1)), rtol=1e-2)
    assert leaving.var["fit_not_cycling_s"].isna()["gene_29"]
    read = Fitted.of(leaving)
    np.testing.assert_allclose(read.velocity(genes=gene), velocity[:, gene], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(read.means(genes=gene)[1], true[:, gene], rtol=1e-4, atol=1e-5)


def test_it_is_taken_up_again(leaving):
    _, fit = restore_soft_fit(leaving)
    again = Beside.of(fit.problem, fit.parameters).probability
    np.testing.assert_allclose(again, leaving.obs["not_cycling"], atol=2e-3)


@pytest.mark.long
def test_halves_of_the_cells_are_compared_where_both_cycle(leaving):
    resampled = vt.tl.resample(leaving, n_replicates=2, progress=False)
    assert (resampled["correlation"] > 0.8).all()
    assert (leaving.obs["cycle_phase_resampled_sd"].isna() == leaving.obs["cycle_phase"].isna()).all()


def test_what_is_said_and_drawn_of_them(leaving):
    n = int((leaving.obs["not_cycling"] > 0.5).sum())
    assert f"{n} of 160 cells" in str(vt.summary(leaving))
    ax = vt.pl.cycle(leaving, show=False)
    texts = [text.get_text() for text in ax.texts]
    assert f"{160 - n}\ncells" in texts
    assert f"{n} cells not cycling" in texts
    vt.pl.phase_portrait(leaving, list(leaving.var_names[:1]), show=False)


@pytest.mark.long
def test_none_are_found_where_there_are_none():
    adata = fitted(simulated(0.0, seed=4))
    assert (adata.obs["not_cycling"] == 0).all()
    assert adata.obs["cycle_phase"].notna().all()
    assert adata.uns["cycle"]["not_cycling"] == 0
    assert "fit_not_cycling_u" not in adata.var
    assert "all cells cycle" in str(vt.summary(adata))
    assert vt.metrics.circular_error(adata, "true_phase").error < 0.06


def test_cells_are_taken_off_only_where_the_others_lie_all_the_way_round(monkeypatch):
    """Of an arc none are, even where a fit without them is likelier."""
    adata = fitted(simulated(0.2, times=sim.GappedTimes(0.55, 1.0)))
    assert (adata.obs["not_cycling"] == 0).all()
    monkeypatch.setattr(leavers, "has_no_gap", lambda problem, trial: True)
    assert (fitted(adata).obs["not_cycling"] > 0.5).any()


def test_a_fit_that_was_not_asked_says_that_many_cells_fit_no_state():
    """And says nothing where all cycle, or where this was asked; what it says of is about as many as there are."""
    adata = simulated(0.2)
    record = plainly_fitted(adata)
    assert record["off_cycle"] == pytest.approx(adata.obs["true_not_cycling"].mean(), abs=0.05)
    assert "fit no state of the cycle" in record["reason"]
    assert plainly_fitted(simulated(0.0))["off_cycle"] == 0


def plainly_fitted(adata):
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(), **SMALL), progress=False)
    return adata.uns["fit_verdict"]


def test_what_it_does_not_go_with():
    with pytest.raises(InputError, match="looked for in fits of one sample only"):
        vt.SoftEM(clock=vt.Cycle(not_cycling=True), samples="batch")
    with pytest.raises(InputError, match="leave one out"):
        sim.simulate(50, 10, cycle=sim.Cycling(not_cycling=0.1), samples=sim.Samples((1, 1)))
