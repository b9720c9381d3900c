"""Latent time on the scale of experimental times, and rates in their unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Optional, Text, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted, read_labels, write_derived
from velotime.data.arguments import ADATA, COLUMN

RATES = (keys.FIT_ALPHA, keys.FIT_ALPHA_0, keys.FIT_ALPHA_2, keys.FIT_BETA, keys.FIT_GAMMA)


@checked({"adata": ADATA, "column": COLUMN, "unit": Optional(Text("the name of a unit"))})
def to_experimental_time(adata: AnnData, column: str, *, unit: str | None = None) -> pd.DataFrame:
    """Put latent time on the scale of experimental times, and rates in their unit.

    Rates are constant in physical time, and the fitted clock is one on which rates are constant: so it is physical time
    up to origin and unit. Both come from the regression of the cells' latent time t on their experimental time T,
    ``t = a + b T``, which takes T as exact and the spread of t around it as that of cells which are ahead or behind
    (regressed the other way round the spread would shrink the scale). Then ``T = (t - a)/b``, and a rate in 1/unit is b
    times the relative one. The standard error of b is that of a regression of the labels' mean times, weighted by their
    cells: cells of one sample share its errors.

    Parameters
    ----------
    adata
        Fitted with :func:`recover_dynamics`, ideally with ``knowledge=vt.TimeLabels(column)``.
    column
        An obs column of numbers, two different ones or more.
    unit
        Its unit, for reports ("day"); by default the column's name.

    Returns
    -------
    One row per experimental time: ``experimental``, ``n_cells``, ``mean_latent_time`` and ``fitted_latent_time``. How
    far the last two differ shows whether the clock runs evenly. Writes

    ``obs["latent_time_experimental"]``, ``obs["latent_time_experimental_sd"]``
        Time and, where the method gives one, its posterior sd in the unit. float.
    ``var["fit_alpha_experimental"]`` and likewise ``fit_alpha_0``, ``fit_alpha_2``, ``fit_beta``, ``fit_gamma``
        Rates per unit. float. Velocities in the unit are ``layers["velocity"]`` times ``clock_per_unit``.
    ``uns["experimental_time"]``
        ``column``, ``unit``, ``origin`` (T at latent time 0), ``units_per_clock`` (its length in the unit),
        ``clock_per_unit`` and its standard error ``clock_per_unit_se`` (NaN with two labels, which leave no error).

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no time, the column does not exist, is not numeric or holds only one
        number, or time runs against it.
    """
    time = Fitted.of(adata).require_line("experimental time").latent_time
    experimental = _numbers(adata, column)
    told = np.isfinite(experimental)
    table = _by_label(experimental[told], time[told])
    slope, origin = np.polyfit(experimental[told], time[told], 1)
    if not slope > 0:
        raise InputError(
            f"latent time runs against obs[{column!r}]: {slope:.3g} of the clock per unit. Fit with "
            f"method=vt.SoftEM(knowledge=vt.TimeLabels({column!r})), or check the labels."
        )
    table["fitted_latent_time"] = origin + slope * table["experimental"]
    obs = {keys.LATENT_TIME_EXPERIMENTAL: (time - origin) / slope}
    if keys.LATENT_TIME_SD in adata.obs:
        obs[f"{keys.LATENT_TIME_EXPERIMENTAL}_sd"] = np.asarray(adata.obs[keys.LATENT_TIME_SD]) / slope
    scale = {
        "column": column,
        "unit": unit or column,
        "origin": float(-origin / slope),
        "units_per_clock": float(1 / slope),
        "clock_per_unit": float(slope),
        "clock_per_unit_se": _standard_error(table),
    }
    write_derived(
        adata,
        keys.EXPERIMENTAL_TIME,
        {
            "obs": obs,
            "var": {f"{name}_experimental": adata.var[name] * slope for name in RATES if name in adata.var},
            "uns": {keys.EXPERIMENTAL_TIME: scale},
        },
    )
    return table


def _numbers(adata: AnnData, column: str) -> FloatArray:
    """Experimental time of each cell, NaN where it is missing, ``(cells,)``."""
    values = read_labels(adata, [column]).columns[column]
    try:
        numbers = np.asarray(values).astype(np.float64)
    except ValueError:
        some = sorted(set(np.asarray(values).astype(str).tolist()))[:5]
        raise InputError(
            f"obs[{column!r}] holds no numbers but labels, e.g. {some}: time in a unit needs numbers. Add a column "
            "with the time of each label; an order alone goes to vt.TimeLabels."
        ) from None
    if np.any(np.isinf(numbers)) or not np.nanmax(numbers) > np.nanmin(numbers):
        raise InputError(f"obs[{column!r}] must hold two different finite numbers or more.")
    return numbers


def _by_label(experimental: FloatArray, time: FloatArray) -> pd.DataFrame:
    frame = pd.DataFrame({"experimental": experimental, "time": time})
    means = frame.groupby("experimental")["time"].agg(["size", "mean"]).reset_index()
    return means.rename(columns={"size": "n_cells", "mean": "mean_latent_time"})


def _standard_error(table: pd.DataFrame) -> float:
    """Of the slope of the labels' mean times, from how far they are off the line; NaN for two labels."""
    if len(table) < 3:
        return float("nan")
    weight = table["n_cells"].to_numpy(dtype=np.float64)
    at = table["experimental"].to_numpy()
    off = table["mean_latent_time"].to_numpy() - table["fitted_latent_time"].to_numpy()
    around = at - np.average(at, weights=weight)
    variance = (weight * off**2).sum() / (len(table) - 2)
    return float(np.sqrt(variance / (weight * around**2).sum()))
