"""Where cells lie, for the starts."""

from __future__ import annotations

import numpy as np

from velotime.inference import Observations
from velotime.tl._geometry import place_cells

N_CELLS, N_SAME = 200, 60


def observations():
    """Cells along a line in twelve genes; the first sixty have the same values, as means over neighbours may."""
    rng = np.random.default_rng(0)
    values = np.linspace(0, 1, N_CELLS)[:, None] * rng.normal(size=12) + rng.normal(0, 0.05, (N_CELLS, 12)) + 3.0
    values[:N_SAME] = values[0]
    ones = np.ones(N_CELLS)
    return Observations(values, values, ones, ones)


def test_cells_with_the_same_values_are_placed_once():
    geometry = place_cells(observations(), np.random.default_rng(1), counts=False)
    assert len(geometry.cells) == N_CELLS - N_SAME + 1
    assert np.isfinite(geometry.diffusion).all()
    place = np.abs(np.corrcoef(geometry.diffusion[:, 0], geometry.cells)[0, 1])
    assert place > 0.9


def test_cells_that_must_be_there_are_there():
    geometry = place_cells(observations(), np.random.default_rng(1), counts=False, include=[7, 9])
    assert {7, 9} <= set(geometry.cells)
    assert np.isfinite(geometry.diffusion).all()
