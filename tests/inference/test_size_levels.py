"""Rounding of size factors: fine for most cells, whatever a few of them are like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime.inference.model.layer import LayerData, size_levels
from velotime.inference.model.problem import N_LEVELS


def rounding(size, n_levels=N_LEVELS):
    """|log size - log level| of each cell."""
    levels, level = size_levels(size, n_levels)
    assert len(levels) <= n_levels
    assert np.all(np.diff(levels) > 0)
    assert np.array_equal(np.unique(level), np.arange(len(levels)))
    return np.abs(np.log(size) - np.log(levels[level]))


def central(size, share=0.95):
    low, high = np.quantile(size, [0.5 - share / 2, 0.5 + share / 2])
    return (size >= low) & (size <= high)


@pytest.mark.parametrize(
    ("n", "giants"), [(300, 0), (300, 3), (4000, 0), (4000, 1), (4000, 3), (100_000, 0), (100_000, 1)]
)
def test_giant_cells_hardly_coarsen_the_others(n, giants):
    rng = np.random.default_rng(n)
    size = rng.lognormal(0, 0.35, n)
    size = np.append(size, 1000 * size.mean() * 2.0 ** np.arange(giants))
    error = rounding(size)
    assert error[central(size)].max() < 0.04
    assert error[:n].max() < 0.08
    assert error[n:].max(initial=0.0) < 1e-9


def test_never_much_worse_than_a_geometric_ladder():
    """Over half of the cells always finer, and tails at most twice as coarse."""
    for seed, sd in enumerate((0.1, 0.35, 0.7, 1.2)):
        size = np.random.default_rng(seed).lognormal(0, sd, 5000)
        half_step = 0.5 * np.ptp(np.log(size)) / N_LEVELS
        error = rounding(size)
        assert error[central(size)].max() < half_step
        assert error.max() < 2 * half_step


def test_the_pancreas_is_rounded_finely(shared_data):
    from anndata import read_h5ad

    adata = read_h5ad(shared_data / "pancreas.h5ad")
    for name in ("spliced", "unspliced"):
        total = np.asarray(adata.layers[name].sum(axis=1)).ravel()
        assert rounding(total)[central(total)].max() < 0.04


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_few_sizes_stay_as_they_are_and_many_are_covered(sizes, n_levels):
    size = np.array(sizes)
    if n_levels == 1 or np.ptp(np.log(size)) == 0:
        assert size_levels(size, n_levels)[0] == pytest.approx([size.mean()])
        return
    error = rounding(size, n_levels)
    if len(np.unique(size)) <= n_levels:
        assert error.max() < 1e-6


def test_equal_sizes_are_one_level():
    data = LayerData.of(np.ones((5, 2)), np.full(5, 1.3), 32)
    np.testing.assert_allclose(data.levels, [1.3])
    assert data.size.shape == (5,)
