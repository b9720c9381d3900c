"""The number of lineages: fewer than geometry counts where halves of the genes do not agree on their cells."""

import numpy as np
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.inference.search.rivals import Halves, against_the_rest, kappa
from velotime.report._words import votes_in_words

QUICK = {"max_iterations": 5, "annealing": 2, "n_times": 30}


def fitted(n_cells, seed, branches=None):
    more = {} if branches is None else {"branches": sim.Branches(branches)}
    adata = sim.simulate(n_cells, 100, rng=np.random.default_rng(seed), **more)
    vt.pp.filter_genes(adata)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**QUICK), rng=seed - 7000, progress=False)
    return adata


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_a_line_of_100_cells_stays_a_line_where_geometry_sees_a_branch():
    record = fitted(100, 7007).uns["lineages"]
    votes = np.asarray(record["votes"])
    assert np.mean(votes >= 2) >= 2 / 3
    assert len(record["names"]) == 1
    assert record["dropped"][0] < 0.3
    assert "put other cells into another lineage" in votes_in_words(record)


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_two_fates_of_100_cells_stay_two():
    record = fitted(100, 7000, (0.4,)).uns["lineages"]
    assert len(record["names"]) == 2
    assert len(record["dropped"]) == 0
    assert "halves" not in votes_in_words(record)


def test_agreement_of_each_lineage_is_that_against_all_others():
    rng = np.random.default_rng(0)
    time, n = np.arange(1000.0), 1000
    one = rng.integers(3, size=n)
    two = np.where(one == 0, 0, rng.integers(1, 3, size=n))  # the others by chance
    halves = Halves((0.0, 0.0), (time, time), (np.eye(3)[one], np.eye(3)[two]))
    late = slice(700, n)
    each = []
    for k in range(3):
        a, b = one[late] == k, two[late] == k
        chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
        each.append((np.mean(a == b) - chance) / (1 - chance))
    assert each[0] == 1.0
    assert halves.least_lineage_agreement == pytest.approx(min(each))
    assert halves.lineage_agreement > halves.least_lineage_agreement
    table = np.array([[0.2, 0.1], [0.0, 0.7]])
    assert kappa(against_the_rest(table, 0)) == pytest.approx(kappa(table))
