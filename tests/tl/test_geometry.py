"""Where cells lie, for the starts."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime.inference import Observations
from velotime.tl._geometry import place_cells

N_CELLS, N_SAME = 200, 60
QUICK = {"n_times": 8, "start_times": 8, "annealing": 1, "max_iterations": 1}


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


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
@pytest.mark.parametrize("n_cells", [20, 25, 31])
def test_as_few_cells_as_are_promised(n_cells):
    adata = vt.simulation.simulate(n_cells, 40, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**QUICK), progress=False)
    assert abs(adata.obs["latent_time"].corr(adata.obs["true_time"], method="spearman")) > 0.5


def test_too_little_to_order_cells_by_is_refused_in_a_sentence(small):
    best = [int(np.argmax(small.layers["unspliced"].sum(axis=0)))]
    shown = np.ravel((small.layers["unspliced"] + small.layers["spliced"])[:, best].sum(axis=1)) > 0
    with pytest.raises(InputError, match=r"only 1 gene can be fitted.*at least 2.*TwoStageEM"):
        vt.tl.recover_dynamics(small[shown][:, best].copy(), progress=False)
    few = vt.simulation.simulate(240, small.n_vars, rng=np.random.default_rng(0))
    for name in ("unspliced", "spliced"):
        few.layers[name] = small.layers[name][np.arange(240) % 4]
    with pytest.raises(InputError, match=r"only 4 cells differ.*at least 10"):
        vt.tl.recover_dynamics(few, progress=False)
    with pytest.raises(InputError, match="only 1 gene: to find neighbours at least 2"):
        vt.pp.moments(small[:, best].copy())
