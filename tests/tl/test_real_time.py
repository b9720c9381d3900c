"""Latent time and rates in hours, by half-lives and by labelled counts."""

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


def test_many_genes_do_not_make_hours_surer_than_rates_are(sized):
    """Half-lives without an error of all genes, which fitted rates share some per cent of."""
    adata = sized.copy()
    vt.tl.to_real_time(adata, half_lives=HOURS * np.log(2) / adata.var["fit_gamma"])
    record = adata.uns["real_time"]
    assert record["hours_per_clock_high"] / record["hours_per_clock_low"] > np.exp(2 * 1.64 * 0.05)


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
    for given, message in (
        ({}, "none of them was given"),
        ({"half_lives": half_lives, "labelled": ("a", "b"), "hours": 1.0}, "both were given"),
        ({"half_lives": half_lives, "hours": 1.0}, r"give labelled=\(...\)"),
    ):
        with pytest.raises(InputError, match=message):
            vt.tl.to_real_time(adata, **given)
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


NEW = ("new_unspliced", "new_spliced")


def test_labelled_counts_give_hours_and_the_conversion(sized):
    adata = sized.copy()
    vt.simulation.label_new(adata, 5.0, hours=HOURS, conversion=0.3, rng=0)
    table = vt.tl.to_real_time(adata, labelled=NEW, hours=5.0)
    record = adata.uns["real_time"]
    assert record["verdict"] == "agree"
    assert record["by"] == "labelled counts"
    assert record["hours_per_clock"] == pytest.approx(HOURS, rel=0.1)
    assert record["conversion"] == pytest.approx([0.3], abs=0.06)
    assert "of what is new is seen as such" in record["reason"]
    assert np.corrcoef(table["labelled"], table["expected"])[0, 1] > 0.6
    np.testing.assert_allclose(table["ratio"], table["expected"] / table["labelled"])
    assert adata.obs["latent_time_hours"].max() == pytest.approx(HOURS, rel=0.15)
    assert "fit_half_life_hours" in adata.var


def test_samples_have_lengths_and_conversions_of_their_own(sized):
    adata = sized.copy()
    first = np.arange(adata.n_obs) % 2 == 0
    adata.obs["plate"] = np.where(first, "one", "two")
    adata.obs["hours"] = np.where(first, 3.0, 8.0)
    adata.obs.loc[adata.obs_names[:20], "hours"] = 0.0  # not labelled, and not read
    new = dict.fromkeys(NEW, 0)
    for which, conversion in ((first, 0.2), (~first, 0.5)):
        vt.simulation.label_new(adata, "hours", hours=HOURS, conversion=conversion, rng=1)
        new = {name: new[name] + adata.layers[name].toarray() * which[:, None] for name in NEW}
    adata.layers.update(new)
    adata.layers["new_spliced"][:20] = 0
    vt.tl.to_real_time(adata, labelled=NEW, hours="hours", samples="plate")
    record = adata.uns["real_time"]
    assert list(record["samples"]) == ["one", "two"]
    assert record["hours_per_clock"] == pytest.approx(HOURS, rel=0.12)
    assert record["conversion"] == pytest.approx([0.2, 0.5], rel=0.25)


@pytest.mark.parametrize("hours", [6.0, 400.0])
def test_labels_that_say_nothing_give_no_hours(sized, hours):
    """The same share of every gene: labels that mean nothing, or cells that were labelled for too long."""
    adata = sized.copy()
    adata.layers["new"] = np.random.default_rng(0).binomial(adata.layers["spliced"].toarray().astype(int), 0.2) * 1.0
    with pytest.warns(UnclearWarning, match="no hours"):
        vt.tl.to_real_time(adata, labelled=(None, "new"), hours=hours)
    assert adata.uns["real_time"]["verdict"] in ("disagree", "open")
    assert "latent_time_hours" not in adata.obs


def test_what_cannot_be_labelled_counts(sized):
    adata = sized.copy()
    adata.layers["more"] = adata.layers["spliced"] * 2
    adata.layers["none"] = adata.layers["spliced"] * 0
    adata.layers["below"] = -adata.layers["spliced"]
    adata.obs["clock"], adata.obs["day"] = np.arange(adata.n_obs), "one"
    for given, message in (
        ({"labelled": "new", "hours": 2.0}, "the names of two layers"),
        ({"labelled": (None, None), "hours": 2.0}, r"E\.g\. labelled=\('new_unspliced', 'new_spliced'\)"),
        ({"labelled": (None, "more")}, r"needs hours=\.\.\., for how long"),
        ({"labelled": (None, "more"), "hours": 0.0}, "above 0"),
        ({"labelled": (None, "new"), "hours": 2.0}, "layer 'new' not found"),
        ({"labelled": (None, "more"), "hours": 2.0}, "more labelled counts than layer 'spliced' holds counts"),
        ({"labelled": (None, "below"), "hours": 2.0}, "finite numbers, 0 or more"),
        ({"labelled": (None, "none"), "hours": 2.0}, "0 of the 100 fitted genes have labelled counts.*10 are needed"),
        ({"labelled": (None, "more"), "hours": "week"}, "column 'week' not found"),
        ({"labelled": (None, "more"), "hours": "day"}, "holds no numbers"),
        ({"labelled": (None, "more"), "hours": "clock"}, "599 different times of labelling"),
        ({"labelled": (None, "none"), "hours": 2.0, "samples": "lot"}, "column 'lot' not found"),
    ):
        with pytest.raises(InputError, match=message):
            vt.tl.to_real_time(adata, **given)
    assert "real_time" not in adata.uns


@pytest.fixture(scope="module")
def cycling():
    """Cells on a clock that goes round in 20 hours."""
    rng, cycle = np.random.default_rng(2), vt.simulation.Cycling()
    adata = vt.simulation.simulate(300, 50, rng=rng, cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["initial_size_unspliced"] = adata.obs["initial_size_spliced"] = adata.obs["true_depth"]
    method = vt.SoftEM(clock=vt.Cycle(), prior=vt.UniformPrior(), n_times=32, start_times=16)
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
    vt.simulation.label_new(cycling, 2.0, hours=20.0, conversion=0.5, rng=0)
    vt.tl.to_real_time(cycling, labelled=NEW, hours=2.0)
    assert cycling.uns["real_time"]["hours_per_clock"] == pytest.approx(20, rel=0.15)
    with pytest.raises(InputError, match="leave doubling_time out"):
        vt.tl.to_real_time(cycling, half_lives=known, doubling_time=20.0)
