"""The number of lineages: fewer than geometry counts where halves of the genes do not agree on their cells."""

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference.labels import CellLabels
from velotime.inference.search.geometry.tree import LineageVotes
from velotime.inference.search.number.agreed import agreed
from velotime.inference.search.rivals import Halves, against_the_rest, kappa
from velotime.report._words import votes_in_words
from velotime.tl._geometry import place_cells


def searched(adata):
    """What the search finds where every draw of the cells shows two lineages."""
    method = vt.SoftEM(start_times=16)
    vt.pp.filter_genes(adata)
    observations = read_observations(adata).observations
    placing, drawing = np.random.default_rng(0).spawn(2)
    geometry, labels = place_cells(observations, placing), CellLabels.plain(adata.n_obs)
    rows, landmarks = method.prior_rows(labels), method.landmarks(labels)
    search = method._starts.search(observations, geometry, rows, landmarks, drawing)
    return agreed(replace(search, votes=LineageVotes((2,) * 5)))


def test_a_line_of_100_cells_stays_a_line_where_geometry_sees_a_branch():
    search, outcome = searched(sim.simulate(100, 100, rng=np.random.default_rng(0)))
    assert outcome.problem.states.layout.n_lineages == 1
    assert len(search.votes.dropped) == 1
    assert search.votes.dropped[0] < 0.3


def test_two_fates_of_100_cells_stay_two():
    adata = sim.simulate(100, 100, rng=np.random.default_rng(7000), branches=sim.Branches((0.4,)))
    search, outcome = searched(adata)
    assert outcome.problem.states.layout.n_lineages == 2
    assert search.votes.dropped == ()


def test_the_report_says_which_lineages_were_given_up():
    record = {"votes": [2, 2, 3], "names": ["0"], "dropped": np.array([0.4, 0.12])}
    assert votes_in_words(record) == (
        "2 lineages came out in 2 of 3 draws of the cells (else 3); two halves of the genes put other cells into "
        "2 more than the fit has (Cohen's kappa 0.40, 0.12); the fit has 1"
    )
    assert "halves" not in votes_in_words({"votes": [1, 1], "names": ["0"], "dropped": np.zeros(0)})


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
