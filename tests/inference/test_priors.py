"""Time priors: the learned density, smoothed, in groups."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime.inference.knowledge.time_prior import smooth_density
from velotime.inference.labels import CellLabels, Groups, match_groups
from velotime.inference.states import States

STATES = States.grid(32, 2)


def counts(seed=0):
    return np.random.default_rng(seed).poisson(3.0, (2, STATES.n_states)).astype(float)


def test_learned_prior_is_the_dirichlet_map():
    n = counts()
    prior = vt.LearnedPrior(concentration=2.0).update(n, STATES)
    np.testing.assert_allclose(prior, (n + 2) / (n + 2).sum(axis=1, keepdims=True))


def test_smoothing_finds_the_likeliest_mixture_of_kernels():
    """Against a general optimiser over the kernels' weights."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    times = np.linspace(0, 1, 12)
    n = np.random.default_rng(1).poisson(10 * (1 + np.sin(6 * times))).astype(float) + 1
    kernel = np.exp(-0.5 * ((times[:, None] - times) / 0.15) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)

    def loss(z):
        return -n @ np.log(softmax(z) @ kernel)

    best = -minimize(loss, np.zeros(12)).fun
    found = smooth_density(n, States.grid(12), 0.15)
    assert found.sum() == pytest.approx(n.sum())
    assert n @ np.log(found / found.sum()) == pytest.approx(best, abs=0.2)


def test_smoothing_stays_within_lineages_and_calms_the_density():
    n = np.concatenate([np.tile([0.0, 20.0], 16), np.full(32, 5.0)])[None]
    rough = vt.LearnedPrior().update(n, STATES)[0]
    smooth = vt.LearnedPrior(smoothness=0.1).update(n, STATES)[0]
    assert np.abs(np.diff(smooth[:32])).max() < 0.1 * np.abs(np.diff(rough[:32])).max()
    assert smooth[:32].sum() == pytest.approx(rough[:32].sum())
    np.testing.assert_allclose(smooth[32:], rough[32:], rtol=0.08)


@pytest.mark.parametrize("smoothness", [0.0, 0.06])
def test_the_bound_does_not_fall(small, smoothness):
    method = vt.SoftEM(
        prior=vt.LearnedPrior(smoothness=smoothness, by="batch"),
        root=vt.Root(cell=small.obs["true_time"].idxmin()),
        noise=vt.Poisson(),
        n_lineages=1,
        start_genes=30,
        annealing=4,
        max_iterations=8,
        tolerance=0.0,
    )
    small.obs["batch"] = np.where(small.obs["true_time"] + np.tile([-0.2, 0.2], 125) > 0.5, "late", "early")
    vt.tl.recover_dynamics(small, method=method, progress=False)
    record = small.uns["recover_dynamics"]
    cold = record["temperature"] <= 1  # more than once: a fit is heated again
    within = cold[:-2] & cold[1:-1] & cold[2:]
    assert within.sum() > 10
    assert np.diff(record["bound"])[1:][within].min() > -1e-4
    prior = small.uns["time_prior"]
    assert list(prior["groups"]) == ["early", "late"]
    early, late = prior["weights"] @ prior["times"]
    assert abs(late - early) > 0.1


def test_small_groups_are_pooled():
    labels = CellLabels.plain(30)
    three = CellLabels(labels.names, {"c": np.array(["a"] * 20 + ["b"] * 7 + ["x"] * 3)})
    groups = Groups.of(three, "c")
    assert groups.names == ("a", "b")
    assert groups.pooled == {"a": ("x",)}
    assert np.bincount(groups.code).tolist() == [23, 7]
    more = CellLabels(labels.names, {"c": np.array(["a"] * 24 + ["x"] * 3 + ["y"] * 3)})
    groups = Groups.of(more, "c")
    assert groups.names == ("a", "pooled")
    assert groups.pooled == {"pooled": ("x", "y")}
    rows = match_groups(np.array([[0.8, 0.2], [0.4, 0.6]]), ("a", "b"), ("b", "new"))
    np.testing.assert_allclose(rows, [[0.4, 0.6], [0.6, 0.4]])


@pytest.mark.filterwarnings("ignore:the direction of time")
def test_pooling_is_said_aloud(small):
    small.obs["batch"] = ["rare"] * 4 + ["common"] * 246
    method = vt.SoftEM(
        prior=vt.LearnedPrior(by="batch"),
        root=vt.Root(cell=small.obs["true_time"].idxmin()),
        n_lineages=1,
        start_genes=20,
        start_times=12,
        annealing=2,
        max_iterations=1,
        n_times=16,
    )
    with pytest.warns(vt.UnclearWarning, match=r"'rare': fewer than 5 cells.*share that of 'common'"):
        vt.tl.recover_dynamics(small, method=method, progress=False)
    assert list(small.uns["time_prior"]["groups"]) == ["common"]


@pytest.mark.parametrize("options", [{"concentration": -1.0}, {"smoothness": 0.7}, {"smoothness": -0.1}])
def test_bad_settings(options):
    with pytest.raises(InputError, match="The default is"):
        vt.LearnedPrior(**options)
