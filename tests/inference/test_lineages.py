"""Lineages: found, named, chosen, and refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime import InputError
from velotime import simulation as sim
from velotime.compute import LayerSums
from velotime.inference.knowledge.pieces import Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import best_single_curve, restart
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.results.genes import lineage_ratio
from velotime.inference.search.geometry.geodesic import more_ends
from velotime.inference.search.geometry.starts import Geometry, fates, late_groups, towards_tips
from velotime.inference.states import Layout, States


@pytest.fixture(scope="module")
def branching():
    adata = sim.simulate(
        700, 100, rng=np.random.default_rng(3), branches=sim.Branches((0.35,)), mean_unspliced=1.0, mean_spliced=3.0
    )
    late = adata.obs["true_time"] > 0.7
    adata.obs["stage"] = np.where(late, "end " + adata.obs["true_lineage"].astype(str), "trunk")
    adata.obs.loc[adata.obs["true_time"] < 0.15, "stage"] = "root"
    return adata


@pytest.fixture(scope="module")
def two(branching):
    """Fitted with two lineages; tests must not change it."""
    adata = branching.copy()
    adata.obs["stage"] = adata.obs["stage"].astype("category")
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=2), progress=False)
    return adata


def late_agreement(adata):
    """Share of late cells in the majority lineage of their own true lineage, which must differ."""
    late = adata.obs[adata.obs["true_time"] > 0.7]
    table = pd.crosstab(late["true_lineage"], late["fit_lineage"])
    assert len(set(table.idxmax(axis=1))) == len(table)
    return table.max(axis=1).sum() / table.to_numpy().sum()


def test_two_lineages_are_told_apart(two):
    adata = two
    assert spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic > 0.95
    assert late_agreement(adata) > 0.95
    np.testing.assert_allclose(adata.obsm["lineage_posterior"].sum(axis=1), 1.0, atol=1e-5)
    fate = np.ptp(adata.varm["true_level_2"], axis=1) > 1e-9
    ratio = adata.var["fit_lineage_ratio"].to_numpy()
    assert fate[np.argsort(-ratio)[: fate.sum() // 2]].mean() > 0.9
    assert adata.varm["fit_lineage_t"].shape == (100, 2)


def test_terminal_labels_name_the_lineages(branching):
    adata = branching.copy()
    method = vt.SoftEM(lineages=vt.Terminals("stage", ("end 0", "end 1")), root=vt.Root("stage", "root"))
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    assert list(adata.obs["fit_lineage"].cat.categories) == ["end 0", "end 1"]
    late = adata.obs[adata.obs["true_time"] > 0.7]
    assert (late["fit_lineage"].astype(str) == late["stage"]).mean() > 0.95
    root = adata.uns["recover_dynamics"]["starts"]["root_cell"].iloc[0]
    assert adata.obs.loc[root, "stage"] == "root"
    for k, name in enumerate(("end 0", "end 1")):
        level = adata.varm["true_level_2"]
        higher = pd.Series(level[:, k] > 1.01 * level[:, 1 - k], index=adata.var_names)
        table = vt.tl.rank_fate_genes(adata, lineage=name)
        assert higher[table["gene"].head(higher.sum() // 2)].mean() > 0.9
        assert higher[table["gene"].tail(10)].mean() < 0.2
        fold = pd.Series(np.log2(level[:, k] / level[:, 1 - k]), index=adata.var_names)
        assert np.corrcoef(table["log2_fold"], fold[table["gene"]])[0, 1] > 0.8


def test_the_number_of_lineages_is_found_by_default(branching):
    adata = branching.copy()
    vt.tl.recover_dynamics(adata, progress=False)
    assert adata.uns["lineages"]["votes"].tolist() == [2] * 5
    assert late_agreement(adata) > 0.95
    assert adata.uns["time_arrow"]["verdict"] == "clear"
    assert adata.uns["fit_verdict"]["verdict"] == "fits"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lineages": vt.Terminals("stage", ("end 0", "end 7"))}, r"'end 7' not found.*available"),
        ({"lineages": vt.Terminals("fate", ("a", "b"))}, r"column 'fate' not found"),
        ({"root": vt.Root("stage", "start")}, "'start' not found"),
        ({"root": vt.Root(cell="nobody")}, "root cell 'nobody' not found"),
        ({"n_lineages": 90}, "n_lineages=90, but"),
    ],
)
def test_bad_lineages_and_roots(branching, settings, message):
    with pytest.raises(InputError, match=message):
        vt.tl.recover_dynamics(branching, method=vt.SoftEM(**settings), progress=False)
    assert "latent_time" not in branching.obs


def test_labels_with_too_few_cells(branching):
    adata = branching.copy()
    adata.obs["rare"] = ["x"] * 9 + ["y"] * (adata.n_obs - 9)
    with pytest.raises(InputError, match=r"'x' .*has 9 cells, too few.*at least 10"):
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(lineages=vt.Terminals("rare", ("x", "y"))), progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vt.Terminals("c", ("a",)), "two or more"),
        (lambda: vt.Terminals("c", ("a", "a")), "each once"),
        (lambda: vt.Terminals("c", ("a", "b"), strength=1.0), "above 0 and below 1"),
        (lambda: vt.Root(), "give a column and a label"),
        (lambda: vt.Root("c"), "give a column and a label"),
        (lambda: vt.Root("c", "a", cell="x"), "give a column and a label"),
    ],
)
def test_knowledge_says_what_it_needs(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_terminals_weigh_lineages_by_their_strength():
    labels = CellLabels(np.arange(30).astype(str), {"c": np.array(["a"] * 10 + ["b"] * 10 + ["-"] * 10)})
    terminals, states = Terminals("c", ("a", "b"), strength=0.9), States.grid(8, 2)
    rows = PriorRows.of(Groups.of(labels, None), (terminals,), labels)
    prior = np.exp(rows.log_prior(np.full((1, 16), 1 / 16), rows.initial(states)))[rows.row]
    np.testing.assert_allclose(prior.sum(axis=1), 1.0)
    np.testing.assert_allclose(prior[:10, :8].sum(axis=1), 0.9)
    np.testing.assert_allclose(prior[10:20, 8:].sum(axis=1), 0.9)
    np.testing.assert_allclose(prior[20:, :8].sum(axis=1), 0.5)


def test_starts_towards_tips_end_every_branch_late():
    """A long and a short branch, in two dimensions."""
    along = np.linspace(0, 1, 200)
    trunk, long, short = np.c_[along, 0 * along], np.c_[1 + 2 * along, 2 * along], np.c_[1 + along, -along]
    points = np.concatenate([trunk, long, short])
    geometry = Geometry(np.arange(600), points, points)
    time, weight = towards_tips(geometry, 0, 2)
    assert time[399] > 0.98
    assert time[599] > 0.95
    assert time[0] < 0.01
    assert weight[399].argmax() != weight[599].argmax()
    np.testing.assert_allclose(weight[0], 0.5)
    groups = late_groups(time, points, 2, 0)
    assert groups[399].argmax() != groups[599].argmax()


def test_ends_of_branches_that_no_axis_ends_in():
    """Four arms of a star; two are known, and along a line there is nothing more."""
    along = np.linspace(0.02, 1, 150)[:, None]
    arms = np.eye(4) - 0.25  # the arms of a star in three dimensions
    points = np.concatenate([along * arm for arm in arms]) + np.random.default_rng(0).normal(0, 0.01, (600, 4))
    found = more_ends(points, [149, 299], most=5, least=0.25)
    assert sorted(np.array(found) // 150) == [2, 3]
    assert all(end % 150 > 140 for end in found)
    assert more_ends(points[:300], [149, 299], most=5, least=0.25) == []


def test_fates_are_carried_back_along_their_branch():
    """Halfway the long branch passes the end of the short one, where nearest centres go wrong."""
    along = np.linspace(0, 1, 300)
    jitter = np.random.default_rng(0).normal(0, 0.03, (900, 2))
    trunk = np.c_[along - 1, 0 * along]
    short = np.c_[along, 0 * along]
    long = np.c_[np.interp(along, [0, 0.3, 0.5, 1], [0, 0, 1, 8]), np.interp(along, [0, 0.3], [0, 1.2])]
    points = np.concatenate([trunk, short, long]) + jitter
    time = np.concatenate([0.5 * along, 0.5 + 0.5 * along, 0.5 + 0.5 * along])
    weight = fates(time, points, 2, 1)
    np.testing.assert_allclose(weight.sum(axis=1), 1.0)
    late = time > 0.75
    own = np.repeat([0, 0, 1], 300)
    agrees = [(w.argmax(axis=1) == own)[late].mean() for w in (weight, late_groups(time, points, 2, 1))]
    assert max(agrees[0], 1 - agrees[0]) > 0.99
    assert max(agrees[1], 1 - agrees[1]) < 0.95
    np.testing.assert_allclose(weight[time < 0.3], 0.5)


def test_the_starts_say_in_which_labels_their_roots_lie(two):
    record = two.uns["recover_dynamics"]
    starts = record["starts"]
    assert list(starts["root_stage"]) == list(two.obs.loc[starts["root_cell"], "stage"].astype(str))
    others = starts[(starts["root_cell"] != starts["root_cell"].iloc[0]) & (starts["start"] != "reversed")]
    assert record["root_margin"] == pytest.approx(-others["log_likelihood"].max())
    assert record["root_margin"] > 0


def gene_problem_of(theta, layout, sizes, scatter=0.5):
    """Sums that lie on curves, of cells whose size differs between lineages as ``sizes`` says."""
    states = States(np.linspace(0, 1, 32), layout)
    mean_size = np.repeat(np.asarray(sizes, dtype=float), 32)
    size = mean_size * 8.0
    noise, dispersion = vt.NegativeBinomial(), np.full(len(theta), scatter)
    sums = [LayerSums.of_one_size(size * means, size, mean_size) for means in states.means(theta)]
    return GeneProblem(states, noise, RatePrior(layout), *sums, dispersion, dispersion)


def one_and_fate_curves():
    """Four genes with one curve for three lineages, then four whose last level differs in one of them."""
    layout = Layout(3)
    single = np.zeros((4, 8))
    single[:, 0], single[:, 1], single[:, 2] = 2.2, 1.6, (-0.1, 0.1, 0.2, 0.3)
    single[:, 3], single[:, 4], single[:, 6], single[:, 7] = (0.0, 1.0, 2.0, -1.0), 1.5, np.log(0.4), (0, 1, 2, -1)
    theta = layout.repeat(single)
    fate = theta.copy()
    fate[:, layout.last_levels] = fate[:, layout.last_levels] - 2.0
    fate[np.arange(4), 7 + 2 * np.array([0, 1, 2, 0])] += 4.5
    return layout, theta, fate


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.2, 1.0, 4.0)])
def test_lineage_ratio_compares_on_the_same_sums(sizes):
    """Sizes that differ between lineages move no gene up or down: only curves that differ do."""
    layout, single, fate = one_and_fate_curves()
    theta = np.vstack([single, fate])
    ratio = lineage_ratio(gene_problem_of(theta, layout, sizes), theta)
    assert ratio[:4].max() < 1.0
    assert ratio[4:].min() > 20.0


def test_lineage_ratio_leaves_a_worse_optimum():
    layout, _, fate = one_and_fate_curves()
    problem = gene_problem_of(fate, layout, (1.0, 1.0, 1.0))
    stuck = np.full_like(fate, -1.0)  # a curve that runs nowhere near
    np.testing.assert_allclose(lineage_ratio(problem, stuck), lineage_ratio(problem, fate), rtol=0.05)


def test_restart_with_lineages_is_never_worse_than_one_curve():
    layout, single, fate = one_and_fate_curves()
    rng = np.random.default_rng(0)
    theta = np.vstack([single, fate]) + rng.normal(0, 0.3, (8, layout.n_parameters))
    problem = gene_problem_of(theta, layout, (0.5, 1.0, 2.0))
    one = layout.repeat(best_single_curve(problem, 5).theta)
    assert (restart(problem, None).loss <= problem.loss(one) + 1e-9).all()


def test_restart_finds_lineages_that_part_at_different_times():
    """The shapes have the last switch at one time in all lineages: one that is elsewhere is tried besides."""
    layout, rng, n_genes = Layout(2), np.random.default_rng(0), 60
    theta = np.zeros((n_genes, layout.n_parameters))
    theta[:, 0], theta[:, 1], theta[:, 2] = 3.0, 2.6, rng.uniform(0.0, 0.2, n_genes)
    theta[:, 3:5] = rng.normal(1.0, 1.0, (n_genes, 2))
    theta[:, layout.last_levels] = rng.normal(1.0, 1.0, (n_genes, 2))
    theta[:, layout.durations] = np.log(np.tile([[0.65, 0.08], [0.08, 0.65]], (n_genes // 2, 1)))
    problem = gene_problem_of(theta, layout, (5.0, 5.0), scatter=0.2)
    assert (restart(problem, None).loss < problem.loss(theta) + 1.0).all()


def test_repeat_and_average_of_parameters():
    layout, single, fate = one_and_fate_curves()
    one = layout.average(single)
    np.testing.assert_allclose(layout.repeat(one), single)
    np.testing.assert_allclose(layout.average(fate)[:, 7], fate[:, layout.last_levels].mean(axis=1))


@pytest.mark.long
def test_fate_genes_come_first_for_large_and_small_fates():
    """Fates of 50, 30, 15 and 5 % of the late cells."""
    rng = np.random.default_rng(1)
    branches = sim.Branches((0.3, 0.4, 0.5))
    adata = sim.simulate(3600, 120, rng=rng, branches=branches, mean_unspliced=1.0, mean_spliced=3.0)
    lineage, time = adata.obs["true_lineage"].astype(int).to_numpy(), adata.obs["true_time"].to_numpy()
    share = np.where(time > 0.5, np.array([1.0, 0.6, 0.3, 0.1])[lineage], 0.4)
    adata = adata[rng.random(adata.n_obs) < share].copy()
    time, true = adata.obs["true_time"], adata.obs["true_lineage"].astype(str)
    adata.obs["stage"] = np.where(time > 0.8, "end " + true, np.where(time < 0.15, "root", "between"))
    terminals = vt.Terminals("stage", tuple(f"end {k}" for k in range(4)))
    method = vt.SoftEM(lineages=terminals, root=vt.Root("stage", "root"), start_genes=60, start_times=32)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    level = adata.varm["true_level_2"]
    away = np.abs(level - np.median(level, axis=1, keepdims=True))
    fate, owner = away.max(axis=1) > 1e-9, away.argmax(axis=1)
    ratio = adata.var["fit_lineage_ratio"].to_numpy()
    for k in range(4):
        own = fate & (owner == k)
        assert (ratio[own][:, None] > ratio[~fate]).mean() >= 0.95  # the area under the ROC curve
