"""Means over neighbours, and what reads them."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc

import velotime as vt
from velotime import _keys as keys
from velotime.data import read_moments


def test_moments_are_means_over_cell_and_neighbours_at_the_median_total(small):
    vt.pp.moments(small, n_neighbors=15)
    counts = small.layers["unspliced"].toarray()
    total = counts.sum(axis=1)
    normal = counts * (np.median(total) / total)[:, None]
    near = small.obsp["velotime_connectivities"].toarray() > 0
    np.fill_diagonal(near, True)
    assert near.sum(axis=1).min() >= 15
    np.testing.assert_allclose(small.layers["Mu"], near @ normal / near.sum(axis=1)[:, None], rtol=1e-4)
    assert small.layers["Ms"].dtype == np.float32


def test_totals_before_filtering_count(small):
    small.obs[keys.SIZE_SPLICED] = 2.0 + np.arange(small.n_obs) % 2
    vt.pp.moments(small)
    normal = (
        small.layers["spliced"].toarray()
        * (np.median(small.obs[keys.SIZE_SPLICED]) / small.obs[keys.SIZE_SPLICED]).to_numpy()[:, None]
    )
    near = small.obsp["velotime_connectivities"].toarray() > 0
    np.fill_diagonal(near, True)
    np.testing.assert_allclose(small.layers["Ms"], near @ normal / near.sum(axis=1)[:, None], rtol=1e-4)


def test_neighbours_of_the_user_are_used_and_stay(small):
    sc.pp.neighbors(small, n_neighbors=10, use_rep="X", transformer="sklearn")
    graph, record = small.obsp["connectivities"].copy(), dict(small.uns["neighbors"]["params"])
    vt.pp.moments(small, n_neighbors=40)
    assert (small.obsp["connectivities"] != graph).nnz == 0
    assert small.uns["neighbors"]["params"] == record
    assert not any(name.startswith("velotime") for name in [*small.obsp, *small.uns])
    assert small.uns["moments"]["n_neighbors"] == 10  # what was used


def test_our_own_neighbours_are_as_many_as_asked_for(small):
    for n_neighbors in (10, 40):
        vt.pp.moments(small, n_neighbors=n_neighbors)
        assert small.uns["moments"]["n_neighbors"] == n_neighbors
        assert np.diff(small.obsp["velotime_distances"].indptr).max() == n_neighbors - 1
    assert not {"distances", "connectivities"} & set(small.obsp)


def test_missing_moments_name_the_cure(small):
    with pytest.raises(vt.InputError, match=r"layer 'Mu' not found.*velotime\.pp\.moments\(adata\)"):
        read_moments(small)
    with pytest.raises(vt.InputError, match="n_neighbors=0"):
        vt.pp.moments(small, n_neighbors=0)


def test_means_of_a_fit_are_no_moments(small):
    vt.pp.moments(small)
    small.uns[keys.MOMENTS] = {"source": keys.FITTED_MEANS}
    with pytest.raises(vt.InputError, match=r"the means that a fit wrote.*velotime\.pp\.moments"):
        read_moments(small)
    vt.pp.moments(small)
    assert read_moments(small).layers == ("Mu", "Ms")


def test_genes_without_enough_cells_are_left_out_by_their_counts(small):
    vt.pp.moments(small)
    u = small.layers["unspliced"].tolil()
    u[:, 0] = 0
    u[:, 1] = 0
    u[:9, 1] = 3
    small.layers["unspliced"] = u.tocsr()
    status = read_moments(small).fit_status
    assert list(status[:3]) == ["no unspliced counts", "unspliced in fewer than 10 cells", "fitted"]
    del small.layers["unspliced"], small.layers["spliced"]
    assert (read_moments(small).fit_status == "fitted").all()


def test_it_is_known_how_many_cells_a_moment_is_a_mean_of(small):
    vt.pp.moments(small, n_neighbors=15)
    near = small.obsp["velotime_connectivities"].toarray() > 0
    np.fill_diagonal(near, True)
    size = near.sum(axis=1).mean()
    assert read_moments(small).observations.n_averaged == pytest.approx(size)
    del small.uns[keys.MOMENTS]  # another tool's moments, of the neighbours that are there
    assert read_moments(small).observations.n_averaged == pytest.approx(size)
    del small.obsp["velotime_connectivities"]
    assert read_moments(small).observations.n_averaged == 31
    small.uns[keys.MOMENTS] = {"source": keys.COPIED}
    assert read_moments(small).observations.n_averaged == 1
    del small.uns[keys.MOMENTS]
    assert read_moments(small, unspliced="unspliced", spliced="spliced").observations.n_averaged == 1


def test_selections_of_moments_stay_means_of_as_many_cells(small):
    vt.pp.moments(small)
    observations = read_moments(small).observations
    for chosen in (observations.select_cells(np.arange(50)), observations.select_genes(np.arange(3))):
        assert chosen.n_averaged == observations.n_averaged > 30
