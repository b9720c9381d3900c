"""Latent time and rates in the unit of experimental times."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError


@pytest.fixture
def days(fitted):
    """Cells sampled on four days of a process that takes ten, from day 2 on; each a day ahead or behind."""
    adata = fitted.copy()
    day = 2 + 10 * adata.obs["true_time"] + np.random.default_rng(0).normal(0, 1, adata.n_obs)
    adata.obs["day"] = np.digitize(day, [4.5, 7, 9.5]) * 2.5 + 3.25
    return adata


def test_time_and_rates_are_in_days(days):
    table = vt.tl.to_experimental_time(days, "day")
    scale = days.uns["experimental_time"]
    assert scale["unit"] == "day"
    assert scale["clock_per_unit"] == pytest.approx(1 / scale["units_per_clock"])
    assert scale["units_per_clock"] == pytest.approx(10, rel=0.2)
    found, truth = days.obs["latent_time_experimental"], 2 + 10 * days.obs["true_time"]
    assert (found - truth).abs().median() < 0.8
    np.testing.assert_allclose(found, scale["origin"] + scale["units_per_clock"] * days.obs["latent_time"])
    np.testing.assert_allclose(days.var["fit_gamma_experimental"], days.var["fit_gamma"] / scale["units_per_clock"])
    np.testing.assert_allclose(
        days.obs["latent_time_experimental_sd"], days.obs["latent_time_sd"] * scale["units_per_clock"]
    )
    assert 0 < scale["clock_per_unit_se"] < 0.3 * scale["clock_per_unit"]
    assert table["n_cells"].sum() == days.n_obs
    assert table["mean_latent_time"].is_monotonic_increasing
    assert days.uns["recover_dynamics"]["units"] == "relative"  # of the slots that hold relative numbers


def test_two_days_leave_no_error(days):
    days.obs["day"] = np.where(days.obs["true_time"] > 0.5, 2.0, 1.0)
    vt.tl.to_experimental_time(days, "day", unit="d")
    assert np.isnan(days.uns["experimental_time"]["clock_per_unit_se"])
    assert days.uns["experimental_time"]["unit"] == "d"


def test_what_cannot_be_a_scale(days):
    days.obs["back"] = -days.obs["day"]
    days.obs["one"] = 1.0
    days.obs["stage"] = "E15"
    for column, message in (
        ("back", r"runs against obs\['back'\].*TimeLabels"),
        ("one", "two different"),
        ("stage", r"no numbers but labels, e.g. \['E15'\]"),
        ("hour", r"column 'hour' not found.*'day'"),
    ):
        with pytest.raises(InputError, match=message):
            vt.tl.to_experimental_time(days, column)
    assert "latent_time_experimental" not in days.obs
    del days.uns["recover_dynamics"]
    with pytest.raises(InputError, match="nothing is fitted"):
        vt.tl.to_experimental_time(days, "day")
