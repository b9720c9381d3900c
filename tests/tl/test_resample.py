"""Fits of halves of the cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime.data import restore_soft_fit
from velotime.inference import CellLabels, Observations
from velotime.tl._resample import _draw_half


@pytest.mark.long
def test_replicates_cover_the_truth_and_agree_on_direction(fitted):
    adata = fitted.copy()
    table = vt.tl.resample(adata, n_replicates=4, progress=False)
    assert list(table["agrees"]) == [True] * 4
    assert table["correlation"].min() > 0.97
    assert adata.uns["resample"] == {"share_agreeing": 1.0, "n_replicates": 4}
    unit = np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)
    low, high = (np.polyval(unit, adata.obs[f"latent_time_resampled_{q}"]) for q in ("q05", "q95"))
    covered = ((adata.obs["true_time"] >= low) & (adata.obs["true_time"] <= high)).mean()
    assert 0.82 < covered < 0.98
    errors = adata.var["fit_gamma_resampled_se"]
    assert ((errors > 0) & (errors < 2)).all()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_a_cycle_is_resampled_round_the_seam():
    cycle = vt.simulation.Cycling()
    adata = vt.simulation.simulate(240, 40, rng=4, cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0)
    quick = {"annealing": 6, "max_iterations": 6, "n_times": 32, "start_genes": 40}
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(), **quick), progress=False)
    table = vt.tl.resample(adata, n_replicates=3, progress=False)
    assert list(table["agrees"]) == [True] * 3
    assert table["correlation"].min() > 0.9
    names = ("cycle_phase", *(f"cycle_phase_resampled_{name}" for name in ("sd", "q05", "q95")))
    phase, sd, low, high = (adata.obs[name] for name in names)
    assert sd.max() < 0.3  # also of cells at the seam, whose phases are near 0 in one half and near 1 in another
    assert np.median(sd) < 0.06
    assert ((low >= 0) & (low < 1) & (high >= 0) & (high < 1)).all()
    assert (((phase - low) % 1) <= (high - low) % 1).mean() > 0.85
    true = adata.obs["true_phase"] + vt.metrics.circular_error(adata, "true_phase").rotation
    assert (((true - low) % 1) <= (high - low) % 1).mean() > 0.8


def test_a_clock_is_brought_onto_another():
    clock = vt.Cycle.curve.clock
    time = np.random.default_rng(0).uniform(size=50)
    for way in (1.0, -1.0):
        found, stretch = clock.onto((way * time + 0.7) % 1, time)
        assert stretch == way
        np.testing.assert_allclose(clock.away(found, time), 0.0, atol=1e-12)
    found, stretch = vt.SoftEM().clock.curve.clock.onto(3.0 - 2.0 * time, time)
    assert stretch == pytest.approx(-0.5)
    np.testing.assert_allclose(found, time)


def test_what_cannot_be_resampled(fitted, small):
    with pytest.raises(InputError, match="2 or more"):
        vt.tl.resample(fitted, n_replicates=1)
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.tl.resample(small)


def test_the_prior_adds_to_the_error_of_rates_what_it_holds(fitted):
    """Never more than the whole error, nearly all of it without information in the counts, little with much."""
    genes, restored = restore_soft_fit(fitted)
    share = restored.shrinkage[:, 1] / np.asarray(fitted.var["fit_gamma_se"])[genes] ** 2
    assert np.all((share > 0) & (share <= 1 + 1e-6))
    gain = np.asarray(fitted.var["fit_gain"])[genes]
    assert np.median(share[gain < np.quantile(gain, 0.1)]) > 3 * np.median(share[gain > np.quantile(gain, 0.9)])


def test_a_label_of_few_cells_keeps_enough_in_each_half():
    labels = CellLabels.plain(200)
    few = np.where(np.arange(200) < 12, "few", np.where(np.arange(200) < 17, "fewer", "many"))
    labels = replace(labels, columns={"kind": few})
    method = vt.SoftEM(root=vt.Root("kind", "few"))
    counts, size = np.random.default_rng(0).poisson(3.0, size=(200, 5)).astype(np.float32), np.ones(200)
    observations = Observations(counts, counts, size, size)
    for seed in range(20):
        half = _draw_half(observations, labels, method, np.random.default_rng(seed))
        assert 100 <= len(half) <= 110
        assert len(set(half)) == len(half)
        assert 10 <= (few[half] == "few").sum() <= 12
        assert method.root.candidates(labels.take(half)).size >= 10


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_a_root_label_of_twelve_cells_is_resampled():
    adata = vt.simulation.simulate(160, 30, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["kind"] = np.where(adata.obs["true_time"].rank() <= 12, "root", "rest")
    quick = {"start_cells": 80, "start_genes": 20, "annealing": 2, "max_iterations": 2, "n_times": 16, "start_times": 8}
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(root=vt.Root("kind", "root"), **quick), progress=False)
    assert len(vt.tl.resample(adata, n_replicates=2, progress=False)) == 2
