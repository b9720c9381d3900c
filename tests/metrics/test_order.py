"""Order of time and decidedness of transitions, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import velotime as vt
from velotime import InputError


@pytest.fixture
def timed():
    adata = AnnData(np.zeros((6, 1), dtype=np.float32))
    adata.obs["group"] = ["a", "a", "b", "b", "b", "c"]
    adata.obs["latent_time"] = [0.1, 0.4, 0.3, 0.4, 0.9, np.nan]
    return adata


def test_time_order_by_hand(timed):
    scores = vt.metrics.time_order(timed, [("a", "b"), ("b", "a"), ("a", "c")], column="group")
    # six pairs: 0.1 is before all three; 0.4 after 0.3, level with 0.4, before 0.9
    assert scores["a -> b"] == pytest.approx((3 + 0.5 + 1) / 6)
    assert scores["b -> a"] == pytest.approx(1 - scores["a -> b"])
    assert np.isnan(scores["a -> c"])
    assert scores.attrs["n_cells_left_out"] == 1


def test_time_correlation_by_hand(timed):
    result = vt.metrics.time_correlation(timed, {"a": 0, "b": 5, "c": 7}, column="group")
    # ranks of time 1, 3.5, 2, 3.5, 5; of stage 1.5, 1.5, 4, 4, 4
    time, stage = np.array([1, 3.5, 2, 3.5, 5]), np.array([1.5, 1.5, 4, 4, 4])
    assert result.correlation == pytest.approx(np.corrcoef(time, stage)[0, 1])
    assert (result.n_cells, result.n_cells_left_out) == (5, 1)
    assert np.isnan(vt.metrics.time_correlation(timed, {"a": 0}, column="group").correlation)


def test_self_transition_and_entropy_by_hand():
    transitions = sparse.csr_matrix(np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 0.0]]))
    assert vt.metrics.self_transition(transitions) == pytest.approx(0.75)  # the empty row is left out
    entropy = vt.metrics.row_entropy(transitions)
    np.testing.assert_allclose(entropy[:2], [1.5 * np.log(2), 0.0])
    assert np.isnan(entropy[2])


def test_bad_arguments(timed):
    with pytest.raises(InputError, match=r"labels \['d'\] not found"):
        vt.metrics.time_order(timed, [("a", "d")], column="group")
    with pytest.raises(InputError, match="column 'pseudotime' not found"):
        vt.metrics.time_order(timed, [("a", "b")], column="group", time="pseudotime")
    with pytest.raises(InputError, match="not numbers"):
        vt.metrics.time_order(timed, [("a", "b")], column="group", time="group")
    with pytest.raises(InputError, match="only 0 cells"):
        vt.metrics.time_correlation(timed, {"c": 1}, column="group")
    del timed.obs["latent_time"]
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.metrics.time_correlation(timed, {"a": 1, "b": 2}, column="group")
    with pytest.raises(InputError, match="square"):
        vt.metrics.self_transition(sparse.csr_matrix(np.ones((2, 3))))
    with pytest.raises(InputError, match="transition_matrix"):
        vt.metrics.row_entropy(sparse.csr_matrix(np.ones((2, 2))))
