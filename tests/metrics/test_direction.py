"""Direction metrics on a case computed by hand, and against a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import velotime as vt
from velotime import InputError

HALF = np.sqrt(0.5)


@pytest.fixture
def four_cells():
    """Two cells of a at 0 and 1 on a line, two of b at (2, 0) and (1, 1); each a sees both b."""
    adata = AnnData(np.zeros((4, 1), dtype=np.float32))
    adata.obs["group"] = ["a", "a", "b", "b"]
    adata.obsm["X_line"] = np.array([[0.0, 0], [1, 0], [2, 0], [1, 1]])
    adata.obsm["velocity_line"] = np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]])
    adata.obsp["distances"] = sparse.csr_matrix(np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0.0]]))
    return adata


@pytest.fixture
def chain():
    """Cells of a at 0, of b at 1, 2 and (2, 1), of c at -1; neighbours 0-1, 0-c, 1-2, 1-(2, 1)."""
    adata = AnnData(np.zeros((5, 1), dtype=np.float32))
    adata.obs["group"] = ["a", "b", "b", "b", "c"]
    adata.obsm["X_line"] = np.array([[0.0, 0], [1, 0], [2, 0], [1, 1], [-1, 0]])
    adata.obsm["velocity_line"] = np.array([[1.0, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    links = np.zeros((5, 5))
    for i, j in ((0, 1), (0, 4), (1, 2), (1, 3)):
        links[i, j] = links[j, i] = 1.0
    adata.obsp["distances"] = sparse.csr_matrix(links)
    return adata


def test_cross_boundary_correctness_by_hand(four_cells):
    scores = vt.metrics.cross_boundary_correctness(four_cells, [("a", "b"), ("b", "a")], column="group", basis="line")
    # cell 0: (1 + cos 45)/2; cell 1: (0 + 1)/2
    assert scores["a -> b"] == pytest.approx(((1 + HALF) / 2 + 0.5) / 2)
    assert scores["b -> a"] == 0.0  # b does not move


def test_edge_that_no_neighbours_cross_is_nan(chain):
    assert np.isnan(vt.metrics.cross_boundary_correctness(chain, [("c", "b")], column="group", basis="line")["c -> b"])


def test_k_hop_correctness_by_hand(chain):
    scores = vt.metrics.k_hop_correctness(chain, [("a", "b")], column="group", basis="line", n_hops=2)
    # one step: b at 1 gives 1; all neighbours are that and c, 1 and -1, mean 0
    assert scores.loc["a -> b", "1"] == pytest.approx(1.0)
    # two steps: (2, 0) and (1, 1) give (1 + cos 45)/2, and no other cells are two steps off
    assert scores.loc["a -> b", "2"] == pytest.approx(0.0)
    chain.obs["group"] = ["a", "b", "b", "c", "c"]
    scores = vt.metrics.k_hop_correctness(chain, [("a", "b")], column="group", basis="line", n_hops=2)
    assert scores.loc["a -> b", "2"] == pytest.approx(1.0 - (1 + HALF) / 2)  # the target's only, less both


def test_random_velocity_scores_nothing_within_hops():
    """The calibration: with random directions the score is 0 on average, for any number of steps."""
    rng = np.random.default_rng(0)
    n = 400
    adata = AnnData(np.zeros((n, 1), dtype=np.float32))
    points = rng.uniform(size=(n, 2))
    adata.obs["group"] = np.where(points[:, 0] < 0.5, "a", "b")
    adata.obsm["X_plane"] = points
    adata.obsm["velocity_plane"] = rng.normal(size=(n, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.argsort(distance, axis=1)[:, 1:9]
    links = np.zeros((n, n))
    np.put_along_axis(links, near, 1.0, axis=1)
    adata.obsp["distances"] = sparse.csr_matrix(links)
    scores = vt.metrics.k_hop_correctness(adata, [("a", "b")], column="group", basis="plane", n_hops=3)
    assert np.abs(scores.to_numpy()).max() < 0.35  # some 50 cells at the boundary
    adata.obsm["velocity_plane"] = np.tile([1.0, 0.0], (n, 1))
    scores = vt.metrics.k_hop_correctness(adata, [("a", "b")], column="group", basis="plane", n_hops=3)
    assert scores.to_numpy().min() > 0.4


def test_gene_space_by_hand():
    """Three cells in two genes; their neighbourhood means are computed here."""
    adata = AnnData(np.zeros((3, 3), dtype=np.float32))
    counts = np.array([[4.0, 0, 9], [2, 2, 9], [0, 4, 9]])
    counts[:, 2] = 8 - counts[:, :2].sum(axis=1)  # so that all cells have the same depth
    adata.layers["spliced"] = counts
    adata.layers["unspliced"] = counts
    adata.layers["velocity"] = np.array([[-1.0, 1, np.nan], [-1, 1, np.nan], [0, 0, np.nan]])
    adata.var["velocity_genes"] = [True, True, True]
    adata.obs["group"] = ["a", "a", "b"]
    links = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]])
    adata.obsp["distances"] = adata.obsp["connectivities"] = sparse.csr_matrix(links)
    scores = vt.metrics.cross_boundary_correctness(adata, [("a", "b")], column="group", basis=vt.metrics.GeneSpace())
    # means over neighbourhoods: (3, 1), (2, 2), (1, 3): cell 1 to cell 2 is along (-1, 1)
    assert scores["a -> b"] == pytest.approx(1.0)
    assert scores.attrs == {"n_cells_left_out": 0, "n_genes_left_out": 1}
    adata.layers["velocity"][1] = [0.0, 1, np.nan]
    scores = vt.metrics.cross_boundary_correctness(adata, [("a", "b")], column="group", basis=vt.metrics.GeneSpace())
    assert scores["a -> b"] == pytest.approx(HALF)


def test_nan_velocities_are_left_out_and_counted(four_cells):
    four_cells.obsm["velocity_line"][1] = np.nan
    scores = vt.metrics.cross_boundary_correctness(four_cells, [("a", "b")], column="group", basis="line")
    assert scores["a -> b"] == pytest.approx((1 + HALF) / 2)
    assert scores.attrs["n_cells_left_out"] == 1


def test_against_the_obvious_loop():
    rng = np.random.default_rng(3)
    n = 60
    adata = AnnData(np.zeros((n, 1), dtype=np.float32))
    adata.obs["group"] = rng.choice(["a", "b", "c"], n)
    adata.obsm["X_plane"], adata.obsm["velocity_plane"] = rng.normal(size=(2, n, 3))
    links = rng.uniform(size=(n, n)) < 0.08
    np.fill_diagonal(links, val=False)
    adata.obsp["distances"] = sparse.csr_matrix(links.astype(float))
    found = vt.metrics.k_hop_correctness(adata, [("a", "b")], column="group", basis="plane", n_hops=3)
    target = (adata.obs["group"] == "b").to_numpy()
    x, v = adata.obsm["X_plane"], adata.obsm["velocity_plane"]

    def mean_cosine(i, reached):
        step = x[sorted(reached)] - x[i]
        cosines = step @ v[i] / np.linalg.norm(step, axis=1) / np.linalg.norm(v[i])
        return cosines.mean() if reached else 0.0

    scores = []
    for i in np.flatnonzero(adata.obs["group"] == "a"):
        ahead = set(np.flatnonzero(links[i] & target))
        around = set(np.flatnonzero(links[i]))
        if not ahead:
            continue
        row = []
        for _ in range(3):
            row.append(mean_cosine(i, ahead) - mean_cosine(i, around))
            ahead = {k for j in ahead for k in np.flatnonzero(links[j] & target)} - {i}
            around = {k for j in around for k in np.flatnonzero(links[j])} - {i}
        scores.append(row)
    np.testing.assert_allclose(found.loc["a -> b"], np.mean(scores, axis=0), rtol=1e-12)


def test_bad_arguments(four_cells):
    correctness = vt.metrics.cross_boundary_correctness
    with pytest.raises(InputError, match=r"labels \['c'\] not found.*\['a', 'b'\]"):
        correctness(four_cells, [("a", "c")], column="group", basis="line")
    with pytest.raises(InputError, match="column 'kind' not found"):
        correctness(four_cells, [("a", "b")], column="kind", basis="line")
    with pytest.raises(InputError, match=r"basis 'umap' not found.*\['line'\]"):
        correctness(four_cells, [("a", "b")], column="group", basis="umap")
    with pytest.raises(InputError, match="recover_dynamics"):
        correctness(four_cells, [("a", "b")], column="group", basis=vt.metrics.GeneSpace())
    with pytest.raises(InputError, match="n_hops=0"):
        vt.metrics.k_hop_correctness(four_cells, [("a", "b")], column="group", basis="line", n_hops=0)
    four_cells.obsm["X_other"] = four_cells.obsm["X_line"]
    with pytest.raises(InputError, match="velocity_embedding"):
        correctness(four_cells, [("a", "b")], column="group", basis="other")
    del four_cells.obsp["distances"]
    with pytest.raises(InputError, match="velocity_graph"):
        correctness(four_cells, [("a", "b")], column="group", basis="line")
