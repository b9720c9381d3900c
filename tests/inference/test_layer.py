"""One layer of the cells in an order of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from velotime.inference.model import layer, noise
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import NegativeBinomial
from velotime.inference.model.scores import state_scores


@pytest.mark.parametrize("container", [sparse.csr_array, np.asarray])
def test_sums_know_the_rows_that_cells_have(container, monkeypatch):
    monkeypatch.setattr(layer, "BLOCK_OF_CELLS", 64)
    rng = np.random.default_rng(0)
    values = rng.poisson(1.0, (300, 6)).astype(np.float32)
    size = rng.lognormal(0, 0.5, 300)
    whole = LayerData.of(container(values), size, 8)
    rows = rng.permutation(300)[:200]
    some = whole.cells(rows)
    again = some.cells(np.arange(150)[::-1])
    for data, index in ((some, rows), (again, rows[:150][::-1])):
        own = values[index]
        dense = data.values.toarray() if sparse.issparse(data.values) else data.values
        np.testing.assert_array_equal(dense, own)
        assert (data.n_cells, data.n_genes) == own.shape
        np.testing.assert_allclose(data.square, (own**2).sum(axis=0))
        wanted = np.stack([own[data.level == k].sum(axis=0) for k in range(len(data.levels))])
        np.testing.assert_allclose(data.value_per_level, wanted)
        gene, count, times = data.histogram
        found = dict(zip(zip(gene.tolist(), count.tolist(), strict=True), times.tolist(), strict=True))
        for g in range(6):
            counts, n = np.unique(own[:, g][own[:, g] > 0], return_counts=True)
            assert {c: found.pop((g, c)) for c in counts.tolist()} == dict(
                zip(counts.tolist(), n.tolist(), strict=True)
            )
        assert not found


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_states_score_each_cell_at_its_own_size(form, monkeypatch):
    monkeypatch.setattr(noise, "NEAR", 4 * 7 * 5)  # tables of four levels, and of the two that are left
    rng = np.random.default_rng(0)
    counts, size = rng.poisson(1.0, (40, 7)).astype(np.float32), rng.lognormal(0, 0.5, 40)
    means, scatter = rng.gamma(1.0, 1.0, (7, 5)), rng.uniform(0.1, 1.0, 7)
    data = LayerData.of(form(counts), size, 6)
    found = state_scores(NegativeBinomial(), data, means, scatter)
    for k in range(40):
        growth = np.log1p(scatter[:, None] * data.size[k] * means)
        expected = counts[k] @ (np.log(means) - growth) - (growth / scatter[:, None]).sum(axis=0)
        np.testing.assert_allclose(found[k], expected, rtol=1e-4)
