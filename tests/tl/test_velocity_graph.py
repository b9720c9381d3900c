"""The velocity graph against a slow twin, and where it points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.backends import edge_cosines


def test_cosines_are_correlations_over_genes():
    rng = np.random.default_rng(0)
    state, velocity = rng.normal(size=(2, 40, 12)).astype(np.float32)
    velocity[3] = 0.0
    edges = sparse.random(40, 40, 0.2, random_state=0, format="csr")
    found = edge_cosines(state, velocity, edges.indptr, edges.indices)
    for i in range(40):
        for edge in range(edges.indptr[i], edges.indptr[i + 1]):
            step = state[edges.indices[edge]] - state[i]
            constant = i == 3 or i == edges.indices[edge]
            expected = 0.0 if constant else np.corrcoef(step, velocity[i])[0, 1]
            assert found[edge] == pytest.approx(expected, abs=1e-5)


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
    assert np.all((np.abs(rows - 1) < 1e-5) | (rows == 0))
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
    positive, negative = graphed.uns["velocity_graph"], graphed.uns["velocity_graph_neg"]
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
    assert np.isfinite(adata.uns["velocity_graph"].data).all()
