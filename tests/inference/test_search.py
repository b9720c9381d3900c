"""The search and its finals: equal chances for both directions, and one measure for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime.data import read_labels, read_observations
from velotime.inference.em import Run
from velotime.inference.heldout.scores import StateModel
from velotime.inference.labels import CellLabels
from velotime.inference.methods import soft_em
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.search import finals as finals_module
from velotime.inference.search.circle.search import CycleSearch
from velotime.inference.search.geometry.starts import SAME_ORDER
from velotime.inference.search.geometry.tree import LineageVotes
from velotime.inference.search.rivals import Candidate, Halves, halves_of
from velotime.inference.search.roots import refereed
from velotime.inference.search.trials import Trial
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


@pytest.fixture(scope="module")
def searched(cells):
    """A search of one lineage, the observations that it is of, and what it found."""
    search, observations = search_of(cells, n_lineages=1)
    return search, observations, search.run(1)


def test_the_right_end_wins_and_the_other_is_a_rival(cells, searched):
    search, observations, outcome = searched
    truth = cells.obs["true_time"].to_numpy()[search.geometry.cells]
    best, *rivals = outcome.candidates
    assert spearmanr(best.time, truth).statistic > 0.8
    assert any(spearmanr(rival.time, truth).statistic < -0.5 for rival in rivals)
    final = finals_module.finals(search, observations, outcome, np.random.default_rng(0))
    assert final.trial is outcome.best
    assert final.arrow.log_likelihood_margin > 0
    assert len(final.arrow.rivals) == len(rivals)
    assert all(rival.margin > 0 for rival in final.arrow.rivals)
    table = search.table(outcome, outcome.best)
    assert table["log_likelihood"].iloc[0] == 0
    assert set(table["root_cell"]) <= set(search.geometry.cells)


def test_with_a_wrong_root_the_reversed_clock_is_a_rival_and_wins(cells):
    """Only the true end is tried as a root: the reverse of what comes of it is likelier, and is not clear to lose."""
    wrong = cells.copy()
    wrong.obs["stage"] = np.where(wrong.obs["true_time"] > 0.95, "early", "rest")
    search, observations = search_of(wrong, root=vt.Root("stage", "early", strength=0.5), n_lineages=1)
    outcome = search.run(1)
    truth = wrong.obs["true_time"].to_numpy()[search.geometry.cells]
    backwards = next(one for one in outcome.candidates if one.trial.start.how == "reversed")
    forward = next(one for one in outcome.candidates if one.trial.start.how != "reversed")
    assert spearmanr(backwards.time, truth).statistic > 0.8
    assert backwards.bound > forward.bound
    assert min(o - b for o, b in zip(backwards.halves.bounds, forward.halves.bounds, strict=True)) > 0
    final = finals_module.finals(search, observations, outcome, np.random.default_rng(0))
    assert final.trial is backwards.trial


FORWARD = np.arange(5.0)


def candidate(bounds, halves, known=0.0, times=(FORWARD, FORWARD)):
    """A candidate with these bounds on all genes and on halves of them, and these times on halves."""
    run = Run(None, None, bounds, None, None)
    return Candidate(Trial(None, run), bounds, known, FORWARD, Halves(halves, times, (None,) * 2))


@pytest.mark.parametrize(
    ("halves", "known", "first"),
    [((-5.1, -4.9), 0.0, 0), ((-4.9, -4.9), 0.0, 1), ((-4.99, -4.99), 0.0, 0), ((-4.9, -4.9), -0.2, 0)],
)
def test_both_halves_of_the_genes_overrule_all_of_them(halves, known, first):
    both = [candidate(-10.0, (-5.0, -5.0)), candidate(-10.2, halves, known, (-FORWARD, -FORWARD))]
    assert refereed(both)[0] is both[first]
    assert sorted(map(id, refereed(both))) == sorted(map(id, both))


def test_a_rival_that_ends_with_the_reported_times_is_none_in_that_half():
    best, rival = candidate(-10.0, (-5.0, -5.0)), candidate(-10.2, (-5.0, -4.9), times=(FORWARD, -FORWARD))
    assert rival.behind(best) == pytest.approx((np.nan, -0.1), nan_ok=True)
    joined = candidate(-10.2, (-4.9, -4.9), times=(FORWARD, FORWARD))
    assert refereed([best, joined])[0] is best


def test_where_a_half_leaves_it_open_the_median_way_of_halving_decides():
    best, rival = candidate(-10.0, (-5.0, -5.0)), candidate(-10.2, (-5.02, -5.3), times=(-FORWARD, -FORWARD))
    assert rival.nearly_lost_to(best)
    assert not candidate(-10.2, (-4.99, -5.3), times=(-FORWARD, -FORWARD)).nearly_lost_to(best)
    assert not candidate(-10.2, (-5.1, -5.3), times=(-FORWARD, -FORWARD)).nearly_lost_to(best)
    same, opposite = (FORWARD, FORWARD), (-FORWARD, -FORWARD)

    def halved(*ways):
        return tuple(Halves(bounds, times, (None,) * 2) for bounds, times in ways)

    best = replace(best, others=halved(((-5.0, -5.0), same), ((-5.0, -5.0), same)))
    lost = replace(rival, others=halved(((-5.4, -5.1), opposite), ((-5.03, -5.2), opposite)))
    assert lost.behind(best) == pytest.approx((0.03, 0.3))
    joined = replace(rival, others=halved(((-5.4, -5.1), same), ((-5.0, -5.2), same)))
    assert joined.behind(best) == pytest.approx((np.nan, np.nan), nan_ok=True)


@pytest.mark.parametrize("way", range(3))
def test_halves_of_the_genes_are_disjoint_and_hold_as_many_counts(cells, way):
    search, _ = search_of(cells)
    one, two = halves_of(search.cells.spliced, way)
    assert sorted([*one, *two]) == list(range(search.cells.spliced.n_genes))
    total = search.cells.spliced.value_per_level.sum(axis=0)
    assert total[one].sum() == pytest.approx(total[two].sum(), rel=0.15)


def test_branches_without_a_lineage_are_counted(cells):
    """One line cannot hold two fates; a line has none left out, nor is any where geometry finds the number."""
    forked = vt.simulation.simulate(
        300, 60, rng=np.random.default_rng(0), branches=vt.simulation.Branches((0.4,)), mean_spliced=3.0
    )
    search, _ = search_of(forked, n_lineages=1)
    assert (search.left_out(1), search.left_out(2)) == (1, 0)
    assert replace(search, votes=LineageVotes((2, 2))).left_out(1) == 0
    given_up = replace(search, votes=LineageVotes((2, 2), dropped=(0.2,)))
    assert given_up.left_out(1) == 1
    assert replace(given_up, geometry=search.geometry.take(np.arange(200))).left_out(1) == 0
    assert search_of(cells, n_lineages=1)[0].left_out(1) == 0
    assert CycleSearch.of(search).left_out(1) == 0  # what lies beside a circle is no branch of it


def test_tips_that_order_the_cells_as_an_end_does_are_left_out(cells):
    search, _ = search_of(cells)
    starts = search.starts(1)
    times = [of_root[0].time for of_root in starts]
    assert [start.how for start in starts[0]] == ["tree, way", "tree, rank"]
    for tip in range(2, len(times)):
        assert all(spearmanr(times[tip], earlier).statistic <= SAME_ORDER for earlier in times[:tip])


@pytest.mark.parametrize("n_averaged", [1.0, 30.0])
def test_the_direction_that_is_reported_has_the_margin_for_it(searched, monkeypatch, n_averaged):
    """Counts speak for one direction, half as many nats of knowledge for the other: what counts are worth decides."""
    search, observations, outcome = searched
    averaged = replace(observations, n_averaged=n_averaged)
    finalist = finals_module._finalist
    made = []

    def with_knowledge(problem, genes, candidate):
        made.append(finalist(problem, genes, candidate))
        if len(made) == 2:
            against = (made[0].run.bound - made[1].run.bound) * problem.cells.n_cells / 2
            assert against > 0
            made[1] = replace(made[1], known=against)
        return made[-1]

    monkeypatch.setattr(finals_module, "_finalist", with_knowledge)
    final = finals_module.finals(search, averaged, outcome, np.random.default_rng(0))
    ahead, behind = made if n_averaged == 1 else made[::-1]
    assert final.trial is ahead.candidate.trial
    assert final.arrow.log_likelihood_margin == pytest.approx(ahead.log_likelihood - behind.log_likelihood)
    assert final.arrow.log_likelihood_margin > 0


def begun(adata, monkeypatch, **settings):
    """The search's winner, and problem and parameters of the main run that begins with it."""
    finals, seen = soft_em.finals, []

    def remember(*given):
        seen.append(finals(*given))
        return seen[0]

    def stop(problem, first, *given):
        seen.extend([problem, first])
        raise vt.FitError("seen")

    monkeypatch.setattr(soft_em, "finals", remember)
    monkeypatch.setattr(soft_em, "main_run", stop)
    with pytest.raises(vt.FitError, match="seen"):
        vt.tl.recover_dynamics(
            adata.copy(), method=vt.SoftEM(start_times=8, start_genes=10, **settings), progress=False
        )
    return seen


@pytest.mark.parametrize("root", [None, vt.Root("stage", "early")])
def test_the_main_run_begins_with_the_winners_curves_of_all_genes(cells, monkeypatch, root):
    winner, problem, first = begun(cells, monkeypatch, root=root)
    np.testing.assert_array_equal(first.theta, winner.curves.theta)
    assert len(first.theta) == problem.cells.unspliced.n_genes > 10
    assert first.prior.shape == (1, problem.states.n_states)
    assert len(first.known) == (root is not None)


def test_what_is_known_besides_a_root_is_heard_before_the_main_run(cells, monkeypatch):
    """The winner's curves of all genes are those of the counts alone."""
    winner, problem, first = begun(cells, monkeypatch, knowledge=vt.TimeLabels("stage", ["early", "rest"]))
    assert len(first.known) == 1
    assert first.theta.shape == winner.curves.theta.shape
    assert not np.array_equal(first.theta, winner.curves.theta)
    assert problem.restart is not restart_by_shapes


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
