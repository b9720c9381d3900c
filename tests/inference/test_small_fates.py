"""Small fates: found where either half of the genes shows them, and nowhere else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import velotime as vt
import velotime.inference.search.number.grown as grown_module
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference.labels import CellLabels
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.search.geometry.tree import LineageVotes
from velotime.inference.search.number.grown import PlacedCells, grown
from velotime.inference.search.number.small_fates import by_halves, residuals, small_fates
from velotime.inference.search.rivals import halves_by
from velotime.report._words import votes_in_words
from velotime.tl._geometry import place_cells

LEAVES = 0.7  # the small fate


def with_small_fate(seed, leaves):
    """Two large fates, and one of 3 % of 1,200 cells that leaves them late."""
    adata = sim.simulate(2400, 150, rng=np.random.default_rng(seed), branches=sim.Branches((0.3, leaves)))
    small = adata.obs["true_lineage"].astype(int).to_numpy() == 2
    kept = np.concatenate([np.flatnonzero(~small)[:1160], np.flatnonzero(small)[:40]])
    adata = adata[np.sort(kept)].copy()
    vt.pp.filter_genes(adata)
    return adata


@pytest.fixture(scope="module")
def cells():
    return with_small_fate(0, LEAVES)


def known(adata):
    """Values, total counts, times, lineages of the large fates, and which cells are of the small one."""
    spliced = adata.layers["spliced"].toarray()
    size = spliced.sum(axis=1) / np.median(spliced.sum(axis=1))
    lineage = adata.obs["true_lineage"].astype(int).to_numpy()
    time = adata.obs["true_time"].to_numpy()
    return np.log1p(spliced / size[:, None]), spliced.sum(axis=0), time, np.minimum(lineage, 1), lineage == 2


def test_a_small_fate_is_found_and_its_cells_are_the_right_ones(cells):
    values, total, time, lineage, small = known(cells)
    (fate,) = small_fates(values, [halves_by(total, way) for way in range(3)], time, lineage, 0)
    both = fate.weight == 1
    assert fate.lineage == 1
    assert fate.n_cells == both.sum()
    assert small[both].mean() > 0.9
    assert both[small & (time > LEAVES + 0.1)].mean() > 0.7


def test_there_is_none_without_it_nor_where_one_half_of_the_genes_shows_it(cells):
    values, total, time, lineage, small = known(cells)
    halves = halves_by(total)
    assert len(by_halves(values, halves, time, lineage, 0)) == 1
    rest = ~small
    assert by_halves(values[rest], halves, time[rest], lineage[rest], 0) == []
    shuffled, late = values.copy(), np.flatnonzero((lineage == 1) & (time > LEAVES))
    shuffled[np.ix_(late, halves[1])] = values[np.ix_(np.random.default_rng(0).permutation(late), halves[1])]
    assert by_halves(shuffled, halves, time, lineage, 0) == []


def test_residuals_are_without_time_and_what_lies_along_it():
    rng = np.random.default_rng(0)
    time = rng.uniform(0, 1, 500)
    way = np.stack([time, 2 * time, np.zeros(500)], axis=1)
    late = way + rng.normal(0, 0.05, 500)[:, None] * [1, 2, 0] + rng.normal(0, 0.01, (500, 3))
    left = residuals(late, time)
    assert np.abs(np.corrcoef(left.T, time)[-1, :3]).max() < 0.15
    assert left[:, :2].std() < 0.3 * left[:, 2].std()


def searched_for(cells, n_lineages, **settings):
    """The search for so many lineages, its outcome, and the cells that it could take."""
    method = vt.SoftEM(start_times=16, **settings)
    observations = read_observations(cells).observations
    placing, drawing = np.random.default_rng(0).spawn(2)
    geometry, labels = place_cells(observations, placing), CellLabels.plain(cells.n_obs)
    rows = method.prior_rows(labels)
    search = method._starts.search(observations, geometry, rows, method.landmarks(labels), drawing)
    search = replace(search, votes=LineageVotes((n_lineages,) * 5))
    placed = PlacedCells(geometry.cells, observations.select_cells(geometry.cells), rows.take(geometry.cells))
    return search, search.run(n_lineages), placed


def test_small_fates_are_looked_for_by_times_of_all_genes(monkeypatch):
    """Times of a few genes leave much of the way among what cells differ in besides time."""
    cells, given = sim.simulate(300, 60, rng=np.random.default_rng(0)), []
    search, outcome, placed = searched_for(cells, 1, start_genes=6)
    monkeypatch.setattr(grown_module, "small_fates", lambda *args: given.append(args[2]) or [])
    assert grown(search, outcome, placed) == (search, outcome)
    truth = cells.obs["true_time"].to_numpy()
    of_few = time_and_lineage(outcome.problem, outcome.best.run.parameters)[0]
    off = [
        1 - abs(spearmanr(time, truth[of]).statistic)
        for time, of in ((given[0], placed.cells), (of_few, search.geometry.cells))
    ]
    assert off[0] < 0.5 * off[1]


def test_a_small_fate_becomes_a_lineage():
    cells = with_small_fate(2, 0.85)
    search, outcome, placed = searched_for(cells, 2)
    search, outcome = grown(search, outcome, placed)
    assert outcome.n_lineages == 3
    (n_cells, agreement, told_apart), *others = search.votes.small_fates
    assert not others
    assert (n_cells >= 10, agreement > 0.65, told_apart > 0.9) == (True, True, True)
    lineage = time_and_lineage(outcome.problem, outcome.best.run.parameters)[1].argmax(axis=1)
    truth = cells.obs.iloc[search.geometry.cells]
    late = truth["true_time"].to_numpy() > 0.95
    small = truth["true_lineage"].astype(int).to_numpy() == 2
    assert np.mean((lineage == 2)[late] == small[late]) > 0.9
    full = replace(search, votes=LineageVotes((2,) * 5, most=2))
    assert grown(full, outcome, placed) == (full, outcome)


def test_the_report_says_which_small_fates_there_are():
    table = pd.DataFrame({"n_cells": [40, 1200], "agreement": [0.9, 0.7], "told_apart": [0.99, 0.94]})
    record = {"votes": [2] * 5, "names": ["0", "1", "2", "3"], "dropped": (), "small_fates": table}
    assert votes_in_words(record) == (
        "2 lineages came out in 5 of 5 draws of the cells; halves of the genes find 2 small fates besides, of 40, "
        "1,200 cells (Cohen's kappa 0.90, 0.70); the fit has 4"
    )
