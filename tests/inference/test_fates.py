"""Shares of the lineages before they part."""

import numpy as np
import pytest

from velotime.inference.methods.fates import carried_back

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
