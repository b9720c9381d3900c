"""EM on some of many cells, then a few passes over all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime.data import read_observations
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.model.problem import Cells

N_CELLS, SOME = 1200, 300


@pytest.fixture(scope="module")
def cells():
    return vt.simulation.simulate(N_CELLS, 80, rng=np.random.default_rng(3), mean_unspliced=1.0, mean_spliced=3.0)


def fit(adata, max_cells):
    adata = adata.copy()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1, max_cells=max_cells), layers=(), progress=False)
    return adata


@pytest.fixture(scope="module")
def whole(cells):
    return fit(cells, None)


@pytest.fixture(scope="module")
def by_passes(cells):
    return fit(cells, SOME)


def test_passes_over_all_cells_end_where_a_fit_of_all_does(whole, by_passes):
    record, other = (adata.uns["recover_dynamics"] for adata in (whole, by_passes))
    assert spearmanr(whole.obs["latent_time"], by_passes.obs["latent_time"]).statistic > 0.9995
    assert other["log_likelihood"] > record["log_likelihood"] - 0.02 * N_CELLS
    apart = np.log(by_passes.var["fit_gamma"] / whole.var["fit_gamma"]) / whole.var["fit_gamma_se"]
    assert apart.abs().median() < 0.5  # a fit of the 300 alone is two standard errors away


def test_the_last_bounds_are_those_of_all_cells(by_passes):
    """The first pass is worse than a fit of few cells, which suits these; then they rise until they stand still."""
    bound = by_passes.uns["recover_dynamics"]["bound"]
    passes = bound[np.flatnonzero(np.diff(bound) < -0.1)[-1] + 1 :]
    assert 2 <= len(passes) <= 12
    assert np.all(np.diff(passes) > -2e-3)
    assert by_passes.uns["recover_dynamics"]["status"] == "converged"


def test_order_of_the_cells_does_not_matter_to_the_draw(cells, by_passes):
    shuffled = fit(cells[np.random.default_rng(0).permutation(N_CELLS)].copy(), SOME)
    np.testing.assert_allclose(
        shuffled.obs["latent_time"].reindex(cells.obs_names), by_passes.obs["latent_time"], atol=1e-3
    )


def test_drawn_cells_are_read_without_a_copy_of_their_counts(cells):
    observations = read_observations(cells).observations
    drawn = observations.draw(SOME, np.random.default_rng(0))
    labels = CellLabels.plain(SOME)
    rows = PriorRows.of(Groups.of(labels, None), (), labels)
    found = Cells.of(observations, rows, vt.NegativeBinomial(), drawn)
    copied = Cells.of(observations.select_cells(drawn), rows, vt.NegativeBinomial())
    np.testing.assert_array_equal(found.order, copied.order)
    for one, other in ((found.unspliced, copied.unspliced), (found.spliced, copied.spliced)):
        np.testing.assert_array_equal(one.size, other.size)
        np.testing.assert_array_equal(one.values.toarray(), other.values.toarray())
    assert found.spliced.given is observations.spliced
