"""Latent time and rates in hours, by half-lives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import velotime as vt
from velotime import InputError, UnclearWarning

HOURS = 48.0


@pytest.fixture(scope="module")
def sized():
    """Cells fitted with their true depth, as totals over a whole transcriptome give it; tests must not change it."""
    adata = vt.simulation.simulate(600, 100, rng=np.random.default_rng(5), mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["initial_size_unspliced"] = adata.obs["initial_size_spliced"] = adata.obs["true_depth"]
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1), progress=False)
    return adata


@pytest.fixture
def half_lives(sized):
    return vt.simulation.half_lives(sized, hours=HOURS, rng=np.random.default_rng(0))


def test_half_lives_give_hours(sized, half_lives):
    adata = sized.copy()
    table = vt.tl.to_real_time(adata, half_lives=half_lives)
    record = adata.uns["real_time"]
    hours = record["hours_per_clock"]
    assert record["verdict"] == "agree"
    assert hours == pytest.approx(HOURS, rel=0.15)
    assert record["hours_per_clock_low"] < HOURS < record["hours_per_clock_high"]
    assert record["slope_low"] < 1 < record["slope_high"]
    assert record["rank_correlation"] > 0.5
    np.testing.assert_allclose(adata.obs["latent_time_hours"], hours * adata.obs["latent_time"])
    np.testing.assert_allclose(adata.obs["latent_time_hours_sd"], hours * adata.obs["latent_time_sd"])
    np.testing.assert_allclose(adata.var["fit_gamma_per_hour"], adata.var["fit_gamma"] / hours)
    np.testing.assert_allclose(adata.var["fit_half_life_hours"], np.log(2) * hours / adata.var["fit_gamma"])
    truth = HOURS * np.log(2) / adata.var["true_gamma"]
    inside = truth.between(adata.var["fit_half_life_hours_low"], adata.var["fit_half_life_hours_high"])
    assert inside.mean() > 0.75
    assert set(table.index) <= set(half_lives.index)
    np.testing.assert_allclose(table["given"], half_lives[table.index])


def test_hours_scale_with_half_lives_and_not_with_single_wrong_ones(sized, half_lives):
    adata = sized.copy()
    vt.tl.to_real_time(adata, half_lives=half_lives)
    once = adata.uns["real_time"]["hours_per_clock"]
    vt.tl.to_real_time(adata, half_lives=2 * half_lives)
    assert adata.uns["real_time"]["hours_per_clock"] == pytest.approx(2 * once, rel=1e-3)
    wrong = half_lives.copy()
    wrong.iloc[:2] *= 100
    table = vt.tl.to_real_time(adata, half_lives=wrong)
    assert adata.uns["real_time"]["hours_per_clock"] == pytest.approx(once, rel=0.1)
    assert set(wrong.index[:2]) & set(table.index) <= set(adata.uns["real_time"]["disagreeing"])


def test_half_lives_of_other_genes_give_no_hours(sized, half_lives):
    adata = sized.copy()
    vt.tl.to_real_time(adata, half_lives=half_lives)
    turned = pd.Series(half_lives.sort_values().to_numpy(), half_lives.sort_values(ascending=False).index)
    with pytest.warns(UnclearWarning, match="no hours: given and fitted half-lives of .* which is no agreement"):
        vt.tl.to_real_time(adata, half_lives=turned)
    assert adata.uns["real_time"]["verdict"] == "disagree"
    assert "hours_per_clock" not in adata.uns["real_time"]
    assert not [name for name in (*adata.obs, *adata.var) if "hour" in name]


def test_names_are_found_where_they_stand(sized, half_lives):
    adata = sized.copy()
    vt.tl.to_real_time(adata, half_lives=half_lives)
    once = adata.uns["real_time"]["hours_per_clock"]
    adata.var["gene_id"] = [f"ENSG{k:011d}.3" for k in range(adata.n_vars)]
    known = pd.DataFrame({"half_life": half_lives.to_numpy(), "cells": "x"})
    known.index = [f"ENSG{adata.var_names.get_loc(name):011d}.7" for name in half_lives.index]
    vt.tl.to_real_time(adata, half_lives=known)
    assert adata.uns["real_time"]["hours_per_clock"] == once
    twice = pd.concat([known["half_life"], known["half_life"]])
    vt.tl.to_real_time(adata, half_lives=twice)
    assert adata.uns["real_time"]["hours_per_clock"] == once
    vt.tl.to_real_time(adata, half_lives=half_lives.to_dict())
    assert adata.uns["real_time"]["hours_per_clock"] == once


def test_what_cannot_be_half_lives(sized, half_lives):
    adata = sized.copy()
    few, shouted = half_lives.iloc[:4], half_lives.rename(str.upper)
    for given, message in (
        (few, "of 4 of the 100 fitted genes.*10 are needed.*keep"),
        (half_lives.rename("x{}".format), r"none of its 30 genes.*\['xgene_"),
        (shouted, "30 would match but for upper and lower case: are they of another species"),
        (-half_lives, "30 are zero or negative"),
        (pd.DataFrame({"a": half_lives, "b": half_lives}), r"Columns are \['a', 'b'\]"),
        ("table.csv", "pandas.read_csv"),
        ({"gene_1": "long"}, "no numbers"),
    ):
        with pytest.raises(InputError, match=message):
            vt.tl.to_real_time(adata, half_lives=given)
    assert "real_time" not in adata.uns
    with pytest.warns(UnclearWarning, match="Were these minutes"):
        vt.tl.to_real_time(adata, half_lives=60 * half_lives)


def test_growth_is_taken_off(sized):
    """Cells that double in 24 hours: half-lives of degradation alone, which is less than gamma."""
    adata = sized.copy()
    per_hour = adata.var["true_gamma"] / HOURS - np.log(2) / 24
    known = (np.log(2) / per_hour)[per_hour > 0.02]
    vt.tl.to_real_time(adata, half_lives=known, doubling_time=24.0)
    assert adata.uns["real_time"]["hours_per_clock"] == pytest.approx(HOURS, rel=0.15)
    found = adata.var.loc[known.index, "fit_half_life_hours"]
    assert np.log(found / known).abs().median() < 0.4


@pytest.fixture(scope="module")
def cycling():
    """Cells on a clock that goes round in 20 hours."""
    rng, cycle = np.random.default_rng(2), vt.simulation.Cycling()
    adata = vt.simulation.simulate(300, 50, rng=rng, cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["initial_size_unspliced"] = adata.obs["initial_size_spliced"] = adata.obs["true_depth"]
    method = vt.SoftEM(clock=vt.Cycle(), prior=vt.UniformPrior(), n_times=32)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    return adata


def test_a_cycle_has_hours_per_turn(cycling):
    known = vt.simulation.half_lives(cycling, hours=20.0, n_genes=60, error=0.2, rng=np.random.default_rng(0))
    vt.tl.to_real_time(cycling, half_lives=known)
    hours = cycling.uns["real_time"]["hours_per_clock"]
    assert hours == pytest.approx(20, rel=0.2)
    np.testing.assert_allclose(cycling.obs["cycle_phase_hours"], hours * cycling.obs["cycle_phase"])
    gamma = cycling.var["fit_gamma_undiluted"]
    expected = (np.log(2) * hours / gamma).where(gamma > 0)
    np.testing.assert_allclose(cycling.var["fit_half_life_hours"], expected)
    with pytest.raises(InputError, match="leave doubling_time out"):
        vt.tl.to_real_time(cycling, half_lives=known, doubling_time=20.0)
