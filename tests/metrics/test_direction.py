"""Direction metrics on a case computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import velotime as vt
from velotime import InputError


@pytest.fixture
def four_cells():
    """Two cells of a at 0 and 1 on a line, two of b at (2, 0) and (1, 1); each a sees both b."""
    adata = AnnData(np.zeros((4, 1), dtype=np.float32))
    adata.obs["group"] = ["a", "a", "b", "b"]
    adata.obsm["X_line"] = np.array([[0.0, 0], [1, 0], [2, 0], [1, 1]])
    adata.obsm["velocity_line"] = np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]])
    adata.obsp["distances"] = sparse.csr_matrix(np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0.0]]))
    return adata


def test_cross_boundary_correctness_by_hand(four_cells):
    scores = vt.metrics.cross_boundary_correctness(four_cells, [("a", "b"), ("b", "a")], column="group", basis="line")
    # cell 0: (1 + cos 45)/2; cell 1: (0 + 1)/2
    assert scores["a -> b"] == pytest.approx(((1 + np.sqrt(0.5)) / 2 + 0.5) / 2)
    assert scores["b -> a"] == 0.0  # b does not move


def test_bad_arguments(four_cells):
    correctness = vt.metrics.cross_boundary_correctness
    with pytest.raises(InputError, match=r"labels \['c'\] not found.*\['a', 'b'\]"):
        correctness(four_cells, [("a", "c")], column="group", basis="line")
    with pytest.raises(InputError, match="column 'kind' not found"):
        correctness(four_cells, [("a", "b")], column="kind", basis="line")
    with pytest.raises(InputError, match="velocity_embedding"):
        correctness(four_cells, [("a", "b")], column="group", basis="umap")
