"""Draws: nothing depends on the order of the cells, and no task on what another drew."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime.data import Fitted, read_observations
from velotime.inference import Observations
from velotime.inference.heldout import lineages as heldout_lineages
from velotime.inference.observations import draw_positions
from velotime.inference.search import begin
from velotime.inference.search.geometry.tree import LineageVotes
from velotime.inference.search.number import agreed as number_module

QUICK = {"n_times": 16, "annealing": 2, "max_iterations": 2, "start_cells": 50, "start_genes": 12, "start_times": 8}
METHODS = {
    "SoftEM": vt.SoftEM(**QUICK),
    "with a root": vt.SoftEM(root=vt.Root("stage", "early"), n_lineages=1, **QUICK),
    "two lineages": vt.SoftEM(n_lineages=2, **QUICK),
    "Gaussian noise": vt.SoftEM(noise=vt.Gaussian(), n_lineages=1, **QUICK),
    "clocks of genes": vt.TwoStageEM(vt.GeneClock(explicit_iterations=1, max_iterations=2)),
    "shared clock": vt.TwoStageEM(vt.SharedClock(explicit_iterations=1, max_iterations=1, n_times=16)),
    "mixture": vt.MixtureEM(n_components=4, max_iterations=5),
}


@pytest.fixture(scope="module")
def cells():
    adata = vt.simulation.simulate(100, 16, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["stage"] = np.where(adata.obs["true_time"] < 0.4, "early", "late")
    for name, layer in (("u", "unspliced"), ("s", "spliced")):
        adata.layers[name] = np.log1p(adata.layers[layer].toarray())
    vt.pp.moments(adata)
    return adata


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_cells_changes_nothing(cells, name):
    order = np.random.default_rng(1).permutation(cells.n_obs)
    layers = {"unspliced": "u", "spliced": "s"} if name == "Gaussian noise" else {}
    one, other = cells.copy(), cells[order].copy()
    for adata in (one, other):
        vt.tl.recover_dynamics(adata, method=METHODS[name], progress=False, **layers)
    one = one[order]
    if name == "mixture":
        assert np.array_equal(one.obsm["mixture_posterior"], other.obsm["mixture_posterior"])
        return
    assert np.array_equal(one.obs["latent_time"], other.obs["latent_time"])
    assert np.array_equal(one.layers["velocity"], other.layers["velocity"], equal_nan=True)
    assert np.array_equal(one.var["fit_gamma"], other.var["fit_gamma"], equal_nan=True)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_order_of_content(form):
    rng = np.random.default_rng(0)
    values = rng.poisson(0.3, (2, 500, 30)).astype(np.float32)
    values[:, 7] = values[:, 3]  # the same counts, told apart by size
    sizes = rng.uniform(0.5, 2, (2, 500))
    order = rng.permutation(500)
    given = Observations(form(values[0]), form(values[1]), *sizes)
    mixed = Observations(form(values[0][order]), form(values[1][order]), *sizes[:, order])
    assert sorted(given.content_order) == list(range(500))
    assert np.array_equal(order[mixed.content_order], given.content_order)
    drawn = given.draw(50, np.random.default_rng(3), include=[1, 2, 3], most_included=2)
    assert len(set(drawn)) == 50
    assert 2 <= len(set(drawn) & {1, 2, 3}) < 4
    again = mixed.draw(50, np.random.default_rng(3), include=np.flatnonzero(np.isin(order, [1, 2, 3])), most_included=2)
    assert np.array_equal(order[again], drawn)


def test_dense_and_sparse_cells_are_in_one_order(cells):
    observations = read_observations(cells).observations
    dense = Observations(
        observations.unspliced.toarray(),
        observations.spliced.toarray(),
        observations.size_unspliced,
        observations.size_spliced,
    )
    assert np.array_equal(dense.content_order, observations.content_order)


def test_preferred_cells_come_first_but_not_all_of_them():
    preferred = np.arange(100) < 30
    drawn = draw_positions(preferred, 40, np.random.default_rng(0), 25)
    assert np.all(np.diff(drawn) > 0)
    assert len(drawn) == 40
    assert 25 <= preferred[drawn].sum() < 30


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
@pytest.mark.parametrize("n_lineages", [1, 2])
def test_auto_is_the_fit_with_the_number_that_it_finds(cells, monkeypatch, n_lineages):
    monkeypatch.setattr(begin, "votes_of", lambda *_: LineageVotes((n_lineages,) * 5))
    monkeypatch.setattr(heldout_lineages, "begins_in_the_middle", lambda *_: False)
    monkeypatch.setattr(number_module, "LEAST_AGREEMENT", -1.0)  # halves of the genes would give one up: a line
    fits = []
    for number in ("auto", n_lineages):
        adata = cells.copy()
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=number, **QUICK), progress=False)
        fits.append(adata)
    assert np.array_equal(fits[0].obs["latent_time"], fits[1].obs["latent_time"])
    assert np.array_equal(fits[0].var["fit_gamma"], fits[1].var["fit_gamma"])
    margins = [adata.uns["time_arrow"]["log_likelihood_margin"] for adata in fits]
    assert margins[0] == margins[1]
    assert "votes" in fits[0].uns["lineages"]
    assert "votes" not in fits[1].uns["lineages"]


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
@pytest.mark.parametrize(("counted", "most", "at_bound"), [(2, 1, True), (2, 2, False)])
def test_auto_stays_within_its_bound_and_says_where_it_ends_there(cells, monkeypatch, counted, most, at_bound):
    monkeypatch.setattr(begin, "votes_of", lambda _points, _rng, bound: LineageVotes((counted,) * 5, bound))
    monkeypatch.setattr(heldout_lineages, "begins_in_the_middle", lambda *_: most > 1)
    monkeypatch.setattr(number_module, "LEAST_AGREEMENT", -1.0)
    adata = cells.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(most_lineages=most, **QUICK), progress=False)
    record = adata.uns["lineages"]
    assert len(record["names"]) == min(counted, most)
    assert record["at_bound"] == at_bound
    assert any("the largest that was allowed" in str(w.message) for w in caught) == at_bound
    assert Fitted.of(adata).settings.most_lineages == most
