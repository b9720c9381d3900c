"""Phases compared with known ones, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

import velotime as vt
from velotime import InputError


@pytest.fixture
def phases():
    """Known phases in hours; phases a quarter of a turn ahead, three of five of them off, one of them missing."""
    adata = AnnData(np.zeros((6, 1), dtype=np.float32))
    known = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.9])
    adata.obs["hour"] = 24 * known
    adata.obs["cycle_phase"] = (known + 0.25 + np.array([0.0, 0.02, -0.04, 0.0, 0.06, np.nan])) % 1
    return adata


def test_error_by_hand(phases):
    found = vt.metrics.circular_error(phases, "hour", period=24)
    # ahead by 0.25, 0.27, 0.21, 0.25, 0.31: their median is 0.25, and distances from it 0, 0.02, 0.04, 0, 0.06
    assert found.rotation == pytest.approx(0.25)
    assert found.error == pytest.approx(0.02)
    assert found.error_as_given == pytest.approx(0.25)
    assert (found.n_cells, found.n_cells_left_out) == (5, 1)


@pytest.mark.parametrize("shift", [0.1, 0.5, 0.83])
def test_the_seam_is_nowhere(phases, shift):
    before = vt.metrics.circular_error(phases, "hour", period=24)
    phases.obs["cycle_phase"] = (phases.obs["cycle_phase"] + shift) % 1
    after = vt.metrics.circular_error(phases, "hour", period=24)
    assert after.error == pytest.approx(before.error)
    assert np.cos(2 * np.pi * (after.rotation - before.rotation - shift)) == pytest.approx(1)
    assert -0.5 <= after.rotation <= 0.5


def test_correlation_knows_direction_but_no_origin(phases):
    def correlation():
        return vt.metrics.circular_correlation(phases, "hour", period=24).correlation

    one = correlation()
    a, b = (2 * np.pi * x for x in (phases.obs["cycle_phase"][:5], phases.obs["hour"][:5] / 24))
    sines = [np.sin(x.to_numpy()[:, None] - x.to_numpy()) for x in (a, b)]
    assert one == pytest.approx((sines[0] * sines[1]).sum() / np.sqrt((sines[0] ** 2).sum() * (sines[1] ** 2).sum()))
    phases.obs["cycle_phase"] = -phases.obs["cycle_phase"] % 1
    assert correlation() == pytest.approx(-one)
    phases.obs["cycle_phase"] = 0.3
    assert np.isnan(correlation())


def test_bad_arguments(phases):
    with pytest.raises(InputError, match="only 0 cells have both"):
        vt.metrics.circular_error(phases[5:].copy(), "hour")
    with pytest.raises(InputError, match="only 1 cells have both"):
        vt.metrics.circular_correlation(phases[:1].copy(), "hour")
    with pytest.raises(InputError, match="period=0"):
        vt.metrics.circular_error(phases, "hour", period=0)
    del phases.obs["cycle_phase"]
    with pytest.raises(InputError, match="nothing is fitted yet"):
        vt.metrics.circular_error(phases, "hour")
