"""Lineages before they part: one trunk, and their shares there."""

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.data import restore_soft_fit
from velotime.inference.methods.fates import _backwards, carried_back
from velotime.inference.model.scores import columns_of, together
from velotime.inference.states import States

N_TIMES, BRANCHING = 40, 16
SHARES = np.array([0.7, 0.25, 0.05])


def cells(rng, n=4000, *, told=6.0, last=(N_TIMES, N_TIMES, N_TIMES)):
    """Likelihoods of cells whose time is known and whose lineage shows after the branching, and both."""
    lineage, time = rng.choice(3, size=n, p=SHARES), rng.integers(0, N_TIMES, n)
    there = time < np.array(last)[lineage]
    lineage, time = lineage[there], time[there]
    log = rng.normal(0, 0.5 * told**0.5, (len(time), 3))
    log[np.arange(len(time)), lineage] += told
    likelihood = np.zeros((len(time), 3, N_TIMES))
    likelihood[np.arange(len(time)), :, time] = np.where((time >= BRANCHING)[:, None], np.exp(log), 1.0)
    return likelihood, lineage, time


def equal():
    return np.full((3, N_TIMES), 1 / (3 * N_TIMES))


def test_shares_before_lineages_part_are_those_after():
    likelihood, _, _ = cells(np.random.default_rng(0))
    shares = carried_back(likelihood, equal())
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_allclose(shares[:, : BRANCHING - 1], SHARES[:, None] + np.zeros(BRANCHING - 1), atol=0.06)


@pytest.mark.parametrize("told", [2.0, 6.0])
def test_posteriors_say_how_often_cells_end_there(told):
    likelihood, lineage, _ = cells(np.random.default_rng(1), told=told)
    q = likelihood * carried_back(likelihood, equal())
    given = q.sum(axis=2) / q.sum(axis=(1, 2))[:, None]
    ends = lineage[:, None] == np.arange(3)
    for low in np.arange(0, 1, 0.2):
        inside = (given >= low) & (given < low + 0.2)
        if inside.sum() > 100:
            assert ends[inside].mean() == pytest.approx(given[inside].mean(), abs=0.08)


def test_where_counts_tell_all_shares_are_those_of_the_cells():
    likelihood, lineage, time = cells(np.random.default_rng(2), 15_000, told=30.0, last=(N_TIMES, N_TIMES, 30))
    shares = carried_back(likelihood, equal())
    for t in (BRANCHING + 2, 27):
        found = np.bincount(lineage[time == t], minlength=3) / (time == t).sum()
        np.testing.assert_allclose(shares[:, t], found, atol=0.04)
    assert shares[2, -1] < 1e-3


def test_some_cells_stand_for_all():
    likelihood, _, _ = cells(np.random.default_rng(3))
    every, some = carried_back(likelihood, equal()), carried_back(likelihood[::2], equal(), worth=2.0)
    np.testing.assert_allclose(every, some, atol=0.08)


def test_equal_likelihoods_leave_equal_shares():
    shares = carried_back(np.ones((500, 3, N_TIMES)), equal())
    np.testing.assert_allclose(shares, 1 / 3, atol=1e-9)


PARTING = np.array([[0.0, 0.35, 0.35], [0.35, 0.0, 0.75], [0.35, 0.75, 0.0]])


def test_lineages_are_together_until_each_pair_parts():
    states = States.grid(11, 3)
    assert together(PARTING, states) == ((0, 4, (0, 1, 2)), (4, 8, (1, 2)))
    assert columns_of(together(PARTING, states), 11)[1] == (slice(15, 19), slice(26, 30))
    assert together(None, states) == ()


@pytest.fixture(scope="module")
def branching():
    """Two fates that leave at 0.4, fitted."""
    adata = sim.simulate(
        500, 80, rng=np.random.default_rng(5), branches=sim.Branches((0.4,)), mean_unspliced=1.5, mean_spliced=4.0
    )
    adata.obs["stage"] = np.where(adata.obs["true_time"] < 0.08, "root", "later")
    method = vt.SoftEM(n_lineages=2, root=vt.Root("stage", "root"), start_genes=40, start_times=16)
    vt.tl.recover_dynamics(adata, method=method, progress=False, layers=())
    return adata


def test_lineages_part_where_they_do(branching):
    parting = branching.uns["time_prior"]["parting"]
    slope, origin = np.polyfit(branching.obs["latent_time"], branching.obs["true_time"], 1)
    assert origin + slope * parting[0, 1] == pytest.approx(0.4, abs=0.1)
    np.testing.assert_array_equal(parting, parting.T)


def test_before_that_no_cell_is_surer_of_its_fate_than_another(branching):
    """With any curves: the shares are those of the time alone."""
    _, fit = restore_soft_fit(branching)
    np.testing.assert_array_equal(fit.parameters.parting, branching.uns["time_prior"]["parting"])
    prior = fit.parameters.prior[0].reshape(2, -1)
    one = fit.problem.states.times < fit.parameters.parting[0, 1]
    theta = fit.parameters.theta.copy()
    theta[:20, 7] += 1.0
    for _, q in fit.problem.all_posteriors(replace(fit.parameters, theta=theta)):
        both = q.reshape(len(q), 2, -1)[:, :, one].astype(float)
        np.testing.assert_allclose(both[:, 0] * prior[1, one], both[:, 1] * prior[0, one], rtol=1e-3, atol=1e-9)


def test_one_trunk_is_a_bound_from_below(branching):
    _, fit = restore_soft_fit(branching)
    apart = replace(fit.parameters, parting=None)
    one, free = fit.problem.expect(fit.parameters, 1.0)[1], fit.problem.expect(apart, 1.0)[1]
    assert free - 0.2 < one <= free
    same = fit.parameters.theta.copy()
    same[:, 8:10] = same[:, 6:8]
    bounds = [fit.problem.expect(replace(each, theta=same), 1.0)[1] for each in (fit.parameters, apart)]
    assert bounds[0] == pytest.approx(bounds[1], abs=1e-4)


def test_on_the_trunk_shares_are_those_of_all_cells_after_it():
    """Not of those just after it, which here are few and of one lineage."""
    told = np.zeros((2, 10))
    told[:, 4:] = np.array([[20.0, 0, 0, 0, 0, 0], [0, 30, 30, 40, 40, 40]])
    shares = _backwards(told, 4)
    np.testing.assert_allclose(shares[:, :4], np.tile([[0.1], [0.9]], 4))
    assert shares[0, 4] > 0.15
    np.testing.assert_array_equal(_backwards(told)[:, 4:], shares[:, 4:])
