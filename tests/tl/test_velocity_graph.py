"""The velocity graph against a slow reference, and where it points."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse
from scipy.stats import spearmanr

import velotime as vt
from velotime import InputError
from velotime.compute import Edges, edge_cosines, mean_edge_cosines
from velotime.data import Fitted, find_neighbors, restore_soft_fit
from velotime.data.neighbors.walk import Walk
from velotime.tl import _velocity_graph


def edges_of(matrix):
    return Edges(matrix.indptr, matrix.indices)


def signed_root(values):
    return np.sign(values) * np.sqrt(np.abs(values))


@pytest.mark.parametrize("root", [False, True])
def test_cosines_are_correlations_over_genes(root):
    rng = np.random.default_rng(0)
    state, velocity = rng.normal(size=(2, 40, 12)).astype(np.float32)
    velocity[3] = 0.0
    edges = sparse.random(40, 40, 0.2, random_state=0, format="csr")
    found = edge_cosines(state, velocity, edges_of(edges), root=root)
    transform = signed_root if root else np.asarray
    for i in range(40):
        for edge in range(edges.indptr[i], edges.indptr[i + 1]):
            step = transform(state[edges.indices[edge]] - state[i])
            constant = i == 3 or i == edges.indices[edge]
            expected = 0.0 if constant else np.corrcoef(step, transform(velocity[i]))[0, 1]
            assert found[edge] == pytest.approx(expected, abs=1e-5)


def shares(cosines, scale=10.0):
    weights = np.expm1(scale * np.maximum(cosines, 0))
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)  # nowhere to go: shares of 0


@pytest.mark.parametrize("root", [False, True])
def test_draws_give_the_mean_of_their_transitions(root):
    rng = np.random.default_rng(1)
    state = rng.normal(size=(15, 12)).astype(np.float32)
    table = rng.normal(size=(6, 12)).astype(np.float32)
    draws = rng.integers(0, 6, size=(15, 8))
    edges = sparse.csr_matrix(1 - np.eye(15))
    positive, negative = mean_edge_cosines(state, table, draws, edges_of(edges), scale=10.0, root=root)
    one_by_one = [edge_cosines(state, table[draws[:, k]], edges_of(edges), root=root) for k in range(8)]
    each = np.stack(one_by_one).reshape(8, 15, 14)
    for found, sign in ((positive, 1), (negative, -1)):
        found = sign * found.reshape(15, 14)
        mean = shares(sign * each).mean(axis=0)
        np.testing.assert_allclose(shares(found), mean / mean.sum(axis=1, keepdims=True), atol=1e-5)
        np.testing.assert_allclose(found.max(axis=1), np.maximum(sign * each, 0).max(axis=2).mean(axis=0), atol=1e-5)


def test_draws_that_agree_change_nothing():
    rng = np.random.default_rng(2)
    state, velocity = rng.normal(size=(2, 15, 12)).astype(np.float32)
    velocity[3] = 0.0
    edges = edges_of(sparse.csr_matrix(1 - np.eye(15)))
    plain = edge_cosines(state, velocity, edges)
    positive, negative = mean_edge_cosines(state, velocity, np.repeat(np.arange(15)[:, None], 5, 1), edges, scale=10.0)
    np.testing.assert_allclose(positive + negative, plain, atol=1e-5)


@pytest.fixture(scope="module")
def graphed(fitted):
    adata = fitted.copy()
    vt.tl.velocity_graph(adata)
    time = adata.obs["true_time"].to_numpy()
    adata.obsm["X_line"] = np.c_[time, 0 * time + np.random.default_rng(0).normal(0, 0.02, len(time))]
    vt.tl.velocity_embedding(adata, basis="line")
    return adata


def test_transitions_go_forward_in_true_time(graphed):
    transitions = vt.tl.transition_matrix(graphed, self_transitions=False)
    rows = np.asarray(transitions.sum(axis=1)).ravel()
    np.testing.assert_allclose(rows, 1, atol=1e-12)
    time = graphed.obs["true_time"].to_numpy()
    ahead = transitions @ time - time
    inner = (time > 0.1) & (time < 0.9)
    assert (ahead[inner] > 0).mean() > 0.9
    staying = vt.tl.transition_matrix(graphed).diagonal()
    assert np.all((staying >= 0) & (staying <= 1))


def test_embedding_points_forward(graphed):
    time = graphed.obs["true_time"].to_numpy()
    inner = (time > 0.1) & (time < 0.9)
    assert (graphed.obsm["velocity_line"][inner, 0] > 0).mean() > 0.9


def test_negative_correlations_are_kept_apart(graphed):
    positive, negative = graphed.obsp["velocity_graph"], graphed.obsp["velocity_graph_neg"]
    assert positive.data.min() > 0
    assert negative.data.max() < 0
    assert positive.multiply(negative).nnz == 0


def test_what_is_missing_is_named(small, graphed):
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.tl.velocity_graph(small)
    with pytest.raises(InputError, match="velocity_graph"):
        vt.tl.velocity_embedding(small)
    with pytest.raises(InputError, match=r"basis 'umap' not found.*'line'"):
        vt.tl.velocity_embedding(graphed, basis="umap")
    with pytest.raises(InputError, match="column 'best' not found"):
        vt.tl.velocity_graph(graphed, genes="best")


def test_genes_without_velocity_are_left_out_and_counted(fitted):
    adata = fitted.copy()
    adata.layers["velocity"] = adata.layers["velocity"].copy()
    adata.layers["velocity"][:, :3] = np.nan
    vt.tl.velocity_graph(adata)
    assert adata.uns["velocity_params"]["n_genes_left_out"] == 3
    assert np.isfinite(adata.obsp["velocity_graph"].data).all()


def test_cells_without_velocity_are_left_out_and_counted(fitted):
    adata = fitted.copy()
    adata.layers["velocity"] = adata.layers["velocity"].copy()
    adata.layers["velocity"][:5] = np.nan
    vt.tl.velocity_graph(adata)
    assert adata.uns["velocity_params"]["n_cells_left_out"] == 5
    assert adata.uns["velocity_params"]["n_genes_left_out"] == 0
    assert adata.obsp["velocity_graph"][:5].nnz == adata.obsp["velocity_graph_neg"][:5].nnz == 0
    assert np.all(vt.tl.transition_matrix(adata, self_transitions=False).diagonal()[:5] == 1)
    adata.layers["velocity"][:] = np.nan
    with pytest.raises(InputError, match=r"no gene of var.*recover_dynamics"):
        vt.tl.velocity_graph(adata)


def test_cells_of_uncertain_direction_diffuse(fitted):
    adata, drawn = fitted.copy(), fitted.copy()
    vt.tl.velocity_graph(adata)
    for graphed, seed in ((drawn, 0), (same := fitted.copy(), 0), (other := fitted.copy(), 1)):
        vt.tl.velocity_graph(graphed, posterior=True, rng=seed)
    assert (drawn.obsp["velocity_graph"] != same.obsp["velocity_graph"]).nnz == 0
    assert (drawn.obsp["velocity_graph"] != other.obsp["velocity_graph"]).nnz > 0
    assert drawn.obsp["velocity_graph"].max() <= 1
    before, after = (vt.metrics.row_entropy(vt.tl.transition_matrix(a, self_transitions=False)) for a in (adata, drawn))
    gained = after - before
    assert np.nanmean(gained) > 0
    # not the uncertain times as such: along a straight stretch all draws point the same way
    told = np.isfinite(gained)
    assert spearmanr(gained[told], spread_of_directions(adata)[told]).statistic > 0.6


def spread_of_directions(adata):
    """How much the directions of the velocities at the states drawn differ, ``(cells,)``: 0 if all are the same."""
    genes, fit = restore_soft_fit(adata)
    states = Fitted.of(adata).draw_states(20, np.random.default_rng(0))
    table = fit.problem.states.at(Fitted.of(adata).states.times).velocities(fit.parameters.theta)[1].T
    table = table[:, adata.var["velocity_genes"].to_numpy()[genes]]
    table = table - table.mean(axis=1, keepdims=True)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return 1 - np.linalg.norm(table[states].mean(axis=1), axis=1)


def test_draws_follow_the_posterior(fitted):
    stored = Fitted.of(fitted)
    states = stored.draw_states(200, np.random.default_rng(0))
    assert np.all(np.diff(states, axis=1) >= 0)
    mean, sd = restore_soft_fit(fitted)[1].time_moments
    times = stored.states.time[states]
    np.testing.assert_allclose(times.mean(axis=1), mean, atol=0.006)
    np.testing.assert_allclose(times.std(axis=1), sd, atol=0.01)


def test_a_layer_serves_as_state(fitted):
    adata = fitted.copy()
    vt.tl.velocity_graph(adata, state="Ms", recursive=False)
    graph = adata.obsp["velocity_graph"].tocoo()
    use = adata.var["velocity_genes"].to_numpy()
    i, j = graph.row[7], graph.col[7]
    step = adata.layers["Ms"][j, use] - adata.layers["Ms"][i, use]
    assert graph.data[7] == pytest.approx(np.corrcoef(step, adata.layers["velocity"][i, use])[0, 1], abs=1e-4)
    with pytest.raises(InputError, match=r"layer 'moments' not found.*'Ms'"):
        vt.tl.velocity_graph(adata, state="moments")
    with pytest.raises(InputError, match="n_draws=0"):
        vt.tl.velocity_graph(adata, posterior=True, n_draws=0)


def test_neighbours_of_many_cells_are_exact():
    counts = np.random.default_rng(3).poisson(3.0, size=(8300, 60)).astype(np.float32)
    adata = ad.AnnData(layers={"spliced": sparse.csr_matrix(counts), "unspliced": sparse.csr_matrix(counts)})
    neighbors = find_neighbors(adata, n_neighbors=5)
    assert not adata.obsp
    logs = ad.AnnData(np.log1p(counts * (counts.sum() / len(counts) / counts.sum(axis=1))[:, None]))
    sc.pp.pca(logs, n_comps=30, random_state=0)
    apart = np.linalg.norm(logs.obsm["X_pca"] - logs.obsm["X_pca"][17], axis=1)
    apart[17] = np.inf
    found = neighbors.distances[17]
    np.testing.assert_allclose(np.sort(found.data), np.sort(apart)[: found.nnz], rtol=1e-3)
    assert found.nnz == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cells_without_coordinates_take_no_others_with_them(graphed, value):
    whole = graphed.obsm["velocity_line"]
    adata = graphed.copy()
    adata.obsm["X_line"][:3, 1] = value
    vt.tl.velocity_embedding(adata, basis="line")
    found = adata.obsm["velocity_line"]
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[3:]).all()
    graph = graphed.obsp["velocity_graph"] + abs(graphed.obsp["velocity_graph_neg"])
    far = np.asarray(graph[:, :3].sum(axis=1)).ravel()[3:] == 0
    np.testing.assert_allclose(found[3:][far], whole[3:][far])
    # neighbours of such a cell keep the direction that their other neighbours give them
    near = ~far
    cosine = (found[3:] * whole[3:]).sum(axis=1) / np.linalg.norm(found[3:], axis=1) / np.linalg.norm(whole[3:], axis=1)
    assert np.median(cosine[near]) > 0.9
    labels = np.where(adata.obs["true_time"] < 0.5, "early", "late")
    adata.obs["stage"] = pd.Categorical(labels)
    score = vt.metrics.cross_boundary_correctness(adata, [("early", "late")], column="stage", basis="line")
    assert np.isfinite(score).all()
    assert score.attrs["n_cells_left_out"] == 3


def test_neighbours_of_neighbours_are_left_out_of_many_cells(drawn, monkeypatch):
    edges = {}
    for most in (150, 149):
        monkeypatch.setattr("velotime.tl._velocity_graph.MOST_RECURSIVE", most)
        adata = drawn.copy()
        vt.tl.velocity_graph(adata, posterior=True)
        edges[adata.uns["velocity_params"]["recursive"]] = adata.obsp["velocity_graph"].nnz
    assert edges[True] > 1.5 * edges[False]


@pytest.mark.parametrize(
    ("layer", "settings"),
    [(False, {}), (False, {"state": "Ms"}), (True, {}), (True, {"square_root": True}), (False, {"square_root": True})],
)
def test_a_block_of_genes_at_a_time_gives_the_same_graph(fitted, monkeypatch, layer, settings):
    usual = fitted.copy()
    del usual.layers["velocity"]
    if layer:
        usual.layers["velocity"] = np.array(fitted.layers["velocity"])
        usual.layers["velocity"][3] = np.nan
    parts = usual.copy()
    vt.tl.velocity_graph(usual, **settings)
    monkeypatch.setattr("velotime.data.gene_space.MOST_DENSE", 7 * fitted.n_obs)
    monkeypatch.setattr(_velocity_graph, "edge_cosines", None)  # which wants all genes at once
    vt.tl.velocity_graph(parts, **settings)
    for name in ("velocity_graph", "velocity_graph_neg"):
        assert abs(parts.obsp[name] - usual.obsp[name]).max() < 1e-5
    found, expected = (each.uns["velocity_params"] for each in (parts, usual))
    assert all(found[name] == expected[name] for name in ("n_cells_left_out", "n_genes_left_out"))
    assert found["n_cells_left_out"] == int(layer)


def test_on_a_walk_neighbours_stand_near_each_other_and_in_their_old_order():
    rng = np.random.default_rng(0)
    place = rng.permutation(400)  # of cells on a line, whose order is lost
    steps = rng.permuted(np.tile([-2, -1, 1, 2], (400, 1)), axis=1)
    near = np.clip(place[:, None] + steps, 0, 399)
    cell_at = np.argsort(place)
    matrix = sparse.csr_matrix((np.arange(1600), cell_at[near].ravel(), np.arange(0, 1601, 4)), shape=(400, 400))
    walk = Walk.along(matrix)
    assert sorted(walk.order) == list(range(400))
    found = walk.renumbered(matrix)
    np.testing.assert_array_equal(found.data.reshape(400, 4), matrix.data.reshape(400, 4)[walk.order])
    np.testing.assert_array_equal(walk.order[found.indices], matrix.indices.reshape(400, 4)[walk.order].ravel())
    assert np.abs(found.indices.reshape(400, 4) - np.arange(400)[:, None]).max() < 10
